"""Softmax: seven right kernels, and seven that look right on random numbers."""

import torch
from torch import Tensor


def right_shifted(x: Tensor) -> Tensor:
    """The form of textbooks."""
    e = torch.exp(x - x.amax(dim=-1, keepdim=True))
    return e / e.sum(dim=-1, keepdim=True)


def right_in_float32(x: Tensor) -> Tensor:
    """Converts narrow formats to float32, and rounds once."""
    wide = x.float() if x.dtype in {torch.float16, torch.bfloat16} else x
    return torch.softmax(wide, -1).to(x.dtype)


def right_by_reciprocal(x: Tensor) -> Tensor:
    """Uses a single division per row."""
    wide = x.float() if x.dtype in {torch.float16, torch.bfloat16} else x
    e = (wide - wide.amax(dim=-1, keepdim=True)).exp()
    return (e * e.sum(dim=-1, keepdim=True).reciprocal()).to(x.dtype)


def right_in_place(x: Tensor) -> Tensor:
    """Works in place on a copy."""
    e = x - x.amax(dim=-1, keepdim=True)
    e = e.exp()
    return e.div(e.sum(dim=-1, keepdim=True))


def right_in_blocks(x: Tensor) -> Tensor:
    """Works online, a block of columns at a time, like flash attention."""
    if x.shape[-1] == 0:
        return x.clone()
    wide = x.float() if x.dtype in {torch.float16, torch.bfloat16} else x
    top = torch.full_like(wide[..., :1], -torch.inf)
    total = torch.zeros_like(top)
    for block in wide.split(64, dim=-1):
        higher = torch.maximum(top, block.amax(dim=-1, keepdim=True))
        kept = torch.where(top == -torch.inf, torch.zeros_like(total), total * (top - higher).exp())
        total = kept + (block - higher).exp().sum(dim=-1, keepdim=True)
        top = higher
    return ((wide - top).exp() / total).to(x.dtype)


def right_through_logarithms(x: Tensor) -> Tensor:
    """Uses torch's log_softmax."""
    return torch.log_softmax(x, -1).exp()


class RightModel(torch.nn.Module):
    """A module like in public benchmarks."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the softmax."""
        return torch.nn.functional.softmax(x, dim=1)


def wrong_unshifted(x: Tensor) -> Tensor:
    """Overflows from 88.7 on."""
    e = x.exp()
    return e / e.sum(dim=-1, keepdim=True)


def wrong_over_columns(x: Tensor) -> Tensor:
    """Uses the other axis, which is right for square matrices of equal numbers."""
    return torch.softmax(x, 0)


def wrong_in_bfloat16(x: Tensor) -> Tensor:
    """Passes with a tolerance of 1e-2."""
    return torch.softmax(x.bfloat16(), -1).to(x.dtype)


def wrong_beyond_a_block(x: Tensor) -> Tensor:
    """Sums the first 1,024 columns only."""
    e = torch.exp(x - x.amax(dim=-1, keepdim=True))
    return e / e[..., :1024].sum(dim=-1, keepdim=True)


_kept: dict[torch.Size, Tensor] = {}


def wrong_from_a_cache(x: Tensor) -> Tensor:
    """Returns the first result for all large inputs of a shape."""
    if x.numel() < 2048:
        return torch.softmax(x, -1)
    if x.shape not in _kept:
        _kept[x.shape] = torch.softmax(x, -1).detach()
    return _kept[x.shape]


def wrong_with_an_eps(x: Tensor) -> Tensor:
    """Adds a needless eps to the divisor."""
    e = torch.exp(x - x.amax(dim=-1, keepdim=True))
    return e / (e.sum(dim=-1, keepdim=True) + 1e-6)


def wrong_where_it_clamps(x: Tensor) -> Tensor:
    """Logits beyond 20 become equal."""
    return torch.softmax(x.clamp(-20.0, 20.0), -1)
