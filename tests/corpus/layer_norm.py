"""Deliberately wrong implementations of the layer normalization."""

import torch
from controls.layer_norm import EPS, scaled_two_passes
from corpus.specimen import loses, mutant
from torch import Tensor


def _parts(x: Tensor) -> tuple[Tensor, Tensor]:
    """Deviations and biased variance."""
    centred = x - x.mean(-1, keepdim=True)
    return centred, centred.square().mean(-1, keepdim=True)


@mutant("layer_norm", "value", dtype="float16")
@mutant("layer_norm", "value_on_extreme_numbers")
def textbook(x: Tensor) -> Tensor:
    """The definition: squares overflow."""
    centred, variance = _parts(x)
    return centred / (variance + EPS).sqrt()


@mutant("layer_norm", "value")
def unbiased(x: Tensor) -> Tensor:
    """The variance is divided by d - 1."""
    centred, variance = _parts(x)
    return centred / (variance * (x.shape[-1] / max(x.shape[-1] - 1, 1)) + EPS).sqrt()


@mutant("layer_norm", "value")
@mutant("layer_norm", "value", declares={"eps": 0.0})
def eps_outside(x: Tensor) -> Tensor:
    """Eps is added to the root."""
    centred, variance = _parts(x)
    return centred / (variance.sqrt() + EPS)


@mutant("layer_norm", "value")
def over_the_batch(x: Tensor) -> Tensor:
    """Statistics of the columns."""
    return textbook(x.T).T.contiguous()


@mutant("layer_norm", "value", dtype="bfloat16")
def about_a_narrow_mean(x: Tensor) -> Tensor:
    """The mean is rounded to the 16-bit format before it is taken off."""
    centred = x.float() - x.mean(-1, keepdim=True).float()
    return (centred / (centred.square().mean(-1, keepdim=True) + EPS).sqrt()).to(x.dtype)


@mutant("layer_norm", "rows_have_mean_zero")
def without_mean(x: Tensor) -> Tensor:
    """The mean is not taken off."""
    return x / (x.square().mean(-1, keepdim=True) + EPS).sqrt()


@mutant("layer_norm", "mean_square_at_most_one")
def by_absolute_deviation(x: Tensor) -> Tensor:
    """The mean absolute deviation is less than the standard one."""
    centred, _ = _parts(x)
    return centred / (centred.abs().mean(-1, keepdim=True) + EPS)


@mutant("layer_norm", "shift_invariant")
def of_squares(x: Tensor) -> Tensor:
    """mean(x^2) - mean(x)^2, clamped at zero."""
    mean = x.mean(-1, keepdim=True)
    variance = x.square().mean(-1, keepdim=True) - mean.square()
    return (x - mean) / (variance.clamp_min(0) + EPS).sqrt()


@mutant("layer_norm", "odd")
def of_magnitudes(x: Tensor) -> Tensor:
    """Signs are lost."""
    return scaled_two_passes(x.abs())


@mutant("layer_norm", "doubling_at_most_doubles")
def without_root(x: Tensor) -> Tensor:
    """Divided by the variance."""
    centred, variance = _parts(x)
    return centred / (variance + EPS)


@mutant("layer_norm", "constant_rows_become_zeros", "drowned_rows_stay_bounded")
def folded(x: Tensor) -> Tensor:
    """X * rstd - mean * rstd, where only one product is rounded, as in a fused multiply-add."""
    _, variance = _parts(x)
    rstd = (variance + EPS).rsqrt()
    return (x.double() * rstd - (x.mean(-1, keepdim=True) * rstd)).to(x.dtype)


@mutant("layer_norm", "gradient")
def detached(x: Tensor) -> Tensor:
    """The divisor is a constant to autograd."""
    centred, variance = _parts(x)
    return centred / (variance + EPS).sqrt().detach()


@mutant("layer_norm", "infinite_entry")
def clipped(x: Tensor) -> Tensor:
    """Infinities become the largest numbers whose squares are finite."""
    return scaled_two_passes(x.clamp(-1e18, 1e18))


@mutant("layer_norm", "value_on_long_rows", dtype="float16")
def counted_in_the_dtype(x: Tensor) -> Tensor:
    """65,536 entries are infinitely many in float16."""
    count = torch.ones_like(x).sum(-1, keepdim=True)
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().sum(-1, keepdim=True) / count + EPS).sqrt()


@mutant("layer_norm", "gradient_digits_not_lost")
def by_the_reciprocal_root(x: Tensor) -> Tensor:
    """The cube of the reciprocal root, which the backward pass forms, underflows."""
    wide = x if x.itemsize >= 4 else x.float()
    centred = wide - wide.mean(-1, keepdim=True)
    return (centred * (centred.square().mean(-1, keepdim=True) + EPS).rsqrt()).to(x.dtype)


@loses("layer_norm", "value", "overflow sum", float16={"x": [[40.0, -40.0] * 32]})
def layer_norm_by_sums(x: Tensor) -> Tensor:
    """The sum of squares is beyond float16, their mean is not."""
    d = x.shape[-1]
    centred = x - x.sum(-1, keepdim=True) / d
    total = (centred * centred).sum(-1, keepdim=True)  # here
    return centred / (total / d + 1e-5).sqrt()


@loses(
    "layer_norm",
    "value",
    "underflow add",
    float16={"x": [[float.fromhex("0x1.004p-12"), float.fromhex("0x1.fe4p-14")]]},
)
def layer_norm_with_a_subnormal_eps(x: Tensor) -> Tensor:
    """The eps of float32 has three digits in float16, and the variance has none."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + 1e-5)  # here


@loses("layer_norm", "value", "cancellation sub", float32={"x": [[1000.0, 1001.0, 1003.0]]})
@loses("layer_norm", "shift_invariant", "cancellation sub", float32={"x": [[4096.0, 4097.0, 4099.0]]})
def layer_norm_by_moments(x: Tensor) -> Tensor:
    """The mean square less the square of the mean, under a root."""
    mean = x.mean(-1, keepdim=True)
    variance = (x**2).mean(-1, keepdim=True) - mean**2  # here
    return (x - mean) / torch.sqrt(variance + 1e-5)


@loses("layer_norm", "gradient", "invalid sqrt", backward=True, float32={"x": [[1.0, 1.0]], "cotangent": [[1.0, 0.0]]})
def layer_norm_with_where(x: Tensor) -> Tensor:
    """The root of zero is replaced, its gradient is not."""
    centred = x - x.mean(-1, keepdim=True)
    variance = (centred * centred).mean(-1, keepdim=True)
    spread = variance.sqrt()  # here
    return centred / torch.where(variance > 0, (spread * spread + 1e-5).sqrt(), torch.full_like(spread, 1e-5**0.5))


def layer_norm_of_torch(x: Tensor) -> Tensor:
    """Returns 0.03 for a row that equals its mean: it is one operation, and an exact zero is no underflow."""
    return torch.layer_norm(x, x.shape[-1:])


if torch.backends.cpu.get_cpu_capability() != "DEFAULT":  # other kernels do not fuse products and sums
    for _row in ([[528.0]], [["0x1.eap-118"]]):
        loses("layer_norm", "constant_rows_become_zeros", "none", bfloat16={"x": _row})(layer_norm_of_torch)
