"""Implementations that are wrong on one kind of input: lengths, sizes, axes, modes, gradients.

All other results are torch's, so that only the law that draws this kind of input detects them.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from corpus.specimen import held_out
from torch import Tensor
from torch.autograd.function import once_differentiable

Implementation = Callable[..., Any]


LENGTH, ROWS, RANK, MODE = "value_on_long_rows", "value_on_many_rows", "any_rank", "any_mode"
COTANGENT, SECOND, LONG_GRADIENT = "any_cotangent", "second_derivative", "gradient_on_long_rows"


# Lengths and sizes


def wrong_at(length: Callable[[int], bool]) -> Implementation:
    """A softmax that drops the last entry at some row lengths, like an error at the edge of a block."""

    def softmax(x: Tensor) -> Tensor:
        p = x.softmax(-1)
        return p * (torch.arange(x.shape[-1]) != x.shape[-1] - 1) if length(x.shape[-1]) else p

    return softmax


def rows_beyond(n: int) -> Implementation:
    """A softmax that repeats the first rows beyond a number of rows, like an error of the grid."""

    def softmax(x: Tensor) -> Tensor:
        p = x.softmax(-1)
        return torch.cat([p[:n], p[: len(p) - n]]) if n < len(p) <= 2 * n else p

    return softmax


def elements_beyond(n: int, function: Callable[[Tensor], Tensor]) -> Implementation:
    """Return zeros beyond a number of elements."""

    def mutant(x: Tensor) -> Tensor:
        y = function(x)
        keep = torch.arange(y.numel()).reshape(y.shape) < n
        return torch.where(keep, y, torch.zeros_like(y)) if y.numel() > n else y

    return mutant


@held_out("cross_entropy", ROWS)
def divides_by_one_more(x: Tensor, labels: Tensor) -> Tensor:
    """The divisor of the mean is n + 1 from 64 rows on."""
    loss = F.cross_entropy(x, labels)
    n = len(x)
    return loss * (n / (n + 1)) if n >= 64 else loss


@held_out("squared_error", LENGTH)
def divides_the_error_by_one_more(a: Tensor, b: Tensor) -> Tensor:
    """The same error in a squared error."""
    n = len(a)
    return ((a - b) ** 2).sum() / (n + 1 if n >= 64 else n)


def softmax(x: Tensor) -> Tensor:
    """Torch's function."""
    return x.softmax(-1)


# Gradients


def backward(value: Implementation, change: Callable[[Tensor, tuple[Tensor, ...]], Tensor]) -> Implementation:
    """Torch's value with another backward pass: ``change(cotangent, inputs)`` replaces the cotangent."""

    class Changed(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Tensor) -> Tensor:
            ctx.save_for_backward(*inputs)
            return value(*inputs)

        @staticmethod
        def backward(ctx: Any, cotangent: Tensor) -> Any:
            inputs = [x.detach().requires_grad_(x.is_floating_point()) for x in ctx.saved_tensors]
            with torch.enable_grad():
                output = value(*inputs)
            wanted = [x for x in inputs if x.requires_grad]
            found = iter(torch.autograd.grad(output, wanted, change(cotangent, ctx.saved_tensors)))
            return tuple(next(found) if x.requires_grad else None for x in inputs)

    return lambda *inputs: Changed.apply(*inputs)


def _ignored(cotangent: Tensor, _: Any) -> Tensor:
    return torch.ones_like(cotangent)


def _unstrided(cotangent: Tensor, _: Any) -> Tensor:
    """Reads memory as if it were contiguous, with zeros beyond its end."""
    held = cotangent.untyped_storage().nbytes() // cotangent.element_size()
    memory = cotangent.as_strided((held,), (1,), 0)
    return F.pad(memory, (0, max(0, cotangent.numel() - held)))[: cotangent.numel()].reshape(cotangent.shape)


