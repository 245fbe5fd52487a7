"""Variants of the operations on rows of logits."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from harness.diagnosis import generic, marks
from harness.diagnosis.marks import calls, divides, subtracts
from harness.diagnosis.operation import Operation, Setting, apply_by_rows, mistake, vary

OPERATIONS: dict[str, Operation] = {}
"""By contract."""

_LOGITS = (
    generic.SOFTMAX_FIRST,
    generic.NEGATED_LOGITS,
    generic.BASE_TWO,
    generic.TEMPERATURE_ROOT,
    generic.LOG_OF_INPUT,
    generic.SIGMOID_FIRST,
)


def _exponentials(x: Tensor) -> Tensor:
    return (x - x.amax(-1, keepdim=True)).exp()


def _softmax(x: Tensor) -> Tensor:
    e = _exponentials(x)
    return e / e.sum(-1, keepdim=True)


def _add_term(x: Tensor, number: float) -> Tensor:
    """Return the softmax with a number added to the sum of the exponentials, without overflow."""
    return (x - generic.add_in_log(x.logsumexp(-1, keepdim=True), c=number)).exp()


def _normalize_columns(x: Tensor) -> Tensor:
    e = _exponentials(x)
    return e / e.sum(0, keepdim=True)


def _normalize_batch(x: Tensor) -> Tensor:
    e = _exponentials(x)
    return e / e.sum()


OPERATIONS["softmax"] = Operation(vary(_softmax), is_stable=True, slots={
    "axis": (
        *generic.AXES,
        # Each row is shifted by its own maximum before.
        mistake("axis", "the exponentials are divided by the sums of the columns (axis 0); "
                "{op} divides by the sum of each row (axis -1)",
                lambda _, x: _normalize_columns(x), marks.other_axis, marks.no_axis),
        mistake("all", "the exponentials are divided by the sum of the whole batch; "
                "{op} divides by the sum of each row (axis -1)", lambda _, x: _normalize_batch(x), marks.no_axis),
    ),
    "form": (
        mistake("not normalized", "the exponentials are not divided by their sum; {op} divides by the sum",
                lambda _, x: _exponentials(x)),
        mistake("raw", "the exponentials are not divided by their sum; {op} divides by the sum", lambda _, x: x.exp()),
        mistake("linear", "the logits themselves are divided by their sum; {op} takes exponentials first",
                lambda _, x: x / x.sum(-1, keepdim=True)),
        mistake("plus one", "1 is added to the sum of the exponentials; {op} adds nothing",
                lambda _, x: _add_term(x, 1.0)),
        mistake("by the maximum", "the largest exponential is the divisor; {op} divides by the sum",
                lambda p, _: p / p.amax(-1, keepdim=True)),
        mistake("by the norm", "the Euclidean norm is the divisor; {op} divides by the sum",
                lambda p, _: functional.normalize(p, dim=-1)),
    ),
    "before": _LOGITS,
    "after": (generic.LOGARITHM, generic.SIGN, generic.OVER_COLUMNS, generic.COMPLEMENT, generic.FACTOR),
    "eps": (
        generic.eps("the sum of the shifted exponentials",
            lambda _, x, c: _exponentials(x) / (_exponentials(x).sum(-1, keepdim=True) + c)),
        generic.eps("the sum of the exponentials", lambda _, x, c: _add_term(x, c), "eps unshifted"),
        generic.eps("each probability", lambda p, _, c: p + c, "eps added"),
    ),
    "scale": (generic.TEMPERATURE,),
})  # fmt: skip

_MEAN = "the mean of the exponentials is taken; {op} takes their sum"

OPERATIONS["log_softmax"] = Operation(vary(lambda x: x - x.logsumexp(-1, keepdim=True)), {
    "axis": generic.AXES,
    "form": (
        mistake("shift", "the row maximum is subtracted inside the sum only; "
                "{op} subtracts the logarithm of the unshifted sum",
                lambda y, x: y + x.amax(-1, keepdim=True), subtracts),
        mistake("shift only", "the logarithm of the sum is missing; {op} subtracts it",
                lambda _, x: x - x.amax(-1, keepdim=True)),
        mistake("mean", _MEAN, lambda y, x: y + math.log(x.shape[-1]), calls("mean")),
    ),
    "before": _LOGITS,
    "after": (generic.BITS, generic.DECADES, generic.EXPONENTIAL, generic.SIGN, generic.FACTOR),
    "eps": generic.GUARDS,
    "scale": (generic.TEMPERATURE,),
})  # fmt: skip

OPERATIONS["logsumexp"] = Operation(vary(lambda x: x.logsumexp(-1)), {
    "form": (
        mistake("shift", "the row maximum is subtracted and not added again; {op} adds it to the logarithm",
                lambda y, x: y - x.amax(-1), calls("log")),
        mistake("mean", _MEAN, lambda y, x: y - math.log(x.shape[-1]), calls("mean")),
        mistake("log1p", "1 is added to the sum of the exponentials; {op} adds nothing",
                lambda y, _: functional.softplus(y, threshold=1000.0), calls("log1p")),
        mistake("maximum", "the maximum is returned; {op} is larger than the maximum",
                lambda _, x: x.amax(-1), calls("amax", "max")),
        mistake("sum", "the logits are summed; {op} sums their exponentials", lambda _, x: x.sum(-1), calls("sum")),
        mistake("without the maximum", "the largest term is omitted; {op} sums all terms",
                lambda _, x: torch.log(_exponentials(x).sum(-1) - 1.0) + x.amax(-1)),
    ),
    "before": _LOGITS,
    "after": (generic.BITS, generic.DECADES, generic.EXPONENTIAL, generic.SIGN, generic.FACTOR, generic.CONSTANT),
    "eps": (
        generic.eps("the sum of the exponentials", generic.add_in_log),
        generic.eps("the sum of the shifted exponentials",
            lambda y, x, c: generic.add_in_log(y - x.amax(-1), c=c) + x.amax(-1), "eps shifted"),
    ),
    "scale": (generic.TEMPERATURE,),
})  # fmt: skip


def _compute_entropy(s: Setting, x: Tensor) -> Tensor:
    y = apply_by_rows(s, lambda x: torch.log_softmax(x, -1), x)
    return s.call(s.replacing(), lambda y, p, _: -(p * y).sum(-1), y, y.exp(), x)  # type: ignore[no-any-return]


def _entropy_with_eps(y: Tensor, *_: Tensor, c: float) -> Tensor:
    """Return the entropy of probabilities to which an epsilon is added."""
    y = generic.add_in_log(y, c=c)
    return -(y.exp() * y).sum(-1)


OPERATIONS["entropy"] = Operation(_compute_entropy, {
    "axis": generic.AXES,
    "form": (
        mistake("no weights", "the logarithms are not weighted by the probabilities; {op} weights them",
                lambda y, *_: -y.sum(-1)),
        mistake("logits", "the logits take the place of the logarithms of the probabilities; {op} takes logarithms",
                lambda _, p, x: -(p * x).sum(-1)),
        mistake("largest", "only the largest probability counts; {op} sums over all classes",
                lambda y, *_: -y.amax(-1)),
        mistake("gini", "1 - sum p^2, the Gini impurity, is computed; {op} is -sum p ln p",
                lambda _, p, __: 1.0 - (p * p).sum(-1)),
        mistake("collision", "-ln sum p^2, the collision entropy, is computed; {op} is -sum p ln p",
                lambda _, p, __: -(p * p).sum(-1).log()),
        mistake("complement", "the terms of 1 - p are added; {op} is -sum p ln p",
                lambda y, p, _: -(p * y + (1.0 - p) * torch.log1p(-p)).sum(-1)),
    ),
    "before": _LOGITS,
    "after": (
        *(generic.SIGN, generic.BITS, generic.DECADES, generic.OVER_COLUMNS, generic.EXPONENTIAL),
        mistake("normalized", "the result is divided by ln k; {op} is not scaled",
                lambda y, x: y / math.log(x.shape[-1]), divides),
        generic.FACTOR,
    ),
    "eps": (
        generic.eps("the probability before its logarithm is taken",
            lambda y, p, _, c: -(p * generic.add_in_log(y, c=c)).sum(-1)),
        generic.clamp("the probability", lambda y, p, _, c: -(p * generic.clamp_in_log(y, c=c)).sum(-1)),
        generic.eps("both probabilities", _entropy_with_eps, "eps twice"),
    ),
    "scale": (generic.TEMPERATURE,),
})  # fmt: skip


def _mask_softmax(x: Tensor, keep: Tensor) -> Tensor:
    return torch.softmax(x.masked_fill(~keep, -torch.inf), -1)


def _multiply_by_mask(x: Tensor, keep: Tensor) -> Tensor:
    return torch.softmax(x, -1) * keep


def _normalize_products(x: Tensor, keep: Tensor, c: float) -> Tensor:
    p = _multiply_by_mask(x, keep)
    return p / (p.sum(-1, keepdim=True) + c)


OPERATIONS["masked_softmax"] = Operation(
    lambda s, x, keep: s.call(s.replacing(), _mask_softmax, x, s.change("mask", keep)), {
    "mask": (
        mistake("inverted", "entries are dropped where the mask is true; {op} keeps them",
                torch.logical_not, calls("masked_fill", "where")),
    ),
    "form": (
        mistake("zero", "dropped logits are set to 0, which still has weight; {op} gives them the logit -inf",
                lambda x, keep: torch.softmax(x * keep, -1)),
        mistake("not normalized", "the mask is applied after the softmax: rows do not sum to 1; "
                "{op} divides by the sum of the kept entries", _multiply_by_mask),
        mistake("axis", "the columns of the batch are normalized (axis 0); {op} normalizes each row (axis -1)",
                lambda x, keep: torch.softmax(x.masked_fill(~keep, -torch.inf), 0), marks.other_axis),
        mistake("ignored", "the mask is ignored; {op} drops the entries where it is false",
                lambda x, keep: torch.softmax(x, -1)),
    ),
    "before": _LOGITS,
    "after": (generic.FACTOR,),
    "eps": (
        generic.eps("the sum of the kept entries", _normalize_products),
    ),
    "fill": (
        mistake("fill", "dropped logits are set to minus {c}, which still has weight; {op} gives them the logit -inf",
                lambda x, keep, c: torch.softmax(x.masked_fill(~keep, -c), -1),
                marks.number, calls("masked_fill", "where"), numbers=(1e-3, 1.0, 3.0, 10.0, 30.0, 100.0)),
    ),
    "scale": (generic.TEMPERATURE,),
})  # fmt: skip
