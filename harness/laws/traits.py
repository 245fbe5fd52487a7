"""Properties that any case may declare, and their effect on its laws.

They describe the platform and not the operation: the format of the computation, the dtype of the result, subnormal
numbers, random numbers, and inputs that raise an error.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from harness.case import FLOATS
from harness.floats import FORMATS, Format
from harness.record.property import COMPUTES_IN, REFUSES, REPEATABLE, RETURNS, SUBNORMALS

TRAITS: Mapping[str, tuple[str, ...]] = {
    COMPUTES_IN: FLOATS,
    RETURNS: FLOATS,
    SUBNORMALS: ("kept", "flushed"),
    REPEATABLE: ("yes", "no"),
    REFUSES: ("nothing", "nan", "inf", "non_finite"),
}
"""Each property with the values that may be declared."""

OF_ANY_CALL = {"inputs_unmodified", "output_is_its_own", "output_like_input", "no_rows"}
"""Laws that what draws random numbers keeps too: they do not compare what two calls say."""


def unjudged(declares: Mapping[str, Any], format_: Format, law: str) -> str | None:
    """Return why a law does not apply to such an implementation in a format; ``None`` if it applies."""
    computes_in = declares.get(COMPUTES_IN)
    if computes_in is not None and FORMATS[computes_in].precision < format_.precision:
        return f"it computes in {computes_in}, so {format_.name} inputs give no {format_.name} results"
    if declares.get(REPEATABLE) == "no" and law not in OF_ANY_CALL:
        return "it draws random numbers, so two calls do not agree"
    return None


REFUSED = {"nan": "NaN", "inf": "infinities", "non_finite": "NaN and infinities"}
"""Refused inputs, in words."""


def refusal(declares: Mapping[str, Any], inputs: Iterable[Any]) -> str:
    """Return the reason if such an implementation refuses some of the inputs; an empty text otherwise."""
    what = declares.get(REFUSES, "nothing")
    kinds = {"nan": (torch.isnan,), "inf": (torch.isinf,), "non_finite": (torch.isnan, torch.isinf)}.get(what, ())
    numbers = [x for x in inputs if isinstance(x, Tensor) and x.is_floating_point()]
    return f"it refuses {REFUSED[what]}" if any(bool(kind(x).any()) for kind in kinds for x in numbers) else ""


def format_under(declares: Mapping[str, Any], format_: Format) -> Format:
    """Return the format of the implementation: without subnormal numbers if it flushes them."""
    return replace(format_, flushes=True) if declares.get(SUBNORMALS) == "flushed" else format_


def flushed(example: Mapping[str, Any], format_: Format) -> dict[str, Any]:
    """Return an example with zeros for subnormal numbers, as the implementation treats them."""
    return {name: _flush(x, format_) if isinstance(x, Tensor) else x for name, x in example.items()}


def _flush(x: Tensor, format_: Format) -> Tensor:
    return torch.where(x.abs() < format_.tiny, torch.zeros_like(x), x) if x.is_floating_point() else x


def as_declared(output: Tensor, declares: Mapping[str, Any], format_: Format) -> Tensor:
    """Return the output, rounded to the format if the case declares another dtype for it and it has this dtype."""
    name = str(output.dtype).removeprefix("torch.")
    return output.to(format_.dtype) if declares.get(RETURNS) == name != format_.name else output
