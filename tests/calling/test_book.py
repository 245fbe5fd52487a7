"""Variants of the functions of the book: each holds as it is, or has exactly its known defect."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
from samples import book
from torch import Tensor

import harness
from harness.error import UsageError
from harness.record import Status


class Asked(NamedTuple):
    """The call of a student, and the defect of the function."""

    function: Callable[..., Any]
    declares: Mapping[str, Any]
    contract: str | None = None
    hint: tuple[str, ...] = ()


HALF = {"factor": 0.5}
ROWS = {"factor": 0.5, "reduction": "none"}

ASKED = [
    Asked(book.mean_squared_loss, HALF),
    Asked(book.squared_loss_that_broadcasts, ROWS, "squared_error", hint=("column_of_predictions",)),
    Asked(book.mean_loss_that_broadcasts, HALF, "squared_error", hint=("column_of_predictions",)),
    Asked(book.mean_cross_entropy, {"reduction": "mean"}),
    Asked(book.accuracy, {}),
]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.function.__name__)
def test_book_style_code_holds_and_the_trap_of_the_column_is_a_hint(asked: Asked) -> None:
    """The functions run in float32 with the declarations of the book."""
    verdicts = harness.check(
        asked.function,
        asked.contract,
        declares=asked.declares,
        dtypes=["float32"],
        examples=4,
        corpora=(),
    )
    assert [verdict.law for verdict in verdicts.failing] == []
    assert set(asked.hint) <= {verdict.law for verdict in verdicts if verdict.status is Status.LOST}


def test_the_trap_of_the_column_is_named_where_it_is_looked_for() -> None:
    """One sentence explains the broadcast, and how to avoid it."""
    (verdict,) = harness.check(
        book.mean_loss_that_broadcasts,
        "squared_error",
        declares=HALF,
        laws=["column_of_predictions"],
        dtypes=["float32"],
        examples=4,
    )
    assert verdict.violation is not None
    assert "(n,1) against (n,) broadcasts to (n,n): reshape the target" in verdict.violation.cause
    assert verdict.violation.cause.startswith("a column [2,1] of predictions with 2 targets gives the mean of 2 x 2")


def test_the_example_of_the_column_is_one_that_a_reader_can_add_up() -> None:
    """It has two rows of zeros and ones, and fails clearly."""
    asked: dict[str, Any] = {"laws": ["column_of_predictions"], "dtypes": ["float32"], "examples": 4}
    (mean,) = harness.check(book.mean_loss_that_broadcasts, "squared_error", declares=HALF, **asked)
    (rows,) = harness.check(book.squared_loss_that_broadcasts, "squared_error", declares=ROWS, **asked)
    for verdict in (mean, rows):
        assert verdict.violation is not None
        parts: list[Any] = [verdict.violation.example[name] for name in ("prediction", "target")]
        shown = [float.fromhex(x) for part in parts for x in part.values]
        assert len(shown) == 4
        assert set(shown) <= {-1.0, 0.0, 1.0}
        assert verdict.violation.worst is None
    assert rows.violation is not None
    assert rows.violation.cause.startswith("a column [2,1] of predictions with 2 targets gives 4 losses: ")


def test_weights_with_a_column_for_each_output_are_a_usage_error_with_the_call_to_paste() -> None:
    """The book's weights are the transpose of torch's; an error about something else is the function's."""
    asked: dict[str, Any] = {"laws": ["value"], "dtypes": ["float32"], "examples": 2}
    with pytest.raises(UsageError, match=r"cannot call .*affine. as .*shapes") as refused:
        harness.check(affine, "linear", **asked)
    (call,) = re.findall('--call "(.*)"', str(refused.value))
    assert not harness.check(affine, "linear", call=call, **asked).failing
    (refuses,) = harness.check(refuse, "linear", **asked)
    assert refuses.reason is not None
    assert "raises ValueError: not today" in refuses.reason
    assert "it is called as" not in refuses.reason


def test_a_step_in_place_is_a_usage_error_with_the_call_to_paste() -> None:
    """The book's step changes the parameters that it is given, by their gradients."""
    asked: dict[str, Any] = {"laws": ["value"], "dtypes": ["float32"], "examples": 2}
    with pytest.raises(UsageError, match="changes a list of parameters in place") as refused:
        harness.check(book.sgd_in_place, "sgd", **asked)
    (call,) = re.findall('--call "(.*)"', str(refused.value))
    assert not harness.check(book.sgd_in_place, "sgd", call=call, **asked).failing


def affine(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The linear model under another name."""
    return inputs @ weight + bias


def refuse(*_: Any) -> None:
    """Raise an error."""
    raise ValueError("not today")


def test_a_share_in_float32_is_right_of_scores_in_float64() -> None:
    """The book counts hits in float32. A share that is off in float32 is wrong for both dtypes."""
    laws = ["share_of_hits", "masked_scores"]
    assert not harness.check(book.accuracy, laws=laws, dtypes=["float64"], examples=8, corpora=()).failing
    off = harness.check(
        lambda y_hat, y: book.accuracy(y_hat, y) * (1 + 2**-22), "accuracy", laws=laws, dtypes=["float64"]
    )
    assert {verdict.law for verdict in off.failing} == set(laws)
