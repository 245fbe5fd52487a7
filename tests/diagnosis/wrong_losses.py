"""Wrong softmaxes, logarithms of sums and losses."""

import math

import torch
from diagnosis.wrong import wrong
from torch import Tensor
from torch.nn import functional

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
    """The logits are scaled like attention scores."""
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
    """A plus sign instead of a minus sign."""
    return ((a + b) ** 2).mean()
