"""Variants of the losses and divergences."""

import ast
import math

import torch
from torch import Tensor
from torch.nn import functional

from harness.diagnosis import generic, marks
from harness.diagnosis.generic import AXES, clamp, eps
from harness.diagnosis.operation import Choice, Operation, Setting, along


def reduced(s: Setting, rows: Tensor, default: str = "mean", columns: int = 1) -> Tensor:
    """Reduce the losses of the rows as the case declares, or as a deviation does."""
    reduction = s.declares.get("reduction", default)
    match s.key("reduction"):
        case "sum":
            return rows.sum()
        case "mean":
            return rows.mean()
        case "n - 1":
            return rows.sum() / (len(rows) - 1)
        case "n + 1":
            return rows.sum() / (len(rows) + 1)
        case "median":
            return rows.median()
        case "first":
            return rows[0]
        case "last":
            return rows[-1]
        case "largest":
            return rows.amax()
        case "per element":
            return rows.sum() / (len(rows) * columns)
        case "without the last":
            return rows[:-1].mean()
    return {"mean": rows.mean, "sum": rows.sum}.get(reduction, lambda: rows)()


_REDUCTIONS = (
    Choice("sum", "the losses of the rows are summed", "{op} takes their mean", (marks.calls("sum"),), "reduction=sum"),
    Choice(
        "mean",
        "the mean of the losses is taken",
        "{op} is declared as their sum",
        (marks.calls("mean"),),
        "reduction=mean",
    ),
    Choice(
        "n - 1",
        "the sum of the losses is divided by n - 1",
        "{op} divides by n",
        (marks.operator(ast.Div), marks.calls("var")),
    ),
    Choice("n + 1", "the sum of the losses is divided by n + 1", "{op} divides by n", (marks.operator(ast.Div),)),
    Choice("median", "the median of the losses is taken", "{op} takes their mean", (marks.calls("median"),)),
    Choice("first", "only the first row counts", "{op} takes the mean over all rows"),
    Choice("last", "only the last row counts", "{op} takes the mean over all rows"),
    Choice("largest", "the largest loss is returned", "{op} takes the mean", (marks.calls("max", "amax"),)),
    Choice("without the last", "the last row is omitted", "{op} takes the mean over all rows"),
)
_PER_ELEMENT = Choice(
    "per element",
    "the mean runs over rows and classes: it is divided by n k",
    "{op} divides by the number of rows n",
    (marks.calls("mean"), marks.calls("numel")),
)
_LOG_EPS = eps("the probability before its logarithm is taken", cap=generic.cap_of_log)
_LOG_CLAMP = clamp("the probability", cap=generic.cap_of_log)
_SMOOTHING = Choice(
    "smoothing",
    "the labels are smoothed by {c}",
    "{op} does not smooth them",
    (marks.keyword("label_smoothing"), marks.number),
    numbers=(1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99),
)
_FOCAL = Choice(
    "focal",
    "the loss of each row is multiplied by (1 - p)^{c}, as in a focal loss",
    "{op} does not weight the rows",
    (marks.operator(ast.Pow),),
    numbers=(0.01, 0.3, 0.9, 1.1, 1.9, 2.1, 3.0, 5.0),
)
_LOGARITHMIC = (generic.SIGN, generic.BITS, generic.DECADES, generic.EXPONENTIAL, generic.FACTOR, generic.CONSTANT)


def _guarded(s: Setting, log_p: Tensor) -> Tensor:
    """Return the logarithm of a probability to which an epsilon is added, or which is clamped."""
    if s.key("eps") == "eps":
        return torch.logaddexp(log_p, torch.tensor(math.log(s.number("eps")), dtype=log_p.dtype))
    if s.key("eps") == "clamp":
        return log_p.clamp(min=math.log(s.number("eps")))
    return log_p


def _picked(y: Tensor, labels: Tensor) -> Tensor:
    return y.gather(-1, labels[:, None]).squeeze(-1)


