"""Twelve comparisons as test suites make them, each with three mistakes: small, usual, or both."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

import harness


@dataclass(frozen=True)
class Comparison:
    """A result to compare, its claim and inputs, and mistaken results."""

    claim: str
    inputs: tuple[Any, ...]
    right: Callable[..., Tensor]
    mistakes: tuple[Callable[..., Tensor], ...]
    named: dict[str, Any]

    def check(self, compute: Callable[..., Tensor]) -> None:
        """Assert that a function of the inputs is within the bound."""
        harness.assert_within_bound(compute(*self.inputs), self.claim, *self.inputs, **self.named)


def comparisons() -> dict[str, Comparison]:
    """Return the comparisons by name; each draws its inputs with the same seed."""
    torch.manual_seed(0)
    x, other = 3.0 * torch.randn(6, 50), torch.randn(6, 50)
    labels, binary = torch.randint(50, (6,)), torch.randint(2, (6, 50)).float()
    weight, bias = torch.randn(7, 50), torch.randn(7)
    rows = {
        "softmax": Comparison(
            "softmax",
            (x,),
            lambda x: x.softmax(-1),
            (
                lambda x: x.bfloat16().softmax(-1).float(),
                lambda x: (e := (x - x.amax(-1, keepdim=True)).exp()) / (e.sum(-1, keepdim=True) + 1e-3),
                lambda x: x.clamp(max=6.0).softmax(-1),
            ),
            {},
        ),
        "log_softmax": Comparison(
            "log_softmax",
            (x,),
            lambda x: x.log_softmax(-1),
            (
                lambda x: (x.softmax(-1) + 1e-6).log(),
                lambda x: x - x.amax(-1, keepdim=True),
                lambda x: x.half().log_softmax(-1).float(),
            ),
            {},
        ),
        "logsumexp": Comparison(
            "logsumexp",
            (x,),
            lambda x: x.logsumexp(-1),
            (
                lambda x: x.amax(-1),
                lambda x: (m := x.amax(-1)) + ((x - m[:, None]).exp().sum(-1) + 1e-3).log(),
                lambda x: x[:, :-1].logsumexp(-1),
            ),
            {},
        ),
        "cross_entropy": Comparison(
            "cross_entropy",
            (x, labels),
            F.cross_entropy,
            (
                lambda x, y: F.cross_entropy(x, y, label_smoothing=1e-4),
                lambda x, y: F.nll_loss((x.softmax(-1) + 1e-6).log(), y),
                lambda x, y: F.cross_entropy(x, y, reduction="sum") / 7.0,
            ),
            {},
        ),
        "binary_cross_entropy": Comparison(
            "binary_cross_entropy_with_logits",
            (x.flatten(), binary.flatten()),
            F.binary_cross_entropy_with_logits,
            (
                lambda x, t: F.binary_cross_entropy(x.sigmoid().clamp(1e-4, 1 - 1e-4), t),
                lambda x, t: F.binary_cross_entropy_with_logits(x, t, pos_weight=torch.tensor(1.001)),
                lambda x, t: F.binary_cross_entropy_with_logits(x, 1.0 - t),
            ),
            {},
        ),
        "squared_error": Comparison(
            "squared_error",
            (x, other),
            F.mse_loss,
            (
                lambda p, t: F.mse_loss(p, t, reduction="sum") / (p.numel() - 1),
                lambda p, t: 0.5 * F.mse_loss(p, t),
                lambda p, t: F.mse_loss(p.bfloat16(), t.bfloat16()).float(),
            ),
            {},
        ),
        "layer_norm": Comparison(
            "layer_norm",
            (x,),
            lambda x: F.layer_norm(x, (50,)),
            (
                lambda x: (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-5).sqrt(),
                lambda x: (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True, correction=0) + 1e-5),
                lambda x: F.layer_norm(x, (50,), eps=1e-3),
            ),
            {"eps": 1e-5},
        ),
        "rms_norm": Comparison(
            "rms_norm",
            (x,),
            lambda x: F.rms_norm(x, (50,), eps=1e-5),
            (
                lambda x: F.rms_norm(x, (50,), eps=1e-3),
                lambda x: x / (x.square().mean(-1, keepdim=True).sqrt() + 1e-5),
                lambda x: F.rms_norm(x.bfloat16(), (50,), eps=1e-5).float(),
            ),
            {"eps": 1e-5},
        ),
        "variance": Comparison(
            "variance",
            (x,),
            lambda x: x.var(-1, correction=0),
            (
                lambda x: x.var(-1),
                lambda x: x.square().mean(-1),
                lambda x: x.half().var(-1, correction=0).float(),
            ),
            {},
        ),
        "linear": Comparison(
            "linear",
            (x, weight, bias),
            F.linear,
            (
                lambda x, w, b: F.linear(x, w, 0.999 * b),
                lambda x, w, b: F.linear(x.bfloat16(), w.bfloat16(), b.bfloat16()).float(),
                lambda x, w, b: F.linear(x[:, 1:], w[:, 1:], b),
            ),
            {},
        ),
        "kl_divergence": Comparison(
            "kl_divergence",
            (x.log_softmax(-1), other.softmax(-1)),
            lambda log_q, p: F.kl_div(log_q, p, reduction="none").sum(-1),
            (
                lambda log_q, p: (p * ((p + 1e-4).log() - log_q)).sum(-1),
                lambda log_q, p: F.kl_div(log_q, p, reduction="none").mean(-1),
                lambda log_q, p: F.kl_div(p.log(), log_q.exp(), reduction="none").sum(-1),
            ),
            {},
        ),
        "silu": Comparison(
            "x * sigmoid(x)",
            (x,),
            F.silu,
            (F.hardswish, lambda x: x * (1.001 * x).sigmoid(), lambda x: F.silu(x.bfloat16()).float()),
            {},
        ),
    }
    assert len(rows) == 12
    return rows


if __name__ == "__main__":
    for name, comparison in comparisons().items():
        comparison.check(comparison.right)
        print(name)  # noqa: T201 - a program
