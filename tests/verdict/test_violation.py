"""Whether float32 fixes a failure in 16 bits is tried, not guessed from the operation."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.verdict.decide import decide
from harness.verdict.job import jobs


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
    (job,) = jobs([Case(function, contract)], laws=[law], dtypes=["float16"])
    violation = decide(job, examples=8, corpora=(), further=0).violation
    assert violation is not None
    assert violation.mended_wider is mended


def test_nothing_is_tried_in_float32_itself() -> None:
    """The function is called only as often as the law needs."""
    dtypes: set[torch.dtype] = set()

    def seen(x: Tensor) -> Tensor:
        dtypes.add(x.dtype)
        return exponentials(x)

    (job,) = jobs([Case(seen, "softmax")], laws=["value"], dtypes=["float32"])
    violation = decide(job, examples=4, corpora=(), further=0).violation
    assert violation is not None
    assert math.isinf(violation.deviation)
    assert not violation.mended_wider
    assert dtypes == {torch.float32}
