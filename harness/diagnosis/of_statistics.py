"""Variants of the normalizations and the variance."""

import ast

import torch
from torch import Tensor

from harness.diagnosis import generic, marks
from harness.diagnosis.generic import AXES, clamp, eps
from harness.diagnosis.operation import Choice, Operation, Setting, along

_SPREADS = (
    Choice(
        "n - 1",
        "the variance is divided by n - 1",
        "{op} divides by n",
        (marks.calls("var", "std"), marks.operator(ast.Sub)),
    ),
    Choice(
        "no root",
        "the divisor is the variance itself",
        "{op} divides by its square root",
        (marks.operator(ast.Div),),
    ),
    Choice(
        "sum", "the sum of squares takes the place of their mean", "{op} takes the mean", (marks.calls("sum", "norm"),)
    ),
    Choice(
        "absolute",
        "the divisor is the mean absolute deviation",
        "{op} divides by the standard deviation",
        (marks.calls("abs"),),
    ),
    Choice("range", "the divisor is the largest minus the smallest entry", "{op} divides by the standard deviation"),
    Choice("largest", "the divisor is the largest absolute deviation", "{op} divides by the standard deviation"),
    Choice("mean square", "the divisor contains the mean square", "{op} subtracts the mean first"),
    Choice("batch", "the variance is taken over the batch", "{op} takes it over each row", (marks.other_axis,)),
    Choice("whole", "the variance is taken over the whole batch", "{op} takes it over each row", (marks.no_axis,)),
    Choice("none", "nothing is divided", "{op} divides by the standard deviation"),
)
_CENTERS = (
    Choice("no mean", "the mean is not subtracted", "{op} subtracts it", (marks.operator(ast.Div),)),
    Choice("batch mean", "the mean is taken over the batch", "{op} takes it over each row", (marks.other_axis,)),
    Choice("whole mean", "the mean is taken over the whole batch", "{op} takes it over each row", (marks.no_axis,)),
    Choice("median", "the median is subtracted", "{op} subtracts the mean", (marks.calls("median"),)),
)
_EPS_PLACES = (
    Choice("no eps", "no epsilon is added", "{op} adds {eps} under the root", (), "eps=0"),
    eps("the variance under the root", wanted="{op} adds {eps} there"),
    eps("the standard deviation, outside the root", "eps outside", wanted="{op} adds {eps} under the root"),
    clamp("the standard deviation", "clamp root"),
    clamp("the variance", "clamp"),
)


def _with_eps(s: Setting, spread: Tensor) -> Tensor:
    """Return the divisor that results from a variance or from its replacement."""
    declared_eps = float(s.declares.get("eps", 0.0))
    power = (lambda v: v) if s.key("spread") == "no root" else torch.sqrt
    match s.key("eps"):
        case "no eps":
            return power(spread)
        case "eps":
            return power(spread + s.number("eps"))
        case "eps outside":
            return power(spread) + s.number("eps")
        case "clamp root":
            return power(spread).clamp(min=s.number("eps"))
        case "clamp":
            return power(spread.clamp(min=s.number("eps")))
    return power(spread + declared_eps)


def _center(s: Setting, x: Tensor) -> Tensor:
    match s.key("center"):
        case "no mean":
            return torch.zeros_like(x[..., :1])
        case "batch mean":
            return x.mean(0, keepdim=True)
        case "whole mean":
            return x.mean()
        case "median":
            return x.median(-1, keepdim=True).values
    return x.mean(-1, keepdim=True)


def _spread(s: Setting, x: Tensor) -> Tensor:
    """Return the square of the divisor, without the epsilon."""
    c = x - x.mean(-1, keepdim=True)
    match s.key("spread"):
        case "n - 1":
            return (c * c).sum(-1, keepdim=True) / (x.shape[-1] - 1)
        case "sum":
            return (c * c).sum(-1, keepdim=True)
        case "absolute":
            return c.abs().mean(-1, keepdim=True) ** 2
        case "range":
            return (x.amax(-1, keepdim=True) - x.amin(-1, keepdim=True)) ** 2
        case "largest":
            return c.abs().amax(-1, keepdim=True) ** 2
        case "mean square":
            return (x * x).mean(-1, keepdim=True)
        case "batch":
            return x.var(0, keepdim=True, correction=0)
        case "whole":
            return x.var(correction=0)
    return (c * c).mean(-1, keepdim=True)


def _layer_norm(s: Setting, x: Tensor) -> Tensor:
    def of_rows(x: Tensor) -> Tensor:
        centered = x - _center(s, x)
        if s.key("spread") == "none":
            return centered
        divisor = _with_eps(s, _spread(s, x))
        if s.key("form") == "multiplied":
            return centered * divisor
        return centered / divisor

    return along(s.key("axis"), of_rows, x)


_MULTIPLIED = Choice(
    "multiplied",
    "the deviations are multiplied by the standard deviation",
    "{op} divides by it",
    (marks.operator(ast.Mult),),
)

_LAYER_NORM = Operation(
    _layer_norm,
    {
        "spread": _SPREADS,
        "axis": AXES,
        "center": _CENTERS,
        "form": (_MULTIPLIED,),
        "after": (generic.SIGN, generic.MAGNITUDE, generic.FACTOR, generic.CONSTANT),
        "eps": _EPS_PLACES,
    },
)