def _dropped_on_long_rows(cotangent: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    return cotangent * (torch.arange(cotangent.shape[-1]) < 100)


class _Detached(torch.autograd.Function):
    """A softmax with a right gradient that is a constant for autograd."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        p = x.softmax(-1)
        ctx.p = p.detach()
        return p

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Tensor:
        p, v = ctx.p, v.detach()
        return p * (v - (p * v).sum(-1, keepdim=True))


class _Half(torch.autograd.Function):
    """A softmax with a right gradient. The second derivative ignores that p in the mean depends on x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.softmax(-1)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        p = x.softmax(-1)
        return p * (v - (p.detach() * v).sum(-1, keepdim=True))


class _Once(torch.autograd.Function):
    """A softmax whose gradient is declared not differentiable."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        p = x.softmax(-1)
        ctx.p = p.detach()
        return p

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v: Tensor) -> Tensor:
        return ctx.p * (v - (ctx.p * v).sum(-1, keepdim=True))


# Modes


@held_out("softmax", MODE, says="require")
def with_gradients(x: Tensor) -> Tensor:
    """Applies dropout if gradients are recorded."""
    p = x.softmax(-1)
    return p * 0.9 if x.requires_grad else p


@held_out("softmax", MODE)
def without_gradients(x: Tensor) -> Tensor:
    """Uses a faster form if no gradients are recorded."""
    return (x.softmax(-1) * 0.9) if not torch.is_grad_enabled() else x.softmax(-1)


@held_out("softmax", MODE, says="inference_mode")
def in_inference(x: Tensor) -> Tensor:
    """Returns another result in inference mode."""
    return (x.softmax(-1) * 0.9) if torch.is_inference_mode_enabled() else x.softmax(-1)


@held_out("softmax", MODE, says="autocast")
def under_autocast(x: Tensor) -> Tensor:
    """Sums by a product with ones, which autocast computes in bfloat16."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    if torch.is_autocast_enabled("cpu"):
        return e / (e.bfloat16().cumsum(-1)[..., -1:] + 1)
    return e / e.sum(-1, keepdim=True)


def once(x: Tensor) -> Tensor:
    """A gradient that is declared not differentiable, which is no fault."""
    return _Once.apply(x)  # type: ignore[no-any-return, no-untyped-call]


for _n in (33, 63, 100, 129, 257, 511, 1000, 1025):
    held_out("softmax", LENGTH, title=f"at length {_n}")(wrong_at(lambda k, n=_n: k == n))
held_out("softmax", LENGTH, title="at lengths 65 to 96 modulo 128")(wrong_at(lambda k: 65 <= k % 128 <= 96))
held_out("softmax", ROWS, title="beyond 4,096 rows")(rows_beyond(4096))
held_out("softmax", ROWS, title="beyond 65,535 rows")(rows_beyond(65535))
held_out("softmax", ROWS, title="beyond 2^20 elements")(elements_beyond(2**20, softmax))
held_out("sigmoid", ROWS, title="beyond 1,000 elements")(elements_beyond(1000, torch.sigmoid))
held_out("sigmoid", ROWS, title="beyond 2^20 elements")(elements_beyond(2**20, torch.sigmoid))
held_out("softmax", RANK, title="over the second axis")(lambda x: x.softmax(1))
held_out("layer_norm", RANK, title="flattened from the left")(lambda x: F.layer_norm(x, x.shape[1:], eps=1e-05))
held_out("cross_entropy", COTANGENT, title="cotangent ignored")(backward(F.cross_entropy, _ignored))
held_out("squared_error", COTANGENT, title="cotangent ignored")(backward(F.mse_loss, _ignored))
held_out("softmax", COTANGENT, title="strides of the cotangent ignored")(backward(softmax, _unstrided))
held_out("softmax", LONG_GRADIENT, title="gradient beyond 100 entries")(backward(softmax, _dropped_on_long_rows))
held_out("softmax", SECOND, title="detached")(_Detached.apply)
held_out("softmax", SECOND, title="half detached")(_Half.apply)
