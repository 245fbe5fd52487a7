"""The advice after a tuning follows from the cause, and contradicts no measurement."""

from collections.abc import Mapping
from typing import Any

import pytest

from harness.record.budget import COLLATE, DECODE, FETCH, HAND_OVER, READ, STEP, TRANSFORM, Budget
from harness.record.estimate import Estimate, Method
from harness.tuner.advice import ALREADY, Advice
from harness.tuner.loader_choice import Choice
from harness.tuner.loop import Waiting
from harness.tuner.remark import compare_workers, remarks
from harness.tuner.search import Reason, SearchState
from harness.tuner.search_space import SearchSpace
from harness.tuner.tuning import Tuning


def _tuning(
    rates: Mapping[Choice, float],
    *,
    part: str = DECODE,
    share: float = 0.8,
    similar: tuple[Choice, ...] = (),
    **facts: Any,
) -> Tuning:
    """Return a finished tuning: the first configuration was chosen, and one part takes a share of the time."""
    best = next(iter(rates))
    estimates = {choice: Estimate(rate, rate, rate, Method.STUDENT) for choice, rate in rates.items()}
    tuning = Tuning([], SearchSpace((best.batch_size,), (0, 2)), cores=4, seconds=1.0)
    tuning.standing = SearchState(best, estimates[best], None, None, Reason.PARTED, estimates, 1.0, 9, similar)
    known: dict[str, Any] = {"batch_s": None, "obstacle": "x", "busy": 1.0, "hop_s": 1e-4}
    tuning.advice = Advice(64, 0.02, **{**known, **facts}, cores=4)
    tuning.budget = Budget(
        batch_size=64,
        workers=best.workers,
        cores=4.0,
        batches=9,
        loop_s=(0.02,),
        parts_s={part: (0.02 * share,), STEP: (0.02 * (1 - share),)},
        made_s=0.02 * share,
        busy=1.0,
        hop_s=1e-4,
    )
    return tuning


@pytest.mark.parametrize(
    ("part", "advice"),
    [
        (DECODE, "decoding takes 80% of the time: use workers, a faster decoder, or samples stored decoded, cached"),
        (READ, "reading takes 80% of the time: use workers, fewer and larger files, or a copy in memory"),
        (TRANSFORM, "transforming takes 80% of the time: use workers, transforms of whole batches"),
        (FETCH, "Python code in `__getitem__` takes 80% of the time: use workers, a `__getitems__(indices)`"),
        (COLLATE, "collating takes 80% of the time: let the data set return whole batches"),
        (HAND_OVER, "the transfer from the workers takes 80% of the time: use batches of fewer and larger arrays"),
    ],
)
def test_advice_follows_from_the_part_that_takes_most_of_the_time(part: str, advice: str) -> None:
    """Only overhead of Python is a reason for `__getitems__`; slow decoding is not."""
    (said,) = remarks(_tuning({Choice(64): 3200.0}, part=part))
    assert said.startswith("an item takes 312 us; ")
    assert advice in said
    assert ("__getitems__" in said) is (part == FETCH)


def test_a_data_set_that_has_getitems_is_not_advised_to_add_it() -> None:
    """Its loops are the cause."""
    (said,) = remarks(_tuning({Choice(64): 3200.0}, part=FETCH, obstacle=ALREADY))
    assert "replace Python loops in `__getitems__`" in said


def test_workers_that_were_measured_as_slower_are_not_recommended() -> None:
    """The prediction gives way to the measurement in both sentences."""
    tuning = _tuning({Choice(64): 3200.0, Choice(64, 2): 2000.0})
    assert compare_workers(tuning) == "with 2 workers the measured rate is 0.62 times this rate"
    (said,) = remarks(tuning)
    assert "use a faster decoder" in said
    assert tuning.budget is not None
    assert tuning.budget.more_workers[0] > 0
    assert "could make this" in tuning.budget.sentence
    assert "could make this" not in tuning.budget.sentence_with(compare_workers(tuning) or "")