def _rms_norm(s: Setting, x: Tensor) -> Tensor:
    def of_rows(x: Tensor) -> Tensor:
        top = x - x.mean(-1, keepdim=True) if s.key("center") in {"centred", "top"} else x
        under = top if s.key("center") == "centred" else x
        match s.key("spread"):
            case "sum":
                spread = (under * under).sum(-1, keepdim=True)
            case "n - 1":
                spread = (under * under).sum(-1, keepdim=True) / (x.shape[-1] - 1)
            case "absolute":
                spread = under.abs().mean(-1, keepdim=True) ** 2
            case "largest":
                spread = under.abs().amax(-1, keepdim=True) ** 2
            case "variance":
                spread = x.var(-1, keepdim=True, correction=0)
            case "unbiased":
                c = x - x.mean(-1, keepdim=True)
                spread = (c * c).sum(-1, keepdim=True) / (x.shape[-1] - 1)
            case "batch":
                spread = x.square().mean(0, keepdim=True)
            case "none":
                return top
            case _:
                spread = (under * under).mean(-1, keepdim=True)
        divisor = _with_eps(s, spread)
        return top * divisor if s.key("form") == "multiplied" else top / divisor

    return along(s.key("axis"), of_rows, x)


_RMS_NORM = Operation(
    _rms_norm,
    {
        "spread": (
            Choice(
                "sum",
                "the divisor is the Euclidean norm: squares are summed",
                "{op} takes their mean",
                (marks.calls("sum", "norm", "vector_norm", "normalize"),),
            ),
            Choice("n - 1", "the sum of squares is divided by n - 1", "{op} divides by n", (marks.operator(ast.Sub),)),
            Choice(
                "absolute",
                "the divisor is the mean absolute value",
                "{op} takes the root of the mean square",
                (marks.calls("abs"),),
            ),
            Choice("largest", "the divisor is the largest absolute value", "{op} takes the root of the mean square"),
            Choice(
                "variance",
                "the divisor is the standard deviation",
                "{op} subtracts no mean",
                (marks.calls("var", "std"),),
            ),
            Choice(
                "unbiased",
                "the divisor is the unbiased standard deviation",
                "{op} subtracts no mean",
                (marks.calls("var", "std"),),
            ),
            Choice(
                "batch", "the mean square is taken over the batch", "{op} takes it over each row", (marks.other_axis,)
            ),
            Choice("no root", "the divisor is the mean square itself", "{op} divides by its square root"),
            Choice("none", "nothing is divided", "{op} divides by the root mean square"),
        ),
        "center": (
            Choice(
                "centred",
                "the mean is subtracted first, as in layer_norm",
                "{op} subtracts no mean",
                (marks.calls("mean"),),
            ),
            Choice("top", "the mean is subtracted in the numerator", "{op} subtracts no mean", (marks.calls("mean"),)),
        ),
        "axis": AXES,
        "form": (_MULTIPLIED,),
        "after": (generic.SIGN, generic.MAGNITUDE, generic.FACTOR, generic.CONSTANT),
        "eps": _EPS_PLACES,
    },
)


def _variance(s: Setting, x: Tensor) -> Tensor:
    k = x.shape[-1]
    c = x if s.key("center") == "no mean" else x - _center(s, x)
    square = (c * c).sum(-1)
    match s.key("divisor"):
        case "n - 1":
            return square / (k - 1)
        case "n":
            return square / k
        case "n + 1":
            return square / (k + 1)
        case "n - 2":
            return square / (k - 2)
        case "sum":
            return square
        case "absolute":
            return c.abs().mean(-1)
        case "batch" if x.shape[0] == k:
            return x.var(0, correction=0)
    return square / (k - int(s.declares.get("correction", 0)))


_VARIANCE = Operation(
    _variance,
    {
        "divisor": (
            Choice(
                "n - 1",
                "the sum of squares is divided by n - 1",
                "{op} divides by n",
                (marks.calls("var"),),
                "correction=1",
            ),
            Choice(
                "n",
                "the sum of squares is divided by n",
                "{op} is declared with n - 1",
                (marks.calls("mean"),),
                "correction=0",
            ),
            Choice("sum", "the squares are summed", "{op} takes their mean", (marks.calls("sum"),)),
            Choice("n + 1", "the sum of squares is divided by n + 1", "{op} divides by n", (marks.operator(ast.Div),)),
            Choice("n - 2", "the sum of squares is divided by n - 2", "{op} divides by n", (marks.operator(ast.Div),)),
            Choice("absolute", "the mean absolute deviation is computed", "{op} takes squares", (marks.calls("abs"),)),
        ),
        "center": _CENTERS,
        "after": (
            generic.ROOT,
            generic.LOGARITHM,
            generic.SIGN,
            Choice(
                "per root n",
                "the result is divided by n once more",
                "{op} divides by n once",
                apply=lambda y, x: y / x.shape[-1],
            ),
            generic.FACTOR,
            Choice(
                "constant",
                "{c} is added to the result",
                "{op} adds nothing",
                (marks.number,),
                numbers=generic.EPS,
                apply=lambda y, c: y + c,
            ),
        ),
    },
)

OPERATIONS: dict[str, Operation] = {"layer_norm": _LAYER_NORM, "rms_norm": _RMS_NORM, "variance": _VARIANCE}
"""By contract."""
