"""The command and Python reach the same verdicts on torch's own functions."""

from operator import attrgetter
from typing import Any

import pytest
import torch
from torch.nn import functional

import harness
from harness.isolation.limits import Limits
from harness.record import Status
from harness.verdict.campaign import Campaign

LIMITS = Limits(call_s=10.0, first_call_s=20.0, law_s=60.0)
OF_TORCH = (
    "sigmoid",
    "logaddexp",
    "nn.functional.softplus",
    "nn.functional.mse_loss",
    "nn.functional.cross_entropy",
    "nn.functional.log_softmax",
    "nn.functional.layer_norm",
    "nn.functional.kl_div",
    "nn.functional.gelu",
)


@pytest.mark.judged
@pytest.mark.parametrize("name", OF_TORCH)
def test_both_ways_reach_the_same_verdicts(name: str) -> None:
    """In this process, and in the processes that the command starts; neither names a contract or an adapter."""
    facts: dict[str, Any] = {"dtypes": ["float32"], "examples": 3, "seed": 0}
    here = harness.check(attrgetter(name)(torch), corpora=(), **facts)
    module, _, function = f"torch.{name}".rpartition(".")
    there = Campaign(f"{module}:{function}", replay=False, **facts).run(limits=LIMITS, processes=1)
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
