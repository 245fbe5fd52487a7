"""Variants of the normalizations and the variance."""

import torch
from torch import Tensor

from harness.diagnosis import generic, marks
from harness.diagnosis.generic import AXES, CONSTANT, FACTOR, MAGNITUDE, SIGN, clamp, eps
from harness.diagnosis.marks import calls, divides, multiplies, subtracts
from harness.diagnosis.operation import Operation, Setting, apply_by_rows, mistake

OPERATIONS: dict[str, Operation] = {}
"""By contract."""


def _mean(x: Tensor) -> Tensor:
    return x.mean(-1, keepdim=True)


def _center(x: Tensor) -> Tensor:
    return x - _mean(x)


def _sum_of_squares(x: Tensor) -> Tensor:
    return (x * x).sum(-1, keepdim=True)


def _mean_square(x: Tensor) -> Tensor:
    return _mean(x * x)


# The square of the divisor, without the epsilon.
_SPREADS = (
    mistake("n - 1", "the variance is divided by n - 1; {op} divides by n",
            lambda x: _sum_of_squares(_center(x)) / (x.shape[-1] - 1), calls("var", "std"), subtracts),
    mistake("no root", "the divisor is the variance itself; {op} divides by its square root", None, divides),
    mistake("sum", "the sum of squares takes the place of their mean; {op} takes the mean",
            lambda x: _sum_of_squares(_center(x)), calls("sum", "norm")),
    mistake("absolute", "the divisor is the mean absolute deviation; {op} divides by the standard deviation",
            lambda x: _mean(_center(x).abs()) ** 2, calls("abs")),
    mistake("range", "the divisor is the largest minus the smallest entry; {op} divides by the standard deviation",
            lambda x: (x.amax(-1, keepdim=True) - x.amin(-1, keepdim=True)) ** 2),
    mistake("largest", "the divisor is the largest absolute deviation; {op} divides by the standard deviation",
            lambda x: _center(x).abs().amax(-1, keepdim=True) ** 2),
    mistake("mean square", "the divisor contains the mean square; {op} subtracts the mean first", _mean_square),
    mistake("batch", "the variance is taken over the batch; {op} takes it over each row",
            lambda x: x.var(0, keepdim=True, correction=0), marks.other_axis),
    mistake("whole", "the variance is taken over the whole batch; {op} takes it over each row",
            lambda x: x.var(correction=0), marks.no_axis),
    mistake("none", "nothing is divided; {op} divides by the standard deviation"),
)  # fmt: skip
_CENTERS = (
    mistake("no mean", "the mean is not subtracted; {op} subtracts it",
            lambda x: torch.zeros_like(x[..., :1]), divides),
    mistake("batch mean", "the mean is taken over the batch; {op} takes it over each row",
            lambda x: x.mean(0, keepdim=True), marks.other_axis),
    mistake("whole mean", "the mean is taken over the whole batch; {op} takes it over each row",
            lambda x: x.mean(), marks.no_axis),
    mistake("median", "the median is subtracted; {op} subtracts the mean",
            lambda x: x.median(-1, keepdim=True).values, calls("median")),
)  # fmt: skip
_NORMALIZED = {
    "form": (
        mistake("multiplied", "the deviations are multiplied by the standard deviation; {op} divides by it",
                torch.mul, multiplies),
    ),
    "after": (SIGN, MAGNITUDE, FACTOR, CONSTANT),
    "eps": (
        mistake("no eps", "no epsilon is added; {op} adds {eps} under the root", lambda v, root: root(v),
                declare="eps=0"),
        eps("the variance under the root", lambda v, root, c: root(v + c), wanted="{op} adds {eps} there"),
        eps("the standard deviation, outside the root", lambda v, root, c: root(v) + c, "eps outside",
            wanted="{op} adds {eps} under the root"),
        clamp("the standard deviation", lambda v, root, c: root(v).clamp(min=c), "clamp root"),
        clamp("the variance", lambda v, root, c: root(v.clamp(min=c))),
    ),
}  # fmt: skip


def _normalize(s: Setting, top: Tensor, spread: Tensor) -> Tensor:
    """Divide by the root of a variance or of its replacement."""
    if s.key("spread") == "none":
        return top
    root = torch.clone if s.key("spread") == "no root" else torch.sqrt
    declared = float(s.declares.get("eps", 0.0))
    divisor = s.call("eps", lambda spread, root: root(spread + declared), spread, root)
    return s.call("form", torch.div, top, divisor)  # type: ignore[no-any-return]


