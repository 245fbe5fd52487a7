"""Deliberately wrong implementations of the softmax."""

from typing import Any

import torch
from corpus.specimen import logits, loses, mutant, reported
from torch import Tensor

_FIRST: dict[str, Any] = {"float64": logits(710.0, 0.0), "float32": logits(89.0, 0.0), "bfloat16": logits(89.0, 0.0)}
_FIRST_GRADIENT: dict[str, Any] = {dtype: {**example, "cotangent": [[1.0, 0.0]]} for dtype, example in _FIRST.items()}


@mutant("softmax", "finite_on_extreme_logits")
@loses("softmax", "value", "overflow exp", float16=logits(12.0, 0.0), **_FIRST)
@loses("softmax", "rows_sum_to_one", "overflow exp", **_FIRST)
@loses("softmax", "finite_on_extreme_logits", "overflow exp", **_FIRST)
@loses("softmax", "gradient", "overflow exp", **_FIRST_GRADIENT)
@loses("softmax", "value", "underflow exp", float32=logits(-110.0, -110.0), float64=logits(-800.0, -801.0))
@loses("softmax", "value", "overflow sum", float32=logits(88.5, 88.5), float16=logits(10.297, 10.492))
@loses("softmax", "gradient", "underflow div", backward=True, float32=logits(52.0, 0.0, cotangent=[0.0, -1.0]))
@reported("softmax", "value", "row maximum")
@reported("softmax", "value", "exp", "float16")
def naive_softmax(x: Tensor) -> Tensor:
    """Exp without the shift: overflows."""
    exponentials = x.exp()  # here
    return exponentials / exponentials.sum(-1, keepdim=True)


@mutant("softmax", "value")
@loses("softmax", "value", "cancellation sub", float32={"logits": [[1000.0, 1000.5]]})
@loses(
    "softmax", "value", "cancellation sub", float64={"logits": [[1e6, 1e6 + 1]]}, float16={"logits": [[500.0, 500.5]]}
)
@reported("softmax", "value", "cancels")
def division_free_softmax(x: Tensor) -> Tensor:
    """exp(x - logsumexp(x)): loses digits at large offsets."""
    return torch.exp(x - torch.logsumexp(x, dim=-1, keepdim=True))  # here


@mutant("softmax", "rows_sum_to_one")
@loses("softmax", "rows_sum_to_one", "none", float32={"logits": [[1.0, 2.0]]}, float64={"logits": [[1.0, 2.0]]})
@reported("softmax", "rows_sum_to_one", "wrong axis")
def softmax_over_rows(x: Tensor) -> Tensor:
    """The wrong axis."""
    return x.softmax(0)


@mutant("softmax", "non_negative")
def softmax_below_zero(x: Tensor) -> Tensor:
    """A probability formed by a subtraction."""
    return x.softmax(-1) - torch.finfo(x.dtype).eps


@mutant("softmax", "shift_invariant")
@reported("softmax", "shift_invariant", "offset")
def clipped_softmax(x: Tensor) -> Tensor:
    """The exponent is clipped instead of shifted."""
    return x.clamp(-50, 50).softmax(-1)


@mutant("softmax", "order_preserving")
@loses("softmax", "value", "none", float32={"logits": [[1.0, 2.0]]}, float64={"logits": [[1.0, 2.0]]})
def reversed_softmax(x: Tensor) -> Tensor:
    """A softmin."""
    return (-x).softmax(-1)


