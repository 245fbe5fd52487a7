"""Closed forms of breaking points: values at which exponentials overflow, sums round away or clamps begin.

A case declares them by name, for a law and a ray. They are evaluated in ball arithmetic. The breaking point is the
first representable number at or beyond the value of the form.
"""

from collections.abc import Callable
from typing import Any

import torch
from flint import arb, ctx

from harness.error import UsageError, did_you_mean, listed
from harness.floats.format import FORMATS, Format

_BITS = 200

FormValue = Callable[[Format, int], Any]
"""``form(format, columns) -> arb``"""


def _largest(format_: Format) -> Any:
    """Return the largest finite number plus half an ulp, from which results round to infinity."""
    return (2 - arb(2) ** -format_.precision) * arb(2) ** format_.emax


def _half_smallest(format_: Format) -> Any:
    """Return half of the smallest subnormal number, up to which results round to zero."""
    return arb(2) ** (format_.emin - format_.precision)


def _below(number: float, format_: Format) -> Any:
    """Return a constant of the format minus half an ulp, at or below which results round to a smaller number."""
    constant = torch.tensor(number, dtype=torch.float64).to(format_.dtype)
    lower = torch.nextafter(constant, torch.zeros_like(constant))
    return (arb(float(constant)) + arb(float(lower))) / 2


def _summed(format_: Format, columns: int) -> int:
    """Entries whose sum overflows before any of them does; float16's sums are formed in float32."""
    return 1 if format_.name == "float16" else columns


def _at_least_float32(format_: Format) -> Format:
    """Return the format, or float32 if it is narrower."""
    return max(format_, FORMATS["float32"], key=lambda known: known.precision)


def _rounds_away(format_: Format, _: int) -> Any:
    """Solve ``ln(1 + exp(-t))`` = half an ulp of ``t``, including the exponent of ``t``."""
    exponents = range(1, format_.emax.bit_length() + 1)
    thresholds = {e: -(arb(2) ** (e - format_.precision)).expm1().log() for e in exponents}
    return next(t for e, t in thresholds.items() if arb(2) ** e <= t < arb(2) ** (e + 1))


def _leaks(format_: Format, columns: int) -> Any:
    """Return the first logit whose share of the others is not zero, after subtracting the constant of the format."""
    constant = float(torch.tensor(1e9, dtype=torch.float64).to(format_.dtype))
    return arb(constant) + (_half_smallest(format_) * (columns - 1)).log()


FORMS: dict[str, FormValue] = {
    "ln(max + ulp/2)": lambda format_, _: _largest(format_).log(),
    "ln((max + ulp/2) / k)": lambda format_, k: (_largest(format_) / k).log(),
    "ln(max + ulp/2) / 2": lambda format_, _: _largest(format_).log() / 2,
    "-ln(sub/2)": lambda format_, _: -_half_smallest(format_).log(),
    "p ln 2": lambda format_, _: format_.precision * arb(2).log(),
    "p ln 2 + ln(k - 1)": lambda format_, k: format_.precision * arb(2).log() + arb(max(k - 1, 1)).log(),
    "ln(1/c - 1), c = 1e-12 - ulp/2": lambda format_, _: (1 / _below(1e-12, format_) - 1).log(),
    "2^(p + 2)": lambda format_, _: arb(2) ** (format_.precision + 2),
    "2^p": lambda format_, _: arb(2) ** format_.precision,
    "2^-p": lambda format_, _: arb(2) ** -format_.precision,
    "2^-(p + 1)": lambda format_, _: arb(2) ** -(format_.precision + 1),
    "0": lambda *_: arb(0),
    "-ln(exp(2^(e - p)) - 1), e = floor(log2 t)": _rounds_away,
    "1e9 + ln((k - 1) sub/2)": _leaks,
    "2^(p + 30) (1 + u)": lambda format_, _: arb(2) ** (format_.precision + 30) * (1 + arb(2) ** -format_.precision),
    "20 (1 + u)": lambda format_, _: 20 * (1 + arb(2) ** -format_.precision),
    "(p + 1) ln 2": lambda format_, _: (format_.precision + 1) * arb(2).log(),
    "-ln(sub/2) / 2": lambda format_, _: -_half_smallest(format_).log() / 2,
    "sqrt((max + ulp/2) / k), k = 1 in float16": lambda format_, k: (_largest(format_) / _summed(format_, k)).sqrt(),
    "sqrt((max + ulp/2) / k) in float32": lambda format_, k: (_largest(_at_least_float32(format_)) / k).sqrt(),
    "max + ulp/2": lambda format_, _: _largest(format_),
}
"""The forms by the text that tables print; ``sub`` is the smallest subnormal number, ``p`` the precision."""


def form_value(name: str, format_: Format, columns: int) -> Any:
    """Evaluate a form as a ball of 200 bits.

    Raises
    ------
    UsageError
        If there is no such form.
    """
    if name not in FORMS:
        raise UsageError(
            f"unknown closed form `{name}`", rule=f"choose from {listed(FORMS)}", remedy=did_you_mean(name, FORMS)
        )
    with ctx.workprec(_BITS):
        return FORMS[name](format_, columns)


def reaches(value: float, form: Any, *, falling: bool = False) -> bool:
    """Whether a number is at or beyond the value of a form, in the direction of its ray."""
    with ctx.workprec(_BITS):
        return bool(arb(value) <= form if falling else arb(value) >= form)
