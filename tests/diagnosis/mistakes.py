"""Wrong functions as students and engineers write them, and the names of their mistakes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Wrong:
    """A wrong function, its contract, and the keys of the variants that name the mistake."""

    function: Callable[..., Any]
    contract: str
    names: tuple[str, ...]
    declares: Mapping[str, Any] = field(default_factory=dict)


WRONG: list[Wrong] = []
"""All of them, in the order of this file: those at odd places are held back."""


def wrong(contract: str, *names: str, **declares: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the function below; each name may be one key or several keys joined by `+`."""

    def added(function: Callable[..., Any]) -> Callable[..., Any]:
        WRONG.append(Wrong(function, contract, names, declares))
        return function

    return added


# softmax


@wrong("softmax", "axis")
def softmax_over_columns(x: Tensor) -> Tensor:
    """Columns are summed."""
    e = torch.exp(x - x.amax(-1, keepdim=True))
    return e / e.sum(0, keepdim=True)


@wrong("softmax", "all")
def softmax_over_everything(x: Tensor) -> Tensor:
    """The whole batch is summed."""
    e = torch.exp(x)
    return e / e.sum()


@wrong("softmax", "axis")
def softmax_dim_zero(x: Tensor) -> Tensor:
    """The library's function over the wrong axis."""
    return torch.softmax(x, dim=0)


@wrong("softmax", "twice")
def softmax_twice(x: Tensor) -> Tensor:
    """Probabilities are normalized as if they were logits."""
    p = torch.softmax(x, -1)
    return torch.softmax(p, -1)


@wrong("softmax", "base2")
def softmax_of_powers_of_two(x: Tensor) -> Tensor:
    """Two is the base."""
    e = torch.exp2(x - x.amax(-1, keepdim=True))
    return e / e.sum(-1, keepdim=True)


@wrong("softmax", "sign")
def softmax_of_energies(x: Tensor) -> Tensor:
    """The logits have the other sign."""
    return torch.softmax(-x, -1)


@wrong("softmax", "eps")
def softmax_with_guard(x: Tensor) -> Tensor:
    """The divisor is guarded."""
    e = torch.exp(x - x.amax(-1, keepdim=True))
    return e / (e.sum(-1, keepdim=True) + 1e-6)


@wrong("softmax", "temperature")
def softmax_scaled(x: Tensor) -> Tensor:
    """Scaled as attention scores are."""
    return torch.softmax(x / math.sqrt(x.shape[-1]), -1)


# log_softmax


@wrong("log_softmax", "axis")
def log_softmax_over_columns(x: Tensor) -> Tensor:
    """Columns are summed."""
    return x - torch.logsumexp(x, 0, keepdim=True)


@wrong("log_softmax", "eps")
def log_softmax_guarded(x: Tensor) -> Tensor:
    """The logarithm is guarded."""
    return torch.log(torch.softmax(x, -1) + 1e-8)


@wrong("log_softmax", "log2")
def log_softmax_in_bits(x: Tensor) -> Tensor:
    """In bits."""
    return torch.log2(torch.softmax(x, -1))


@wrong("log_softmax", "shift")
def log_softmax_shift_lost(x: Tensor) -> Tensor:
    """The maximum is not subtracted from the first term."""
    m = x.amax(-1, keepdim=True)
    return x - torch.log(torch.exp(x - m).sum(-1, keepdim=True))


# logsumexp


@wrong("logsumexp", "shift")
def logsumexp_shift_lost(x: Tensor) -> Tensor:
    """The maximum is not added again."""
    m = x.amax(-1, keepdim=True)
    return torch.log(torch.exp(x - m).sum(-1))


@wrong("logsumexp", "mean")
def logmeanexp(x: Tensor) -> Tensor:
    """The mean of the exponentials."""
    return torch.log(torch.exp(x).mean(-1))


@wrong("logsumexp", "log1p")
def logsumexp_log1p(x: Tensor) -> Tensor:
    """One is added to the sum."""
    return torch.log1p(torch.exp(x).sum(-1))


