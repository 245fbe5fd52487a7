"""The operations: each exact function as a power series of balls, with its domain and its known behavior.

python-flint evaluates the series. Around a number, it gives the Taylor coefficients; around an interval, it encloses
the coefficients at each number of the interval, and so the remainder.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from flint import arb, arb_series
from torch import Tensor

Series = Callable[[arb_series], arb_series]


@dataclass(frozen=True, eq=False)
class Operation:
    """A unary operation.

    Parameters
    ----------
    name
        Name of the contract.
    function
        Implementation in torch.
    series
        The exact function of a power series of balls. Its constant term is a number or an interval of one sign.
    limits, slope_limits
        Value and derivative at minus infinity and at infinity; NaN where there is no limit.
    lowest
        Start of the domain; below it, the value is NaN.
    poles
        Values at single numbers that the series excludes.
    direction
        1 or -1 if the function increases or decreases on each side of zero, 0 if it does neither.
    parity
        -1 for an odd function, 1 for an even one, 0 otherwise.
    overflows_from
        An increasing function overflows from this number on, in value and derivative.
    tangent
        ``(p, q, 1)`` if ``f(x) > (p / q) x`` for each small number but zero, with slope ``p / q`` at zero;
        ``(p, q, -1)`` if it is less, and ``(0, 1, 1)`` otherwise.
    is_wave
        Whether the function is a sine or cosine, whose period is shorter than the distance of large float32 numbers.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    series: Series
    limits: tuple[float, float] = (-math.inf, math.inf)
    slope_limits: tuple[float, float] = (0.0, 0.0)
    lowest: float = -math.inf
    poles: Mapping[float, tuple[float, float]] = field(default_factory=dict)
    direction: int = 0
    parity: int = 0
    overflows_from: float = math.inf
    tangent: tuple[int, int, int] = (0, 1, 1)
    is_wave: bool = False

    def scaling(self, quantity: str) -> tuple[int, int]:
        """Return ``(p, q)`` if ``f(2^p x) = 2^q f(x)`` for the value or the derivative, and zeros otherwise."""
        p, q = {"sqrt": (2, 1), "rsqrt": (2, -1), "reciprocal": (1, -1)}.get(self.name, (0, 0))
        return p, q if quantity == "value" else q - p


def _is_positive(x: arb_series) -> bool:
    return bool(x[0] > 0)


def _sigmoid(x: arb_series) -> arb_series:
    """Use the exponential that decays: the enclosure of the growing one on a wide interval is useless."""
    if _is_positive(x):
        return (1 + (-x).exp()).inv()
    grown = x.exp()
    return grown * (1 + grown).inv()


def _softplus(x: arb_series) -> arb_series:
    return x + (1 + (-x).exp()).log() if _is_positive(x) else (1 + x.exp()).log()


def _tanh(x: arb_series) -> arb_series:
    if x[0] < 0:
        return -_tanh(-x)
    decayed = (-2 * x).exp()
    return (1 - decayed) * (1 + decayed).inv()


def _gelu(x: arb_series) -> arb_series:
    return x * (x * -(1 / arb(2).sqrt())).erfc() / 2


def _gelu_tanh(x: arb_series) -> arb_series:
    return x * _sigmoid((x + x * x * x * (arb(44715) / 1000000)) * (8 / arb.pi()).sqrt())


def _mish(x: arb_series) -> arb_series:
    if _is_positive(x):
        decayed = (-x).exp()
        square = 2 * decayed * decayed
        return x * (1 - square * (1 + 2 * decayed + square).inv())
    grown = x.exp()
    term = grown * (grown + 2)
    return x * term * (term + 2).inv()


def _gelu_of_tanh(x: Tensor) -> Tensor:
    return torch.nn.functional.gelu(x, approximate="tanh")


_of, _nan, _inf = torch.nn.functional, math.nan, math.inf
_AT_ZERO = {0.0: (-_inf, -_inf)}

_ALL = (
    Operation("sigmoid", torch.sigmoid, _sigmoid, (0.0, 1.0), direction=1),
    Operation("logsigmoid", _of.logsigmoid, lambda x: -_softplus(-x), (-_inf, 0.0), (1.0, 0.0), direction=1),
    Operation("softplus", _of.softplus, _softplus, (0.0, _inf), (0.0, 1.0), direction=1),
    Operation("exp", torch.exp, lambda x: x.exp(), (0.0, _inf), (0.0, _inf), direction=1, overflows_from=89.0),
    Operation("expm1", torch.expm1, lambda x: x.exp() - 1, (-1.0, _inf), (0.0, _inf), direction=1, overflows_from=89.0),
    Operation("log", torch.log, lambda x: x.log(), (_nan, _inf), (_nan, 0.0), 0.0, _AT_ZERO, direction=1),
    Operation("log1p", torch.log1p, lambda x: (1 + x).log(), (_nan, _inf), (_nan, 0.0), lowest=-1.0,
              poles={-1.0: (-_inf, -_inf)}, direction=1, tangent=(1, 1, -1)),
    Operation("tanh", torch.tanh, _tanh, (-1.0, 1.0), direction=1, parity=-1),
    Operation("erf", torch.erf, lambda x: x.erf(), (-1.0, 1.0), direction=1, parity=-1),
    Operation("erfc", torch.erfc, lambda x: x.erfc(), (2.0, 0.0), direction=-1),
    Operation("gelu", _of.gelu, _gelu, (0.0, _inf), (0.0, 1.0), tangent=(1, 2, 1)),
    Operation("gelu_tanh", _gelu_of_tanh, _gelu_tanh, (0.0, _inf), (0.0, 1.0), tangent=(1, 2, 1)),
    Operation("silu", _of.silu, lambda x: x * _sigmoid(x), (0.0, _inf), (0.0, 1.0), tangent=(1, 2, 1)),
    Operation("mish", _of.mish, _mish, (0.0, _inf), (0.0, 1.0), tangent=(3, 5, 1)),
    Operation("sqrt", torch.sqrt, lambda x: x.sqrt(), (_nan, _inf), (_nan, 0.0), 0.0, {0.0: (-0.0, 0.0)}, 1),
    Operation("rsqrt", torch.rsqrt, lambda x: x.rsqrt(), (_nan, 0.0), (_nan, 0.0), 0.0, {0.0: (-_inf, _inf)}, -1),
    Operation("reciprocal", torch.reciprocal, lambda x: x.inv(), (-0.0, 0.0), poles={0.0: (-_inf, _inf)}, direction=-1,
              parity=-1),
    Operation("sin", torch.sin, lambda x: x.sin(), (_nan, _nan), (_nan, _nan), parity=-1, is_wave=True),
    Operation("cos", torch.cos, lambda x: x.cos(), (_nan, _nan), (_nan, _nan), parity=1, is_wave=True),
)  # fmt: skip

OPERATIONS = {operation.name: operation for operation in _ALL}
"""The operations by name."""

_OF_FORMULAS = {f"formula(x: positive): {name}(x)": name for name in ("log", "sqrt")}
_OF_FORMULAS |= {f"formula(x): {name}(x)": name for name in ("sin", "cos")}


def operation_of(contract: str) -> Operation | None:
    """Return the operation of a contract, or ``None`` if there is none."""
    return OPERATIONS.get(_OF_FORMULAS.get(contract, contract))
