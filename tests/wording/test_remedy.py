"""Sentences for events."""

import re

import pytest

from harness.record import Event, EventKind
from harness.wording.remedy import cause_of


def event(kind: EventKind, operation: str, **facts: object) -> Event:
    """An event in float32."""
    facts = {"input": 0.0, "slope": 0.5} | facts if kind is EventKind.SLOPE else facts
    return Event.model_validate({"kind": kind, "operation": operation, "dtype": "float32", **facts})


def test_an_overflow_names_place_operation_and_limit() -> None:
    """The input has all its digits, because they decide."""
    said = cause_of(event(EventKind.OVERFLOW, "exp", place="mine.py:3", input=88.72283935546875), "rows")
    assert said == "exp overflows at 88.72283935546875 in float32 (mine.py:3): subtract the row maximum first"


def test_a_remedy_suits_the_kind_of_function() -> None:
    """A sigmoid has no row, and a softmax has no use for exp(-|x|)."""
    overflow = event(EventKind.OVERFLOW, "exp")
    assert cause_of(overflow, "sigmoid").endswith(": use exp(-|x|) only")
    assert "|x|" not in cause_of(overflow, "rows") + cause_of(overflow)
    assert "row" not in cause_of(overflow) + cause_of(overflow, "sigmoid")


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ("relu", "the gradient of relu at 0 is 0.5 (mine.py:3): use a smooth form, or choose with torch.where, "),
        ("clamp", "the gradient of clamp at its bound is 0.5 (mine.py:3): "),
        ("amax", "the gradient of amax at a tie is 0.5 (mine.py:3): "),
    ],
)
def test_a_chosen_derivative_is_named_with_its_place(operation: str, said: str) -> None:
    """The sentence says where on the function it is, and not that it is in the backward pass."""
    assert cause_of(event(EventKind.SLOPE, operation, backward=True, place="mine.py:3")).startswith(said)


@pytest.mark.parametrize("kind", EventKind)
@pytest.mark.parametrize("operation", ["exp", "sum", "log", "mul", "logsumexp", "add"])
@pytest.mark.parametrize(
    ("dtype", "wider"), [("float64", None), ("float32", "float64"), ("float16", "float32"), ("bfloat16", "float32")]
)
def test_a_remedy_names_only_a_format_that_is_wider(
    kind: EventKind, operation: str, dtype: str, wider: str | None
) -> None:
    """It does not tell a float32 function to compute in float32, or a float64 function to compute in any other."""
    remedy = cause_of(event(kind, operation).model_copy(update={"dtype": dtype})).rpartition(": ")[2]
    assert set(re.findall(r"b?float\d+", remedy)) <= {wider}
    assert "wider" not in remedy


def test_inputs_with_too_many_digits_are_rounded() -> None:
    """The input is the float32 next to 1e20."""
    assert " at 1e+20 in" in cause_of(event(EventKind.OVERFLOW, "pow", input=1.0000000200408773e20))


def test_a_backward_pass_is_named_as_one() -> None:
    """The limit of the forward operation is not mentioned."""
    said = cause_of(event(EventKind.OVERFLOW, "exp", backward=True))
    assert said.startswith("the backward pass of exp overflows in float32, whose largest number is 3.40e+38: ")


@pytest.mark.parametrize(
    ("kind", "operation", "backward", "said"),
    [
        (EventKind.OVERFLOW, "log_softmax", False, "log_softmax or its internal sum overflows in float32"),
        (EventKind.INVALID, "mm", False, "mm returns NaN for infinite entries: skip terms"),
        (EventKind.INVALID, "layer_norm", False, "layer_norm returns NaN because squares overflow in float32"),
        (
            EventKind.CANCELLATION,
            "logsumexp",
            True,
            "the backward pass of logsumexp exposes the rounding of its output to float32",
        ),
        (
            EventKind.CANCELLATION,
            "var",
            False,
            "var exposes the rounding of the mean to float32: compute the mean first",
        ),
        (EventKind.CANCELLATION, "mul", True, "the backward pass of mul cancels nearly equal terms that were already"),
    ],
)
def test_a_composite_operation_is_explained(kind: EventKind, operation: str, said: str, *, backward: bool) -> None:
    """The sentence explains the internal steps of a composite operation of torch."""
    assert cause_of(event(kind, operation, backward=backward)).startswith(said)


@pytest.mark.parametrize("kind", EventKind)
@pytest.mark.parametrize("operation", ["exp", "sum", "log", "mul", "unheard_of"])
def test_every_event_has_a_sentence_and_a_remedy(kind: EventKind, operation: str) -> None:
    """An unknown operation has both too."""
    what, _, remedy = cause_of(event(kind, operation)).partition(": ")
    assert what
    assert remedy
    assert "{" not in what + remedy
