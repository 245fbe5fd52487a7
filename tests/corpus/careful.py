"""Forms of the operations that a careful engineer writes: none of them may be called wrong.

A textbook, a library or a reviewer would accept each form: it subtracts the row maximum, computes the variance in two
passes, or accumulates 16-bit numbers in float32. A better algorithm may keep more digits, which is no defect. The few
forms with a defect state it.
"""

from typing import Any

import torch
from corpus.specimen import careful
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


@careful("softmax")
def shifted_softmax(x: Tensor) -> Tensor:
    """Subtracts the row maximum first."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)


@careful("softmax")
def softmax_in_float32(x: Tensor) -> Tensor:
    """Computed in float32 at least, and returned in the format of the input."""
    return shifted_softmax(_wide(x)).to(x.dtype)


@careful("softmax")
def exponential_of_the_log_softmax(x: Tensor) -> Tensor:
    """Usual in attention that also needs the logarithms."""
    return functional.log_softmax(x, -1).exp()


@careful("log_softmax")
def shifted_log_softmax(x: Tensor) -> Tensor:
    """The gap to the row maximum, less the logarithm of the sum."""
    s = x - x.amax(-1, keepdim=True)
    return s - s.exp().sum(-1, keepdim=True).log()


@careful("log_softmax")
def log_softmax_in_float32(x: Tensor) -> Tensor:
    """Computed in float32 at least."""
    return shifted_log_softmax(_wide(x)).to(x.dtype)


@careful("logsumexp")
def logsumexp_of_a_constant_maximum(x: Tensor) -> Tensor:
    """The maximum is a constant to autograd, and zero where it is infinite."""
    m = x.detach().amax(-1, keepdim=True)
    m = torch.where(m.isfinite(), m, 0.0)
    return m.squeeze(-1) + (x - m).exp().sum(-1).log()


@careful("entropy")
def entropy_without_log1p(x: Tensor) -> Tensor:
    """``-sum p ln p`` of the shifted log-softmax; impossible classes are dropped before the product."""
    y = shifted_log_softmax(x)
    return -(y.exp() * torch.where(y.isinf(), 0.0, y)).sum(-1)


@careful("entropy")
def entropy_of_shifted_logits(x: Tensor) -> Tensor:
    """``ln S - sum p s`` of the shifted logits."""
    s = x - x.amax(-1, keepdim=True)
    e = s.exp()
    total = e.sum(-1)
    return total.log() - (e * torch.where(s.isinf(), 0.0, s)).sum(-1) / total


@careful("logaddexp")
def logaddexp_without_log1p(a: Tensor, b: Tensor) -> Tensor:
    """Adds the larger number and ``log(1 + exp(-|a - b|))``; equal numbers are not subtracted."""
    d = torch.where(a == b, 0.0, a - b).abs()
    return torch.maximum(a, b) + torch.log(1.0 + torch.exp(-d))


@careful("logaddexp")
def logaddexp_with_log1p(a: Tensor, b: Tensor) -> Tensor:
    """The same by ``log1p``."""
    d = torch.where(a == b, 0.0, a - b).abs()
    return torch.maximum(a, b) + torch.log1p(torch.exp(-d))


@careful("softplus")
def softplus_by_logsigmoid(x: Tensor) -> Tensor:
    """``-ln sigmoid(-x)``."""
    return -functional.logsigmoid(-x)


@careful("rms_norm", eps=1e-6)
def t5_layer_norm(x: Tensor) -> Tensor:
    """T5's layer norm: no mean is subtracted, and the result multiplies the row in its original format."""
    variance = _wide(x).pow(2).mean(-1, keepdim=True)
    return (x * torch.rsqrt(variance + 1e-6)).to(x.dtype)


