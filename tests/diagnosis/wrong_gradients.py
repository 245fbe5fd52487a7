"""Wrong functions with right values and no gradient, and wrong functions whose result has another shape."""

import torch
from diagnosis.wrong import wrong
from torch import Tensor
from torch.nn import functional


@wrong("softmax", "detached")
def softmax_of_detached_exponentials(x: Tensor) -> Tensor:
    """No gradient reaches the logits."""
    e = torch.exp(x - x.amax(-1, keepdim=True)).detach()
    return e / e.sum(-1, keepdim=True)


@wrong("cross_entropy", "detached")
def cross_entropy_of_items(x: Tensor, labels: Tensor) -> float:
    """A Python number has no gradient."""
    log_p = functional.log_softmax(x, -1)
    return sum(-row[label].item() for row, label in zip(log_p, labels, strict=True)) / len(labels)


@wrong("layer_norm", "part detached")
def layer_norm_of_constants(x: Tensor) -> Tensor:
    """The statistics of the row are constants of the gradient."""
    with torch.no_grad():
        mean = x.mean(-1, keepdim=True)
        variance = x.var(-1, keepdim=True, correction=0)
    return (x - mean) / torch.sqrt(variance + 1e-5)


@wrong("squared_error", "detached")
def squared_error_of_a_copy(prediction: Tensor, target: Tensor) -> Tensor:
    """The copy is another leaf."""
    prediction = prediction.clone().data
    return ((prediction - target) ** 2).mean()


@wrong("rms_norm", "part detached")
def rms_norm_of_a_constant_scale(x: Tensor) -> Tensor:
    """The scale of the row is a constant of the gradient."""
    scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True).detach() + 1e-5)
    return x * scale


@wrong("binary_cross_entropy_with_logits", "detached")
def binary_cross_entropy_without_graph(x: Tensor, targets: Tensor) -> Tensor:
    """All of it is computed without a graph."""
    with torch.no_grad():
        loss = functional.softplus(x) - targets * x
        return loss.mean()


@wrong("logsumexp", "keepdim")
def logsumexp_of_columns(x: Tensor) -> Tensor:
    """The reduced axis stays."""
    m = x.amax(-1, keepdim=True)
    return m + torch.log(torch.exp(x - m).sum(-1, keepdim=True))


@wrong("layer_norm", "no keepdim")
def layer_norm_without_keepdim(x: Tensor) -> Tensor:
    """The mean of each row is subtracted from a column, or does not fit."""
    return (x - x.mean(-1)) / torch.sqrt(x.var(-1, correction=0) + 1e-5)


@wrong("softmax", "no keepdim")
def softmax_without_keepdim(x: Tensor) -> Tensor:
    """The sum of each row divides a column, or does not fit."""
    e = torch.exp(x - x.max(-1, keepdim=True).values)
    return e / e.sum(-1)


@wrong("squared_error", "outer", reduction="none")
def squared_error_of_all_pairs(prediction: Tensor, target: Tensor) -> Tensor:
    """[n, 1] stands beside [n]."""
    return (prediction[:, None] - target) ** 2


@wrong("kl_divergence", "batch")
def kl_divergence_of_the_batch(log_q: Tensor, p: Tensor) -> Tensor:
    """The rows are added, too."""
    return torch.where(p > 0, p * (p.log() - log_q), 0.0).sum()


@wrong("variance", "axis")
def variance_of_columns(x: Tensor) -> Tensor:
    """The columns are reduced, so that the result has as many numbers as there are columns."""
    return ((x - x.mean(0)) ** 2).mean(0)
