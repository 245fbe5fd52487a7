"""Rays of a formula: one per number. Integers are tried one by one, so that the first wrong one is found."""

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.contracts import contract_named
from harness.floats import FORMATS
from harness.laws import list_rays
from harness.record import Breaking
from harness.surveyor.breaking import breaking
from harness.verdict.job import list_jobs

FLOAT32 = FORMATS["float32"]


def rotary(x: Tensor, y: Tensor, p: Tensor, f: Tensor) -> Tensor:
    """The first component of a rotated pair."""
    return x * torch.cos(p * f) - y * torch.sin(p * f)


def along_positions(kept_in: torch.dtype) -> Breaking:
    """Return where the value breaks if positions are stored in a dtype."""

    def of_kept(x: Tensor, y: Tensor, p: Tensor, f: Tensor) -> Tensor:
        return rotary(x, y, p.to(kept_in).to(p.dtype), f)

    (job,) = list_jobs([Case(of_kept, "rotary_at_position")], laws=["value"], dtypes=["float32"])
    (ray,) = (ray for ray in list_rays(job.contract) if ray.name == "p = t")
    return breaking(job, ray)


@pytest.mark.parametrize(("kept_in", "first"), [(torch.bfloat16, 257), (torch.float16, 2049), (torch.float32, None)])
def test_the_first_wrong_position_is_the_first_whole_number_that_a_format_lacks(
    kept_in: torch.dtype, first: int | None
) -> None:
    """Half of the later positions are right again, so that bisection would miss it."""
    found = along_positions(kept_in)
    assert found.value == first
    assert found.certainty == "exhausted"


def test_a_range_is_followed_to_its_ends_and_a_share_is_not() -> None:
    """A range that contains zero is followed on both sides."""
    rays = {ray.name for ray in list_rays(contract_named("rotary"))}
    assert {"t = t", "t = -t"} <= rays
    assert not {ray for ray in {ray.name for ray in list_rays(contract_named("bilinear"))} if ray[0] in "st"}


@pytest.mark.parametrize("draw", [0.0, 1.5, 700.25])
def test_a_whole_number_is_drawn_and_stays_one(draw: float) -> None:
    """Shrinking an example preserves whole numbers."""
    axes = contract_named("formula(x, p: 0.0..1000.0 whole constant): x * p").axes["p"]
    assert axes.restore is not None
    restored = axes.restore(torch.tensor([draw]), FLOAT32)
    assert restored is not None
    assert restored.item() == int(draw)