@mutant("softmax", "gradient")
@loses("softmax", "gradient", "none", float32={"logits": [[1.0, 2.0]], "cotangent": [[1.0, 0.0]]})
def detached_softmax(x: Tensor) -> Tensor:
    """The normaliser is a constant to autograd."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True).detach()


@mutant("softmax", "masked_entries")
def masked_by_a_constant(x: Tensor) -> Tensor:
    """-inf is taken for -20."""
    return x.nan_to_num(neginf=-20.0).softmax(-1)


@mutant("softmax", "gradient_of_masked_rows")
@loses(
    "softmax",
    "gradient_of_masked_rows",
    "invalid mul",
    float32={"logits": [[0.0, -torch.inf]], "cotangent": [[1.0, 0.0]]},
)
def masked_by_multiplication(x: Tensor) -> Tensor:
    """Multiplies NaN by the mask: the value is replaced later, the gradient is not."""
    p = x.softmax(-1)
    factor = x * 0 + 1  # here
    return torch.where(x.isneginf(), torch.zeros_like(p), p * factor)


@mutant("softmax", "fully_masked_row")
def nothing_is_zeros(x: Tensor) -> Tensor:
    """Returns zeros for a fully masked row, without a declaration."""
    return torch.where(x.isneginf().all(-1, keepdim=True), torch.zeros_like(x), x.softmax(-1))


@mutant("softmax", "infinite_logit")
def infinity_wins(x: Tensor) -> Tensor:
    """Returns the limit at +inf, without a declaration."""
    infinite = x.isposinf()
    return torch.where(infinite.any(-1, keepdim=True), infinite.to(x.dtype), x.softmax(-1))


@mutant("softmax", "value_on_extreme_numbers")
def shifted_by_the_mean(x: Tensor) -> Tensor:
    """The mean is no bound: it overflows itself, and the exponent stays positive."""
    return (x - x.mean(-1, keepdim=True)).clamp_max(80.0).softmax(-1)


@mutant("softmax", "value_on_long_rows", dtype="float16")
@loses("softmax", "value_on_long_rows", "overflow sum", float16={"logits": [[0.0] * 66000]})
def narrow_sum(x: Tensor) -> Tensor:
    """The sum is stored in float16, where 65,520 ones are infinite."""
    exponentials = (x - x.amax(-1, keepdim=True)).exp()
    total = exponentials.sum(-1, keepdim=True)  # here
    return exponentials / total


@mutant("softmax", "digits_not_lost")
def softmax_of_powers_of_two(x: Tensor) -> Tensor:
    """Uses base 2 with a logarithm that is wrong in its eighth digit: the error is twice the rounding of the gap."""
    powers = ((x - x.amax(-1, keepdim=True)) * 1.4426952).exp2()
    return powers / powers.sum(-1, keepdim=True)


@loses("softmax", "value", "overflow exp", float32=logits(1000.0, 0.0), float64=logits(3000.0, 0.0))
@loses("softmax", "shift_invariant", "overflow exp", float32=logits(100.0, 0.0))
def softmax_on_one_line(x: Tensor) -> Tensor:
    """The definition, with two exponentials."""
    return x.exp() / x.exp().sum(-1, keepdim=True)  # here


@loses("softmax", "value", "overflow exp2", float32=logits(100.0, 0.0), float64=logits(720.0, 0.0))
def softmax_to_the_base_two(x: Tensor) -> Tensor:
    """Powers of two, unshifted."""
    powers = torch.exp2(x * 1.4426950408889634)  # here
    return powers / powers.sum(-1, keepdim=True)


@loses("softmax", "value", "overflow exp", float32=logits(200.0, 0.0, 0.0, 0.0))
def softmax_shifted_by_the_mean(x: Tensor) -> Tensor:
    """The mean is no bound."""
    shifted = x - x.mean(-1, keepdim=True)
    exponentials = torch.exp(shifted)  # here
    return exponentials / exponentials.sum(-1, keepdim=True)


@loses("softmax", "value", "overflow mul", float16=logits(300.0, 299.0))
def softmax_of_scaled_scores(x: Tensor) -> Tensor:
    """Scores that are scaled up first."""
    scores = x * 256.0  # here
    return (scores / 256.0).softmax(-1)


@loses("softmax", "value_on_long_rows", "accumulation add", bfloat16={"logits": [[0.0] * 300]})
def softmax_by_a_narrow_loop(x: Tensor) -> Tensor:
    """A running sum that stalls at 256."""
    exponentials = (x - x.amax(-1, keepdim=True)).exp()
    total = torch.zeros_like(exponentials[:, 0])
    for column in exponentials.unbind(-1):
        total += column  # here
    return exponentials / total[:, None]


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
    "softmax",
    "gradient",
    "overflow mul",
    backward=True,
    marked=Squaring,
    float32={"logits": [[50.0, 49.0]], "cotangent": [[1.0, 0.0]]},
)
def softmax_with_a_squaring_gradient(x: Tensor) -> Tensor:
    """The value is right; the gradient overflows from half of ln(max)."""
    exponentials = x.exp()
    total = exponentials.sum(-1, keepdim=True)
    return Squaring.apply(exponentials, total)


@loses("softmax", "value", "none", float64={"logits": [[1.0, 2.25]]})
def softmax_in_float32(x: Tensor) -> Tensor:
    """Right, in another format."""
    return x.float().softmax(-1).to(x.dtype)


@loses("softmax", "value", "none", float32={"logits": [[100.0, 0.0]]})
def softmax_by_numpy(x: Tensor) -> Tensor:
    """NumPy operations cannot be traced."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(x.detach().numpy())
        return torch.from_numpy(e / e.sum(-1, keepdims=True))
