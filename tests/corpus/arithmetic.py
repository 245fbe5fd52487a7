"""Deliberately wrong implementations of addition and the linear map."""

import torch
from corpus.specimen import loses, mutant, reported
from torch import Tensor


@mutant("add", "correctly_rounded")
def narrow_add(a: Tensor, b: Tensor) -> Tensor:
    """The sum is formed in bfloat16."""
    return (a.bfloat16() + b.bfloat16()).to(a.dtype)


@mutant("add", "commutative")
def lopsided_add(a: Tensor, b: Tensor) -> Tensor:
    """One operand passes through a narrower format."""
    return a + b.half().to(b.dtype)


@mutant("linear", "value")
def linear_in_tf32(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Operands keep ten bits of their significand, like TF32 on an accelerator."""
    return _in_tf32(X) @ _in_tf32(weight).T + bias


def _in_tf32(x: Tensor) -> Tensor:
    significand, exponent = torch.frexp(x)
    return torch.ldexp(torch.round(significand * 2.0**11), exponent - 11)


@mutant("linear", "zero_weight_gives_bias")
def linear_without_bias(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The bias is dropped."""
    return X @ weight.T


@mutant("add", "rounded_on_special_numbers")
def saturating_add(a: Tensor, b: Tensor) -> Tensor:
    """Returns the largest number in place of an overflow."""
    limit = torch.finfo(a.dtype).max
    return (a + b).clamp(-limit, limit)


@mutant("add", "zeros_keep_their_sign")
def add_from_zero(a: Tensor, b: Tensor) -> Tensor:
    """Accumulates into a zero, which swallows the sign of the others."""
    c = torch.zeros_like(a)
    c += a
    c += b
    return c


@mutant("linear", "scales_by_powers_of_two")
def clipped_linear(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Features are clipped to +-6."""
    return X.clamp(-6, 6) @ weight.T + bias


@mutant("linear", "no_features_give_bias")
def mean_times_number(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A mean over the features, times their number."""
    return (X.unsqueeze(1) * weight).mean(-1) * X.shape[1] + bias


@mutant("linear", "infinite_features")
def finite_linear(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Replaces infinities by zeros."""
    return X.nan_to_num(posinf=0.0, neginf=0.0, nan=torch.nan) @ weight.T + bias


@mutant("linear", "value_on_extreme_numbers")
def linear_of_bounded(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The largest numbers are clipped."""
    return X.clamp(-1e30, 1e30) @ weight.T + bias


@mutant("linear", "value_on_long_rows", dtype="bfloat16")
def blockwise_linear(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Blocks of 64 features are added up in the 16-bit format."""
    Y = X.new_zeros(len(X), len(weight))
    for j in range(0, X.shape[1], 64):
        Y += X[:, j : j + 64] @ weight[:, j : j + 64].T
    return Y + bias


@mutant("linear", "gradient_in_features")
def detached_features(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Half of the features' gradient is lost."""
    return (X + X.detach()) / 2 @ weight.T + bias


@mutant("linear", "gradient_in_weight")
def averaged_weight_gradient(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The weight's gradient is halved."""
    return X @ ((weight + weight.detach()) / 2).T + bias


@mutant("linear", "gradient_in_bias")
def detached_bias(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The bias does not learn."""
    return X @ weight.T + bias.detach() + 0 * bias


@loses("linear", "value", "accumulation add", bfloat16={"X": [[1.0] * 300], "weight": [[1.0] * 300], "bias": [0.0]})
@reported("linear", "value_on_long_rows", "long sum in bfloat16", "bfloat16")
def linear_by_a_narrow_loop(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A running sum in the format itself."""
    Y = torch.zeros_like(X[:, :1] * weight[:, 0])
    for j in range(X.shape[1]):
        Y = Y + X[:, j : j + 1] * weight[:, j]  # here
    return Y + bias