def _compute_layer_norm(s: Setting, x: Tensor) -> Tensor:
    def normalize_rows(x: Tensor) -> Tensor:
        top = x - s.call("center", _mean, x)
        return _normalize(s, top, s.call("spread", lambda x: _mean_square(_center(x)), x))

    return apply_by_rows(s, normalize_rows, x)


OPERATIONS["layer_norm"] = Operation(
    _compute_layer_norm, {"spread": _SPREADS, "axis": AXES, "center": _CENTERS, **_NORMALIZED}
)


def _compute_rms_norm(s: Setting, x: Tensor) -> Tensor:
    def normalize_rows(x: Tensor) -> Tensor:
        top, under = s.call("center", lambda x: (x, x), x)
        return _normalize(s, top, s.call("spread", lambda under, _: _mean_square(under), under, x))

    return apply_by_rows(s, normalize_rows, x)


OPERATIONS["rms_norm"] = Operation(_compute_rms_norm, {
    "spread": (
        mistake("sum", "the divisor is the Euclidean norm: squares are summed; {op} takes their mean",
                lambda under, _: _sum_of_squares(under), calls("sum", "norm", "vector_norm", "normalize")),
        mistake("n - 1", "the sum of squares is divided by n - 1; {op} divides by n",
                lambda under, x: _sum_of_squares(under) / (x.shape[-1] - 1), subtracts),
        mistake("absolute", "the divisor is the mean absolute value; {op} takes the root of the mean square",
                lambda under, _: _mean(under.abs()) ** 2, calls("abs")),
        mistake("largest", "the divisor is the largest absolute value; {op} takes the root of the mean square",
                lambda under, _: under.abs().amax(-1, keepdim=True) ** 2),
        mistake("variance", "the divisor is the standard deviation; {op} subtracts no mean",
                lambda _, x: x.var(-1, keepdim=True, correction=0), calls("var", "std")),
        mistake("unbiased", "the divisor is the unbiased standard deviation; {op} subtracts no mean",
                lambda _, x: x.var(-1, keepdim=True), calls("var", "std")),
        mistake("batch", "the mean square is taken over the batch; {op} takes it over each row",
                lambda _, x: x.square().mean(0, keepdim=True), marks.other_axis),
        mistake("no root", "the divisor is the mean square itself; {op} divides by its square root"),
        mistake("none", "nothing is divided; {op} divides by the root mean square"),
    ),
    "center": (
        mistake("centred", "the mean is subtracted first, as in layer_norm; {op} subtracts no mean",
                lambda x: (_center(x), _center(x)), calls("mean")),
        mistake("top", "the mean is subtracted in the numerator; {op} subtracts no mean",
                lambda x: (_center(x), x), calls("mean")),
    ),
    "axis": AXES,
    **_NORMALIZED,
})  # fmt: skip


def _compute_variance(s: Setting, x: Tensor) -> Tensor:
    c = x - s.call("center", _mean, x)
    declared = int(s.declares.get("correction", 0))
    return s.call("divisor", lambda c, k: (c * c).sum(-1) / (k - declared), c, x.shape[-1])  # type: ignore[no-any-return]


OPERATIONS["variance"] = Operation(_compute_variance, {
    "divisor": (
        mistake("n - 1", "the sum of squares is divided by n - 1; {op} divides by n",
                lambda c, k: (c * c).sum(-1) / (k - 1), calls("var"), declare="correction=1"),
        mistake("n", "the sum of squares is divided by n; {op} is declared with n - 1",
                lambda c, k: (c * c).sum(-1) / k, calls("mean"), declare="correction=0"),
        mistake("sum", "the squares are summed; {op} takes their mean", lambda c, _: (c * c).sum(-1), calls("sum")),
        mistake("n + 1", "the sum of squares is divided by n + 1; {op} divides by n",
                lambda c, k: (c * c).sum(-1) / (k + 1), divides),
        mistake("n - 2", "the sum of squares is divided by n - 2; {op} divides by n",
                lambda c, k: (c * c).sum(-1) / (k - 2), divides),
        mistake("absolute", "the mean absolute deviation is computed; {op} takes squares",
                lambda c, _: c.abs().mean(-1), calls("abs")),
    ),
    "center": _CENTERS,
    "after": (
        generic.ROOT,
        generic.LOGARITHM,
        SIGN,
        mistake("per root n", "the result is divided by n once more; {op} divides by n once",
                lambda y, x: y / x.shape[-1]),
        FACTOR,
        mistake("constant", "{c} is added to the result; {op} adds nothing", lambda y, _, c: y + c,
                marks.number, numbers=generic.EPS),
    ),
})  # fmt: skip
