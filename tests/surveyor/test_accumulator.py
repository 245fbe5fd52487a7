"""The width and order of a sum are inferred from outputs alone."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.record import Accumulator
from harness.surveyor.accumulator import accumulator
from harness.verdict.job import list_jobs
from harness.wording.survey import format_summing


def found(function: object, contract: str, dtype: str) -> Accumulator:
    """Return the inferred accumulator of a function."""
    (job,) = list_jobs([Case(function, contract)], laws=["value"], dtypes=[dtype])  # type: ignore[arg-type]
    record = accumulator(job)
    assert record is not None
    return record


def summed(terms: Tensor, dtype: torch.dtype, parts: int) -> Tensor:
    """Add in a format, in several parts, and then the parts one after the other."""
    wide = terms.to(dtype)
    padded = torch.nn.functional.pad(wide, (0, -wide.shape[-1] % parts)).unflatten(-1, (-1, parts))
    partial = padded[..., 0, :]
    for row in range(1, padded.shape[-2]):
        partial = partial + padded[..., row, :]
    total = partial[..., 0]
    for part in range(1, parts):
        total = total + partial[..., part]
    return total


def linear_in(dtype: torch.dtype, parts: int = 1) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """A linear map with an accumulator of the given width."""

    def linear(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        products = X[:, None, :].to(dtype) * weight.to(dtype)
        return summed(products, dtype, parts).to(X.dtype) + bias

    return linear


def softmax_in(dtype: torch.dtype, parts: int = 1) -> Callable[[Tensor], Tensor]:
    """A softmax with an accumulator of the given width."""

    def softmax(logits: Tensor) -> Tensor:
        exponentials = (logits - logits.amax(-1, keepdim=True)).exp()
        return (exponentials / summed(exponentials, dtype, parts)[..., None]).to(logits.dtype)

    return softmax


@pytest.mark.parametrize(
    ("make", "contract"), [(linear_in, "linear"), (softmax_in, "softmax")], ids=["linear", "softmax"]
)
@pytest.mark.parametrize(
    ("dtype", "width"),
    [
        ("float32", "bfloat16"),
        ("float32", "float16"),
        ("float32", "float32"),
        ("bfloat16", "bfloat16"),
        ("float16", "float16"),
        ("float64", "float32"),
        ("float64", "float64"),
    ],
)
def test_a_sum_one_after_the_other_is_found_in_its_width(make: object, contract: str, dtype: str, width: str) -> None:
    """The output may have any format that is precise enough to show it."""
    record = found(make(getattr(torch, width)), contract, dtype)  # type: ignore[operator]
    assert (record.width, record.order) == (width, "one term after the other")
    assert format_summing(record) == f"in {width} one term after the other"


@pytest.mark.parametrize("parts", [4, 16, 64])
def test_a_sum_in_parts_is_found_with_the_number_of_parts(parts: int) -> None:
    """The parts are lanes of a vector, or blocks."""
    record = found(linear_in(torch.float32, parts), "linear", "float32")
    assert record.width == "float32"
    assert record.order is not None
    assert abs(int(record.order.split()[2]) - parts) <= max(1, parts // 16)


def test_a_sum_wider_than_the_output_is_reported_as_such() -> None:
    """The sum is in float32 for bfloat16, or in float64 for float32."""
    assert format_summing(found(linear_in(torch.float32), "linear", "bfloat16")) == "as if in float32 or wider"
    assert format_summing(found(linear_in(torch.float64), "linear", "float32")) == "as if in float64 or wider"


def test_the_evidence_has_the_loss_for_each_width() -> None:
    """Each width that the output can show has a sentence."""
    record = found(linear_in(torch.float32), "linear", "float32")
    assert record.evidence == (
        "adding terms of 3/4 u of bfloat16 to 1: nothing is lost",
        "adding terms of 3/4 u of float16 to 1: nothing is lost",
        "adding terms of 3/4 u of float32 to 1: 100 % is lost",
    )


def test_a_contract_without_a_sum_has_no_accumulator() -> None:
    """A sigmoid has no sum."""
    (job,) = list_jobs([Case(torch.sigmoid, "sigmoid")], laws=["value"], dtypes=["float32"])
    assert accumulator(job) is None


def test_an_implementation_that_raises_gives_its_text_as_evidence() -> None:
    """There is no width."""

    def raising(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        raise ValueError("no such luck")

    record = found(raising, "linear", "float32")
    assert (record.width, record.order) == (None, None)
    assert "no such luck" in record.evidence[0]
    assert format_summing(record) == "in an unknown width"
