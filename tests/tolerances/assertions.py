"""Twelve comparisons of other projects' tests, with their inputs, and three mistakes for each.

The code of the projects is not here: torch computes the operation for the inputs of the test.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import harness


@dataclass(frozen=True)
class Comparison:
    """A comparison of a test, its claim and inputs, and mistaken results."""

    place: str
    """The line of the test, in the release or revision of the table in the documents."""
    claim: str
    inputs: tuple[Any, ...]
    right: Callable[..., Tensor]
    mistakes: tuple[Callable[..., Tensor], ...]
    rtol: float
    atol: float = 0.0
    """The tolerances of the test."""
    named: dict[str, Any] = field(default_factory=dict)
    view: Callable[[Tensor], Tensor] = lambda result: result
    """What the test compares of the result."""

    def check(self, compute: Callable[..., Tensor]) -> None:
        """Assert that a function of the inputs is within the bound."""
        harness.assert_within_bound(compute(*self.inputs), self.claim, *self.inputs, **self.named)

    @property
    def accepted(self) -> int:
        """The number of mistakes that the tolerances of the test accept."""
        expected = self.view(self.right(*self.inputs))
        results = [self.view(mistake(*self.inputs)) for mistake in self.mistakes]
        return sum(torch.allclose(result, expected, rtol=self.rtol, atol=self.atol) for result in results)


def comparisons() -> dict[str, Comparison]:
    """Return the comparisons by name; each has the same inputs in every process."""
    torch.manual_seed(42)
    logits, labels = torch.randn(150, 50).bfloat16().float(), torch.randint(50, (150,))
    half = torch.randn(8).half().float()
    few = torch.tensor([[10.0, 1.0, -2.0], [1.0, 4.0, 0.2]])
    rows = {
        "softmax": Comparison(
            "sklearn/utils/tests/test_extmath.py:995",
            "softmax",
            (torch.from_numpy(np.random.RandomState(0).randn(3, 5)),),
            lambda x: x.softmax(-1),
            (
                lambda x: x.float().softmax(-1).double(),
                lambda x: (e := x.exp()) / (e.sum(-1, keepdim=True) + 1e-6),
                lambda x: x.clamp(max=2.0).softmax(-1),
            ),
            rtol=0.0,
            atol=1.5e-6,
        ),
        "log_softmax": Comparison(
            "scipy/special/tests/test_logsumexp.py:448",
            "log_softmax",
            (torch.arange(4.0, dtype=torch.float64) + 100.0,),
            lambda x: x.log_softmax(-1),
            (
                lambda x: (x.softmax(-1) + 1e-14).log(),
                lambda x: x.float().log_softmax(-1).double(),
                lambda x: x - x.amax(-1, keepdim=True),
            ),
            rtol=1e-13,
        ),
        "logsumexp": Comparison(
            "scipy/special/tests/test_logsumexp.py:46",
            "logsumexp",
            (torch.arange(200.0, dtype=torch.float64),),
            lambda x: x.logsumexp(-1),
            (
                lambda x: (m := x.amax(-1)) + ((x - m).exp().sum(-1) + 1e-6).log(),
                lambda x: x.float().logsumexp(-1).double(),
                lambda x: x.amax(-1),
            ),
            rtol=6e-8,
        ),
        "cross_entropy": Comparison(
            "tests/torchtune/modules/loss/test_ce_chunked_output_loss.py:50",
            "cross_entropy",
            (logits, labels),
            F.cross_entropy,
            (
                lambda x, y: F.cross_entropy(x, y, label_smoothing=1e-3),
                lambda x, y: F.cross_entropy(x, y, reduction="sum") / 151.0,
                lambda x, y: F.cross_entropy(x[1:], y[1:]),
            ),
            rtol=1e-2,
            atol=1e-2,
        ),
        "binary_cross_entropy": Comparison(
            "optax/losses/_classification_test.py:351",
            "binary_cross_entropy_with_logits",
            (torch.zeros(2), torch.tensor([1.0, 0.0])),
            F.binary_cross_entropy_with_logits,
            (
                lambda x, t: -(t * (x.sigmoid() + 1e-6).log() + (1 - t) * (1 - x.sigmoid() + 1e-6).log()).mean(),
                lambda x, t: F.binary_cross_entropy_with_logits(x, t, pos_weight=torch.tensor(1.001)),
                lambda x, t: F.binary_cross_entropy_with_logits(x.bfloat16(), t.bfloat16()).float(),
            ),
            rtol=1e-6,
            atol=1e-6,
        ),
        "squared_error": Comparison(
            "sklearn/metrics/tests/test_regression.py:375",
            "squared_error",
            (torch.tensor([1.0, -1.0, 4.0, 6.5]), torch.tensor([2.0, -1.0, 3.0, 7.0])),
            F.mse_loss,
            (
                lambda p, t: F.mse_loss(p, t) + 1e-3,
                lambda p, t: (p - t).abs().pow(1.98).mean(),
                lambda p, t: F.mse_loss(p, t, reduction="sum") / (p.numel() - 1),
            ),
            rtol=0.0,
            atol=1.5e-2,
        ),
        "layer_norm": Comparison(
            "tests/torchtune/modules/test_layernorm.py:55",
            "layer_norm",
            (half,),
            lambda x: F.layer_norm(x, (8,), eps=1e-6),
            (
                lambda x: (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-6).sqrt(),
                lambda x: F.layer_norm(x, (8,), eps=1e-3),
                lambda x: 2.0 * F.layer_norm(x, (8,), eps=1e-6),
            ),
            rtol=1e-8,
            atol=1e-8,
            named={"eps": 1e-6},
            view=torch.mean,
        ),
        "rms_norm": Comparison(
            "tests/torchtune/modules/test_rms_norm.py:70",
            "rms_norm",
            (half,),
            lambda x: F.rms_norm(x, (8,), eps=1e-6),
            (
                lambda x: F.rms_norm(x, (8,), eps=1e-3),
                lambda x: x.half() / x.half().square().mean(-1, keepdim=True).sqrt().float(),
                lambda x: x / (x.square().sum(-1, keepdim=True) / 7.0 + 1e-6).sqrt(),
            ),
            rtol=1e-3,
            atol=1e-7,
            named={"eps": 1e-6},
        ),
        "kl_divergence": Comparison(
            "optax/losses/_classification_test.py:714",
            "kl_divergence",
            (
                torch.tensor(
                    [
                        [-2.9957, -3.5066, -3.9120, -1.2040, -0.6931, -2.3026],
                        [-1.6094, -1.6094, -1.6094, -2.3026, -1.8971, -1.8971],
                    ]
                ),
                torch.tensor([[0.2, 0.2, 0.2, 0.1, 0.15, 0.15], [0.05, 0.03, 0.02, 0.3, 0.5, 0.0]]),
            ),
            lambda log_q, p: F.kl_div(log_q, p, reduction="none").sum(-1),
            (
                lambda log_q, p: (p * ((p + 1e-6).log() - log_q)).sum(-1),
                lambda log_q, p: F.kl_div(log_q, p.clamp(min=1e-6), reduction="none").sum(-1),
                lambda log_q, p: F.kl_div(log_q, p, reduction="none").mean(-1),
            ),
            rtol=1e-7,
            atol=1e-4,
        ),
        "cosine_similarity": Comparison(
            "optax/losses/_regression_test.py:166",
            "cosine_similarity",
            (few, torch.tensor([[0.0, 1.2, 0.2], [1.0, -0.3, 0.0]])),
            lambda x, y: F.cosine_similarity(x, y, dim=-1),
            (
                lambda x, y: (x * y).sum(-1) / (x.norm(dim=-1) * y.norm(dim=-1) + 1e-3),
                lambda x, y: F.cosine_similarity(x.half(), y.half(), dim=-1).float(),
                lambda x, y: (x * y).sum(-1) / x.norm(dim=-1),
            ),
            rtol=1e-7,
            atol=1e-4,
        ),
        "huber": Comparison(
            "optax/losses/_regression_test.py:94",
            "huber",
            (
                torch.tensor([-2.0, 0.5, 0.0, 0.5, 2.0, 4.0, 132.0]),
                torch.tensor([0.0, -0.5, 0.0, 1.0, 1.0, 2.0, 0.3]),
            ),
            lambda x, y: F.huber_loss(x, y, reduction="none"),
            (
                lambda x, y: F.huber_loss(x, y, reduction="none", delta=1.001),
                lambda x, y: F.l1_loss(x, y, reduction="none"),
                lambda x, y: ((x - y).square() + 1.0).sqrt() - 1.0,
            ),
            rtol=1e-7,
        ),
        "logit": Comparison(
            "scipy/special/tests/test_logit.py:13",
            "logit",
            (torch.linspace(0.0, 1.0, 10, dtype=torch.float64)[1:-1],),
            torch.logit,
            (
                lambda x: (x / (1.0 - x + 1e-12)).log(),
                lambda x: x.float().logit().double(),
                lambda x: x.logit(eps=0.2),
            ),
            rtol=16 * 2.0**-52,
        ),
    }
    assert len(rows) == 12
    return rows


if __name__ == "__main__":
    for name, comparison in comparisons().items():
        comparison.check(comparison.right)
        print(name)  # noqa: T201 - a program
