"""Whether a violation in 16 bits disappears in float32 is tried, and the first wrong operation is found."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from corpus.catalogue import of
from corpus.specimen import Specimen
from torch import Tensor

from harness.case import Case
from harness.record import EventKind, Verdict
from harness.verdict.decide import decide
from harness.verdict.job import list_jobs
from harness.verdict.replay import read_json
from harness.verdict.violation import find_event


def squares_in_the_format(x: Tensor, eps: float = 1e-5) -> Tensor:
    """A layer normalization whose squares overflow in float16."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()


def exponentials(x: Tensor) -> Tensor:
    """A softmax that overflows in any format, but later in float32."""
    return x.exp() / x.exp().sum(-1, keepdim=True)


def half_a_softmax(x: Tensor) -> Tensor:
    """A softmax that is wrong by a factor."""
    return x.softmax(-1) / 2.0


def writes_to_its_input(x: Tensor) -> Tensor:
    """A softmax that overwrites its input, which a copy in float32 would hide."""
    y = x.softmax(-1)
    x.zero_()
    return y


@pytest.mark.parametrize(
    ("function", "contract", "law", "mended"),
    [
        (squares_in_the_format, "layer_norm", "value", True),
        (squares_in_the_format, "layer_norm", "gradient", True),
        (exponentials, "softmax", "value", False),
        (half_a_softmax, "softmax", "value", False),
        (writes_to_its_input, "softmax", "inputs_unmodified", False),
    ],
)
def test_what_holds_in_float32_is_mended_by_it(
    function: Callable[..., Tensor], contract: str, law: str, mended: bool
) -> None:
    """It is not reported for other defects, or for side effects that a copy hides."""
    (job,) = list_jobs([Case(function, contract)], laws=[law], dtypes=["float16"])
    violation = decide(job, examples=8, corpora=(), further=0).violation
    assert violation is not None
    assert violation.mended_wider is mended


@pytest.mark.parametrize(
    ("function", "law", "fault"),
    [
        (writes_to_its_input, "inputs_unmodified", "the call changes its inputs"),
        (lambda logits: logits[:], "output_is_its_own", "the output and an input share memory"),
        (lambda logits: torch.softmax(logits.double(), -1), "output_like_input", "it returns torch.float64"),
    ],
)
def test_a_fault_of_a_call_is_said_in_words(function: Callable[..., Tensor], law: str, fault: str) -> None:
    """A number of faults says nothing to a reader: "1 at 0.0, not 0"."""
    (job,) = list_jobs([Case(function, "softmax")], laws=[law], dtypes=["float32"])
    violation = decide(job, examples=8, corpora=(), further=0).violation
    assert violation is not None
    assert (violation.seen, violation.cause) == (fault, job.law.cause)


def test_nothing_is_tried_in_float32_itself() -> None:
    """The function is called only as often as the law needs."""
    dtypes: set[torch.dtype] = set()

    def seen(x: Tensor) -> Tensor:
        dtypes.add(x.dtype)
        return exponentials(x)

    (job,) = list_jobs([Case(seen, "softmax")], laws=["value"], dtypes=["float32"])
    violation = decide(job, examples=4, corpora=(), further=0).violation
    assert violation is not None
    assert math.isinf(violation.deviation)
    assert not violation.mended_wider
    assert dtypes == {torch.float32}


pytestmark = pytest.mark.judged


def verdict(known: Specimen) -> Verdict:
    """Decide the law on the example."""
    case = Case(known.function, known.contract, declares=known.declares, name=known.name)
    (job,) = list_jobs([case], laws=[known.law], dtypes=[known.dtype])
    return decide(job, example=read_json(json.dumps(known.example), job.contract, job.format))


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
    (job,) = list_jobs([Case(lambda x: x.exp().sum(-1).log(), "logsumexp")], laws=["value"], dtypes=[dtype])
    event = find_event(job, {"logits": torch.tensor([logits], dtype=job.format.dtype)})
    assert event is not None
    assert (event.kind, event.operation) == (EventKind.OVERFLOW, "sum")
    assert event.input == (None if largest is None else pytest.approx(largest, rel=0.05))
