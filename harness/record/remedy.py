"""What an event means and what mends it, in one sentence: what a person reads instead of a stack of operations."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from harness.record.binary_format import PARAMETERS
from harness.record.number import plain
from harness.record.schema import Event, EventKind


class _Advice(NamedTuple):
    """What happens, with the event's operation as ``{op}`` and its format as ``{dtype}``; and what mends it."""

    what: str
    remedy: str


def cause_of(event: Event) -> str:
    """Return what happened and what mends it.

    Parameters
    ----------
    event
        The first operation that loses the truth.

    Returns
    -------
    One sentence without a full stop, such as ``log of a number near one exposes its rounding to float32 (loss.py:3):
    use log1p of the difference from one, log_softmax or logsigmoid``.
    """
    advice = _advice(event)
    operation = f"the backward pass of {event.operation}" if event.backward else event.operation
    what = advice.what.format(op=operation, dtype=event.dtype, at=_at(event), limit=_limit(event))
    return f"{what}{f' ({event.place})' if event.place else ''}: {advice.remedy}"


def _advice(event: Event) -> _Advice:
    """By kind, operation and direction."""
    known = _ADVICE[event.kind]
    if event.kind is EventKind.OVERFLOW and event.operation in _TERMS and event.input is not None:
        return _LARGE_TERMS
    of_any = _IN_A_GRADIENT if event.kind is EventKind.CANCELLATION and event.backward else known[""]
    return known.get(event.operation, of_any)


def _at(event: Event) -> str:
    """The input, with all digits where they are few enough to be read."""
    if event.input is None:
        return ""
    exact = repr(event.input)
    return f" at {exact if len(exact) <= _READABLE else f'{event.input:.6g}'}"


_READABLE = 19


def _limit(event: Event) -> str:
    """The number beyond which an operation, or any, leaves the format."""
    if event.dtype not in PARAMETERS:
        return ""
    precision, emin, emax = PARAMETERS[event.dtype]
    # Logarithms to the base two, as float64's largest number is none of float64's to be doubled.
    if event.kind is EventKind.OVERFLOW:
        largest = emax + math.log2(2.0 - 2.0 ** (1 - precision))
        inverse = _GROWTH.get(event.operation)
        if inverse is not None and not event.backward:
            return _beyond(event, "above", inverse(largest))
        return f", whose largest number is {plain(math.ldexp(2.0 - 2.0 ** (1 - precision), emax), digits=3)}"
    inverse = _GROWTH.get(event.operation)
    if inverse is not None and not event.backward:
        return _beyond(event, "below", inverse(emin))
    return f", whose smallest normal number is {plain(math.ldexp(1.0, emin), digits=3)}"


def _beyond(event: Event, side: str, limit: float) -> str:
    """The limit, where the input does not show it: a minimal example is the first number beyond."""
    if event.input is not None and math.isclose(event.input, limit, rel_tol=_SHOWN):
        return ""
    return f", {side} {plain(limit, digits=6)}"


_SHOWN = 1e-3

_GROWTH: Mapping[str, Callable[[float], float]] = {
    "exp": lambda power: power * math.log(2.0),
    "expm1": lambda power: power * math.log(2.0),
    "exp2": lambda power: power,
}
"""Inverse functions: the input at which an operation reaches a power of two."""

_SHIFT = "subtract the row maximum first, or use exp(-|x|) only"
_LOGARITHM = "work with logarithms (log_softmax, logsumexp, logsigmoid)"
_SCALE = "divide by the largest magnitude first, or compute in a wider format"
_DIRECTLY = (
    "compute the difference directly: center before squaring, or use sigmoid(-x) for 1 - sigmoid(x), expm1 or log1p"
)
_NEAR_ONE = "use log1p of the difference from one, log_softmax or logsigmoid"
_WIDER = "accumulate in a wider format, or use pairwise or compensated summation"

_OVERFLOW = "{op} overflows{at} in {dtype}{limit}"
_UNDERFLOW = "{op} underflows{at} in {dtype}{limit}"
_CANCELS = "{op} cancels nearly equal numbers that were already rounded to {dtype}"
_ABSORBS = "{op} rounds away a small term in {dtype} that later operations need"
_ADDS_UP = "a long sum in {dtype} loses small terms"

_TERMS = ("sum", "mean", "cumsum", "mm", "dot", "mv")

_LARGE_TERMS = _Advice(
    "{op} of large terms overflows in {dtype}{limit}",
    "scale the terms first; for exponentials, subtract the row maximum first",
)

_IN_A_GRADIENT = _Advice(
    "{op} cancels nearly equal terms that were already rounded to {dtype}",
    "center or scale in the forward pass so that the terms stay small, or compute in a wider format",
)

_ADVICE: Mapping[EventKind, Mapping[str, _Advice]] = {
    EventKind.OVERFLOW: {
        "": _Advice(_OVERFLOW, _SCALE),
        **dict.fromkeys(("exp", "exp2", "expm1", "sinh", "cosh"), _Advice(_OVERFLOW, _SHIFT)),
        **dict.fromkeys(
            _TERMS,
            _Advice("{op} of finite terms overflows in {dtype}{limit}", "accumulate in a wider format, or scale first"),
        ),
        **dict.fromkeys(
            ("softmax", "log_softmax", "logsumexp"),
            _Advice("{op} or its internal sum overflows in {dtype}{limit}", "compute it in a wider format"),
        ),
        "div": _Advice(_OVERFLOW, "keep the divisor away from zero, or scale both operands first"),
        "to": _Advice("conversion overflows in {dtype}{limit}", "scale the number first, or keep the wider format"),
    },
    EventKind.UNDERFLOW: {
        "": _Advice(_UNDERFLOW, _SCALE),
        **dict.fromkeys(("exp", "exp2"), _Advice(_UNDERFLOW, f"subtract the row maximum first, or {_LOGARITHM}")),
        **dict.fromkeys(("softmax", "sigmoid"), _Advice(_UNDERFLOW, _LOGARITHM)),
        "add": _Advice(
            "the result of {op} is zero or subnormal in {dtype}{limit}",
            "choose a larger constant, or compute in a wider format",
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
        "log": _Advice("{op} has a pole{at}", "keep the input above zero, or work with logarithms"),
        "sqrt": _Advice(
            "{op} is infinite or NaN at zero",
            "replace zeros before the root; torch.where after it comes too late",
        ),
        "pow": _Advice(
            "{op} is infinite or NaN{at}", "replace the input before the power; torch.where after it comes too late"
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
        "": _Advice(_CANCELS, _DIRECTLY),
        **dict.fromkeys(
            ("log", "log2", "log10"),
            _Advice("{op} of a number near one exposes its rounding to {dtype}", _NEAR_ONE),
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
    EventKind.ABSORPTION: {
        "": _Advice(_ABSORBS, "keep the small term separate: use log1p(small) for log(1 + small)"),
    },
    EventKind.ACCUMULATION: {"": _Advice(_ADDS_UP, _WIDER)},
}
"""Advice by kind and operation; the empty name covers all other operations."""
