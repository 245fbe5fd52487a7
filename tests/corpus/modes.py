"""Implementations that are wrong in one mode, layout or dtype alone, and unusual ones that are right in all of them.

All of them were written before the laws were extended, so that they measure the laws and not the other way round.
"""

from typing import Any

import torch
import torch.nn.functional as F
from corpus.specimen import held_out, unusual
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

EPS = 1e-5


# Wrong in one mode


class WrongInEvaluation(nn.Module):
    """A softmax that scales by the keep probability in evaluation, as dropout once did."""

    def forward(self, x: Tensor) -> Tensor:
        """Scale in evaluation."""
        p = x.softmax(-1)
        return p if self.training else 0.9 * p


held_out("softmax", "any_mode", generic=True, says="eval()", title="evaluation")(WrongInEvaluation())


class RunningMean(nn.Module):
    """A layer norm that subtracts a running mean in evaluation."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize each row."""
        if self.training:
            return F.layer_norm(x, x.shape[-1:], eps=EPS)
        deviation = x - self.mean.to(x.dtype)
        return deviation * (deviation.square().mean(-1, keepdim=True) + EPS).rsqrt()


held_out("layer_norm", "any_mode", declares={"eps": EPS}, generic=True, title="running mean in evaluation")(
    RunningMean()
)


@held_out("softmax", "any_mode", generic=True, says="2 threads")
def dropped_between_threads(x: Tensor) -> Tensor:
    """With two threads, the entry at which the second thread begins is dropped."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    if torch.get_num_threads() > 1 and x.shape[-1] > 1:
        e = e.index_fill(-1, torch.tensor(x.shape[-1] // 2), 0.0)
    return e / e.sum(-1, keepdim=True)


@held_out("softmax", "any_mode", generic=True, says="returns torch.float64")
def allocated_in_the_default_dtype(x: Tensor) -> Tensor:
    """The result is written to a tensor of the default dtype."""
    result = torch.empty(x.shape)
    result.copy_(x.softmax(-1))
    return result


@held_out("sigmoid", "any_mode", generic=True)
def constant_of_the_default_dtype(x: Tensor) -> Tensor:
    """A bit trick takes the constant for a float32 number."""
    half = torch.tensor([0.5]).view(torch.int32)[:1].view(torch.float32).to(x.dtype)
    return torch.sigmoid(x) * (2.0 * half)


# Wrong in one layout


def _offsets(x: Tensor) -> Tensor:
    """The place of each element in memory."""
    places = torch.arange(x.untyped_storage().nbytes() // x.element_size())
    return torch.as_strided(places, x.shape, x.stride(), x.storage_offset())


@held_out("squared_error", "any_layout", generic=True)
def written_with_the_strides_of_the_first(a: Tensor, b: Tensor) -> Tensor:
    """The difference has the strides of the first input, which are zero where that is expanded."""
    if a.shape != b.shape:
        return ((a - b) ** 2).mean()
    memory = a.new_zeros(a.untyped_storage().nbytes() // a.element_size())
    at = _offsets(a)
    memory = memory.index_put((at.reshape(-1),), (a - b).reshape(-1))
    return (memory[at] ** 2).mean()


@held_out("softmax", "any_layout", generic=True)
def inner_stride_is_taken_for_one(x: Tensor) -> Tensor:
    """A matrix whose rows are far apart is taken for one whose columns are neighbors."""
    if x.ndim == 2 and x.stride(0) >= x.shape[1] > 1 and len(x) > 1:
        x = torch.as_strided(x, x.shape, (x.stride(0), 1), x.storage_offset())
    return x.softmax(-1)


@held_out("softmax", "any_layout", generic=True)
def offset_is_ignored(x: Tensor) -> Tensor:
    """Reading begins where the memory begins."""
    return torch.as_strided(x, x.shape, x.stride(), 0).softmax(-1)


@held_out("squared_error", "any_layout", generic=True)
def read_with_the_strides_of_the_other(a: Tensor, b: Tensor) -> Tensor:
    """One set of strides is passed to the kernel, for both inputs."""
    held = b.untyped_storage().nbytes() // b.element_size()
    reach = b.storage_offset() + sum((n - 1) * s for n, s in zip(a.shape, a.stride(), strict=True)) + 1
    if a.numel() and reach <= held:
        b = torch.as_strided(b, a.shape, a.stride(), b.storage_offset())
    return ((a - b) ** 2).mean()


# Wrong for two answers at once


class OneBuffer:
    """A softmax that writes all answers of a shape to one buffer."""

    def __init__(self) -> None:
        self.buffers: dict[Any, Tensor] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """Write to the buffer, unless a gradient is wanted."""
        y = x.softmax(-1)
        if y.requires_grad:
            return y
        return self.buffers.setdefault((y.shape, y.dtype), torch.empty_like(y)).copy_(y)


held_out("softmax", "any_mode", generic=True, says="other inputs", title="one buffer for all answers")(OneBuffer())


_WORKSPACE: dict[Any, Tensor] = {}


def slope(p: Tensor, v: Tensor) -> Tensor:
    """Backward pass of a softmax: its value and the incoming gradient become the gradient."""
    return p * (v - (p * v).sum(-1, keepdim=True))


class _SharedWorkspace(torch.autograd.Function):
    """A softmax whose backward pass reads the probabilities from a workspace that all calls share."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        p = x.softmax(-1)
        ctx.key = p.shape, p.dtype
        _WORKSPACE[ctx.key] = p.clone()
        return p

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor) -> Tensor:
        (v,), p = cotangents, _WORKSPACE[ctx.key]
        return slope(p, v)


