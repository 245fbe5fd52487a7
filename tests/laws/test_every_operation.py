"""Laws derived from the law of the value stop at the beginning of a long row if it breaks there."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import harness
from harness.record import Status


def column_meets_row(a: Tensor, b: Tensor) -> Tensor:
    """Broadcasts (n,1) against (n,) to n squared elements."""
    longest.append(len(a))
    return ((a[:, None] - b) ** 2).mean()


def column_of_classes(scores: Tensor, labels: Tensor) -> Tensor:
    """The same error in an accuracy."""
    longest.append(len(scores))
    return (scores.argmax(1, keepdim=True) == labels).to(scores.dtype).mean()


longest: list[int] = []


@pytest.mark.parametrize(
    ("function", "contract"), [(column_meets_row, "squared_error"), (column_of_classes, "accuracy")]
)
def test_a_broadcast_is_broken_before_it_fills_the_memory(function: Callable[..., Any], contract: str) -> None:
    """With 65,536 rows it would take 17 gigabytes."""
    longest.clear()
    (verdict,) = harness.check(function, contract, laws=["value_on_long_rows"], dtypes=["float32"], corpora=())
    assert verdict.status is Status.BROKEN
    assert max(longest) <= 256


def test_a_sound_implementation_sees_the_whole_row() -> None:
    """The law stops early only after a failure."""
    lengths: list[int] = []

    def sound(a: Tensor, b: Tensor) -> Tensor:
        lengths.append(len(a))
        return torch.nn.functional.mse_loss(a, b)

    (verdict,) = harness.check(sound, "squared_error", laws=["value_on_long_rows"], dtypes=["float32"], corpora=())
    assert verdict.status is Status.HOLDS
    assert {256, 257, 2_049, 65_536} <= set(lengths)
