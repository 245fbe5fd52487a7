"""Call a comparison that passed again, with damaged results, and judge its tolerance by the answers.

No test runs again. A comparison that accepts zero accepts every smaller result, too. If it accepts a result that is
some percent too large, it is loose, provided that the results agree far better than that. Otherwise they may be
statistics of random numbers, and the comparison is not judged.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from operator import mul
from typing import Any, Protocol

import numpy as np

from harness.tolerances.place import Answer, Judged

MOST_ELEMENTS = 1_000_000
"""Larger results are not judged, because each question takes as long as the comparison itself."""

NEARLY_ZERO = 1e-6
"""Smaller expected values may be what rounding leaves of zero, so that nothing follows from a tolerance beyond them."""

STEPS = 12
"""Doublings of a difference, until it is refused or uses less than a thousandth of the tolerance."""

DISAGREEMENT = 0.5
"""Results that differ by less are nearer to each other than to 0, so that who refuses 1 % more refuses 0."""

AGREEMENT = 1e-2
"""A tolerance is loose if the results agree to this share of it."""

Accepts = Callable[[Any], bool]
"""Whether the comparison passes with another result in place of the actual one."""


class Decide(Protocol):
    """Decides on a comparison; ``None`` if it compares no floating-point numbers."""

    def __call__(self, actual: Any, expected: Any, accepts: Accepts, *, is_exact: bool) -> Judged | None:
        """Return the answer."""


def judge(actual: Any, expected: Any, accepts: Accepts, *, is_exact: bool) -> Judged | None:
    """Judge a comparison that passed; ``None`` if it compares no floating-point numbers."""
    pairs = list(_pair_leaves(actual, expected))
    if not pairs or is_exact:
        return None if not pairs else _sound()
    if sum(a.size for a, _ in pairs) > MOST_ELEMENTS:
        return _unjudged("too many elements")
    scale = max((float(np.abs(e[np.isfinite(e)]).max(initial=0.0)) for _, e in pairs), default=0.0)
    if scale < NEARLY_ZERO:
        return _unjudged("expected value 0 without a scale")
    agreement = max(_measure_difference(a, e) for a, e in pairs) / scale
    if agreement > DISAGREEMENT or accepts(_scale(actual, percent=1)):
        agree = f"results agree to {agreement:.1g} of their size" if agreement < 1.0 else "results do not agree at all"
        if accepts(map_numbers(actual, lambda x: 0 * x)):
            sign = " and the other sign" if accepts(map_numbers(actual, lambda x: -x)) else ""
            return Judged(answer=Answer.VACUOUS, reason=f"accepts 0{sign}; {agree}")
        for percent in (10, 1):
            if accepts(_scale(actual, percent=percent)):
                if agreement > AGREEMENT * percent / 100:
                    return _unjudged(f"results differ by {agreement:.1g} of their size, as statistics do")
                return Judged(answer=Answer.LOOSE, reason=f"accepts a result that is {percent} % too large; {agree}")
    if not accepts(map_numbers(actual, _move_by_one_ulp)):
        return Judged(answer=Answer.TIGHT, reason="refuses a result that is off by one unit in the last place")
    return _sound()


def judge_step(actual: Any, expected: Any, accepts: Accepts, *, is_exact: bool) -> Judged | None:
    """Judge a comparison where another one was sound: nothing but one unit in the last place changes the verdict."""
    if is_exact or accepts(map_numbers(actual, _move_by_one_ulp)):
        return _sound()
    return judge(actual, expected, accepts, is_exact=is_exact)


def measure(actual: Any, expected: Any, accepts: Accepts, *, is_exact: bool) -> Judged | None:
    """Measure how much the results differ, and the part of the tolerance that they use; no verdict on it."""
    pairs = list(_pair_leaves(actual, expected))
    if not pairs or sum(a.size for a, _ in pairs) > MOST_ELEMENTS:
        return None
    scale = max(float(np.abs(e[np.isfinite(e)]).max(initial=0.0)) for _, e in pairs)
    difference = max(_measure_difference(a, e) for a, e in pairs)
    share = 0.0
    if not accepts(actual):
        share = math.inf
    elif difference and not is_exact:
        factors = (2.0**power for power in range(1, STEPS))
        refused = (factor for factor in factors if not accepts(_widen(actual, expected, factor)))
        share = 2.0 / next(refused, 2.0**STEPS)
    return Judged(answer=Answer.SOUND, reason="", difference=difference / scale if scale else 0.0, share=share)


def judge_and_measure(actual: Any, expected: Any, accepts: Accepts, *, is_exact: bool) -> Judged | None:
    """Judge a comparison, and measure how much of the tolerance it uses."""
    judged = judge(actual, expected, accepts, is_exact=is_exact)
    measured = measure(actual, expected, accepts, is_exact=is_exact)
    if judged is None or measured is None:
        return judged
    return judged.model_copy(update={"difference": measured.difference, "share": measured.share})


def _widen(actual: Any, expected: Any, factor: float) -> Any:
    """Return the actual result with its difference from the expected one multiplied."""
    if isinstance(actual, Mapping):
        return {key: _widen(element, expected.get(key, element), factor) for key, element in actual.items()}
    if isinstance(actual, list | tuple):
        pairs = zip(actual, expected, strict=True)
        return type(actual)([_widen(element, other, factor) for element, other in pairs])
    if isinstance(actual, float) or _is_floating(actual):
        return actual + (factor - 1.0) * (actual - expected)
    return actual


def _scale(value: Any, *, percent: int) -> Any:
    return map_numbers(value, partial(mul, 1 + percent / 100))


def _sound() -> Judged:
    return Judged(answer=Answer.SOUND, reason="")


def _unjudged(reason: str) -> Judged:
    return Judged(answer=Answer.UNJUDGED, reason=reason)


def map_numbers(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return a result with a change of its floating-point numbers; everything else stays."""
    if isinstance(value, float):
        return change(value)
    if isinstance(value, Mapping):
        return {key: map_numbers(element, change) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([map_numbers(element, change) for element in value])
    return change(value) if _is_floating(value) else value


def _is_floating(value: Any) -> bool:
    """Whether a value is a floating-point array or scalar, of whatever library."""
    dtype = str(getattr(value, "dtype", ""))
    return "float" in dtype and hasattr(value, "shape")


def to_numpy(value: Any) -> "np.ndarray[Any, Any]":
    """Return a floating-point array in float64."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().double()
    return np.asarray(value, dtype=np.float64)


def _pair_leaves(actual: Any, expected: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the floating-point numbers of both sides as arrays of one shape."""
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        for key in actual.keys() & expected.keys():
            yield from _pair_leaves(actual[key], expected[key])
    elif isinstance(actual, list | tuple) and isinstance(expected, Sequence) and len(actual) == len(expected):
        for one, other in zip(actual, expected, strict=True):
            yield from _pair_leaves(one, other)
    elif isinstance(actual, float) or _is_floating(actual):
        try:
            pair = np.broadcast_arrays(to_numpy(actual), to_numpy(expected))
        except (TypeError, ValueError):
            return
        if pair[0].size:
            yield pair[0], pair[1]


def _measure_difference(actual: Any, expected: Any) -> float:
    """Return the largest difference of finite elements."""
    finite = np.isfinite(actual) & np.isfinite(expected)
    return float(np.abs(actual[finite] - expected[finite]).max(initial=0.0))


def _move_by_one_ulp(value: Any) -> Any:
    """Return the next number away from zero, for each number but zero."""
    if hasattr(value, "detach"):
        import torch

        away = torch.where(value == 0, value, torch.copysign(torch.full_like(value, torch.inf), value))
        return torch.nextafter(value.detach(), away.detach())
    array = np.asarray(value)
    moved = np.nextafter(array, np.where(array == 0, array, np.copysign(array.dtype.type(np.inf), array)))
    return float(moved) if isinstance(value, float) else moved
