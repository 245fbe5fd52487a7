"""The law of drift distinguishes truncation and directed rounding from rounding to nearest.

No bound of the worst case does.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.record import Status, Verdict
from harness.verdict.decide import decide
from harness.verdict.job import list_jobs


def down(x: Tensor) -> Tensor:
    """Round a float64 down to the next float32, for either sign."""
    nearest = x.float()
    return torch.where(nearest.double() > x, nearest.nextafter(torch.tensor(-torch.inf)), nearest)


def truncated(x: Tensor) -> Tensor:
    """Drop the bits beyond float32."""
    return down(x.abs()) * x.sign().float()


def truncated_softmax(x: Tensor) -> Tensor:
    """The last operation truncates."""
    return truncated(x.double().softmax(-1))


def layer_norm(way: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A layer norm rounded in a given way from float64."""

    def function(x: Tensor) -> Tensor:
        return way(torch.nn.functional.layer_norm(x.double(), x.shape[-1:], eps=1e-5))

    return function


def decided(function: Callable[[Tensor], Tensor], contract: str, law: str = "no_drift", *, seed: int = 0) -> Verdict:
    """Return the verdict in float32."""
    (job,) = list_jobs([Case(function, contract, name="drift.function")], laws=[law], dtypes=["float32"])
    return decide(job, corpora=(), seed=seed)


def test_truncation_loses_digits_and_keeps_the_law_of_the_value() -> None:
    """The mean error in ulp shows it."""
    assert decided(truncated_softmax, "softmax", "value").status is Status.HOLDS
    verdict = decided(truncated_softmax, "softmax")
    assert verdict.status is Status.LOST
    assert verdict.violation is not None
    assert verdict.violation.actual == pytest.approx(-0.5, abs=0.05)
    assert verdict.violation.expected == 0.0
    assert "--seed 0" in verdict.violation.replay


@pytest.mark.parametrize("way", [down, truncated])
def test_directed_rounding_is_found_for_both_signs(way: Callable[[Tensor], Tensor]) -> None:
    """Rounding is down, or toward zero."""
    verdict = decided(layer_norm(way), "layer_norm")
    assert verdict.status is Status.LOST
    assert verdict.violation is not None
    assert verdict.violation.actual == pytest.approx(-0.5, abs=0.05)
    assert verdict.violation.place == ((0,) if way is down else (1,))


def test_rounding_drifts_nowhere() -> None:
    """The drift stays small for several seeds."""
    means = {decided(lambda x: x.softmax(-1), "softmax", seed=seed).deviation for seed in range(3)}
    assert len(means) == 3
    assert max(mean for mean in means if mean is not None) < 0.05


def test_a_wrong_value_does_not_break_the_law_of_drift() -> None:
    """A wrong value does not break the law about drift."""
    assert decided(lambda x: x.softmax(-1) * 0.999, "softmax").status is Status.HOLDS