@careful("layer_norm", eps=1e-5)
def layer_norm_through_its_maximum(x: Tensor) -> Tensor:
    """Scales by the largest deviation, and differentiates through it."""
    wide = _wide(x)
    d = wide - wide.mean(-1, keepdim=True)
    largest = d.abs().amax(-1, keepdim=True).clamp(min=1.0)
    z = d / largest
    return (z / torch.sqrt((z * z).mean(-1, keepdim=True) + 1e-5 / largest**2)).to(x.dtype)


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        m = x.amax(-1, keepdim=True)
        shift = torch.where(m.isfinite(), m, 0.0)
        s = x - shift
        logarithm = s.exp().sum(-1, keepdim=True).log()
        ctx.save_for_backward(s, logarithm)
        return (shift + logarithm).squeeze(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v: Tensor) -> Tensor:
        s, logarithm = ctx.saved_tensors
        return v[..., None] * (s - logarithm).exp()


@careful("logsumexp")
def logsumexp_with_its_own_backward(x: Tensor) -> Tensor:
    """The gradient is the exponential of the log-softmax: the gap is rounded twice."""
    y: Tensor = _LogSumExp.apply(x)
    return y


@careful("cross_entropy")
def cross_entropy_of_shifted_logits(x: Tensor, labels: Tensor) -> Tensor:
    """The mean of the log-softmax at the labels."""
    return -shifted_log_softmax(x).gather(-1, labels[:, None]).mean()


@careful("cross_entropy")
def cross_entropy_by_logsumexp(x: Tensor, labels: Tensor) -> Tensor:
    """The logsumexp less the label's logit, both of shifted logits."""
    s = x - x.amax(-1, keepdim=True)
    return (s.exp().sum(-1).log() - s.gather(-1, labels[:, None]).squeeze(-1)).mean()


@careful("nll_of_probabilities")
def indexed_loss(p: Tensor, labels: Tensor) -> Tensor:
    """The chapter's loss."""
    return -torch.log(p[range(len(p)), labels])


@careful("kl_divergence")
def divergence_by_where(log_q: Tensor, p: Tensor) -> Tensor:
    """Impossible classes are dropped before and after the product."""
    safe = torch.where(p > 0, p, 1.0)
    return torch.where(p > 0, p * (safe.log() - torch.where(p > 0, log_q, 0.0)), 0.0).sum(-1)


@careful("kl_divergence")
def divergence_by_xlogy(log_q: Tensor, p: Tensor) -> Tensor:
    """``p ln p - p log_q``."""
    return (torch.xlogy(p, p) - torch.where(p > 0, p * log_q, 0.0)).sum(-1)


@careful("sigmoid")
def sigmoid_of_two_branches(x: Tensor) -> Tensor:
    """Both branches take the exponential of a number that is not positive."""
    e = torch.where(x < 0, x, 0.0).exp()
    return torch.where(x >= 0, 1.0 / (1.0 + torch.where(x >= 0, -x, 0.0).exp()), e / (1.0 + e))


@careful("sigmoid")
def exponential_of_the_logsigmoid(x: Tensor) -> Tensor:
    """Usual if the logarithm is already computed."""
    return functional.logsigmoid(x).exp()


@careful("softplus")
def softplus_of_clamp_and_abs(x: Tensor) -> Tensor:
    """``max(x, 0) + log1p(exp(-|x|))``."""
    return x.clamp(min=0.0) + torch.log1p(torch.exp(-x.abs()))


@careful("logsigmoid")
def logsigmoid_of_clamp_and_abs(x: Tensor) -> Tensor:
    """``min(x, 0) - log1p(exp(-|x|))``."""
    return x.clamp(max=0.0) - torch.log1p(torch.exp(-x.abs()))


@careful("binary_cross_entropy_with_logits")
def bce_of_clamp_and_abs(x: Tensor, y: Tensor) -> Tensor:
    """``max(x, 0) - x y + log1p(exp(-|x|))``."""
    return (x.clamp(min=0.0) - x * y + torch.log1p(torch.exp(-x.abs()))).mean()


