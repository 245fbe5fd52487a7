"""NaN from invalid operations, and gradients that are lost or invalid."""

from collections.abc import Callable
from typing import Any

import torch
from causes.known import loses
from torch import Tensor

_INF = float("inf")


@loses("entropy", "impossible_classes_are_ignored", "invalid mul", float32={"logits": [[0.0, 1.0, -_INF]]})
@loses("entropy", "impossible_classes_are_ignored", "invalid mul", float64={"logits": [[0.0, -_INF]]})
@loses("entropy", "value", "invalid mul", float32={"logits": [[0.0, 200.0]]}, float64={"logits": [[0.0, 900.0]]})
def entropy_of_zero_times_a_pole(x: Tensor) -> Tensor:
    """0 log 0."""
    p = x.softmax(-1)
    return -(p * p.log()).sum(-1)  # here


@loses(
    "kl_divergence",
    "zero_probability_adds_nothing",
    "invalid mul",
    float32={"log_q": [[-0.6931472, -0.6931472]], "p": [[1.0, 0.0]]},
    float64={"log_q": [[-0.6931471805599453, -0.6931471805599453]], "p": [[1.0, 0.0]]},
)
def kl_divergence_of_zero(log_q: Tensor, p: Tensor) -> Tensor:
    """0 (log 0 - log q)."""
    return (p * (p.log() - log_q)).sum(-1)  # here


@loses("logsumexp", "fully_masked_row", "invalid sub", float32={"logits": [[-_INF, -_INF]]})
@loses("logsumexp", "fully_masked_row", "invalid sub", float64={"logits": [[-_INF]]})
def logsumexp_shifted_by_a_mask(x: Tensor) -> Tensor:
    """-inf - -inf."""
    largest = x.amax(-1, keepdim=True)
    shifted = x - largest  # here
    return largest[..., 0] + shifted.exp().sum(-1).log()


@loses("logaddexp", "infinite_terms", "invalid sub", float32={"a": [-_INF], "b": [-_INF]})
def logaddexp_of_nothing(a: Tensor, b: Tensor) -> Tensor:
    """-inf - -inf."""
    gap = a - b  # here
    return torch.maximum(a, b) + torch.log1p(torch.exp(-gap.abs()))


@loses("rms_norm", "zeros_stay", "invalid div", float32={"x": [[0.0, 0.0]]}, float64={"x": [[0.0]]})
def rms_norm_without_eps(x: Tensor) -> Tensor:
    """0 / 0."""
    root = (x * x).mean(-1, keepdim=True).sqrt()
    return x / root  # here


@loses(
    "masked_softmax",
    "gradient_ignores_masked_values",
    "none",
    float32={"logits": [[1.0, 2.0]], "keep": {"bool": [[True, False]]}, "cotangent": [[1.0, 0.0]]},
)
def masked_softmax_that_multiplies(x: Tensor, keep: Tensor) -> Tensor:
    """The mask is a factor: wrong by arithmetic, not by rounding."""
    return (x * keep).softmax(-1)


@loses(
    "softmax",
    "gradient_of_masked_rows",
    "invalid mul",
    float32={"logits": [[0.0, -_INF]], "cotangent": [[1.0, 0.0]]},
)
def softmax_mended_after_the_fact(x: Tensor) -> Tensor:
    """Replaces NaN in the value by where, but not in the gradient."""
    p = x.softmax(-1)
    factor = x * 0 + 1  # here
    return torch.where(x.isneginf(), torch.zeros_like(p), p * factor)


@loses("softplus", "gradient", "overflow exp", float32={"x": [-100.0], "cotangent": [1.0]})
@loses("softplus", "gradient", "overflow exp", float64={"x": [-720.0], "cotangent": [1.0]})
def softplus_by_where(x: Tensor) -> Tensor:
    """The branch that is not taken overflows, and its gradient is zero times infinity."""
    above = x + torch.log1p(torch.exp(-x))  # here
    return torch.where(x > 0, above, torch.log1p(torch.exp(x.clamp(max=0))))


LOG_1_MINUS_EXP = "formula(x: positive): log(1 - exp(-x))"


@loses(
    LOG_1_MINUS_EXP,
    "gradient_finite",
    "invalid where",
    backward=True,
    float32={"x": ["0x1p-42"], "cotangent": [-1.0]},
    float64={"x": ["0x1p-340"], "cotangent": [1.0]},
)
def log1mexp_by_where(x: Tensor) -> Tensor:
    """The branch that is not selected is the logarithm of zero, whose slope is infinite."""
    near, far = torch.log(-torch.expm1(-x)), torch.log1p(-torch.exp(-x))
    return torch.where(x <= 0.6931471805599453, near, far)  # here


@loses(
    LOG_1_MINUS_EXP, "gradient_finite", "invalid masked_fill", backward=True, float32={"x": [1e-9], "cotangent": [1.0]}
)
def log1mexp_by_a_mask(x: Tensor) -> Tensor:
    """A mask gives a zero gradient to the logarithm of zero, too."""
    hidden = torch.log1p(-torch.exp(-x)).masked_fill(x <= 0.6931471805599453, 0.0)  # here
    return hidden + torch.where(x <= 0.6931471805599453, torch.log(-torch.expm1(-x)), torch.zeros_like(x))


