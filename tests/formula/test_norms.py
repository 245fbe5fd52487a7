"""Norms with weight and bias, and their gradients: sums over the row, or one value per entry."""

from typing import Any

import pytest
import torch
from formula.catalogued_steps import batch_norm, layer_norm, rms_norm
from formula.judging import decided
from torch import Tensor

from harness.case import Case
from harness.record import Status
from harness.verdict.job import list_jobs

NORMS = {"batch_norm": batch_norm, "layer_norm_with_weight": layer_norm, "rms_norm_with_weight": rms_norm}


def statuses(name: str, function: Any) -> dict[str, Status]:
    """Return the statuses of the gradients in weight and bias."""
    laws = [f"gradient_in_{at}" for at in ("w", "b") if (name, at) != ("rms_norm_with_weight", "b")]
    listed = list_jobs([Case(function, name)], laws=laws, dtypes=["float32"])
    return {verdict.law: verdict.status for verdict in decided(listed, examples=6)}


class Averaged(torch.autograd.Function):
    """The identity of the weight, with the mean of the batch as gradient in place of the sum."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, batch: int) -> Tensor:
        """Return the weight."""
        ctx.batch = batch
        return w.clone()

    @staticmethod
    def backward(ctx: Any, *weights: Tensor) -> tuple[Tensor, None]:
        """Divide the gradient."""
        return weights[0] / ctx.batch, None


@pytest.mark.parametrize("name", NORMS)
def test_the_gradients_in_weight_and_bias_are_kept(name: str) -> None:
    """Torch's functions hold."""
    assert set(statuses(name, NORMS[name]).values()) == {Status.HOLDS}


def test_a_gradient_averaged_over_the_batch_is_broken() -> None:
    """The gradient in the weight breaks its law; the gradient in the bias holds."""
    broken = statuses("batch_norm", lambda x, w, b: batch_norm(x, Averaged.apply(w, x.shape[-1]), b))
    assert broken == {"gradient_in_w": Status.BROKEN, "gradient_in_b": Status.HOLDS}
