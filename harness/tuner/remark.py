"""Sentences on a tuning: what would make loading faster, without contradicting a measurement.

Before the search, a model predicts what workers may gain; afterwards, measured rates replace the prediction. Advice on
the data set follows from the part of a batch that takes most of the time.
"""

from collections.abc import Iterator
from dataclasses import replace

from harness.record.budget import COLLATE, DECODE, FETCH, HAND_OVER, READ, TRANSFORM, Budget
from harness.tuner.advice import ALREADY, Advice
from harness.tuner.loader_choice import Choice
from harness.tuner.loop import MAX_WAITING
from harness.tuner.search import SearchState
from harness.tuner.tuning import TuningResult

WORTH_ADVICE = 0.25
"""Smallest share of the time of a batch for which there is advice."""


def remarks(tuning: TuningResult) -> list[str]:
    """Return remarks on the data set, the kind of loader first."""
    advice, waiting = tuning.advice, tuning.waiting
    keeps_up = waiting is not None and waiting.share <= MAX_WAITING
    if advice is None:
        return []
    sentences = advice.sentences(keeps_up=keeps_up, workers_gain=_workers_may_gain(tuning))
    return [*sentences, *([] if keeps_up else _explain_cause(tuning, advice))]


def _workers_may_gain(tuning: TuningResult) -> bool:
    """Whether workers were measured and are at least not distinguishable from the choice."""
    state = tuning.standing
    return state is not None and any(choice.workers for choice in (state.best, *state.similar_choices))


def compare_workers(tuning: TuningResult) -> str | None:
    """Return what measurements say about more workers than the choice has; ``None`` if they say nothing."""
    state, advice = tuning.standing, tuning.advice
    if state is None:
        return None
    if more := _find_with_more_workers(state):
        best = max(more, key=lambda choice: state.rates[choice].point)
        times = state.rates[best].point / state.rate.point
        number = f"{best.workers} worker{'s' * (best.workers != 1)}"
        if best in state.similar_choices:
            return f"with {number} the rate is not distinguishable ({times:.2f} times)"
        return f"with {number} the measured rate is {times:.2f} times this rate"
    if advice is not None and advice.rules_workers_out:
        return "more workers would not help"
    return None


def _find_with_more_workers(state: SearchState) -> list[Choice]:
    """Return the measured configurations that differ from the choice by more workers, and perhaps their prefetching."""
    best = state.best
    return [
        choice
        for choice in state.rates
        if choice.workers > best.workers
        and replace(choice, workers=best.workers, prefetch=best.prefetch, start_method=best.start_method) == best
    ]


def _explain_cause(tuning: TuningResult, advice: Advice) -> Iterator[str]:
    """Yield advice on the part of a batch that takes most of the time."""
    if advice.takes_batches or advice.copies:
        return
    if advice.waits:
        yield f"{advice.item}, mostly waiting rather than computing{_more_workers(tuning, '; try {}')}"
    elif tuning.budget is not None:
        yield from _explain_part(tuning, advice, tuning.budget)


def _explain_part(tuning: TuningResult, advice: Advice, budget: Budget) -> Iterator[str]:
    shares = {part: share for part, share in budget.shares.items() if part in _REMEDIES}
    part = max(shares, key=lambda name: shares[name], default=None)
    if part is None or shares[part] < WORTH_ADVICE:
        return
    remedy = _REMEDIES[part].format(workers=_more_workers(tuning, "{}, "))
    if part == FETCH and advice.obstacle == ALREADY:
        remedy = "replace Python loops in `__getitems__` by operations on whole batches"
    yield f"{advice.item}; {_NAMES[part]} takes {shares[part]:.0%} of the time: {remedy}"


def _more_workers(tuning: TuningResult, words: str) -> str:
    """Return the advice to use more workers in some words; nothing if a measurement or the budget contradicts it."""
    if tuning.standing is None or compare_workers(tuning) is not None:
        return ""
    if tuning.budget is not None and not tuning.budget.more_workers[0]:
        return ""
    number = tuning.standing.best.workers
    return words.format(f"more than {number} workers" if number else "workers")


_NAMES = {
    READ: "reading",
    DECODE: "decoding",
    TRANSFORM: "transforming",
    FETCH: "Python code in `__getitem__`",
    COLLATE: "collating",
    HAND_OVER: "the transfer from the workers",
}
_REMEDIES = {
    READ: "use {workers}fewer and larger files, or a copy in memory",
    DECODE: "use {workers}a faster decoder, or samples stored decoded, cached or at their final size",
    TRANSFORM: "use {workers}transforms of whole batches, or store their result",
    FETCH: "use {workers}a `__getitems__(indices)` that makes a whole batch",
    COLLATE: "let the data set return whole batches: `batch_size=None` with a `BatchSampler`",
    HAND_OVER: "use batches of fewer and larger arrays",
}
"""Remedies by part of the budget; ``{workers}`` stands for more workers, unless a measurement contradicts that."""
