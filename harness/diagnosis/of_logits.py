"""Variants of the operations on rows of logits."""

import ast
import math

import torch
from torch import Tensor
from torch.nn import functional

from harness.diagnosis import generic, marks
from harness.diagnosis.generic import AXES, clamp, eps
from harness.diagnosis.operation import Choice, Operation, Setting, along

_LOGITS = (
    generic.SOFTMAX_FIRST,
    generic.NEGATED_LOGITS,
    generic.BASE_TWO,
    generic.TEMPERATURE_ROOT,
    generic.LOG_OF_INPUT,
    generic.SIGMOID_FIRST,
)

_SUM_EPS = eps("the sum of the shifted exponentials")
_RAW_EPS = eps("the sum of the exponentials", "eps unshifted")
_ADDED = eps("each probability", "eps added")
_LOG_EPS = eps("the probability before its logarithm is taken", cap=generic.cap_of_log)
_LOG_CLAMP = clamp("the probability", cap=generic.cap_of_log)


def _scaled(s: Setting, x: Tensor) -> Tensor:
    return x * s.number("scale") if s.key("scale") else x


def _softmax(s: Setting, x: Tensor) -> Tensor:
    def of_rows(x: Tensor) -> Tensor:
        m = x.amax(-1, keepdim=True)
        match s.key("eps"):
            case "eps":
                e = (x - m).exp()
                return e / (e.sum(-1, keepdim=True) + s.number("eps"))
            case "eps unshifted":
                return (x - torch.logaddexp(x.logsumexp(-1, keepdim=True), _log(s.number("eps"), x))).exp()
            case "eps added":
                return torch.softmax(x, -1) + s.number("eps")
        match s.key("form"):
            case "not normalized":
                return (x - m).exp()
            case "linear":
                return x / x.sum(-1, keepdim=True)
            case "squares":
                return torch.softmax(2.0 * x, -1)
            case "plus one":
                return (x - torch.logaddexp(x.logsumexp(-1, keepdim=True), torch.zeros((), dtype=x.dtype))).exp()
            case "by the maximum":
                return torch.softmax(x, -1) / torch.softmax(x, -1).amax(-1, keepdim=True)
            case "by the norm":
                return functional.normalize(torch.softmax(x, -1), dim=-1)
            case "raw":
                return x.exp()
        e = (x - m).exp()
        return e / e.sum(-1, keepdim=True)

    x = _scaled(s, x)
    if s.key("shifted"):
        e = (x - x.amax(-1, keepdim=True)).exp()
        return e / (e.sum(0, keepdim=True) if s.key("shifted") == "axis" else e.sum())
    return along(s.key("axis"), of_rows, x)


def _log(number: float, like: Tensor) -> Tensor:
    return torch.tensor(math.log(number), dtype=like.dtype)


_SOFTMAX = Operation(
    _softmax,
    is_stable=True,
    slots={
        "axis": AXES,
        "shifted": generic.SHIFTED_AXES,
        "form": (
            Choice("not normalized", "the exponentials are not divided by their sum", "{op} divides by the sum"),
            Choice("raw", "the exponentials are not divided by their sum", "{op} divides by the sum"),
            Choice("linear", "the logits themselves are divided by their sum", "{op} takes exponentials first"),
            Choice("plus one", "1 is added to the sum of the exponentials", "{op} adds nothing"),
            Choice("by the maximum", "the largest exponential is the divisor", "{op} divides by the sum"),
            Choice("by the norm", "the Euclidean norm is the divisor", "{op} divides by the sum"),
        ),
        "before": _LOGITS,
        "after": (generic.LOGARITHM, generic.SIGN, generic.OVER_COLUMNS, generic.COMPLEMENT, generic.FACTOR),
        "eps": (_SUM_EPS, _RAW_EPS, _ADDED),
        "scale": (generic.TEMPERATURE,),
    },
)