@wrong("logsumexp", "log2")
def logsumexp_in_bits(x: Tensor) -> Tensor:
    """In bits."""
    return torch.log2(torch.exp(x).sum(-1))


# cross_entropy


@wrong("cross_entropy", "twice")
def cross_entropy_of_probabilities(x: Tensor, labels: Tensor) -> Tensor:
    """Softmax is applied twice."""
    return functional.cross_entropy(torch.softmax(x, -1), labels)


@wrong("cross_entropy", "eps")
def cross_entropy_guarded(x: Tensor, labels: Tensor) -> Tensor:
    """The logarithm is guarded."""
    p = torch.softmax(x, -1)
    return -torch.log(p[torch.arange(len(labels)), labels] + 1e-12).mean()


@wrong("cross_entropy", "clamp")
def cross_entropy_clamped(x: Tensor, labels: Tensor) -> Tensor:
    """The probability is clamped."""
    p = torch.softmax(x, -1).clamp(min=1e-7)
    return -torch.log(p[torch.arange(len(labels)), labels]).mean()


@wrong("cross_entropy", "sign")
def cross_entropy_negative(x: Tensor, labels: Tensor) -> Tensor:
    """The minus sign is missing."""
    return torch.log_softmax(x, -1)[torch.arange(len(labels)), labels].mean()


@wrong("cross_entropy", "axis")
def cross_entropy_over_columns(x: Tensor, labels: Tensor) -> Tensor:
    """The logits are normalized over the batch."""
    return functional.nll_loss(torch.log_softmax(x, 0), labels)


@wrong("cross_entropy", "smoothing")
def cross_entropy_smoothed(x: Tensor, labels: Tensor) -> Tensor:
    """Labels are smoothed."""
    return functional.cross_entropy(x, labels, label_smoothing=0.1)


@wrong("cross_entropy", "missing log")
def cross_entropy_without_logarithm(x: Tensor, labels: Tensor) -> Tensor:
    """The negative probability."""
    return functional.nll_loss(torch.softmax(x, -1), labels)


@wrong("cross_entropy", "per element")
def cross_entropy_mean_of_everything(x: Tensor, labels: Tensor) -> Tensor:
    """The mean runs over the classes, too."""
    hot = functional.one_hot(labels, x.shape[-1]).to(x.dtype)
    return -(hot * torch.log_softmax(x, -1)).mean()


@wrong("cross_entropy", "log2")
def cross_entropy_in_bits(x: Tensor, labels: Tensor) -> Tensor:
    """In bits."""
    return functional.cross_entropy(x, labels) / math.log(2)


@wrong("cross_entropy", "labels + 1")
def cross_entropy_next_label(x: Tensor, labels: Tensor) -> Tensor:
    """Labels count from one."""
    return functional.cross_entropy(x, (labels + 1) % x.shape[-1])


# nll_of_probabilities


@wrong("nll_of_probabilities", "eps")
def nll_guarded(p: Tensor, labels: Tensor) -> Tensor:
    """The logarithm is guarded."""
    return -torch.log(p[torch.arange(len(labels)), labels] + 1e-8)


@wrong("nll_of_probabilities", "logits")
def nll_of_logits(p: Tensor, labels: Tensor) -> Tensor:
    """Probabilities are taken for logits."""
    return functional.cross_entropy(p, labels, reduction="none")


@wrong("nll_of_probabilities", "log2")
def nll_in_bits(p: Tensor, labels: Tensor) -> Tensor:
    """In bits."""
    return -torch.log2(p[torch.arange(len(labels)), labels])


# binary_cross_entropy


@wrong("binary_cross_entropy_with_logits", "half")
def bce_one_term(x: Tensor, t: Tensor) -> Tensor:
    """The term of the other class is missing."""
    return -(t * functional.logsigmoid(x)).mean()