def _cross_entropy(s: Setting, x: Tensor, labels: Tensor) -> Tensor:
    if s.key("scale"):
        x = x * s.number("scale")
    y = along(s.key("axis"), lambda x: torch.log_softmax(x, -1), x)
    log_p = _picked(y, labels)
    rows = -_guarded(s, log_p)
    match s.key("form"):
        case "missing log":
            rows = -log_p.exp()
        case "complement":
            rows = 1.0 - log_p.exp()
        case "all classes":
            rows = -y.sum(-1)
        case "logit":
            rows = -_picked(x, labels)
        case "no maximum":
            rows = x.logsumexp(-1)
        case "binary":
            hot = functional.one_hot(labels, x.shape[-1])
            rows = (functional.softplus(x) - x * hot).sum(-1)
        case "squares":
            hot = functional.one_hot(labels, x.shape[-1])
            rows = ((y.exp() - hot) ** 2).sum(-1)
        case "shift":
            rows = rows - x.amax(-1)
    if s.key("smoothing") == "smoothing":
        rows = (1.0 - s.number("smoothing")) * rows - s.number("smoothing") * y.mean(-1)
    if s.key("smoothing") == "focal":
        rows = (1.0 - log_p.exp()) ** s.number("smoothing") * rows
    return reduced(s, rows, columns=x.shape[-1])


_CROSS_ENTROPY = Operation(
    _cross_entropy,
    {
        "before": (
            generic.SOFTMAX_FIRST,
            generic.LOG_OF_INPUT,
            generic.SIGMOID_FIRST,
            generic.labels(1),
            generic.labels(-1),
            generic.NEGATED_LOGITS,
            generic.TEMPERATURE_ROOT,
        ),
        "reduction": (*_REDUCTIONS, _PER_ELEMENT),
        "form": (
            Choice(
                "missing log",
                "the logarithm is missing: the negative probability is averaged",
                "{op} takes -ln of the probability",
                (marks.calls("softmax"),),
            ),
            Choice("complement", "1 - p of the label is averaged", "{op} takes -ln p"),
            Choice("all classes", "the terms of all classes are added", "{op} takes the term of the label only"),
            Choice("logit", "the logits are not normalized", "{op} takes the softmax of the logits first"),
            Choice("no maximum", "the logit of the label is not subtracted", "{op} subtracts it"),
            Choice("binary", "each class has a separate binary cross-entropy", "{op} normalizes over the classes"),
            Choice("squares", "the squared error of the probabilities is taken", "{op} takes -ln of the probability"),
            Choice("shift", "the row maximum is subtracted inside the sum only", "{op} shifts both terms"),
        ),
        "axis": AXES,
        "after": _LOGARITHMIC,
        "eps": (_LOG_EPS, _LOG_CLAMP),
        "smoothing": (_SMOOTHING, _FOCAL),
        "scale": (generic.TEMPERATURE,),
    },
)


def _nll(s: Setting, p: Tensor, labels: Tensor) -> Tensor:
    picked = _picked(p, labels)
    rows = -_guarded(s, picked.log())
    match s.key("form"):
        case "missing log":
            rows = -picked
        case "complement":
            rows = 1.0 - picked
        case "logits":
            rows = -_picked(torch.log_softmax(p, -1), labels)
        case "log probabilities":
            rows = -picked
        case "all classes":
            rows = -p.log().sum(-1)
        case "both":
            rows = rows - (torch.log1p(-p).sum(-1) - torch.log1p(-picked))
    return reduced(s, rows, "none", columns=p.shape[-1])


