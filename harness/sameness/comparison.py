"""The comparison of two targets, or of a target and its changed run, in a process that imports user code."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import torch

from harness.calling.target import Target
from harness.case import Case
from harness.contracts import claimed, contract_named
from harness.error import UsageError
from harness.record import Accuracy, Judgment, Sameness
from harness.sameness.change import KEEPING, Change
from harness.sameness.changed_run import record_changed
from harness.sameness.inputs import choose_inputs
from harness.sameness.judgment import NAMES, judge
from harness.sameness.pair import Pair, make_pair
from harness.sameness.recording import RETURNED, Recording
from harness.sameness.side import Side
from harness.timing.clock import threads
from harness.tolerances.assertion import judge_result
from harness.wording.number import plain


def compare_pair(pair: Pair, report: Callable[[str], object] = lambda _: None) -> Judgment:
    """Record and judge a pair; ``report`` gets a name after the import.

    Raises
    ------
    UsageError
        If its sides cannot be called on the same inputs.
    """
    targets = ((pair.first, pair.declares), (pair.second, pair.second_declares))
    sides = [Side(target, pair.contract, declares) for target, declares in targets if target is not None]
    report(pair.first)
    return pair.add_names(compare_sides(sides, pair))


def compare_sides(sides: Sequence[Side], pair: Pair) -> Judgment:
    """Record and judge two sides, or one and its change; raises as :func:`compare_pair`."""
    if len({side.is_step for side in sides}) > 1:
        raise UsageError("cannot compare a step with a function", rule="only a step takes no arguments")
    name, names = choose_inputs(sides, pair.shapes), NAMES
    if pair.change is None:
        recordings = sides[0].record(), sides[1].record()
    else:
        recordings = record_changed(sides[0], pair.change, pair.shapes)
        names = "the plain one", f"the one under {pair.change}"
    with threads(1):
        judgment = judge(*recordings, names=names)
    if name is None or judgment.answer is Sameness.SAME_BITS or pair.change is not None:
        return judgment
    found = [_measure_accuracy(name, side, recording) for side, recording in zip(sides, recordings, strict=True)]
    accuracies = tuple(accuracy for accuracy in found if accuracy is not None)
    if len(accuracies) < len(found):
        return judgment
    sentence = f"{judgment.sentence}; {_describe_bounds(name, accuracies)}"
    return judgment.model_copy(update={"sentence": sentence, "accuracies": accuracies})


def same(
    first: Callable[..., Any] | str,
    second: Callable[..., Any] | str | None = None,
    *,
    under: str | None = None,
    contract: str | None = None,
    shapes: Sequence[Sequence[int]] = (),
) -> Judgment:
    """Decide whether two functions, or two training steps, differ by more than rounding.

    Parameters
    ----------
    first, second
        Functions, or targets, ``"file.py:function"`` or ``"module:function"``. A training step takes no arguments, and
        must be a target, because each side imports it separately.
    under
        A change under which the first is compared with itself, in place of ``second``, such as ``"accumulation=4"``.
    contract
        Name of the contract whose inputs are used; by default inferred from the names of the functions.
    shapes
        A shape for each argument of functions without a contract; the inputs are normal random numbers.

    Returns
    -------
    Judgment
        The ``answer`` and its ``sentence``. It is true for *same bits* and *rounding*, so that a test can assert it.

    Raises
    ------
    UsageError
        If there are no inputs, if a side cannot be called on them, or if a difference would not be seen.

    Notes
    -----
    The recorded operations of both are repeated in float64. Rounding explains a difference of up to four times their
    sampled rounding errors, and one unit roundoff.

    Examples
    --------
    .. code-block:: python

        def test_fused_softmax():
            assert harness.same(fused_softmax, torch.softmax, contract="softmax")
            assert harness.same("train.py:step", under="accumulation=4")
    """
    targets = [target for target in (first, second) if target is not None]
    with torch.random.fork_rng(devices=[]):
        sides = [Side(target, contract) for target in targets]
        other = sides[1].target if len(sides) > 1 else None
        pair = make_pair(sides[0].target, other, under, contract, [",".join(map(str, shape)) for shape in shapes])
        for target, side in zip(targets, sides, strict=True):
            if side.is_step and not isinstance(target, str):
                rule, remedy = "each side imports a step separately", "pass it as `file.py:function`"
                raise UsageError(f"cannot compare the step `{side.target}`", rule=rule, remedy=remedy)
        return pair.add_names(compare_sides(sides, pair))


# Bounds


def _measure_accuracy(name: str, side: Side, recording: Recording) -> Accuracy | None:
    """Return the error that is the largest share of the bound of a contract; ``None`` if these inputs have no bound."""
    worst = Accuracy(deviation=0.0, bound=0.0)
    for result in (result for result in recording.results.values() if result.kind == RETURNED):
        try:
            verdict, *_ = judge_result(result.value, name, side.batches[result.call - 1], side.declares)
        except AssertionError:
            return Accuracy(deviation=float("inf"), bound=0.0)
        except UsageError:
            return None
        accuracy = Accuracy(deviation=verdict.deviation or 0.0, bound=verdict.bound or 0.0, unit=verdict.unit)
        worst = max(worst, accuracy, key=lambda accuracy: accuracy.share)
    return worst


def _describe_bounds(name: str, accuracies: Sequence[Accuracy]) -> str:
    """Return whether the results stay within the bound of the contract, and their errors."""
    within = [accuracy.share <= 1.0 for accuracy in accuracies]
    which = ("neither stays", f"only the {'first' if within[0] else 'second'} stays", "both stay")[sum(within)]
    errors = " and ".join(f"{plain(x.deviation)} of {plain(x.bound)} {x.unit}" for x in accuracies)
    return f"{which} within the bound of {name}: {errors}"


# The pairs of a package


def list_pairs(target: str, changes: Sequence[Change], report: Callable[[str], object]) -> list[Pair]:
    """Return the pairs of a package of cases: each case under each change that fits it.

    Without changes, each case from scratch is compared with each concise one of the same family and contract. Different
    conventions are declared differences.

    Raises
    ------
    UsageError
        If the package has no such pair.
    """
    cases = [case for case in map(claimed, Target(target).cases()) if contract_named(case.contract).form != "delivery"]
    report(target)
    pairs = [
        _make_pair(case, change=change)
        for case, change in product(cases, changes)
        if change.kind in KEEPING or contract_named(case.contract).form == "function"
    ] or [
        _make_pair(x, second=y.target, second_declares=y.declares, is_declared=bool(x.breaks or y.breaks or is_other))
        for x, y in product(cases, cases)
        if (x.family, x.contract, x.style, y.style) == (y.family, y.contract, "scratch", "concise")
        for is_other in [x.declares != y.declares]
    ]
    if not pairs:
        rule = "it must have cases from scratch and concise ones for the same contract"
        raise UsageError(f"no pairs in `{target}`", rule=rule)
    return pairs


def _make_pair(case: Case, **fields: Any) -> Pair:
    return Pair(first=case.target, contract=case.contract, declares=case.declares, **fields)