@wrong("binary_cross_entropy_with_logits", "clamp")
def bce_clamped(x: Tensor, t: Tensor) -> Tensor:
    """The probability is clamped on both sides."""
    p = torch.sigmoid(x).clamp(1e-7, 1 - 1e-7)
    return -(t * torch.log(p) + (1 - t) * torch.log(1 - p)).mean()


@wrong("binary_cross_entropy_with_logits", "eps")
def bce_guarded(x: Tensor, t: Tensor) -> Tensor:
    """Both logarithms are guarded."""
    p = torch.sigmoid(x)
    return -(t * torch.log(p + 1e-6) + (1 - t) * torch.log(1 - p + 1e-6)).mean()


@wrong("binary_cross_entropy_with_logits", "twice")
def bce_sigmoid_twice(x: Tensor, t: Tensor) -> Tensor:
    """The sigmoid is applied twice."""
    return functional.binary_cross_entropy_with_logits(torch.sigmoid(x), t)


@wrong("binary_cross_entropy_with_logits", "sign", "1 - t")
def bce_other_class(x: Tensor, t: Tensor) -> Tensor:
    """The classes are exchanged."""
    return functional.binary_cross_entropy_with_logits(x, 1 - t)


# squared_error


@wrong("squared_error", "root")
def rmse(a: Tensor, b: Tensor) -> Tensor:
    """The root of the mean."""
    return torch.sqrt(((a - b) ** 2).mean())


@wrong("squared_error", "absolute")
def mae(a: Tensor, b: Tensor) -> Tensor:
    """The mean absolute error."""
    return (a - b).abs().mean()


@wrong("squared_error", "n - 1")
def mse_unbiased(a: Tensor, b: Tensor) -> Tensor:
    """The sum is divided by n - 1."""
    return ((a - b) ** 2).sum() / (len(a) - 1)


@wrong("squared_error", "outer")
def mse_broadcast(a: Tensor, b: Tensor) -> Tensor:
    """A column is compared with a row."""
    return ((a.reshape(-1, 1) - b) ** 2).mean()


@wrong("squared_error", "factor")
def mse_double(a: Tensor, b: Tensor) -> Tensor:
    """A factor of two."""
    return 2 * ((a - b) ** 2).mean()


@wrong("squared_error", "plus")
def mse_of_sum(a: Tensor, b: Tensor) -> Tensor:
    """Plus for minus."""
    return ((a + b) ** 2).mean()


# layer_norm


@wrong("layer_norm", "n - 1")
def layer_norm_unbiased(x: Tensor) -> Tensor:
    """The unbiased variance."""
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True) + 1e-5)


@wrong("layer_norm", "n - 1+eps", "n - 1+eps outside")
def layer_norm_by_std(x: Tensor) -> Tensor:
    """The unbiased deviation, to which eps is added."""
    return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6)


@wrong("layer_norm", "eps outside")
def layer_norm_eps_outside(x: Tensor) -> Tensor:
    """Eps is added to the root."""
    c = x - x.mean(-1, keepdim=True)
    return c / (torch.sqrt((c * c).mean(-1, keepdim=True)) + 1e-5)


@wrong("layer_norm", "axis")
def layer_norm_over_the_batch(x: Tensor) -> Tensor:
    """As batch normalization does."""
    m, v = x.mean(0, keepdim=True), x.var(0, keepdim=True, correction=0)
    return (x - m) / torch.sqrt(v + 1e-5)


@wrong("layer_norm", "no mean")
def layer_norm_uncentred(x: Tensor) -> Tensor:
    """The mean stays."""
    return x / torch.sqrt(x.var(-1, keepdim=True, correction=0) + 1e-5)


@wrong("layer_norm", "all")
def layer_norm_of_everything(x: Tensor) -> Tensor:
    """One mean and one variance for the batch."""
    return (x - x.mean()) / torch.sqrt(x.var(correction=0) + 1e-5)