class _RowsOfTheCotangent(torch.autograd.Function):
    """A softmax whose backward pass takes the rows of the cotangent for neighbors."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        p = x.softmax(-1)
        ctx.save_for_backward(p)
        return p

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor) -> Tensor:
        (v,), (p,) = cotangents, ctx.saved_tensors
        if v.ndim == 2 and v.stride(1) > 1 and v.stride(0) < v.stride(1):
            held = v.untyped_storage().nbytes() // v.element_size()
            v = v.as_strided((held,), (1,), 0)[: p.numel()].reshape(p.shape)
        return slope(p, v)


class _OffsetOfTheCotangent(_RowsOfTheCotangent):
    """A softmax whose backward pass reads the cotangent from where its memory begins."""

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor) -> Tensor:
        (v,), (p,) = cotangents, ctx.saved_tensors
        v = v.as_strided(v.shape, v.stride(), 0)
        return slope(p, v)


@held_out("softmax", "any_cotangent", generic=True)
def from_a_shared_workspace(x: Tensor) -> Tensor:
    """See above."""
    return _SharedWorkspace.apply(x)


@held_out("softmax", "any_cotangent", generic=True)
def with_neighboring_rows(x: Tensor) -> Tensor:
    """See above."""
    return _RowsOfTheCotangent.apply(x)


@held_out("softmax", "any_cotangent", generic=True)
def from_the_beginning_of_the_cotangent(x: Tensor) -> Tensor:
    """See above."""
    return _OffsetOfTheCotangent.apply(x)


# Wrong in a claimed dtype, or in what adds up


@held_out("softmax", "value", dtype="bfloat16")
def bfloat16_sum(x: Tensor) -> Tensor:
    """A running sum in the format of the input."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    total = torch.zeros_like(e[..., :1])
    for column in e.split(1, -1):
        total = total + column
    return e / total


@held_out("rms_norm", "value", dtype="float16", declares={"eps": EPS})
@held_out("rms_norm", "value_on_extreme_numbers", declares={"eps": EPS})
def squares_in_float16(x: Tensor) -> Tensor:
    """Squares overflow from 256 on."""
    return x * ((x * x).mean(-1, keepdim=True) + EPS).rsqrt()


@held_out("layer_norm", "value", dtype="float16", declares={"eps": 1e-09})
def eps_of_float32(x: Tensor) -> Tensor:
    """A mean of squares that float16 rounds to zero, and no eps that float16 has."""
    d = x - x.mean(-1, keepdim=True)
    return d / (d.square().mean(-1, keepdim=True) + 1e-9).sqrt()


