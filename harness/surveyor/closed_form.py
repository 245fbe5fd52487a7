"""Closed forms of breaking points: where theory says that exponentials overflow, sums round away, clamps begin.

A case declares them by name, beside the law and the ray; they are evaluated in ball arithmetic. The breaking point is
then the first representable number at or beyond the form's value, to the exact float.
"""

from collections.abc import Callable
from typing import Any

import torch
from flint import arb, ctx

from harness.error import UsageError
from harness.precision import Format

_BITS = 200

Form = Callable[[Format, int], Any]
"""``form(format, columns) -> arb``"""


def _largest(format_: Format) -> Any:
    """Half an ulp above the largest finite number: from here on a result rounds to infinity."""
    return (2 - arb(2) ** -format_.precision) * arb(2) ** format_.emax


def _half_smallest(format_: Format) -> Any:
    """Half of the smallest subnormal number: up to here a result rounds to zero."""
    return arb(2) ** (format_.emin - format_.precision)


def _below(number: float, format_: Format) -> Any:
    """Half an ulp below a constant of the format: a result at or below that rounds to something smaller."""
    constant = torch.tensor(number, dtype=torch.float64).to(format_.dtype)
    lower = torch.nextafter(constant, torch.zeros_like(constant))
    return (arb(float(constant)) + arb(float(lower))) / 2


FORMS: dict[str, Form] = {
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
            rule=f"a closed form is one of {', '.join(f'`{known}`' for known in FORMS)}", value=f"`{name}`"
        )
    with ctx.workprec(_BITS):
        return FORMS[name](format_, columns)


def reaches(value: float, form: Any, *, falling: bool = False) -> bool:
    """Whether a number is at or beyond the value of a form, in the direction of its ray."""
    with ctx.workprec(_BITS):
        return bool(arb(value) <= form if falling else arb(value) >= form)
