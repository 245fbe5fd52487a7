"""Find the origin of infinities and NaN of a replay: the first operation that produces them from finite numbers."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from harness.exact.naming import event_of
from harness.exact.replay import Replay
from harness.exact.step import Step
from harness.record import Event, EventKind

_HAVE_POLES = frozenset({"log", "log2", "log10", "log1p", "div", "reciprocal", "rsqrt", "pow", "xlogy", "atanh"})


class _FirstNonfinite(NamedTuple):
    """An operation whose result contains an infinity or NaN, although its inputs do not."""

    step: Step
    element: int
    nan: bool
    pole: bool


def born(replay: Replay) -> Event | None:
    """Follow non-finite results of a replay back to their origin; ``None`` if all are finite.

    Infinities of the inputs or of a mask do not originate in the call. The infinity of a pole, such as the logarithm at
    zero, is right. The operation that turns it into NaN is at fault, and in a backward pass the pole itself.
    """
    first_nan, first_infinity = None, None
    for first_nonfinite in _all_nonfinite(replay):
        if first_nonfinite.nan:
            first_nan, first_infinity = first_nonfinite, None
        else:
            first_infinity = first_nonfinite
    at_pole = first_infinity is not None and first_infinity.pole and first_infinity.step.node is None
    found = first_nan if first_infinity is None or (at_pole and first_nan is not None) else first_infinity
    if found is None:
        return None
    kind = EventKind.INVALID if found.nan or found.pole else EventKind.OVERFLOW
    return event_of(found.step, kind, found.element)


def _all_nonfinite(replay: Replay) -> list[_FirstNonfinite]:
    """Search backward from the results."""
    wanted = {view.storage for view in replay.tape.answers if _bad(replay.read(view).hi)}
    found = []
    for at in range(len(replay.tape.steps) - 1, -1, -1):
        step = replay.tape.steps[at]
        given = tuple(wide.hi for wide in replay.given[at])
        results = tuple(wide.hi for wide in replay.results[at])
        bad = [value for view, value in zip(step.results, results, strict=True) if view.storage in wanted]
        if not any(map(_bad, bad)):
            continue
        wanted |= {view.storage for view, value in zip(step.inputs, given, strict=True) if _bad(value)}
        first_nonfinite = _first_nonfinite(step, given, next(filter(_bad, bad)))
        if first_nonfinite is not None:
            found.append(first_nonfinite)
    return found


def _first_nonfinite(step: Step, given: tuple[Tensor, ...], result: Tensor) -> _FirstNonfinite | None:
    nan = bool(result.isnan().any())
    if not nan and any(isinstance(leaf, float) and math.isinf(leaf) for leaf in tree_leaves(step.arguments)):
        return None  # a mask
    if any(value.isnan().any() for value in given) or (not nan and any(map(_bad, given))):
        return None
    element = int((result.isnan() if nan else result.isinf()).reshape(-1).nonzero()[0])
    return _FirstNonfinite(step, element, nan, pole=not nan and step.name in _HAVE_POLES and _has_zero(given))


def _has_zero(given: tuple[Tensor, ...]) -> bool:
    return any(bool((value == 0).any()) for value in given)


def _bad(value: Tensor) -> bool:
    return not bool(torch.isfinite(value).all())
