"""Wrong normalizations, statistics, divergences, elementwise functions and steps."""

import torch
from diagnosis.wrong import wrong
from torch import Tensor
from torch.nn import functional

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
    """Statistics of the batch, as in batch normalization."""
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
    """The mask selects the dropped entries."""
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