@careful("binary_cross_entropy_with_logits")
def bce_by_logsigmoid(x: Tensor, y: Tensor) -> Tensor:
    """``(1 - y) x - ln sigmoid(x)``, like torch."""
    return ((1.0 - y) * x - functional.logsigmoid(x)).mean()


@careful("variance")
def two_pass_variance(x: Tensor) -> Tensor:
    """The mean square of the deviations, in float32 at least."""
    wide = _wide(x)
    return ((wide - wide.mean(-1, keepdim=True)) ** 2).mean(-1).to(x.dtype)


@careful("variance", correction=1)
def unbiased_variance(x: Tensor) -> Tensor:
    """Divides by n - 1."""
    wide = _wide(x)
    return (((wide - wide.mean(-1, keepdim=True)) ** 2).sum(-1) / (x.shape[-1] - 1)).to(x.dtype)


@careful("variance")
def variance_by_pairwise_sums(x: Tensor) -> Tensor:
    """Adds neighbors first, then their sums."""
    wide = _wide(x)
    d = wide - _pairwise(wide)[..., None] / x.shape[-1]
    return (_pairwise(d * d) / x.shape[-1]).to(x.dtype)


@careful("layer_norm", eps=1e-5)
def two_pass_layer_norm(x: Tensor) -> Tensor:
    """A reciprocal root, in float32 at least."""
    wide = _wide(x)
    d = wide - wide.mean(-1, keepdim=True)
    return (d * torch.rsqrt((d * d).mean(-1, keepdim=True) + 1e-5)).to(x.dtype)


@careful("layer_norm", eps=1e-5)
def layer_norm_by_division(x: Tensor) -> Tensor:
    """A root and a quotient."""
    wide = _wide(x)
    variance, mean = torch.var_mean(wide, -1, correction=0, keepdim=True)
    return ((wide - mean) / torch.sqrt(variance + 1e-5)).to(x.dtype)


@careful("squared_error")
def squares_along_the_last_axis(prediction: Tensor, target: Tensor) -> Tensor:
    """Keras' loss per row: a column of predictions is broadcast against a row of targets."""
    target = target if target.ndim == prediction.ndim else target[..., None]
    return (prediction - target).square().mean(-1)


@careful("kl_divergence_of_probabilities", normalised="yes")
def kl_of_what_is_normalised(p: Tensor, q: Tensor) -> Tensor:
    """Normalizes both, then subtracts the logarithms, like torchmetrics."""
    p, q = (x / x.sum(-1, keepdim=True) for x in (p, q))
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum(-1)


