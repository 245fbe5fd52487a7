"""An audit changes no bit of a model's step or of the next step, for usual models in several formats."""

import pytest
import torch
from experiments.audited_models import is_unchanged

from harness.auditor.audit import audit

SETTINGS = [
    ("rnn", "float16"),
    ("lstm", "bfloat16"),
    ("gpt", "autocast-float16"),
    ("residual network", "float16"),
    ("residual network", "autocast-bfloat16"),
    ("transformer", "bfloat16"),
]


@pytest.mark.parametrize(("model", "format_"), SETTINGS)
def test_the_step_of_a_model_is_the_same_bit_for_bit(model: str, format_: str) -> None:
    """Weights, gradients, buffers, optimizer state and random numbers are equal, in full mode and for events."""
    assert is_unchanged(model, format_)  # type: ignore[arg-type]


def test_an_audit_that_draws_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison fails after a single additional random number."""
    enter = audit.__enter__

    def drawing(self: audit) -> audit:
        torch.rand(1)
        return enter(self)

    monkeypatch.setattr(audit, "__enter__", drawing)
    assert not is_unchanged("rnn", None)