@wrong("layer_norm", "no root")
def layer_norm_by_variance(x: Tensor) -> Tensor:
    """The root is missing."""
    c = x - x.mean(-1, keepdim=True)
    return c / ((c * c).mean(-1, keepdim=True) + 1e-5)


# rms_norm


@wrong("rms_norm", "sum")
def rms_norm_by_length(x: Tensor) -> Tensor:
    """The Euclidean length."""
    return x / torch.sqrt((x * x).sum(-1, keepdim=True) + 1e-6)


@wrong("rms_norm", "centred")
def rms_norm_centred(x: Tensor) -> Tensor:
    """The mean is subtracted."""
    c = x - x.mean(-1, keepdim=True)
    return c / torch.sqrt((c * c).mean(-1, keepdim=True) + 1e-6)


@wrong("rms_norm", "axis")
def rms_norm_over_the_batch(x: Tensor) -> Tensor:
    """The mean square of the columns."""
    return x / torch.sqrt(x.square().mean(0, keepdim=True) + 1e-6)


# variance


@wrong("variance", "sum")
def variance_not_divided(x: Tensor) -> Tensor:
    """The sum of squares."""
    return ((x - x.mean(-1, keepdim=True)) ** 2).sum(-1)


@wrong("variance", "root")
def standard_deviation(x: Tensor) -> Tensor:
    """The root."""
    return x.std(-1, correction=0)


@wrong("variance", "no mean")
def variance_uncentred(x: Tensor) -> Tensor:
    """The mean square."""
    return (x * x).mean(-1)


@wrong("variance", "n - 2", "n + 1")
def variance_other_divisor(x: Tensor) -> Tensor:
    """The sum of squares over n + 1."""
    return ((x - x.mean(-1, keepdim=True)) ** 2).sum(-1) / (x.shape[-1] + 1)


# entropy


@wrong("entropy", "sign")
def entropy_negative(x: Tensor) -> Tensor:
    """The minus sign is missing."""
    return (torch.softmax(x, -1) * torch.log_softmax(x, -1)).sum(-1)


@wrong("entropy", "log2")
def entropy_in_bits(x: Tensor) -> Tensor:
    """In bits."""
    p = torch.softmax(x, -1)
    return -(p * torch.log2(p)).sum(-1)


@wrong("entropy", "mean")
def entropy_mean(x: Tensor) -> Tensor:
    """The mean over the classes."""
    return -(torch.softmax(x, -1) * torch.log_softmax(x, -1)).mean(-1)


@wrong("entropy", "eps")
def entropy_guarded(x: Tensor) -> Tensor:
    """The logarithm is guarded."""
    p = torch.softmax(x, -1)
    return -(p * torch.log(p + 1e-9)).sum(-1)


# kl_divergence


@wrong("kl_divergence", "swapped")
def kl_swapped(log_q: Tensor, p: Tensor) -> Tensor:
    """The divergence the other way round."""
    return (log_q.exp() * (log_q - p.log())).sum(-1)


@wrong("kl_divergence", "cross")
def kl_without_entropy(log_q: Tensor, p: Tensor) -> Tensor:
    """The cross-entropy."""
    return -(p * log_q).sum(-1)


@wrong("kl_divergence", "mean")
def kl_mean(log_q: Tensor, p: Tensor) -> Tensor:
    """The mean over the classes."""
    return functional.kl_div(log_q, p, reduction="none").mean(-1)


@wrong("kl_divergence_of_probabilities", "swapped")
def kl_of_probabilities_swapped(p: Tensor, q: Tensor) -> Tensor:
    """The divergence the other way round."""
    return (q * (q / p).log()).sum(-1)


@wrong("kl_divergence_of_probabilities", "eps")
def kl_of_probabilities_guarded(p: Tensor, q: Tensor) -> Tensor:
    """Both logarithms are guarded."""
    return (p * (torch.log(p + 1e-10) - torch.log(q + 1e-10))).sum(-1)


# gaussian_nll