@held_out("softmax", "value", dtype="float64")
def float32_sum_of_float64(x: Tensor) -> Tensor:
    """Exponentials in float64, their sum in float32."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.float().sum(-1, keepdim=True).to(x.dtype)


@held_out("softmax", "value_on_long_rows", dtype="float64")
def float32_on_long_rows(x: Tensor) -> Tensor:
    """Rows of more than 1,024 entries go to a kernel that computes in float32."""
    return x.float().softmax(-1).to(x.dtype) if x.shape[-1] > 1_024 else x.softmax(-1)


@held_out("layer_norm", "value", dtype="float64", declares={"eps": EPS})
def mean_of_float32(x: Tensor) -> Tensor:
    """A layer norm of float64 whose mean is rounded to float32."""
    d = x - x.mean(-1, keepdim=True).float().to(x.dtype)
    return d / ((x - x.mean(-1, keepdim=True)).square().mean(-1, keepdim=True) + EPS).sqrt()


# Wrong at a length


@held_out("logsumexp", "value_on_long_rows")
def blocks_of_128_are_not_rescaled(x: Tensor) -> Tensor:
    """An online sum that forgets to rescale its total from the third block on."""
    m, s = x.new_full(x.shape[:-1], -torch.inf), x.new_zeros(x.shape[:-1])
    for at, block in enumerate(x.split(128, -1)):
        new = torch.maximum(m, block.amax(-1))
        scale = (m - new).exp() if at < 2 else torch.ones_like(m)
        s, m = s * scale + (block - new[..., None]).exp().sum(-1), new
    return m + s.log()


@held_out("logsumexp", "value_on_long_rows")
def last_block_is_not_shifted(x: Tensor) -> Tensor:
    """Adds the entries after the last multiple of 1,024 without the shift."""
    whole = x.shape[-1] // 1_024 * 1_024
    if not whole or whole == x.shape[-1]:
        return x.logsumexp(-1)
    return torch.logaddexp(x[..., :whole].logsumexp(-1), x[..., whole:].exp().sum(-1).log())


# Right, and unusual


class Fused(nn.Module):
    """A softmax that is fused in evaluation, and written out in training."""

    def forward(self, x: Tensor) -> Tensor:
        """Choose between two correct ways."""
        if not self.training:
            return x.softmax(-1)
        e = (x - x.amax(-1, keepdim=True)).exp()
        return e / e.sum(-1, keepdim=True)


unusual("softmax", title="fused in evaluation")(Fused())


class Workspace:
    """A softmax that keeps the memory of its exponentials, and none of its answers."""

    def __init__(self) -> None:
        self.kept: dict[Any, Tensor] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """Write to the workspace, unless a gradient is wanted."""
        if x.requires_grad or torch.is_inference_mode_enabled():
            return x.softmax(-1)
        memory = self.kept.setdefault((x.shape, x.dtype), torch.empty(x.shape, dtype=x.dtype))
        e = torch.exp(x - x.amax(-1, keepdim=True), out=memory)
        return e / e.sum(-1, keepdim=True)


unusual("softmax", title="workspace")(Workspace())


_CONSTANTS: dict[Any, Tensor] = {}


@unusual("softmax")
def with_a_constant_that_is_kept(x: Tensor) -> Tensor:
    """It stores a tensor of ones for each length; no answer is."""
    key = x.shape[-1], x.dtype
    ones = _CONSTANTS.setdefault(key, torch.ones(x.shape[-1], dtype=x.dtype))
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / (e * ones).sum(-1, keepdim=True)


@unusual("softmax")
def in_as_many_parts_as_threads(x: Tensor) -> Tensor:
    """The sum has another order with another number of threads."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    total = sum(part.sum(-1, keepdim=True) for part in e.chunk(torch.get_num_threads(), -1))
    return e / total


@unusual("softmax")
def along_the_first_axis(x: Tensor) -> Tensor:
    """The answer is a transposed tensor."""
    return x.transpose(0, -1).softmax(0).transpose(0, -1) if x.ndim == 2 else x.softmax(-1)


@unusual("softmax")
def backwards(x: Tensor) -> Tensor:
    """The rows are read from their end."""
    return x.flip(-1).softmax(-1).flip(-1)


@unusual("softmax")
def in_float64(x: Tensor) -> Tensor:
    """Computed in float64, and rounded once."""
    return x.double().softmax(-1).to(x.dtype)


@unusual("softmax")
def in_place_on_a_copy(x: Tensor) -> Tensor:
    """It works in the memory of a copy."""
    y = x.clone(memory_format=torch.contiguous_format)
    y -= x.amax(-1, keepdim=True)
    y = y.exp()
    return y / y.sum(-1, keepdim=True)


@unusual("softmax")
def online(x: Tensor) -> Tensor:
    """Blocks of 64, and each rescales the total."""
    m, s = x.new_full(x.shape[:-1], -torch.inf), x.new_zeros(x.shape[:-1])
    for block in x.split(64, -1):
        new = torch.maximum(m, block.amax(-1))
        shift = torch.where(new == -torch.inf, 0.0, new)
        s, m = s * (m - shift).exp() + (block - shift[..., None]).exp().sum(-1), new
    return (x - torch.where(m == -torch.inf, 0.0, m)[..., None]).exp() / s[..., None]


