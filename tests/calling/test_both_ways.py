"""The command and Python reach the same verdicts on torch's own functions."""

from operator import attrgetter
from typing import Any

import pytest
import torch
from torch.nn import functional

import harness
from harness.record import Status
from harness.verdict.campaign import Campaign
from harness.work.limits import Limits

LIMITS = Limits(call_s=10.0, first_call_s=20.0, law_s=60.0)
OF_TORCH = [
    ("sigmoid", "sigmoid", None),
    ("logaddexp", "logaddexp", None),
    ("nn.functional.softplus", "softplus", None),
    ("nn.functional.logsigmoid", "logsigmoid", None),
    ("nn.functional.mse_loss", "squared_error", None),
    ("nn.functional.cross_entropy", "cross_entropy", None),
    ("nn.functional.binary_cross_entropy_with_logits", "binary_cross_entropy_with_logits", None),
    ("nn.functional.log_softmax", "log_softmax", "lambda f, logits: f(logits, dim=-1)"),
]


@pytest.mark.judged
@pytest.mark.parametrize(("name", "contract", "call"), OF_TORCH, ids=[one[0] for one in OF_TORCH])
def test_both_ways_reach_the_same_verdicts(name: str, contract: str, call: str | None) -> None:
    """Python checks in this process, the command in others."""
    facts: dict[str, Any] = {"dtypes": ["float32"], "examples": 3, "call": call, "seed": 0}
    here = harness.check(attrgetter(name)(torch), contract, corpora=(), **facts)
    module, _, function = f"torch.{name}".rpartition(".")
    there = Campaign(f"{module}:{function}", contract, replay=False, **facts).run(limits=LIMITS, processes=1)
    assert {one.law: one.status for one in here} == {one.law: one.status for one in there}


@pytest.mark.parametrize("apart", [False, True])
def test_a_loss_that_warns_of_a_column_keeps_the_law_of_the_column(*, apart: bool) -> None:
    """The warning is passed on between processes."""
    facts: dict[str, Any] = {"laws": ["column_of_predictions"], "dtypes": ["float32"], "examples": 3}
    (warned,) = harness.check(functional.mse_loss, "squared_error", isolate=apart, **facts)
    assert warned.status is Status.HOLDS


def test_a_silent_broadcast_of_a_column_is_no_defect() -> None:
    """It is a hint, because broadcasting is torch's rule."""
    facts: dict[str, Any] = {"laws": ["column_of_predictions"], "dtypes": ["float32"], "examples": 3}
    (silent,) = harness.check(lambda x, y: ((x - y) ** 2).mean(), "squared_error", **facts)
    assert silent.status is Status.LOST
    assert silent.violation is not None
    (strict,) = harness.check(lambda x, y: ((x - y) ** 2).mean(), "squared_error", strict=True, **facts)
    assert strict.status is Status.BROKEN
