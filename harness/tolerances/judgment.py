"""Call a comparison that passed again, with damaged results, and judge its tolerance by the answers.

No test runs again. A comparison that accepts zero accepts every smaller result, too. If it accepts a result that is
some percent too large, it is loose, provided that the results agree far better than that. Otherwise they may be
statistics of random numbers, and the comparison is not judged.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from harness.dtype import PARAMETERS, Parameters
from harness.record import Tolerance
from harness.tolerances.place import Judged

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

ROUNDINGS = 64
"""Results that differ by more units roundoff of their size do not differ by rounding alone."""

Array = np.ndarray[Any, Any]

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
    if sum(a.size for a, *_ in pairs) > MOST_ELEMENTS:
        return _unjudged("too many elements")
    scale = max((float(np.abs(e[np.isfinite(e)]).max(initial=0.0)) for _, e, _ in pairs), default=0.0)
    if scale < NEARLY_ZERO:
        return _unjudged("expected value 0 without a scale")
    agreement = max(_measure_difference(a, e) for a, e, _ in pairs) / scale
    if agreement > DISAGREEMENT or accepts(_scale(actual, percent=1)):
        agree = f"results agree to {agreement:.1g} of their size" if agreement < 1.0 else "results do not agree at all"
        if accepts(shift(actual, lambda x, _: -x)):
            sign = " and the other sign" if accepts(shift(actual, lambda x, _: -2 * x)) else ""
            return Judged(answer=Tolerance.VACUOUS, reason=f"accepts 0{sign}; {agree}")
        for percent in (10, 1):
            if accepts(_scale(actual, percent=percent)):
                if agreement > AGREEMENT * percent / 100:
                    return _unjudged(f"results differ by {agreement:.1g} of their size, as statistics do")
                return Judged(answer=Tolerance.LOOSE, reason=f"accepts a result that is {percent} % too large; {agree}")
    is_exact_arithmetic = agreement == 0.0 and all(np.array_equal(e, np.rint(e), equal_nan=True) for _, e, _ in pairs)
    if is_exact_arithmetic or accepts(_widen(actual, expected, 2.0, ulps=1.0)):
        return _sound()
    if not accepts(shift(actual, _find_ulp)):
        return Judged(answer=Tolerance.TIGHT, reason="refuses a result that is off by one unit in the last place")
    if agreement > ROUNDINGS * max(roundoff for *_, roundoff in pairs):
        return _sound()
    reason = f"rounding moves the result by {agreement:.1g} of its size here, and twice that is refused"
    return Judged(answer=Tolerance.TIGHT, reason=reason)


def judge_step(actual: Any, expected: Any, accepts: Accepts, *, is_exact: bool) -> Judged | None:
    """Judge a comparison where another one was sound: nothing but a refusal of rounding changes the verdict."""
    if is_exact or accepts(_widen(actual, expected, 2.0, ulps=1.0)):
        return _sound()
    return judge(actual, expected, accepts, is_exact=is_exact)


def measure(actual: Any, expected: Any, accepts: Accepts, *, is_exact: bool) -> Judged | None:
    """Measure how much the results differ, and the part of the tolerance that they use; no verdict on it."""
    pairs = list(_pair_leaves(actual, expected))
    if not pairs or sum(a.size for a, *_ in pairs) > MOST_ELEMENTS:
        return None
    scale = max(float(np.abs(e[np.isfinite(e)]).max(initial=0.0)) for _, e, _ in pairs)
    difference = max(_measure_difference(a, e) for a, e, _ in pairs)
    share = 0.0
    if not accepts(actual):
        share = math.inf
    elif difference and not is_exact:
        factors = (2.0**power for power in range(1, STEPS))
        refused = (factor for factor in factors if not accepts(_widen(actual, expected, factor)))
        share = 2.0 / next(refused, 2.0**STEPS)
    return Judged(
        answer=Tolerance.SOUND,
        reason="",
        difference=difference / scale if scale else 0.0,
        scale=scale,
        relative=max(_measure_relative_difference(a, e) for a, e, _ in pairs),
        roundoff=max(roundoff for *_, roundoff in pairs),
        share=share,
    )


def judge_and_measure(actual: Any, expected: Any, accepts: Accepts, *, is_exact: bool) -> Judged | None:
    """Judge a comparison, and measure how much of the tolerance it uses."""
    judged = judge(actual, expected, accepts, is_exact=is_exact)
    measured = measure(actual, expected, accepts, is_exact=is_exact)
    if judged is None or measured is None:
        return judged
    return measured.model_copy(update={"answer": judged.answer, "reason": judged.reason})


def _widen(actual: Any, expected: Any, factor: float, ulps: float = 0.0) -> Any:
    """Return the actual result with its difference from the expected one multiplied, or moved by more units."""
    if isinstance(actual, Mapping):
        return {key: _widen(element, expected.get(key, element), factor, ulps) for key, element in actual.items()}
    if isinstance(actual, list | tuple):
        pairs = zip(actual, expected, strict=True)
        return type(actual)([_widen(element, other, factor, ulps) for element, other in pairs])

    def find_shift(numbers: Array, parameters: Parameters) -> Array:
        other = to_numpy(expected)
        is_alike = np.broadcast_shapes(numbers.shape, other.shape) == numbers.shape
        difference = (factor - 1.0) * (numbers - other) if is_alike else np.zeros_like(numbers)
        units = ulps * _find_ulp(numbers, parameters)
        return np.where(np.abs(difference) > np.abs(units), difference, units)

    return shift(actual, find_shift)


def _scale(value: Any, *, percent: int) -> Any:
    return shift(value, lambda x, _: x * percent / 100)


def _sound() -> Judged:
    return Judged(answer=Tolerance.SOUND, reason="")


def _unjudged(reason: str) -> Judged:
    return Judged(answer=Tolerance.UNJUDGED, reason=reason)


def shift(value: Any, find_shift: Callable[[Array, Parameters], Array]) -> Any:
    """Return a result whose finite floating-point numbers are moved; its type and everything else stay."""
    if isinstance(value, Mapping):
        return {key: shift(element, find_shift) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([shift(element, find_shift) for element in value])
    if not _is_floating(value):
        return value
    numbers = to_numpy(value)
    with np.errstate(all="ignore"):
        shifts = np.where(np.isfinite(numbers), find_shift(numbers, _find_format(value)), 0.0)
    if isinstance(value, float):
        return type(value)(value + shifts.item())
    if hasattr(value, "detach"):
        import torch

        shifted = value.detach() + torch.as_tensor(shifts).to(value)
        # A helper may compare types, too, such as that of a parameter.
        return shifted.as_subclass(type(value)).requires_grad_(value.requires_grad)
    if isinstance(value, np.ndarray):
        # Numbers without a unit cannot be added to a subclass with one.
        changed = value.copy()
        changed.view(np.ndarray)[...] += shifts.astype(value.dtype)
        return changed
    return value + shifts.astype(value.dtype)


def _find_format(value: Any) -> Parameters:
    """Return the format of a number or an array; whole numbers are converted to float64."""
    dtype = str(getattr(value, "dtype", "float64")).removeprefix("torch.")
    return PARAMETERS[dtype if "float" in dtype else "float64"]


def _find_roundoff(value: Any) -> float:
    return math.ldexp(1.0, -_find_format(value).precision)


def _is_floating(value: Any) -> bool:
    """Whether a value is a floating-point array or scalar, of whatever library."""
    dtype = str(getattr(value, "dtype", ""))
    return isinstance(value, float) or ("float" in dtype and hasattr(value, "shape"))


def to_numpy(value: Any) -> Array:
    """Return a floating-point array in float64."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().double()
    return np.asarray(value, dtype=np.float64)