_NLL = Operation(
    _nll,
    {
        "form": (
            Choice(
                "logits",
                "the probabilities are taken for logits and normalized once more",
                "{op} takes probabilities",
                (marks.calls("cross_entropy", "softmax", "log_softmax", "CrossEntropyLoss"),),
            ),
            Choice("missing log", "the logarithm is missing", "{op} takes -ln of the probability"),
            Choice("complement", "1 - p of the label is returned", "{op} takes -ln p"),
            Choice("all classes", "the terms of all classes are added", "{op} takes the term of the label only"),
            Choice("both", "the terms of the other classes are added", "{op} takes the term of the label only"),
        ),
        "before": (generic.labels(1), generic.labels(-1)),
        "reduction": (*_REDUCTIONS, _PER_ELEMENT),
        "after": _LOGARITHMIC,
        "eps": (_LOG_EPS, _LOG_CLAMP),
    },
)


def _bce(s: Setting, x: Tensor, t: Tensor) -> Tensor:
    if s.key("scale"):
        x = x * s.number("scale")
    yes, no = functional.logsigmoid(x), functional.logsigmoid(-x)
    match s.key("eps"):
        case "clamp":
            low, high = math.log(s.number("eps")), math.log1p(-s.number("eps"))
            yes, no = yes.clamp(low, high), no.clamp(low, high)
        case "clamp below":
            # A clamp of the logarithms themselves.
            yes, no = yes.clamp(min=math.log(s.number("eps"))), no.clamp(min=math.log(s.number("eps")))
        case "eps":
            yes, no = (_guarded(s, one) for one in (yes, no))
    match s.key("form"):
        case "half":
            return reduced(s, -t * yes)
        case "other half":
            return reduced(s, -(1.0 - t) * no)
        case "1 - t":
            t = 1.0 - t
        case "hinge":
            return reduced(s, functional.relu(1.0 - (2.0 * t - 1.0) * x))
        case "squares":
            return reduced(s, (torch.sigmoid(x) - t) ** 2)
    weight = s.number("weight") if s.key("weight") else 1.0
    return reduced(s, -(weight * t * yes + (1.0 - t) * no))


_BCE = Operation(
    _bce,
    {
        "form": (
            Choice(
                "half",
                "the term (1 - t) ln(1 - p) is missing",
                "{op} adds the terms of both classes",
            ),
            Choice("other half", "the term t ln p is missing", "{op} adds the terms of both classes"),
            Choice("1 - t", "the targets are exchanged: 1 - t takes the place of t", "{op} weights ln p with t"),
            Choice("hinge", "the hinge loss is computed", "{op} is -t ln p - (1 - t) ln(1 - p)"),
            Choice(
                "squares", "the squared error of the probability is computed", "{op} is -t ln p - (1 - t) ln(1 - p)"
            ),
        ),
        "before": (generic.SIGMOID_FIRST, generic.NEGATED_LOGITS),
        "weight": (
            Choice(
                "weight",
                "the term t ln p has the weight {c}",
                "{op} gives both classes the weight 1",
                (marks.keyword("pos_weight", "weight"), marks.number),
                numbers=generic.FACTORS[9:],
            ),
        ),
        "reduction": _REDUCTIONS,
        "after": _LOGARITHMIC,
        "eps": (_LOG_EPS, _LOG_CLAMP, clamp("each probability", "clamp below", cap=generic.cap_of_log)),
        "scale": (generic.TEMPERATURE,),
    },
)


def _squared_error(s: Setting, a: Tensor, b: Tensor) -> Tensor:
    difference = a - b
    match s.key("form"):
        case "absolute":
            rows = difference.abs()
        case "no square":
            rows = difference
        case "plus":
            rows = (a + b) ** 2
        case "outer":
            rows = (a[:, None] - b) ** 2
        case "fourth":
            rows = difference**4
        case "huber":
            rows = functional.smooth_l1_loss(a, b, reduction="none")
        case "log":
            rows = torch.log1p(difference**2)
        case "relative":
            rows = (difference / b) ** 2
        case "variance":
            return difference.var(correction=0)
        case "square of mean":
            return difference.mean() ** 2
        case _:
            rows = difference**2
    return reduced(s, rows * s.declares.get("factor", 1.0))


