"""One sentence for each event in a computation: what happened, and how to repair it."""

import math
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from harness.dtype import PARAMETERS
from harness.record.schema import Event, EventKind
from harness.wording.number import plain

Scope = Literal["", "rows", "sigmoid"]
"""Kind of function in which an event happens: elementwise, a reduction of rows, or a member of the sigmoid family."""


class _Advice(NamedTuple):
    """Templates of the event (``{op}``, ``{dtype}``, ``{at}``, ``{limit}``) and of its remedy (:data:`_REMEDIES`)."""

    what: str
    remedy: str


def cause_of(event: Event, scope: Scope = "") -> str:
    """Return one sentence without a full stop: the event and its remedy.

    An example is ``log of a number near one exposes its rounding to float32 (loss.py:3): use log1p of the difference
    from one``.
    """
    advice = _find_advice(event)
    operation = f"the backward pass of {event.operation}" if event.backward else event.operation
    if event.slope is not None:
        description = advice.what.format(op=event.operation, at=f" at {event.input:.6g}", slope=event.slope)
    else:
        values = {"at": _say_input(event), "limit": _format_limit(event)}
        description = advice.what.format(op=operation, dtype=event.dtype, **values)
    wider = _WIDER_FORMAT.get(event.dtype)
    remedy = advice.remedy.format(
        **_REMEDIES[scope],
        or_wider=f", or compute in {wider}" if wider else "",
        wider=f"compute in {wider}" if wider else "scale the input first",
        accumulate=f"accumulate in {wider}, or " if wider else "",
    )
    return f"{description}{f' ({event.place})' if event.place else ''}: {remedy}"


_WIDER_FORMAT = {"bfloat16": "float32", "float16": "float32", "float32": "float64"}
"""The format in which a failure of another one usually disappears; float64 has none."""

_REMEDIES: Mapping[Scope, Mapping[str, str]] = {
    "": {
        "shift": "keep the argument of exp at or below zero, or call a stable function such as torch.sigmoid",
        "log": "work with logarithms (logsigmoid, log1p)",
        "underflow": "work with logarithms (logsigmoid, log1p)",
        "difference": "compute the difference directly, with sigmoid(-x) for 1 - sigmoid(x), expm1 or log1p",
        "near_one": "use log1p of the difference from one",
    },
    "rows": {
        "shift": "subtract the row maximum first",
        "log": "work with logarithms (log_softmax, logsumexp)",
        "underflow": "subtract the row maximum first, or work with logarithms (log_softmax, logsumexp)",
        "difference": "subtract the row mean or maximum first, before squares, sums or logarithms",
        "near_one": "use log_softmax, or log1p of the difference from one",
    },
    "sigmoid": {
        "shift": "use exp(-|x|) only",
        "log": "work with logarithms (logsigmoid)",
        "underflow": "work with logarithms (logsigmoid)",
        "difference": "compute the difference directly, with sigmoid(-x) for 1 - sigmoid(x), expm1 or log1p",
        "near_one": "use logsigmoid, or log1p of the difference from one",
    },
}
"""Parts of remedies that depend on the kind of function."""


def _find_advice(event: Event) -> _Advice:
    """Return the advice for the kind, the operation and the direction of an event."""
    advice_of = _ADVICE[event.kind]
    if event.kind is EventKind.OVERFLOW and event.operation in _TERMS and event.input is not None:
        return _LARGE_TERMS
    of_any = _IN_A_GRADIENT if event.kind is EventKind.CANCELLATION and event.backward else advice_of[""]
    return advice_of.get(event.operation, of_any)


def _say_input(event: Event) -> str:
    """Return the input, with all digits if they are few enough to read."""
    if event.input is None:
        return ""
    exact = repr(event.input)
    return f" at {exact if len(exact) <= _READABLE else f'{event.input:.6g}'}"


_READABLE = 19
"""Most characters of a number that is shown with all its digits."""


def _format_limit(event: Event) -> str:
    """Return the number beyond which the operation leaves the format, as the end of a clause."""
    if event.dtype not in PARAMETERS:
        return ""
    precision, emin, emax = PARAMETERS[event.dtype]
    inverse = None if event.backward else _find_inverse(event.operation)
    if event.kind is EventKind.OVERFLOW:
        side, size, name = "above", math.ldexp(2.0 - 2.0 ** (1 - precision), emax), "largest"
    else:
        side, size, name = "below", math.ldexp(1.0, emin), "smallest normal"
    if inverse is not None:
        return _say_limit(event, side, inverse(size))
    return f", whose {name} number is {plain(size, digits=3)}"


def _find_inverse(operation: str) -> Callable[[float], float] | None:
    from flint import arb  # a help text needs no remedy

    from harness.findings.closed_form import INVERSES

    inverse = INVERSES.get(operation)
    return None if inverse is None else lambda size: float(inverse(arb(size)))


def _say_limit(event: Event, side: str, limit: float) -> str:
    """Return the limit, unless the input is next to it, as in a minimal example."""
    if event.input is not None and math.isclose(event.input, limit, rel_tol=_NEAR):
        return ""
    return f", {side} {plain(limit, digits=6)}"


_NEAR = 1e-3
"""Relative distance within which an input shows the limit itself."""

_SCALE = "divide by the largest magnitude first{or_wider}"
_WIDER = "{accumulate}use pairwise or compensated summation"

_OVERFLOW = "{op} overflows{at} in {dtype}{limit}"
_UNDERFLOW = "{op} underflows{at} in {dtype}{limit}"
_CANCELS = "{op} cancels nearly equal numbers that were already rounded to {dtype}"
_ABSORBS = "{op} rounds away a small term in {dtype} that later operations need"
_ADDS_UP = "a long sum in {dtype} loses small terms"