def _log_softmax(s: Setting, x: Tensor) -> Tensor:
    def of_rows(x: Tensor) -> Tensor:
        y = torch.log_softmax(x, -1)
        match s.key("eps"):
            case "eps":
                return torch.logaddexp(y, _log(s.number("eps"), x))
            case "clamp":
                return y.clamp(min=math.log(s.number("eps")))
        match s.key("form"):
            case "shift":
                return y + x.amax(-1, keepdim=True)
            case "shift only":
                return x - x.amax(-1, keepdim=True)
            case "mean":
                return y + math.log(x.shape[-1])
        return x - x.logsumexp(-1, keepdim=True)

    return along(s.key("axis"), of_rows, _scaled(s, x))


_MEAN_OF_EXPONENTIALS = Choice(
    "mean", "the mean of the exponentials is taken", "{op} takes their sum", (marks.calls("mean"),)
)

_LOG_SOFTMAX = Operation(
    _log_softmax,
    {
        "axis": AXES,
        "form": (
            Choice(
                "shift",
                "the row maximum is subtracted inside the sum only",
                "{op} subtracts the logarithm of the unshifted sum",
                (marks.operator(ast.Sub),),
            ),
            Choice("shift only", "the logarithm of the sum is missing", "{op} subtracts it"),
            _MEAN_OF_EXPONENTIALS,
        ),
        "before": _LOGITS,
        "after": (generic.BITS, generic.DECADES, generic.EXPONENTIAL, generic.SIGN, generic.FACTOR),
        "eps": (_LOG_EPS, _LOG_CLAMP),
        "scale": (generic.TEMPERATURE,),
    },
)


def _logsumexp(s: Setting, x: Tensor) -> Tensor:
    x = _scaled(s, x)
    y = x.logsumexp(-1)
    match s.key("form"):
        case "shift":
            return y - x.amax(-1)
        case "mean":
            return y - math.log(x.shape[-1])
        case "log1p":
            return functional.softplus(y, threshold=1000.0)
        case "maximum":
            return x.amax(-1)
        case "sum":
            return x.sum(-1)
        case "without the maximum":
            return torch.log(torch.exp(x - x.amax(-1, keepdim=True)).sum(-1) - 1.0) + x.amax(-1)
    if s.key("eps") == "eps":
        return torch.logaddexp(y, _log(s.number("eps"), x))
    if s.key("eps") == "eps shifted":
        m = x.amax(-1)
        return torch.logaddexp(y - m, _log(s.number("eps"), x)) + m
    if s.key("axis") == "axis" and x.shape[0] == x.shape[1]:
        return x.logsumexp(0)
    return y


_LOGSUMEXP = Operation(
    _logsumexp,
    {
        "form": (
            Choice(
                "shift",
                "the row maximum is subtracted and not added again",
                "{op} adds it to the logarithm",
                (marks.calls("log"),),
            ),
            _MEAN_OF_EXPONENTIALS,
            Choice("log1p", "1 is added to the sum of the exponentials", "{op} adds nothing", (marks.calls("log1p"),)),
            Choice(
                "maximum", "the maximum is returned", "{op} is larger than the maximum", (marks.calls("amax", "max"),)
            ),
            Choice("sum", "the logits are summed", "{op} sums their exponentials", (marks.calls("sum"),)),
            Choice("without the maximum", "the largest term is omitted", "{op} sums all terms"),
        ),
        "before": _LOGITS,
        "after": (generic.BITS, generic.DECADES, generic.EXPONENTIAL, generic.SIGN, generic.FACTOR, generic.CONSTANT),
        "eps": (
            eps("the sum of the exponentials"),
            eps("the sum of the shifted exponentials", "eps shifted"),
        ),
        "scale": (generic.TEMPERATURE,),
    },
)


def _entropy(s: Setting, x: Tensor) -> Tensor:
    def probabilities(x: Tensor) -> Tensor:
        return torch.log_softmax(x, -1)

    y = along(s.key("axis"), probabilities, _scaled(s, x))
    p = y.exp()
    match s.key("form"):
        case "no weights":
            return -y.sum(-1)
        case "logits":
            return -(p * x).sum(-1)
        case "largest":
            return -y.amax(-1)
        case "gini":
            return 1.0 - (p * p).sum(-1)
        case "collision":
            return -(p * p).sum(-1).log()
        case "complement":
            return -(p * y + (1.0 - p) * torch.log1p(-p)).sum(-1)
    match s.key("eps"):
        case "eps":
            y = torch.logaddexp(y, _log(s.number("eps"), x))
        case "clamp":
            y = y.clamp(min=math.log(s.number("eps")))
        case "eps twice":
            y = torch.logaddexp(y, _log(s.number("eps"), x))
            p = y.exp()
    return -(p * y).sum(-1)


