"""Closed forms of breaking points: values at which exponentials overflow, sums round away or clamps begin.

They are evaluated in ball arithmetic. The breaking point is the first representable number at or beyond the value of
the form. A case declares its forms by name, for a law and a ray; audits and remedies ask where a function overflows.
"""

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from flint import arb, ctx

from harness.dtype import PARAMETERS, Parameters
from harness.error import UsageError, did_you_mean, join_names

_BITS = 200

FormValue = Callable[[Parameters, int], Any]
"""``form(format, columns) -> arb``"""


def _find_upper_limit(f: Parameters) -> Any:
    """Return the largest finite number plus half an ulp, from which results round to infinity."""
    return (2 - arb(2) ** -f.precision) * arb(2) ** f.emax


def _find_lower_limit(f: Parameters) -> Any:
    """Return half of the smallest subnormal number, up to which results round to zero."""
    return arb(2) ** (f.emin - f.precision)


def _compute_ulp(number: float, f: Parameters) -> float:
    return math.ldexp(1.0, max(math.frexp(number)[1] - 1, f.emin) - f.precision + 1)


def _round_constant(number: float, f: Parameters) -> float:
    """Round a constant to the format."""
    rounded = round(number / _compute_ulp(number, f)) * _compute_ulp(number, f)
    return rounded if rounded <= math.ldexp(2.0 - 2.0 ** (1 - f.precision), f.emax) else math.inf


def _find_rounding_limit(number: float, f: Parameters) -> Any:
    """Return a constant of the format minus half an ulp, at or below which results round to a smaller number."""
    constant = _round_constant(number, f)
    return arb(constant) - arb(_compute_ulp(constant * (1 - 2.0**-52), f)) / 2


def _find_sum_limit(f: Parameters, columns: int) -> int:
    """Return the number of entries whose sum can overflow: one in float16, because its sums are formed in float32."""
    return 1 if f == PARAMETERS["float16"] else columns


def _find_absorption_limit(f: Parameters, _: int) -> Any:
    """Solve ``ln(1 + exp(-t))`` = half an ulp of ``t``, including the exponent of ``t``."""
    exponents = range(1, f.emax.bit_length() + 1)
    thresholds = {e: -(arb(2) ** (e - f.precision)).expm1().log() for e in exponents}
    return next(t for e, t in thresholds.items() if arb(2) ** e <= t < arb(2) ** (e + 1))


def _find_first_leak(f: Parameters, columns: int) -> Any:
    """Return the first logit whose share of the others is not zero, after subtracting the constant of the format."""
    return arb(_round_constant(1e9, f)) + (_find_lower_limit(f) * (columns - 1)).log()


FORMS: dict[str, FormValue] = {
    "ln(max + ulp/2)": lambda f, _: _find_upper_limit(f).log(),
    "ln((max + ulp/2) / k)": lambda f, k: (_find_upper_limit(f) / k).log(),
    "ln(max + ulp/2) / 2": lambda f, _: _find_upper_limit(f).log() / 2,
    "-ln(sub/2)": lambda f, _: -_find_lower_limit(f).log(),
    "p ln 2": lambda f, _: f.precision * arb(2).log(),
    "p ln 2 + ln(k - 1)": lambda f, k: f.precision * arb(2).log() + arb(max(k - 1, 1)).log(),
    "ln(1/c - 1), c = 1e-12 - ulp/2": lambda f, _: (1 / _find_rounding_limit(1e-12, f) - 1).log(),
    "2^(p + 2)": lambda f, _: arb(2) ** (f.precision + 2),
    "2^p": lambda f, _: arb(2) ** f.precision,
    "2^-p": lambda f, _: arb(2) ** -f.precision,
    "2^-(p + 1)": lambda f, _: arb(2) ** -(f.precision + 1),
    "0": lambda *_: arb(0),
    "-ln(exp(2^(e - p)) - 1), e = floor(log2 t)": _find_absorption_limit,
    "1e9 + ln((k - 1) sub/2)": _find_first_leak,
    "2^(p + 30) (1 + u)": lambda f, _: arb(2) ** (f.precision + 30) * (1 + arb(2) ** -f.precision),
    "20 (1 + u)": lambda f, _: 20 * (1 + arb(2) ** -f.precision),
    "(p + 1) ln 2": lambda f, _: (f.precision + 1) * arb(2).log(),
    "-ln(sub/2) / 2": lambda f, _: -_find_lower_limit(f).log() / 2,
    "sqrt((max + ulp/2) / k), k = 1 in float16": lambda f, k: (_find_upper_limit(f) / _find_sum_limit(f, k)).sqrt(),
    "sqrt((max + ulp/2) / k) in float32": lambda f, k: (_find_upper_limit(max(f, PARAMETERS["float32"])) / k).sqrt(),
    "max + ulp/2": lambda f, _: _find_upper_limit(f),
}
"""The forms by the text that tables print; ``sub`` is the smallest subnormal number, ``p`` the precision."""


def evaluate_form(name: str, dtype: str, columns: int) -> Any:
    """Evaluate a form as a ball of 200 bits.

    Raises
    ------
    UsageError
        If there is no such form.
    """
    if name not in FORMS:
        raise UsageError(
            f"unknown closed form `{name}`", rule=f"choose from {join_names(FORMS)}", remedy=did_you_mean(name, FORMS)
        )
    with ctx.workprec(_BITS):
        return FORMS[name](PARAMETERS[dtype], columns)


def reaches(value: float, form: Any, *, falling: bool = False) -> bool:
    """Whether a number is at or beyond the value of a form, in the direction of its ray."""
    with ctx.workprec(_BITS):
        return bool(arb(value) <= form if falling else arb(value) >= form)


INVERSES: Mapping[str, Callable[[Any], Any]] = {
    "exp": arb.log,
    "expm1": arb.log,
    "exp2": lambda size: size.log() / arb(2).log(),
    "sinh": lambda size: (2 * size).log(),
    "cosh": lambda size: (2 * size).log(),
}
"""The input at which each function reaches a large or a small size."""


@cache
def find_overflow(operation: str, dtype: str) -> float | None:
    """Return the smallest number of a format at which a function overflows; ``None`` if there is no such number."""
    inverse, f = INVERSES.get(operation.strip("_")), PARAMETERS[dtype]
    if inverse is None:
        return None
    with ctx.workprec(_BITS):
        limit = inverse(_find_upper_limit(f))
        ulp = _compute_ulp(float(limit), f)
        return float((limit / ulp).ceil()) * ulp