def _pair_leaves(actual: Any, expected: Any) -> Iterator[tuple[Array, Array, float]]:
    """Yield the floating-point numbers of both sides as arrays of one shape, with the larger unit roundoff."""
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        for key in actual.keys() & expected.keys():
            yield from _pair_leaves(actual[key], expected[key])
    elif isinstance(actual, list | tuple) and isinstance(expected, Sequence) and len(actual) == len(expected):
        for one, other in zip(actual, expected, strict=True):
            yield from _pair_leaves(one, other)
    elif _is_floating(actual):
        try:
            pair = np.broadcast_arrays(to_numpy(actual), to_numpy(expected))
        except (TypeError, ValueError):
            return
        if pair[0].size:
            yield pair[0], pair[1], max(_find_roundoff(actual), _find_roundoff(expected))


def _measure_difference(actual: Any, expected: Any) -> float:
    """Return the largest difference of finite elements."""
    finite = np.isfinite(actual) & np.isfinite(expected)
    return float(np.abs(actual[finite] - expected[finite]).max(initial=0.0))


def _measure_relative_difference(actual: Array, expected: Array) -> float:
    """Return the largest difference of finite elements relative to the expected element; infinity if that is zero."""
    finite = np.isfinite(actual) & np.isfinite(expected) & (actual != expected)
    with np.errstate(divide="ignore"):
        return float(np.abs((actual[finite] - expected[finite]) / expected[finite]).max(initial=0.0))


def _find_ulp(numbers: Array, parameters: Parameters) -> Array:
    """Return the unit in the last place of each number, with its sign; 0 for 0."""
    exponents = np.maximum(np.frexp(numbers)[1] - 1, parameters.emin)
    units: Array = np.sign(numbers) * np.ldexp(1.0, exponents - parameters.precision + 1)
    return units