_ENTROPY = Operation(
    _entropy,
    {
        "axis": AXES,
        "form": (
            Choice("no weights", "the logarithms are not weighted by the probabilities", "{op} weights them"),
            Choice(
                "logits", "the logits take the place of the logarithms of the probabilities", "{op} takes logarithms"
            ),
            Choice("largest", "only the largest probability counts", "{op} sums over all classes"),
            Choice("gini", "1 - sum p^2, the Gini impurity, is computed", "{op} is -sum p ln p"),
            Choice("collision", "-ln sum p^2, the collision entropy, is computed", "{op} is -sum p ln p"),
            Choice("complement", "the terms of 1 - p are added", "{op} is -sum p ln p"),
        ),
        "before": _LOGITS,
        "after": (
            *(generic.SIGN, generic.BITS, generic.DECADES, generic.OVER_COLUMNS, generic.EXPONENTIAL),
            Choice(
                "normalized",
                "the result is divided by ln k",
                "{op} is not scaled",
                (marks.operator(ast.Div),),
                apply=lambda y, x, *_: y / math.log(x.shape[-1]),
            ),
            generic.FACTOR,
        ),
        "eps": (
            eps("the probability before its logarithm is taken"),
            clamp("the probability"),
            eps("both probabilities", "eps twice"),
        ),
        "scale": (generic.TEMPERATURE,),
    },
)


def _masked_softmax(s: Setting, x: Tensor, keep: Tensor) -> Tensor:
    x = _scaled(s, x)
    p = torch.softmax(x, -1)
    match s.key("form"):
        case "inverted":
            keep = ~keep
        case "zero":
            return torch.softmax(x * keep, -1)
        case "not normalized":
            return p * keep
        case "ignored":
            return p
        case "axis":
            e = torch.exp(x - x.amax()) * keep
            return e / e.sum(0, keepdim=True)
        case "uniform":
            return torch.where(keep, torch.softmax(x.masked_fill(~keep, -torch.inf), -1), p)
    if s.key("fill"):
        return torch.softmax(x.masked_fill(~keep, -s.number("fill")), -1)
    if s.key("eps"):
        return p * keep / ((p * keep).sum(-1, keepdim=True) + s.number("eps"))
    return torch.softmax(x.masked_fill(~keep, -torch.inf), -1)


_MASKED_SOFTMAX = Operation(
    _masked_softmax,
    {
        "form": (
            Choice(
                "inverted",
                "entries are dropped where the mask is true",
                "{op} keeps them",
                (marks.calls("masked_fill", "where"),),
            ),
            Choice("zero", "dropped logits are set to 0, which still has weight", "{op} gives them the logit -inf"),
            Choice(
                "not normalized",
                "the mask is applied after the softmax: rows do not sum to 1",
                "{op} divides by the sum of the kept entries",
            ),
            Choice(
                "axis",
                "the columns of the batch are normalized (axis 0)",
                "{op} normalizes each row (axis -1)",
                (marks.other_axis,),
            ),
            Choice("ignored", "the mask is ignored", "{op} drops the entries where it is false"),
        ),
        "before": _LOGITS,
        "after": (generic.FACTOR,),
        "eps": (eps("the sum of the kept entries"),),
        "fill": (
            Choice(
                "fill",
                "dropped logits are set to minus {c}, which still has weight",
                "{op} gives them the logit -inf",
                (marks.number, marks.calls("masked_fill", "where")),
                numbers=(1e-3, 1.0, 3.0, 10.0, 30.0, 100.0),
            ),
        ),
        "scale": (generic.TEMPERATURE,),
    },
)

OPERATIONS: dict[str, Operation] = {
    "softmax": _SOFTMAX,
    "log_softmax": _LOG_SOFTMAX,
    "logsumexp": _LOGSUMEXP,
    "entropy": _ENTROPY,
    "masked_softmax": _MASKED_SOFTMAX,
}
