"""Variants of the losses and divergences."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from harness.diagnosis import generic, marks
from harness.diagnosis.generic import AXES, GUARDS, IN_LOGARITHMS, LABELS, clamp
from harness.diagnosis.marks import adds, calls, divides, keyword, powers, subtracts
from harness.diagnosis.operation import Operation, Setting, apply_by_rows, mistake

OPERATIONS: dict[str, Operation] = {}
"""By contract."""


def reduce_rows(s: Setting, rows: Tensor, default: str = "mean", columns: int = 1) -> Tensor:
    """Reduce the losses of the rows as the case declares, or as a deviation does."""

    def usual(rows: Tensor, _: int) -> Tensor:
        reduction = s.declares.get("reduction", default)
        return rows.mean() if reduction == "mean" else rows.sum() if reduction == "sum" else rows

    return s.call("reduction", usual, rows, columns)  # type: ignore[no-any-return]


REDUCTIONS = (
    mistake("sum", "the losses of the rows are summed; {op} takes their mean",
            lambda rows, _: rows.sum(), calls("sum"), declare="reduction=sum"),
    mistake("mean", "the mean of the losses is taken; {op} is declared as their sum",
            lambda rows, _: rows.mean(), calls("mean"), declare="reduction=mean"),
    mistake("n - 1", "the sum of the losses is divided by n - 1; {op} divides by n",
            lambda rows, _: rows.sum() / (len(rows) - 1), divides, calls("var")),
    mistake("n + 1", "the sum of the losses is divided by n + 1; {op} divides by n",
            lambda rows, _: rows.sum() / (len(rows) + 1), divides),
    mistake("median", "the median of the losses is taken; {op} takes their mean",
            lambda rows, _: rows.median(), calls("median")),
    mistake("first", "only the first row counts; {op} takes the mean over all rows", lambda rows, _: rows[0]),
    mistake("last", "only the last row counts; {op} takes the mean over all rows", lambda rows, _: rows[-1]),
    mistake("largest", "the largest loss is returned; {op} takes the mean",
            lambda rows, _: rows.amax(), calls("max", "amax")),
    mistake("without the last", "the last row is omitted; {op} takes the mean over all rows",
            lambda rows, _: rows[:-1].mean()),
)  # fmt: skip
_PER_ELEMENT = mistake(
    "per element", "the mean runs over rows and classes: it is divided by n k; {op} divides by the number of rows n",
    lambda rows, columns: rows.sum() / (len(rows) * columns), calls("mean"), calls("numel"),
)  # fmt: skip


def _select(y: Tensor, labels: Tensor) -> Tensor:
    return y.gather(-1, labels[:, None]).squeeze(-1)


def _compute_cross_entropy(s: Setting, x: Tensor, labels: Tensor) -> Tensor:
    y = apply_by_rows(s, lambda x: torch.log_softmax(x, -1), x)
    log_p = _select(y, labels)
    rows = s.change("form", -s.change("eps", log_p), y, x, labels)
    return reduce_rows(s, s.change("smoothing", rows, y, log_p.exp()), columns=x.shape[-1])


OPERATIONS["cross_entropy"] = Operation(_compute_cross_entropy, {
    "before": (
        generic.SOFTMAX_FIRST,
        generic.LOG_OF_INPUT,
        generic.SIGMOID_FIRST,
        *LABELS,
        generic.NEGATED_LOGITS,
        generic.TEMPERATURE_ROOT,
    ),
    "reduction": (*REDUCTIONS, _PER_ELEMENT),
    "form": (
        mistake("missing log", "the logarithm is missing: the negative probability is averaged; "
                "{op} takes -ln of the probability",
                lambda _, y, x, labels: -_select(y, labels).exp(), calls("softmax")),
        mistake("complement", "1 - p of the label is averaged; {op} takes -ln p",
                lambda _, y, x, labels: 1.0 - _select(y, labels).exp()),
        mistake("all classes", "the terms of all classes are added; {op} takes the term of the label only",
                lambda _, y, x, labels: -y.sum(-1)),
        mistake("logit", "the logits are not normalized; {op} takes the softmax of the logits first",
                lambda _, y, x, labels: -_select(x, labels)),
        mistake("no maximum", "the logit of the label is not subtracted; {op} subtracts it",
                lambda _, y, x, labels: x.logsumexp(-1)),
        mistake("binary", "each class has a separate binary cross-entropy; {op} normalizes over the classes",
                lambda _, y, x, labels: (functional.softplus(x) - x * functional.one_hot(labels, x.shape[-1])).sum(-1)),
        mistake("squares", "the squared error of the probabilities is taken; {op} takes -ln of the probability",
                lambda _, y, x, labels: ((y.exp() - functional.one_hot(labels, x.shape[-1])) ** 2).sum(-1)),
        mistake("shift", "the row maximum is subtracted inside the sum only; {op} shifts both terms",
                lambda rows, y, x, labels: rows - x.amax(-1)),
    ),
    "axis": AXES,
    "after": IN_LOGARITHMS,
    "eps": GUARDS,
    "smoothing": (
        mistake("smoothing", "the labels are smoothed by {c}; {op} does not smooth them",
                lambda rows, y, p, c: (1.0 - c) * rows - c * y.mean(-1), keyword("label_smoothing"), marks.number,
                numbers=(1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99)),
        mistake("focal", "the loss of each row is multiplied by (1 - p)^{c}, as in a focal loss; "
                "{op} does not weight the rows", lambda rows, y, p, c: (1.0 - p) ** c * rows, powers,
                numbers=(0.01, 0.3, 0.9, 1.1, 1.9, 2.1, 3.0, 5.0)),
    ),
    "scale": (generic.TEMPERATURE,),
})  # fmt: skip


def _compute_nll(s: Setting, p: Tensor, labels: Tensor) -> Tensor:
    rows = -s.change("eps", _select(p, labels).log())
    return reduce_rows(s, s.change("form", rows, p, labels), "none", columns=p.shape[-1])


OPERATIONS["nll_of_probabilities"] = Operation(_compute_nll, {
    "form": (
        mistake("logits", "the probabilities are taken for logits and normalized once more; {op} takes probabilities",
                lambda _, p, labels: -_select(torch.log_softmax(p, -1), labels),
                calls("cross_entropy", "softmax", "log_softmax", "CrossEntropyLoss")),
        mistake("missing log", "the logarithm is missing; {op} takes -ln of the probability",
                lambda _, p, labels: -_select(p, labels)),
        mistake("complement", "1 - p of the label is returned; {op} takes -ln p",
                lambda _, p, labels: 1.0 - _select(p, labels)),
        mistake("all classes", "the terms of all classes are added; {op} takes the term of the label only",
                lambda _, p, labels: -p.log().sum(-1)),
        mistake("both", "the terms of the other classes are added; {op} takes the term of the label only",
                lambda rows, p, labels: rows - torch.log1p(-p).sum(-1) + torch.log1p(-_select(p, labels))),
    ),
    "before": LABELS,
    "reduction": (*REDUCTIONS, _PER_ELEMENT),
    "after": IN_LOGARITHMS,
    "eps": GUARDS,
})  # fmt: skip


def _compute_bce(s: Setting, x: Tensor, t: Tensor) -> Tensor:
    def rows(yes: Tensor, no: Tensor, t: Tensor, weight: float, _: Tensor) -> Tensor:
        return -(weight * t * yes + (1.0 - t) * no)

    yes, no = (s.change("eps", functional.logsigmoid(scores)) for scores in (x, -x))
    return reduce_rows(s, s.call("form", rows, yes, no, t, s.numbers.get("weight", 1.0), x))


OPERATIONS["binary_cross_entropy_with_logits"] = Operation(_compute_bce, {
    "form": (
        mistake("half", "the term (1 - t) ln(1 - p) is missing; {op} adds the terms of both classes",
                lambda yes, no, t, *_: -t * yes),
        mistake("other half", "the term t ln p is missing; {op} adds the terms of both classes",
                lambda yes, no, t, *_: -(1.0 - t) * no),
        mistake("1 - t", "the targets are exchanged: 1 - t takes the place of t; {op} weights ln p with t",
                lambda yes, no, t, weight, _: -(weight * (1.0 - t) * yes + t * no)),
        mistake("hinge", "the hinge loss is computed; {op} is -t ln p - (1 - t) ln(1 - p)",
                lambda yes, no, t, _, x: functional.relu(1.0 - (2.0 * t - 1.0) * x)),
        mistake("squares", "the squared error of the probability is computed; {op} is -t ln p - (1 - t) ln(1 - p)",
                lambda yes, no, t, _, x: (torch.sigmoid(x) - t) ** 2),
    ),
    "before": (generic.SIGMOID_FIRST, generic.NEGATED_LOGITS),
    "weight": (
        mistake("weight", "the term t ln p has the weight {c}; {op} gives both classes the weight 1", None,
                keyword("pos_weight", "weight"), marks.number, numbers=generic.POSITIVE),
    ),
    "reduction": REDUCTIONS,
    "after": IN_LOGARITHMS,
    "eps": (
        GUARDS[0],
        clamp("the probability", lambda log_p, c: log_p.clamp(math.log(c), math.log1p(-c)), cap=generic.compute_cap),
        # The logarithms themselves are clamped.
        clamp("each probability", generic.clamp_in_log, "clamp below", cap=generic.compute_cap),
    ),
    "scale": (generic.TEMPERATURE,),
})  # fmt: skip


def _compute_squared_error(s: Setting, a: Tensor, b: Tensor) -> Tensor:
    rows = s.call("form", lambda d, *_: d**2, a - b, a, b)
    return rows if rows.ndim == 0 else reduce_rows(s, rows * s.declares.get("factor", 1.0))


OPERATIONS["squared_error"] = Operation(_compute_squared_error, {
    "form": (
        mistake("absolute", "absolute differences are taken; {op} takes squares",
                lambda d, *_: d.abs(), calls("abs", "l1_loss")),
        mistake("outer", "every prediction is compared with every target: [n, 1] is broadcast against [n]; "
                "{op} compares them one to one", lambda d, a, b: (a[:, None] - b) ** 2, subtracts),
        mistake("plus", "the sum is squared; {op} squares the difference", lambda d, a, b: (a + b) ** 2, adds),
        mistake("no square", "the differences are not squared; {op} squares them", lambda d, *_: d),
        mistake("square of mean", "the mean difference is squared; {op} takes the mean of the squares",
                lambda d, *_: d.mean() ** 2),
        mistake("variance", "the mean difference is subtracted first; {op} subtracts no mean",
                lambda d, *_: d.var(correction=0), calls("var")),
        mistake("fourth", "fourth powers are taken; {op} takes squares", lambda d, *_: d**4),
        mistake("huber", "the Huber loss is computed; {op} takes squares",
                lambda d, a, b: functional.smooth_l1_loss(a, b, reduction="none")),
        mistake("log", "ln(1 + difference^2) is taken; {op} takes squares", lambda d, *_: torch.log1p(d**2)),
        mistake("relative", "the differences are divided by the targets; {op} is absolute",
                lambda d, a, b: (d / b) ** 2),
    ),
    "reduction": REDUCTIONS,
    "after": (generic.ROOT, generic.SIGN, generic.LOGARITHM, generic.FACTOR, generic.CONSTANT),
})  # fmt: skip


def _compute_kl(s: Setting, log_q: Tensor, p: Tensor) -> Tensor:
    q, log_p = log_q.exp(), s.change("eps", p.log())
    log_q = s.change("eps", log_q)
    return s.call("form", lambda p, q, log_p, log_q: (p * (log_p - log_q)).sum(-1), p, q, log_p, log_q)  # type: ignore[no-any-return]


def _jensen_shannon(p: Tensor, q: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
    m = ((p + q) / 2.0).log()
    return 0.5 * ((p * (log_p - m)).sum(-1) + (q * (log_q - m)).sum(-1))


_KL_SLOTS = {
    "form": (
        mistake("swapped", "KL(q || p) is computed: p and q are exchanged; {op} is KL(p || q)",
                lambda p, q, log_p, log_q: (q * (log_q - log_p)).sum(-1)),
        mistake("cross", "the cross-entropy is computed: the term p ln p is missing; {op} is sum p (ln p - ln q)",
                lambda p, q, log_p, log_q: -(p * log_q).sum(-1)),
        mistake("entropy", "the entropy of p is computed; {op} is sum p (ln p - ln q)",
                lambda p, q, log_p, log_q: -(p * log_p).sum(-1)),
        mistake("no weights", "the differences are not weighted by p; {op} weights them",
                lambda p, q, log_p, log_q: (log_p - log_q).sum(-1)),
        mistake("wrong weights", "the differences are weighted by q; {op} weights them by p",
                lambda p, q, log_p, log_q: (q * (log_p - log_q)).sum(-1)),
        mistake("q", "the logarithm of q is missing; {op} is sum p (ln p - ln q)",
                lambda p, q, log_p, log_q: (p * (log_p - q)).sum(-1)),
        mistake("symmetric", "the symmetric divergence is computed; {op} is sum p (ln p - ln q)",
                lambda p, q, log_p, log_q: ((p - q) * (log_p - log_q)).sum(-1)),
        mistake("half symmetric", "half of the symmetric divergence is computed; {op} is sum p (ln p - ln q)",
                lambda p, q, log_p, log_q: 0.5 * ((p - q) * (log_p - log_q)).sum(-1)),
        mistake("jensen", "the Jensen-Shannon divergence is computed; {op} is sum p (ln p - ln q)", _jensen_shannon),
        mistake("squares", "the squared distance is computed; {op} is sum p (ln p - ln q)",
                lambda p, q, log_p, log_q: ((p - q) ** 2).sum(-1)),
    ),
    "after": (generic.OVER_COLUMNS, *IN_LOGARITHMS),
    "eps": (
        generic.eps("both probabilities before their logarithms are taken", generic.add_in_log),
        mistake("clamp", "both probabilities are clamped at {c}; {op} clamps nothing", generic.clamp_in_log,
                marks.number, calls("clamp"), numbers=generic.EPS),
    ),
}  # fmt: skip

OPERATIONS["kl_divergence_of_probabilities"] = Operation(
    lambda s, p, q: _compute_kl(s, s.change("eps q", q).log(), p), {
    **_KL_SLOTS,
    "eps q": (
        generic.eps("q before its logarithm is taken", lambda q, c: q + c),
        mistake("clamp", "q is clamped at {c}; {op} clamps nothing", lambda q, c: q.clamp(min=c),
                marks.number, numbers=generic.EPS),
    ),
})  # fmt: skip


def _compute_gaussian(s: Setting, mean: Tensor, target: Tensor, v: Tensor) -> Tensor:
    return reduce_rows(s, s.call("form", lambda d, v: (v.log() + d**2 / v) / 2.0, target - mean, v))


OPERATIONS["gaussian_nll"] = Operation(_compute_gaussian, {
    "form": (
        mistake("deviation", "the variance is taken for the standard deviation; {op} is given the variance",
                lambda d, v: v.log() + d**2 / (2.0 * v**2)),
        mistake("no log", "the term ln v is missing; {op} is (ln v + (t - m)^2 / v) / 2", lambda d, v: d**2 / v / 2.0),
        mistake("no variance", "the square is not divided by the variance; {op} divides by it",
                lambda d, v: (v.log() + d**2) / 2.0),
        mistake("whole log", "the half is missing before ln v; {op} halves both terms",
                lambda d, v: v.log() + d**2 / v / 2.0),
        mistake("whole square", "the half is missing before the square; {op} halves both terms",
                lambda d, v: v.log() / 2.0 + d**2 / v),
        mistake("log variance", "the variance is taken for its logarithm; {op} is given the variance",
                lambda d, v: (v + d**2 / v.exp()) / 2.0),
        mistake("minus", "ln v has the wrong sign; {op} adds it", lambda d, v: (d**2 / v - v.log()) / 2.0),
        mistake("absolute", "the difference is not squared; {op} squares it",
                lambda d, v: (v.log() + d.abs() / v) / 2.0),
        mistake("root", "the square is divided by the standard deviation; {op} divides by the variance",
                lambda d, v: (v.log() + d**2 / v.sqrt()) / 2.0),
    ),
    "after": (
        mistake("constant", "the constant term ln(2 pi) / 2 = 0.918939 is added; {op} leaves it out",
                lambda y, *_: y + math.log(2.0 * math.pi) / 2.0, keyword("full"), calls("log"), adds),
        *IN_LOGARITHMS,
    ),
    "reduction": REDUCTIONS,
    "before": (
        mistake("swapped", "mean and variance are exchanged; {op} takes the mean first", lambda m, t, v: (v, t, m)),
    ),
})  # fmt: skip

OPERATIONS["kl_divergence"] = Operation(_compute_kl, _KL_SLOTS)