@loses("softplus", "gradient_at_zero", "invalid sqrt", backward=True, float32={"x": [0.0], "cotangent": [1.0]})
@loses("softplus", "gradient_at_zero", "invalid sqrt", backward=True, float64={"x": [0.0], "cotangent": [1.0]})
def softplus_by_a_root(x: Tensor) -> Tensor:
    """The absolute value as the root of a square."""
    size = torch.sqrt(x * x)  # here
    return (x + size) / 2 + torch.log1p(torch.exp(-size))


@loses("layer_norm", "gradient", "invalid sqrt", backward=True, float32={"x": [[1.0, 1.0]], "cotangent": [[1.0, 0.0]]})
def layer_norm_with_where(x: Tensor) -> Tensor:
    """The root of zero is replaced, its gradient is not."""
    centred = x - x.mean(-1, keepdim=True)
    variance = (centred * centred).mean(-1, keepdim=True)
    spread = variance.sqrt()  # here
    return centred / torch.where(variance > 0, (spread * spread + 1e-5).sqrt(), torch.full_like(spread, 1e-5**0.5))


@loses(
    "sigmoid", "gradient_not_lost", "underflow reciprocal", backward=True, float32={"x": [-60.0], "cotangent": [1.0]}
)
def sigmoid_by_a_reciprocal(x: Tensor) -> Tensor:
    """The backward pass squares a small number, which is one since the exponential is large."""
    return torch.reciprocal(1 + torch.exp(-x))  # here


class Squaring(torch.autograd.Function):
    """A quotient whose backward pass squares the denominator."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        """Divide."""
        ctx.save_for_backward(a, b)
        return a / b

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the quotient rule of textbooks."""
        (gradient,), (a, b) = gradients, ctx.saved_tensors
        square = b * b  # here
        return gradient / b, -(gradient * a / square).sum(-1, keepdim=True)


@loses(
    "softmax", "gradient", "overflow mul", backward=True, float32={"logits": [[50.0, 49.0]], "cotangent": [[1.0, 0.0]]}
)
def softmax_with_a_squaring_gradient(x: Tensor) -> Tensor:
    """The value is right; the gradient overflows from half of ln(max)."""
    exponentials = x.exp()
    total = exponentials.sum(-1, keepdim=True)
    return Squaring.apply(exponentials, total)


softmax_with_a_squaring_gradient.marked = Squaring  # type: ignore[attr-defined]


@loses("log_softmax", "gradient", "underflow softmax", float64={"logits": [[0.0, 800.0]], "cotangent": [[1.0, 0.0]]})
def log_softmax_of_softmax(x: Tensor) -> Tensor:
    """The gradient divides by an underflowed number."""
    return torch.log(torch.nn.functional.softmax(x, dim=-1))  # here


# Defects that are not rounding errors


@loses("softmax", "rows_sum_to_one", "none", float32={"logits": [[1.0, 2.0]]}, float64={"logits": [[1.0, 2.0]]})
def softmax_over_the_wrong_axis(x: Tensor) -> Tensor:
    """The wrong axis."""
    return x.softmax(0)


@loses("softmax", "value", "none", float32={"logits": [[1.0, 2.0]]}, float64={"logits": [[1.0, 2.0]]})
def reversed_softmax(x: Tensor) -> Tensor:
    """A softmin."""
    return (-x).softmax(-1)


@loses("softmax", "gradient", "none", float32={"logits": [[1.0, 2.0]], "cotangent": [[1.0, 0.0]]})
def detached_softmax(x: Tensor) -> Tensor:
    """The normalizer is a constant for autograd."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True).detach()


@loses("softmax", "value", "none", float64={"logits": [[1.0, 2.25]]})
def softmax_in_float32(x: Tensor) -> Tensor:
    """Right, in another format."""
    return x.float().softmax(-1).to(x.dtype)


@loses("nll_of_probabilities", "value", "none", float32={"probabilities": [[[0.001, 0.999]]], "labels": [[0]]})
def nll_with_an_eps(p: Tensor, y: Tensor) -> Tensor:
    """Computes a slightly different function."""
    return -torch.log(p[torch.arange(len(y)), y] + 1e-4)


@loses("softmax", "value", "none", float32={"logits": [[100.0, 0.0]]})
def softmax_by_numpy(x: Tensor) -> Tensor:
    """NumPy operations cannot be traced."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(x.detach().numpy())
        return torch.from_numpy(e / e.sum(-1, keepdims=True))


@loses("log_softmax", "value", "none", float32={"logits": [["-0x1.0f5aaep+2", 0.0]]})
def log_softmax_with_an_eps(x: Tensor) -> Tensor:
    """In exact arithmetic it nearly exceeds its bound, so that any rounding exceeds it."""
    return (x.softmax(-1) + 1e-8).log()


def in_vector_kernels(decorator: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Expect a loss only if torch has vector kernels: other kernels do not fuse products and sums."""
    return decorator if torch.backends.cpu.get_cpu_capability() != "DEFAULT" else lambda function: function


@in_vector_kernels(loses("layer_norm", "constant_rows_become_zeros", "none", bfloat16={"x": [[528.0]]}))
@in_vector_kernels(loses("layer_norm", "constant_rows_become_zeros", "none", bfloat16={"x": [["0x1.eap-118"]]}))
def layer_norm_of_torch(x: Tensor) -> Tensor:
    """Returns 0.03 for a row that equals its mean: it is one operation, and an exact zero is no underflow."""
    return torch.layer_norm(x, x.shape[-1:])
