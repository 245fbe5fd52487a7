"""The comparison of two targets, or of a target and its changed run, in a process that imports user code."""

from collections.abc import Callable, Sequence
from typing import Any

from harness.error import UsageError
from harness.sameness.change import Change
from harness.sameness.changed_run import record_changed
from harness.sameness.inputs import choose_inputs
from harness.sameness.judgment import NAMES, Answer, Judgment, judge
from harness.sameness.recording import Recording
from harness.sameness.side import Side
from harness.timing.clock import threads
from harness.tolerances.assertion import assert_within_bound


def compare_targets(
    first: str,
    second: str | None,
    contract: str | None,
    shapes: list[list[int]],
    change: Change | None,
    report: Callable[[str], object],
) -> Judgment:
    """Record both targets, or one with and without a change, and judge them; ``report`` gets a name after the import.

    Raises
    ------
    UsageError
        If they cannot be called on the same inputs.
    """
    sides = [Side(target, contract) for target in (first, second) if target is not None]
    report(first)
    if len({side.is_step for side in sides}) > 1:
        raise UsageError("cannot compare a step with a function", rule="only a step takes no arguments")
    name, batches = choose_inputs(sides, shapes)
    for side in sides:
        side.batches = batches
    names = NAMES
    if change is None:
        pair = sides[0].record(), sides[1].record()
    else:
        pair, names = record_changed(sides[0], change, shapes), ("the plain one", f"the one under {change}")
    with threads(1):
        judgment = judge(*pair, names=names)
    bound = ""
    if name is not None and judgment.answer is not Answer.SAME_BITS and change is None:
        bound = _describe_bounds(name, pair, batches)
    return judgment.model_copy(update={"sentence": judgment.sentence + bound})


# Bounds


def _describe_bounds(name: str, recordings: Sequence[Recording], batches: Sequence[Sequence[Any]]) -> str:
    """Return whether the results stay within the bound of the contract; empty if it has none for these inputs."""
    within = [True, True]
    for side, recording in enumerate(recordings):
        for result in recording.results.values():
            try:
                assert_within_bound(result.value, name, *batches[result.call - 1])
            except AssertionError:
                within[side] = False
            except UsageError:
                return ""
    which = ("neither stays", f"only the {'first' if within[0] else 'second'} stays", "both stay")[sum(within)]
    return f"; {which} within the bound of {name}"
