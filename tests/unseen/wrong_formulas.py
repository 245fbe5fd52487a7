"""Wrong functions that are judged by a formula only."""

import math

import mpmath as mp
import torch
from torch import Tensor
from unseen.specimen import wrong


@wrong(formula="1 - exp(-x * x / 8)", says=r"\b4\b", row=(1.5,), truth=lambda x: 1 - mp.exp(-(mp.mpf(x) ** 2) / 8))
def welsch(x: Tensor) -> Tensor:
    """The scale is not doubled."""
    return -torch.expm1(-x * x / 4)


@wrong(formula="x * x / (x * x + 4)", says=r"\b2\b", row=(1.5,), truth=lambda x: mp.mpf(x * x) / (x * x + 4))
def geman(x: Tensor) -> Tensor:
    """The scale is not squared."""
    return x * x / (x * x + 2)


@wrong(formula="sqrt(x * x + 0.01)", says=r"root|outside", row=(0.05,), truth=lambda x: mp.sqrt(mp.mpf(x) ** 2 + 0.01))
def charbonnier(x: Tensor) -> Tensor:
    """The floor is outside of the root."""
    return torch.sqrt(x * x) + 0.01


@wrong(formula="a = sum(p * y); 1 - a / (a + 0.3 * sum(p * (1 - y)) + 0.7 * sum((1 - p) * y))",
       kinds={"p": "0..1", "y": "0..1 constant"}, says=r"exchange", row=([0.5, 0.2], [1.0, 0.25]),
       truth=lambda *_: 1 - mp.mpf("0.55") / (0.55 + 0.3 * (0.7 - 0.55) + 0.7 * (1.25 - 0.55)))  # fmt: skip
def tversky(p: Tensor, y: Tensor) -> Tensor:
    """The weights of the two errors are in the other order."""
    both = (p * y).sum(-1)
    return 1 - both / (both + 0.7 * (p * (1 - y)).sum(-1) + 0.3 * ((1 - p) * y).sum(-1))


@wrong(formula="softplus(2 * x) - x - log(2)", says=r"missing|term|log", row=(1.5,), truth=lambda x: mp.log(mp.cosh(x)))
def log_cosh(x: Tensor) -> Tensor:
    """The constant is missing."""
    return torch.nn.functional.softplus(2 * x) - x


@wrong(
    formula="(x + sqrt(x * x + 4)) / 2", says=r"\b1\b", row=(0.5,), truth=lambda x: (x + mp.sqrt(mp.mpf(x * x) + 4)) / 2
)
def squareplus(x: Tensor) -> Tensor:
    """The width is one."""
    return (x + torch.sqrt(x * x + 1)) / 2


@wrong(formula="-10 * log10(mean((x - y) ** 2))", says=r"sum|mean", row=([0.5, 1.0], [0.25, 3.0]),
       truth=lambda *_: -10 * mp.log10(mp.mpf(0.0625 + 4) / 2))  # fmt: skip
def psnr(x: Tensor, y: Tensor) -> Tensor:
    """The squares are added."""
    return -10 * torch.log10(((x - y) ** 2).sum(-1))


@wrong(formula="-log(sum(sqrt(p * q)))", kinds={"p": "distribution", "q": "distribution"}, says=r"root",
       row=([0.5, 0.5], [0.25, 0.75]),
       truth=lambda *_: -mp.log(mp.sqrt(0.125) + mp.sqrt(0.375)))  # fmt: skip
def bhattacharyya(p: Tensor, q: Tensor) -> Tensor:
    """The root is missing."""
    return -torch.log((p * q).sum(-1))


@wrong(formula="10 * log10(sum(x * x) / sum((x - y) ** 2))", says=r"\b20\b", row=([0.5, 1.0], [0.25, 3.0]),
       truth=lambda *_: 10 * mp.log10(mp.mpf(1.25) / 4.0625))  # fmt: skip
def snr(x: Tensor, y: Tensor) -> Tensor:
    """Decibels of an amplitude."""
    return 20 * torch.log10((x * x).sum(-1) / ((x - y) ** 2).sum(-1))


@wrong(formula="sqrt(mean((x - mean(x)) ** 2)) / mean(x)", kinds={"x": "1..10"}, says=r"biased|count|n - 1|\b1\b",
       row=([1.0, 2.0, 6.0],), truth=lambda *_: mp.sqrt(mp.mpf(4 + 1 + 9) / 3) / 3)  # fmt: skip
def variation(x: Tensor) -> Tensor:
    """The variance of a sample."""
    return x.std(-1) / x.mean(-1)


@wrong(formula="1 - sum((y - x) ** 2) / sum((y - mean(y)) ** 2)", says=r"exchange|\bx\b", row=([0.5, 1.0], [0.25, 3.0]),
       truth=lambda *_: 1 - mp.mpf(0.0625 + 4) / (2 * 1.375**2))  # fmt: skip
def explained(x: Tensor, y: Tensor) -> Tensor:
    """The variance of the prediction."""
    return 1 - ((y - x) ** 2).sum(-1) / ((x - x.mean(-1, keepdim=True)) ** 2).sum(-1)


@wrong(
    formula="1 / sqrt(1 + 0.1 * t)",
    kinds={"t": "0..1000"},
    says=r"0\.01",
    row=(50.0,),
    truth=lambda t: 1 / mp.sqrt(1 + mp.mpf(t) / 10),
)
def schedule(t: Tensor) -> Tensor:
    """Decays too slowly."""
    return torch.rsqrt(1 + 0.01 * t)


@wrong(formula="sum(x * softmax(-x))", says=r"sign", row=([0.5, 2.0],),
       truth=lambda x: (x[0] * mp.exp(-x[0]) + x[1] * mp.exp(-x[1])) / (mp.exp(-x[0]) + mp.exp(-x[1])))  # fmt: skip
def soft_minimum(x: Tensor) -> Tensor:
    """The weights belong to the maximum."""
    return (x * torch.softmax(x, -1)).sum(-1)


@wrong(formula="mean(2 * abs(x - y) / (x + y))", kinds={"x": "positive", "y": "positive"}, says=r"\b2\b|0\.5|factor",
       row=([0.5, 1.0], [0.25, 3.0]),
       truth=lambda *_: (2 * mp.mpf(0.25) / 0.75 + 2 * mp.mpf(2) / 4) / 2)  # fmt: skip
def smape(x: Tensor, y: Tensor) -> Tensor:
    """The mean of the two is their sum."""
    return ((x - y).abs() / (x + y)).mean(-1)


@wrong(
    formula="max(0.9 * (y - x), -0.1 * (y - x))",
    kinds={"x": "real", "y": "real"},
    says=r"exchange|0\.1|0\.9",
    row=(0.5, 2.0),
    truth=lambda x, y: 0.9 * mp.mpf(y - x),
)
def pinball(x: Tensor, y: Tensor) -> Tensor:
    """The error has the other sign."""
    d = x - y
    return torch.maximum(0.9 * d, -0.1 * d)


@wrong(formula="where(abs(x) < 4, 10 * log(1 + abs(x) / 2), abs(x) + 10 * log(3) - 4)", says=r"missing|\b4\b|term",
       row=(5.0,),
       truth=lambda x: x + 10 * mp.log(3) - 4)  # fmt: skip
def wing(x: Tensor) -> Tensor:
    """The two parts do not meet."""
    a = x.abs()
    return torch.where(a < 4, 10 * torch.log1p(a / 2), a + 10 * math.log(3))
