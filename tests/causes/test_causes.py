"""The first loss of the truth is named as an expert would name it."""

import json
from typing import Any

import causes.large_and_small
import causes.lost_digits
import causes.no_numbers  # noqa: F401 - each notes its functions
import pytest
from causes.known import KNOWN, Known

from harness.case import Case
from harness.record import Verdict
from harness.verdict.decide import decide
from harness.verdict.job import jobs
from harness.verdict.replay import from_json


def verdict(known: Known) -> Verdict:
    """Decide the law on the one example."""
    case = Case(known.function, known.contract, declares=known.declares, name=known.function.__name__)
    (job,) = jobs([case], laws=[known.law], dtypes=[known.dtype])
    return decide(job, example=from_json(json.dumps(known.example), job.contract, job.format))


def found(known: Known) -> Any:
    """What is said of the first loss."""
    violation = verdict(known).violation
    assert violation is not None, "the law holds on the example"
    event = violation.event
    return event and (event.kind, event.operation, event.backward, event.place)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name.replace(" ", "-"))
def test_the_first_loss_is_the_one_that_an_expert_names(known: Known) -> None:
    """Kind, operation, direction and line."""
    expected = known.kind and (known.kind, known.operation, known.backward, known.place)
    assert found(known) == expected