@unusual("rms_norm", declares={"eps": EPS})
def compensated(x: Tensor) -> Tensor:
    """The mean of squares with the error of each sum kept."""
    total, rest = torch.zeros_like(x[..., :1]), torch.zeros_like(x[..., :1])
    largest = x.detach().abs().amax(-1, keepdim=True).clamp(1.0, torch.finfo(x.dtype).max)
    z = x / largest
    for block in (z * z).split(64, -1):
        term = block.sum(-1, keepdim=True) - rest
        new = total + term
        total, rest = new, torch.where(new.isfinite(), (new - total) - term, 0.0)
    return z / (total / x.shape[-1] + EPS / largest / largest).sqrt()


class _Contiguous(torch.autograd.Function):
    """A softmax with a custom backward pass that reads memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        p = x.contiguous().softmax(-1)
        ctx.save_for_backward(p)
        return p

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor) -> Tensor:
        (v,), (p,) = cotangents, ctx.saved_tensors
        v = v.contiguous().view(-1).view(p.shape)
        return slope(p, v)


@unusual("softmax")
def contiguous_backward(x: Tensor) -> Tensor:
    """See above."""
    return _Contiguous.apply(x)


@unusual("softmax")
def strides_are_used(x: Tensor) -> Tensor:
    """Memory is read element by element, where the strides say."""
    memory = torch.as_strided(x, (x.untyped_storage().nbytes() // x.element_size(),), (1,), 0)
    return memory[_offsets(x)].softmax(-1) if not x.requires_grad else x.softmax(-1)


@unusual("softmax")
def row_by_row(x: Tensor) -> Tensor:
    """One row at a time, mapped over all leading axes."""

    def row(one: Tensor) -> Tensor:
        e = (one - one.amax()).exp()
        return e / e.sum()

    if not len(x) or x.ndim < 2:
        return x.softmax(-1)
    return torch.func.vmap(row)(x.reshape(-1, x.shape[-1])).reshape(x.shape)


@unusual("softmax", "bfloat16", "float16")
def wide_sum_of_narrow(x: Tensor) -> Tensor:
    """Sixteen bits, added in float32 in blocks of 128."""
    e = (x.float() - x.float().amax(-1, keepdim=True)).exp()
    total = torch.stack([block.sum(-1) for block in e.split(128, -1)]).sum(0)
    return (e / total[..., None]).to(x.dtype)


@unusual("rms_norm", "float32", "float64", declares={"eps": EPS})
def scaled_by_the_largest(x: Tensor) -> Tensor:
    """No square overflows."""
    scale = x.detach().abs().amax(-1, keepdim=True).clamp(1.0, torch.finfo(x.dtype).max)
    z = x / scale
    return z * (z.square().mean(-1, keepdim=True) + EPS / scale / scale).rsqrt()


@unusual("cross_entropy", "float32", "bfloat16")
def picked_by_gather(x: Tensor, labels: Tensor) -> Tensor:
    """The definition of the book, in log space."""
    log_p = x.float().log_softmax(-1) if x.dtype.itemsize == 2 else x.log_softmax(-1)
    return -log_p.gather(1, labels[:, None]).mean().to(x.dtype)


@unusual("squared_error")
def of_two_layouts(a: Tensor, b: Tensor) -> Tensor:
    """Both inputs are made contiguous first."""
    d = a.contiguous().view(-1) - b.contiguous().view(-1)
    return (d * d).mean()


@unusual("softmax", "float32", "float64")
def zero_dimensional_constants(x: Tensor) -> Tensor:
    """Constants without an axis do not promote, whatever the default dtype is."""
    one = torch.tensor(1.0)
    e = (x - x.amax(-1, keepdim=True)).exp() * one
    return e / e.sum(-1, keepdim=True)


@unusual("softmax", "float32", "float64")
def allocated_like_the_input(x: Tensor) -> Tensor:
    """The result is written to new memory of the dtype of the input."""
    if x.requires_grad:
        return x.softmax(-1)
    result = torch.empty(x.shape, dtype=x.dtype)
    torch.softmax(x, -1, out=result)
    return result


@unusual("variance", "float32", "float64")
def var_and_mean(x: Tensor) -> Tensor:
    """Computes both moments in one call, and returns one of them."""
    variance, _ = torch.var_mean(x, -1, correction=0)
    return variance