def test_workers_that_are_not_distinguishable_are_called_so() -> None:
    """A better number that is noise is no advice."""
    two = Choice(64, 2, 4)
    tuning = _tuning({Choice(64): 3200.0, two: 3300.0}, similar=(two,))
    assert compare_workers(tuning) == "with 2 workers the rate is not distinguishable (1.03 times)"


def test_workers_that_were_ruled_out_are_not_predicted_to_help() -> None:
    """Receiving a batch takes longer than making it: both sentences agree."""
    tuning = _tuning({Choice(64): 3200.0}, hop_s=0.1)
    assert compare_workers(tuning) == "more workers would not help"
    assert [said[:18] for said in remarks(tuning)] == ["do not use workers", "an item takes 312 "]
    assert "use workers" not in remarks(tuning)[1]


def test_workers_that_were_measured_as_faster_are_not_ruled_out() -> None:
    """Though receiving a batch was predicted to take longer than making it."""
    tuning = _tuning({Choice(64, 2): 3200.0, Choice(64): 2000.0}, hop_s=0.1)
    assert not any("do not use workers" in said for said in remarks(tuning))
    similar = _tuning({Choice(64): 3200.0, Choice(64, 2): 3100.0}, hop_s=0.1, similar=(Choice(64, 2),))
    assert not any("do not use workers" in said for said in remarks(similar))


def test_workers_that_cannot_work_are_ruled_out_in_any_case() -> None:
    """They would repeat all samples."""
    tuning = _tuning({Choice(64, 2): 3200.0}, copies=True)
    assert remarks(tuning)[0].startswith("do not use workers: each one delivers all samples")


def test_other_batch_sizes_and_kinds_say_nothing_about_workers() -> None:
    """Only configurations that differ by workers do."""
    assert compare_workers(_tuning({Choice(64): 3200.0, Choice(128, 2): 2000.0})) is None
    assert compare_workers(_tuning({Choice(64, 2): 3200.0, Choice(64): 2000.0})) is None


def test_items_that_are_waited_for_get_more_workers_unless_these_were_measured() -> None:
    """Waiting is no computing, so the number of cores is no limit."""
    tuning = _tuning({Choice(64, 8): 3200.0}, busy=0.1)
    assert tuning.budget is not None
    tuning.budget = tuning.budget.model_copy(update={"busy": 0.0, "made_s": 1.0, "loop_s": (0.2,)})
    (said,) = remarks(tuning)
    assert said == "an item takes 312 us, mostly waiting rather than computing; try more than 8 workers"
    (said,) = remarks(_tuning({Choice(64, 4): 3200.0, Choice(64, 8): 3000.0}, busy=0.1))
    assert said == "an item takes 312 us, mostly waiting rather than computing"


def test_a_budget_that_expects_no_gain_and_the_advice_agree() -> None:
    """Where the time of a batch says that more workers would not help, they are not recommended either."""
    tuning = _tuning({Choice(64, 8): 3200.0}, part=HAND_OVER, busy=0.1)
    assert tuning.budget is not None
    tuning.budget = tuning.budget.model_copy(update={"made_s": 0.001})
    assert tuning.budget.more_workers == (0, 1.0)
    assert remarks(tuning) == ["an item takes 312 us, mostly waiting rather than computing"]


def test_a_loader_that_keeps_up_with_the_step_needs_no_advice() -> None:
    """The loop was run: neither a slow item nor a slow transfer matters."""
    tuning = _tuning({Choice(64, 2): 3200.0}, hop_s=0.01, step_s=0.005)
    assert len(remarks(tuning)) == 2
    tuning.waiting = Waiting(10, 0.01, 1.0)
    assert remarks(tuning) == []


def test_a_small_part_gives_no_advice() -> None:
    """The step takes the rest."""
    assert remarks(_tuning({Choice(64): 3200.0}, share=0.2)) == []
