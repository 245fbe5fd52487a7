"""The first loss of accuracy is named as an expert would name it."""

import json
from typing import Any

import pytest
import torch
from corpus.catalogue import of
from corpus.specimen import Specimen

from harness.case import Case
from harness.record import EventKind, Verdict
from harness.verdict.cause import event_of
from harness.verdict.decide import decide
from harness.verdict.job import jobs
from harness.verdict.replay import from_json

pytestmark = pytest.mark.judged


def verdict(known: Specimen) -> Verdict:
    """Decide the law on the example."""
    case = Case(known.function, known.contract, declares=known.declares, name=known.name)
    (job,) = jobs([case], laws=[known.law], dtypes=[known.dtype])
    return decide(job, example=from_json(json.dumps(known.example), job.contract, job.format))


def found(known: Specimen) -> Any:
    """Return the event of the first loss."""
    violation = verdict(known).violation
    assert violation is not None, "the law holds on the example"
    event = violation.event
    return event and (event.kind, event.operation, event.backward, event.place)


@pytest.mark.parametrize("known", of("first loss"), ids=str)
def test_the_first_loss_is_the_one_that_an_expert_names(known: Specimen) -> None:
    """Kind, operation, direction and line agree."""
    expected = known.kind and (known.kind, known.operation, known.backward, known.place)
    assert found(known) == expected


@pytest.mark.parametrize(
    ("dtype", "logits", "largest"),
    [("float32", [88.5, 88.5], 2.7e38), ("float32", [86.5] * 17, 3.7e37), ("float16", [4.0] * 1300, None)],
)
def test_a_sum_of_large_terms_is_told_from_one_of_many(dtype: str, logits: list[float], largest: float | None) -> None:
    """For large terms, the event's input is the largest term. For many terms there is none."""
    (job,) = jobs([Case(lambda x: x.exp().sum(-1).log(), "logsumexp")], laws=["value"], dtypes=[dtype])
    event = event_of(job, {"logits": torch.tensor([logits], dtype=job.format.dtype)})
    assert event is not None
    assert (event.kind, event.operation) == (EventKind.OVERFLOW, "sum")
    assert event.input == (None if largest is None else pytest.approx(largest, rel=0.05))