@wrong("gaussian_nll", "deviation")
def gaussian_of_deviation(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The variance is taken for a standard deviation."""
    return (torch.log(variance) + (target - mean) ** 2 / (2 * variance**2)).mean()


@wrong("gaussian_nll", "constant")
def gaussian_full(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """With the constant term."""
    return functional.gaussian_nll_loss(mean, target, variance, full=True)


@wrong("gaussian_nll", "factor")
def gaussian_doubled(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The half is missing."""
    return (torch.log(variance) + (target - mean) ** 2 / variance).mean()


# sigmoid, softplus, logsigmoid, logaddexp


@wrong("sigmoid", "sign")
def sigmoid_mirrored(x: Tensor) -> Tensor:
    """The sign of x is lost."""
    return 1 / (1 + torch.exp(x))


@wrong("sigmoid", "tanh")
def sigmoid_tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent is not scaled."""
    return (torch.tanh(x) + 1) / 2


@wrong("softplus", "log2")
def softplus_in_bits(x: Tensor) -> Tensor:
    """In bits."""
    return torch.log2(1 + torch.exp(x))


@wrong("softplus", "relu")
def softplus_relu(x: Tensor) -> Tensor:
    """The limit for large x."""
    return torch.relu(x)


@wrong("logsigmoid", "eps")
def logsigmoid_guarded(x: Tensor) -> Tensor:
    """The logarithm is guarded."""
    return torch.log(torch.sigmoid(x) + 1e-8)


@wrong("logsigmoid", "negative")
def logsigmoid_negative(x: Tensor) -> Tensor:
    """The negative of the result."""
    return functional.softplus(-x)


@wrong("logaddexp", "shift")
def logaddexp_shift_lost(a: Tensor, b: Tensor) -> Tensor:
    """The maximum is not added again."""
    return torch.log1p(torch.exp(-(a - b).abs()))


@wrong("logaddexp", "log2")
def logaddexp_in_bits(a: Tensor, b: Tensor) -> Tensor:
    """In powers of two."""
    return torch.logaddexp2(a, b)


# masked_softmax


@wrong("masked_softmax", "inverted")
def masked_softmax_inverted(x: Tensor, keep: Tensor) -> Tensor:
    """The mask is taken for what is dropped."""
    return torch.softmax(x.masked_fill(keep, -torch.inf), -1)


@wrong("masked_softmax", "zero")
def masked_softmax_of_zeros(x: Tensor, keep: Tensor) -> Tensor:
    """Dropped logits are zero, and not minus infinity."""
    return torch.softmax(x * keep, -1)


@wrong("masked_softmax", "not normalized")
def masked_softmax_after(x: Tensor, keep: Tensor) -> Tensor:
    """The mask is applied after the normalization."""
    return torch.softmax(x, -1) * keep


# sgd, linear


@wrong("sgd", "sign")
def sgd_uphill(parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
    """Up the slope."""
    return parameter + lr * gradient


@wrong("sgd", "mean")
def sgd_per_element(parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
    """The step is divided by n."""
    return parameter - lr * gradient / len(parameter)


@wrong("linear", "no bias")
def linear_without_bias(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The bias is ignored."""
    return x @ weight.T


@wrong("linear", "minus")
def linear_minus(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The bias is subtracted."""
    return x @ weight.T - bias


@wrong("accuracy", "count")
def accuracy_count(scores: Tensor, labels: Tensor) -> Tensor:
    """A count, and not a share."""
    return (scores.argmax(-1) == labels).sum().to(scores.dtype)


@wrong("accuracy", "error")
def accuracy_error(scores: Tensor, labels: Tensor) -> Tensor:
    """The error rate."""
    return (scores.argmax(-1) != labels).to(scores.dtype).mean()


@wrong("one_hot", "labels + 1")
def one_hot_next(labels: Tensor, k: int) -> Tensor:
    """Labels count from one."""
    return functional.one_hot((labels + 1) % k, k)