@careful("sgd_with_momentum", decay="decoupled")
def sgd_of_a_decayed_parameter(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """Multiplies the parameter by the decay before the step, like timm's SGDW."""
    buffer = None
    for gradient in gradients:
        buffer = gradient if buffer is None else momentum * buffer + gradient
        step = gradient + momentum * buffer if nesterov else buffer
        parameter = parameter * (1.0 - lr * weight_decay) - lr * step
    return parameter.clone()


@careful("sgd_with_momentum", decay="decoupled")
def sgd_of_one_update(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """Adds the decay to the step and not to the buffer, like AdamW in one line."""
    buffer = None
    for gradient in gradients:
        buffer = gradient if buffer is None else momentum * buffer + gradient
        step = gradient + momentum * buffer if nesterov else buffer
        parameter = parameter - lr * (step + weight_decay * parameter)
    return parameter.clone()


@careful("rms_norm", eps=0.0, norm_floor=1e-12)
def rms_norm_of_a_floored_norm(x: Tensor) -> Tensor:
    """Normalizes the row to a unit vector in float32 or wider, like x-transformers."""
    return (functional.normalize(_wide(x), dim=-1) * x.shape[-1] ** 0.5).to(x.dtype)


@careful("rms_norm", eps=0.0, floor=1e-8)
def rms_norm_of_a_floored_root(x: Tensor) -> Tensor:
    """Divides by the norm over the root of the length, limited to at least 1e-8."""
    wide = _wide(x)
    norm = wide.norm(dim=-1, keepdim=True) * x.shape[-1] ** -0.5
    return (wide / norm.clamp(min=1e-8)).to(x.dtype)


@careful("rms_norm", eps=0.0)
def rms_norm_by_division(x: Tensor) -> Tensor:
    """Adds no eps: a row of zeros gives NaN."""
    wide = _wide(x)
    return (wide / wide.square().mean(-1, keepdim=True).sqrt()).to(x.dtype)


@careful("layer_norm", eps=0.0)
def layer_norm_without_eps(x: Tensor) -> Tensor:
    """Adds no eps: a constant row gives NaN, or values near 1."""
    wide = _wide(x)
    centred = wide - wide.mean(-1, keepdim=True)
    return (centred / centred.square().mean(-1, keepdim=True).sqrt()).to(x.dtype)


@careful("rms_norm", eps=1e-5)
def llama_rms_norm(x: Tensor) -> Tensor:
    """Llama's norm, with eps 1e-5."""
    wide = _wide(x)
    return (wide / torch.sqrt((wide * wide).mean(-1, keepdim=True) + 1e-5)).to(x.dtype)


@careful("masked_softmax", fully_masked="zeros")
def masked_softmax_with_zeros(x: Tensor, keep: Tensor) -> Tensor:
    """Returns zeros for a fully masked row."""
    filled = torch.where(keep, x, -torch.inf)
    m = filled.detach().amax(-1, keepdim=True)
    e = torch.where(keep, (filled - torch.where(m.isinf(), 0.0, m)).exp(), 0.0)
    total = e.sum(-1, keepdim=True)
    return e / torch.where(total > 0, total, 1.0)


@careful("squared_error")
def mean_of_squares(a: Tensor, b: Tensor) -> Tensor:
    """The mean of the squared differences."""
    return ((a - b) ** 2).mean()


@careful("squared_error")
def squares_by_pairwise_sums(a: Tensor, b: Tensor) -> Tensor:
    """Adds pairwise, in float32 or wider."""
    d = _wide(a) - _wide(b)
    return (_pairwise(d * d) / len(a)).to(a.dtype)


@careful("gaussian_nll")
def gaussian_likelihood(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """``(ln v + (y - m)^2 / v) / 2``."""
    return (0.5 * (variance.log() + (target - mean) ** 2 / variance)).mean()


@careful("linear")
def matrix_product(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``X W^T + b``."""
    return X @ weight.T + bias


@careful("linear")
def einstein_sum(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The same as a sum over an index."""
    return torch.einsum("nd,md->nm", X, weight) + bias


@careful("linear")
def fused_linear(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Torch's function."""
    return functional.linear(X, weight, bias)


def _wide(x: Tensor) -> Tensor:
    """Float32 for the 16-bit formats."""
    return x if x.dtype == torch.float64 else x.float()


def _pairwise(x: Tensor) -> Tensor:
    """Sum along the last axis, halves first."""
    while x.shape[-1] > 1:
        odd = x[..., -1:] if x.shape[-1] % 2 else x[..., :0]
        x = torch.cat([x[..., 0 : x.shape[-1] - 1 : 2] + x[..., 1::2], odd], -1)
    return x.sum(-1)


KINK = "the derivatives of max(x, 0) and |x| at zero do not add up to the limit: 1 or 0 for 1/2"

DEFECTS = {
    "softplus_of_clamp_and_abs": {"gradient": KINK, "gradient_at_zero": KINK, "gradient_at_infinity": KINK},
    "logsigmoid_of_clamp_and_abs": {"gradient": KINK, "gradient_at_zero": KINK, "gradient_at_infinity": KINK},
    "bce_of_clamp_and_abs": {"gradient": KINK, "gradient_at_zero": KINK},
}
"""Real defects of these forms. The example for a gradient at infinities contains zeros."""