_SMOOTH = "use a smooth form, or choose with torch.where, because torch's choice at a kink may change with a release"

_TERMS = ("sum", "mean", "cumsum", "mm", "dot", "mv")

_LARGE_TERMS = _Advice(
    "{op} of large terms overflows in {dtype}{limit}",
    "scale the terms first; for exponentials, subtract the row maximum first",
)

_IN_A_GRADIENT = _Advice(
    "{op} cancels nearly equal terms that were already rounded to {dtype}",
    "center or scale in the forward pass so that the terms stay small{or_wider}",
)

_ADVICE: Mapping[EventKind, Mapping[str, _Advice]] = {
    EventKind.OVERFLOW: {
        "": _Advice(_OVERFLOW, _SCALE),
        **dict.fromkeys(("exp", "exp2", "expm1", "sinh", "cosh"), _Advice(_OVERFLOW, "{shift}")),
        **dict.fromkeys(
            _TERMS, _Advice("{op} of finite terms overflows in {dtype}{limit}", "{accumulate}scale the terms first")
        ),
        **dict.fromkeys(
            ("softmax", "log_softmax", "logsumexp"),
            _Advice("{op} or its internal sum overflows in {dtype}{limit}", "{wider}"),
        ),
        "div": _Advice(_OVERFLOW, "keep the divisor away from zero, or scale both operands first"),
        "to": _Advice("conversion overflows in {dtype}{limit}", "scale the number first, or keep the wider format"),
    },
    EventKind.UNDERFLOW: {
        "": _Advice(_UNDERFLOW, _SCALE),
        **dict.fromkeys(("exp", "exp2", "softplus", "erfc"), _Advice(_UNDERFLOW, "{underflow}")),
        **dict.fromkeys(("softmax", "sigmoid"), _Advice(_UNDERFLOW, "{log}")),
        "add": _Advice(
            "the result of {op} is zero or subnormal in {dtype}{limit}", "choose a larger constant{or_wider}"
        ),
    },
    EventKind.INVALID: {
        "": _Advice("{op} returns NaN{at} in {dtype}", "keep the input within the domain"),
        "mul": _Advice(
            "{op} returns NaN for zero times infinity", "skip terms that are multiplied by zero, as torch.xlogy does"
        ),
        "sub": _Advice(
            "{op} returns NaN for infinity minus infinity", "handle infinite entries separately before the shift"
        ),
        "add": _Advice("{op} returns NaN for infinities of opposite signs", "handle infinite entries separately"),
        "div": _Advice(
            "{op} returns NaN for 0 / 0 or inf / inf", "keep the divisor away from zero and exclude infinities"
        ),
        "log": _Advice("{op} has a pole{at}", "keep the input above zero, or {log}"),
        "sqrt": _Advice(
            "{op} is infinite or NaN at zero", "replace zeros before the root; torch.where after it comes too late"
        ),
        "pow": _Advice(
            "{op} is infinite or NaN{at}", "replace the input before the power; torch.where after it comes too late"
        ),
        **dict.fromkeys(
            ("where", "masked_fill"),
            _Advice(
                "{op} multiplies zero by an infinite slope of the hidden branch, which it does not select",
                "replace the input of the hidden branch by a harmless number first, with another torch.where",
            ),
        ),
        "norm": _Advice("{op} is NaN at zero", "add an eps under the root, or replace the input at zero"),
        **dict.fromkeys(
            ("mm", "mv", "dot"),
            _Advice(
                "{op} returns NaN for infinite entries",
                "skip terms that are multiplied by zero, and handle infinities separately",
            ),
        ),
        "layer_norm": _Advice("{op} returns NaN because squares overflow in {dtype}", _SCALE),
    },
    EventKind.CANCELLATION: {
        "": _Advice(_CANCELS, "{difference}"),
        **dict.fromkeys(
            ("log", "log2", "log10"), _Advice("{op} of a number near one exposes its rounding to {dtype}", "{near_one}")
        ),
        **dict.fromkeys(
            ("softmax", "log_softmax"),
            _Advice(
                "{op} exposes the rounding of its input to {dtype}",
                "subtract the row maximum before the input is rounded{or_wider}",
            ),
        ),
        "logsumexp": _Advice(
            "{op} exposes the rounding of its output to {dtype}, which it subtracts again",
            "compute the gradient as softmax(x), whose shift is exact",
        ),
        **dict.fromkeys(
            ("var", "std"),
            _Advice("{op} exposes the rounding of the mean to {dtype}", "compute the mean first, then the squares"),
        ),
    },
    EventKind.ABSORPTION: {"": _Advice(_ABSORBS, "keep the small term separate: use log1p(small) for log(1 + small)")},
    EventKind.ACCUMULATION: {"": _Advice(_ADDS_UP, _WIDER)},
    EventKind.SLOPE: {
        "": _Advice("the gradient of {op}{at} is {slope:.6g}", _SMOOTH),
        **dict.fromkeys(
            ("clamp", "clamp_min", "clamp_max", "hardtanh"),
            _Advice("the gradient of {op} at its bound is {slope:.6g}", _SMOOTH),
        ),
        **dict.fromkeys(
            ("maximum", "minimum", "max", "min", "amax", "amin"),
            _Advice("the gradient of {op} at a tie is {slope:.6g}", _SMOOTH),
        ),
    },
}
"""Advice by kind and operation; the empty name covers all other operations."""