_SQUARED_ERROR = Operation(
    _squared_error,
    {
        "form": (
            Choice(
                "absolute", "absolute differences are taken", "{op} takes squares", (marks.calls("abs", "l1_loss"),)
            ),
            Choice(
                "outer",
                "every prediction is compared with every target: [n, 1] is broadcast against [n]",
                "{op} compares them one to one",
                (marks.operator(ast.Sub),),
            ),
            Choice("plus", "the sum is squared", "{op} squares the difference", (marks.operator(ast.Add),)),
            Choice("no square", "the differences are not squared", "{op} squares them"),
            Choice("square of mean", "the mean difference is squared", "{op} takes the mean of the squares"),
            Choice(
                "variance", "the mean difference is subtracted first", "{op} subtracts no mean", (marks.calls("var"),)
            ),
            Choice("fourth", "fourth powers are taken", "{op} takes squares"),
            Choice("huber", "the Huber loss is computed", "{op} takes squares"),
            Choice("log", "ln(1 + difference^2) is taken", "{op} takes squares"),
            Choice("relative", "the differences are divided by the targets", "{op} is absolute"),
        ),
        "reduction": _REDUCTIONS,
        "after": (generic.ROOT, generic.SIGN, generic.LOGARITHM, generic.FACTOR, generic.CONSTANT),
    },
)


def _kl(s: Setting, log_q: Tensor, p: Tensor) -> Tensor:
    q, log_p = log_q.exp(), p.log()
    log_p, log_q = _guarded(s, log_p), _guarded(s, log_q) if s.key("eps") else log_q
    match s.key("form"):
        case "swapped":
            return (q * (log_q - log_p)).sum(-1)
        case "cross":
            return -(p * log_q).sum(-1)
        case "entropy":
            return -(p * log_p).sum(-1)
        case "no weights":
            return (log_p - log_q).sum(-1)
        case "q":
            return (p * (log_p - q)).sum(-1)
        case "symmetric":
            return ((p - q) * (log_p - log_q)).sum(-1)
        case "half symmetric":
            return 0.5 * ((p - q) * (log_p - log_q)).sum(-1)
        case "squares":
            return ((p - q) ** 2).sum(-1)
        case "wrong weights":
            return (q * (log_p - log_q)).sum(-1)
        case "minus one":
            return (p * (log_p - log_q) - p + q).sum(-1)
        case "jensen":
            m = ((p + q) / 2.0).log()
            return 0.5 * ((p * (log_p - m)).sum(-1) + (q * (log_q - m)).sum(-1))
    return (p * (log_p - log_q)).sum(-1)


_KL_SLOTS = {
    "form": (
        Choice("swapped", "KL(q || p) is computed: p and q are exchanged", "{op} is KL(p || q)"),
        Choice("cross", "the cross-entropy is computed: the term p ln p is missing", "{op} is sum p (ln p - ln q)"),
        Choice("entropy", "the entropy of p is computed", "{op} is sum p (ln p - ln q)"),
        Choice("no weights", "the differences are not weighted by p", "{op} weights them"),
        Choice("wrong weights", "the differences are weighted by q", "{op} weights them by p"),
        Choice("q", "the logarithm of q is missing", "{op} is sum p (ln p - ln q)"),
        Choice("symmetric", "the symmetric divergence is computed", "{op} is sum p (ln p - ln q)"),
        Choice("half symmetric", "half of the symmetric divergence is computed", "{op} is sum p (ln p - ln q)"),
        Choice("jensen", "the Jensen-Shannon divergence is computed", "{op} is sum p (ln p - ln q)"),
        Choice("squares", "the squared distance is computed", "{op} is sum p (ln p - ln q)"),
    ),
    "after": (generic.OVER_COLUMNS, *_LOGARITHMIC),
    "eps": (
        Choice(
            "eps",
            "{c} is added to both probabilities before their logarithms are taken",
            "{op} adds none",
            (marks.number,),
            numbers=generic.EPS,
        ),
        Choice(
            "clamp",
            "both probabilities are clamped at {c}",
            "{op} clamps nothing",
            (marks.number, marks.calls("clamp")),
            numbers=generic.EPS,
        ),
    ),
}


