"""Rows that are distributions: how one stays one when an entry of it is changed or dropped.

The largest entry takes what the others leave. So the entry that was changed keeps its value, which a division by the
sum would not let it.
"""

import math

import torch
from torch import Tensor

from harness.floats import Format


def with_sum_one(p: Tensor, format_: Format) -> Tensor | None:
    """Return probabilities ``[..., k]`` whose sum is one but for their rounding; ``None`` where others exceed it.

    Notes
    -----
    Rounding each of ``p`` changes the sum by :math:`u` at most, and by a subnormal for each entry raised to one. Rows
    that are within four times the first of one are left as they are.
    """
    values = p.double()
    largest = values.argmax(-1, keepdim=True)
    rest = 1.0 - (values.sum(-1, keepdim=True) - values.gather(-1, largest))
    lacking = (values.sum(-1, keepdim=True) - 1.0).abs()
    within = ~(lacking > 4.0 * format_.u + p.shape[-1] * format_.smallest)
    if bool((~within & (rest <= 0.0)).any()):
        return None
    return torch.where(within, p, values.scatter(-1, largest, rest).to(p.dtype))


def with_logarithms(log_q: Tensor, format_: Format) -> Tensor | None:
    r"""Return logarithms ``[..., k]`` of such probabilities; ``None`` where those of the others exceed one.

    Notes
    -----
    Rounding each logarithm by a few ulp changes the sum by :math:`8 u \sum_j q_j |\ln q_j| \le 8 u \ln k`. Rows that
    are within twice of that, and of the sum's own rounding, are left as they are; so are those with an infinite entry,
    whose probability a law has taken away.
    """
    values = log_q.double()
    largest = values.argmax(-1, keepdim=True)
    others = values.scatter(-1, largest, -torch.inf).exp().sum(-1, keepdim=True)
    lacking = (values.exp().sum(-1, keepdim=True) - 1.0).abs()
    within = ~(lacking > 16.0 * format_.u * (1.0 + math.log(log_q.shape[-1])))
    within |= values.isinf().any(-1, keepdim=True)
    if bool((~within & (others >= 1.0)).any()) or bool((values.isfinite() & (values > 0.0)).any()):
        return None
    return torch.where(within, log_q, values.scatter(-1, largest, (-others).log1p()).to(log_q.dtype))
