"""Drawn examples find bugs of real projects, with at most two rows and the mechanism named.

The failures of torch are found too, without a hint.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from corpus.catalogue import of
from corpus.specimen import Specimen

import harness
from harness.contracts import contract_named
from harness.record import Status, TensorText, Verdict

pytestmark = pytest.mark.judged


@pytest.mark.parametrize("pattern", of("bug report"), ids=str)
def test_a_known_bug_is_found_with_its_mechanism(pattern: Specimen) -> None:
    """The dtype is that of the bug report."""
    verdict = found(pattern.function, pattern.contract, pattern.law, pattern.dtype)
    assert verdict.violation is not None
    assert pattern.says in verdict.violation.cause
    assert max_rows(verdict) <= 2


def found(function: Callable[..., Any], contract: str, law: str, dtype: str) -> Verdict:
    """Return the verdict on a law that breaks or loses digits, from drawn examples only."""
    (verdict,) = harness.check(function, contract, laws=[law], dtypes=[dtype], corpora=())
    assert verdict.status in {Status.BROKEN, Status.LOST}
    return verdict


def max_rows(verdict: Verdict) -> int:
    """Return the number of rows in the largest input of the counterexample; a group counts as its rows."""
    assert verdict.violation is not None
    axes = contract_named(verdict.contract).axes
    rows = [1]
    for name, value in verdict.violation.example.items():
        if isinstance(value, TensorText) and name in axes:
            lengths = dict(zip(axes[name].names[-len(value.shape) :], value.shape, strict=True))
            rows.append(lengths.get("g", 1) * lengths.get("n", 1))
    return max(rows)


def values(verdict: Verdict, name: str) -> list[float]:
    """Return the elements of an input in the counterexample."""
    assert verdict.violation is not None
    tensor = verdict.violation.example[name]
    assert isinstance(tensor, TensorText)
    return [float.fromhex(value) for value in tensor.values]


def test_torchs_softplus_is_wrong_just_above_its_threshold() -> None:
    """Above 20 it returns x, which is half a million ulp off in float64."""
    verdict = found(F.softplus, "softplus", "value", "float64")
    (x,) = values(verdict, "x")
    assert verdict.violation is not None
    assert 20.0 < x < 36.8
    assert verdict.violation.deviation > 1e4 or x > 20.5


def test_torchs_log_softmax_overflows_over_many_classes_in_float16() -> None:
    """The exponentials of 65,520 nearly equal classes sum to infinity."""
    verdict = found(lambda x: F.log_softmax(x, -1), "log_softmax", "value_on_long_rows", "float16")
    assert verdict.violation is not None
    logits = verdict.violation.example["logits"]
    assert isinstance(logits, TensorText)
    assert logits.shape == (1, 65_520)
    assert verdict.violation.actual == -torch.inf


@pytest.mark.parametrize(("dtype", "gap"), [("float32", 16.63553), ("float64", 36.7368)])
def test_torchs_cross_entropy_loses_the_loss_from_the_closed_form_on(dtype: str, gap: float) -> None:
    """1 + exp(-gap) rounds to one from p ln 2."""
    verdict = found(F.cross_entropy, "cross_entropy", "loss_not_lost", dtype)
    logits = values(verdict, "logits")
    assert max(logits) - min(logits) == pytest.approx(gap, abs=0.7)