def _kl_of_probabilities(s: Setting, p: Tensor, q: Tensor) -> Tensor:
    if s.key("eps q") == "eps":
        q = q + s.number("eps q")
    elif s.key("eps q") == "clamp":
        q = q.clamp(min=s.number("eps q"))
    return _kl(s, q.log(), p)


def _gaussian(s: Setting, mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    square, log_v = (target - mean) ** 2, variance.log()
    match s.key("form"):
        case "deviation":
            rows = log_v + square / (2.0 * variance**2)
        case "no log":
            rows = square / variance / 2.0
        case "no variance":
            rows = (log_v + square) / 2.0
        case "whole log":
            rows = log_v + square / variance / 2.0
        case "whole square":
            rows = log_v / 2.0 + square / variance
        case "log variance":
            rows = (variance + square / variance.exp()) / 2.0
        case "minus":
            rows = (square / variance - log_v) / 2.0
        case "absolute":
            rows = (log_v + (target - mean).abs() / variance) / 2.0
        case "root":
            rows = (log_v + square / variance.sqrt()) / 2.0
        case _:
            rows = (log_v + square / variance) / 2.0
    return reduced(s, rows)


_HALF_LOG = math.log(2.0 * math.pi) / 2.0

_GAUSSIAN = Operation(
    _gaussian,
    {
        "form": (
            Choice("deviation", "the variance is taken for the standard deviation", "{op} is given the variance"),
            Choice("no log", "the term ln v is missing", "{op} is (ln v + (t - m)^2 / v) / 2"),
            Choice("no variance", "the square is not divided by the variance", "{op} divides by it"),
            Choice("whole log", "the half is missing before ln v", "{op} halves both terms"),
            Choice("whole square", "the half is missing before the square", "{op} halves both terms"),
            Choice("log variance", "the variance is taken for its logarithm", "{op} is given the variance"),
            Choice("minus", "ln v has the wrong sign", "{op} adds it"),
            Choice("absolute", "the difference is not squared", "{op} squares it"),
            Choice("root", "the square is divided by the standard deviation", "{op} divides by the variance"),
        ),
        "after": (
            Choice(
                "constant",
                "the constant term ln(2 pi) / 2 = 0.918939 is added",
                "{op} leaves it out",
                (marks.keyword("full"), marks.calls("log"), marks.operator(ast.Add)),
                apply=lambda y, *_: y + _HALF_LOG,
            ),
            *_LOGARITHMIC,
        ),
        "reduction": _REDUCTIONS,
        "before": (
            Choice(
                "swapped",
                "mean and variance are exchanged",
                "{op} takes the mean first",
                apply=lambda m, t, v: (v, t, m),
            ),
        ),
    },
)

OPERATIONS: dict[str, Operation] = {
    "cross_entropy": _CROSS_ENTROPY,
    "nll_of_probabilities": _NLL,
    "binary_cross_entropy_with_logits": _BCE,
    "squared_error": _SQUARED_ERROR,
    "kl_divergence": Operation(_kl, _KL_SLOTS),
    "kl_divergence_of_probabilities": Operation(
        _kl_of_probabilities,
        {
            **_KL_SLOTS,
            "eps q": (
                Choice(
                    "eps",
                    "{c} is added to q before its logarithm is taken",
                    "{op} adds none",
                    (marks.number,),
                    numbers=generic.EPS,
                ),
                Choice("clamp", "q is clamped at {c}", "{op} clamps nothing", (marks.number,), numbers=generic.EPS),
            ),
        },
    ),
    "gaussian_nll": _GAUSSIAN,
}
"""By contract."""
