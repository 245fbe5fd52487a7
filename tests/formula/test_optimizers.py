"""All variants of torch's optimizers on this device follow their formula, and no other optimizer's formula."""

import pytest
from formula.catalogued_steps import OPTIMIZERS, VARIANTS, Step, steps_of
from formula.judging import decided

from harness.case import Case
from harness.record import Status
from harness.verdict.job import list_jobs


def statuses(steps: Step, formula: str, dtype: str) -> set[Status]:
    """Return the statuses of the laws `value`, on ordinary numbers, and `finite`."""
    listed = list_jobs([Case(steps, formula)], laws=["value", "finite"], dtypes=[dtype])
    return {verdict.status for verdict in decided(listed, examples=6)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_variant_takes_the_steps(name: str, variant: str, dtype: str) -> None:
    """Three steps from zero moments follow the formula."""
    assert statuses(steps_of(OPTIMIZERS[name], **VARIANTS[variant]), name, dtype) == {Status.HOLDS}


@pytest.mark.parametrize(
    ("name", "taken"), [("adam_steps_with_decay", "adamw_steps"), ("adamw_steps", "adam_steps_with_decay")]
)
def test_a_decay_in_another_place_is_another_optimizer(name: str, taken: str) -> None:
    """All variants show it."""
    assert Status.BROKEN in statuses(steps_of(OPTIMIZERS[taken], fused=True), name, "float32")
