"""Pairs that compute in float64 and return float32, with results near zero, or with masks.

As in `pairs`, the first word of a name is the settled answer. The different ones differ by at most 1e-12 of the largest
result, and those that differ by rounding only by about as much.
"""

import torch

# Functions that differ by rounding only


def rounding_double_softmax_a(x):
    return torch.softmax(40.0 * x.double(), -1).float()


def rounding_double_softmax_b(x):
    wide = 40.0 * x.double()
    exponentials = torch.exp(wide - wide.amax(-1, keepdim=True))
    return (exponentials / exponentials.sum(-1, keepdim=True)).float()


def rounding_masked_softmax_a(x):
    return torch.softmax(x.masked_fill(x < 1.5, float("-inf")), -1).nan_to_num(nan=0.0)


def rounding_masked_softmax_b(x):
    chosen = x.masked_fill(x < 1.5, float("-inf"))
    nothing = (x < 1.5).all(-1, keepdim=True)
    exponentials = torch.exp(chosen - chosen.amax(-1, keepdim=True).masked_fill(nothing, 0.0))
    return exponentials / exponentials.sum(-1, keepdim=True).masked_fill(nothing, 1.0)


def rounding_certain_rows_a(x):
    return 1.0 - torch.softmax(40.0 * x.double(), -1).amax(-1).float()


def rounding_certain_rows_b(x):
    return (1.0 - torch.softmax(40.0 * x.double(), -1).amax(-1)).float()


def rounding_double_rest_a(x):
    return (1.0 - torch.softmax(40.0 * x.double(), -1).amax(-1)).float()


def rounding_double_rest_b(x):
    return torch.softmax(40.0 * x.double(), -1).sort(-1).values[:, :-1].sum(-1).float()


def rounding_entropy_a(x):
    log_p = torch.log_softmax(40.0 * x, -1)
    return -(log_p.exp() * log_p).sum(-1)


def rounding_entropy_b(x):
    maximum, argmax = (40.0 * x).max(-1, keepdim=True)
    gap = maximum - 40.0 * x
    weight = (-gap).exp()
    others = weight.scatter(-1, argmax, 0.0).sum(-1)
    return others.log1p() + (weight * gap).sum(-1) / (1.0 + others)


def rounding_double_entropy_a(x):
    return rounding_entropy_a(x.double()).float()


def rounding_double_entropy_b(x):
    return rounding_entropy_b(x.double()).float()


def rounding_double_log1p_a(x):
    return torch.log(1.0 + torch.exp(-30.0 * x.abs().double())).float()


def rounding_double_log1p_b(x):
    return torch.log1p(torch.exp(-30.0 * x.abs().double())).float()


def rounding_double_variance_a(x):
    wide = 1.0 + x.double() * torch.logspace(-9, 0, len(x), dtype=torch.float64)[:, None]
    return ((wide * wide).mean(-1) - wide.mean(-1) ** 2).float()


def rounding_double_variance_b(x):
    wide = 1.0 + x.double() * torch.logspace(-9, 0, len(x), dtype=torch.float64)[:, None]
    return ((wide - wide.mean(-1, keepdim=True)) ** 2).mean(-1).float()


def rounding_double_dot_a(x):
    wide = torch.cat([x, -x[:16].flip(-1), x[16:]], 0).double()
    return (wide[:32] @ torch.ones(64, dtype=torch.float64) + wide[32:].sum(-1)).float()


def rounding_double_dot_b(x):
    total = torch.zeros(len(x), dtype=torch.float64)
    for column, other in zip(x.double().unbind(-1), torch.cat([-x[:16], x[16:]], 0).double().unbind(-1), strict=True):
        total = total + column * 3.0 + other - column * 2.0
    return total.float()


# Functions that are different


def different_double_floor_a(x):
    return torch.softmax(40.0 * x.double(), -1).float()


def different_double_floor_b(x):
    return torch.softmax(40.0 * x.double(), -1).clamp(min=1e-16).float()  # here


def different_double_eps_a(x):
    scaled = x.double() * torch.logspace(-15, 0, len(x), dtype=torch.float64)[:, None]
    return (scaled * scaled).mean(-1).sqrt().float()  # here


def different_double_eps_b(x):
    scaled = x.double() * torch.logspace(-15, 0, len(x), dtype=torch.float64)[:, None]
    return ((scaled * scaled).mean(-1) + 1e-30).sqrt().float()  # here


def different_double_tail_a(x):
    gap = 20.0 * x.abs().double()
    return torch.exp(-gap).float()  # here


def different_double_tail_b(x):
    gap = 20.0 * x.abs().double()
    return torch.exp(-gap).where(gap < 36.0, 0.0).float()  # here


def different_double_zero_a(x):
    return torch.relu(x.double()).float()  # here


def different_double_zero_b(x):
    return (torch.relu(x.double()) + 1e-16).float()  # here


def different_double_log_a(x):
    small = 1e-9 * torch.softmax(x.double(), -1)
    return torch.cat([torch.log1p(small), x.double()]).float()  # here


def different_double_log_b(x):
    small = 1e-9 * torch.softmax(x.double(), -1)
    return torch.cat([torch.log1p(small) - small * 1e-4, x.double()]).float()  # here
