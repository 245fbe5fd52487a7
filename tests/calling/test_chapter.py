"""Functions of the book are recognized by their names and parameters, and called as its chapters define them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from samples import chapter

import harness
from harness.calling.target import entry
from harness.case import Case
from harness.contracts import deciding
from harness.findings import findings
from harness.record import Verdict
from harness.wording import sentence

HERE = Path(chapter.__file__)


PAGE = HERE.parents[2] / "docs" / "course" / "functions-of-the-book.md"


def test_the_page_of_the_course_shows_the_functions() -> None:
    """The page has the commands and their answers, and a test of the pages runs them."""
    code = HERE.read_text(encoding="utf-8").partition("ignore-errors\n")[2]
    assert f"# chapter.py\n{code}```" in PAGE.read_text(encoding="utf-8")


def checked(function: Callable[..., Any]) -> Any:
    """Check a function in float32 without any option."""
    return harness.check(function, dtypes=["float32"], examples=4, corpora=())


@pytest.mark.parametrize(("name", "contract"), [
    ("cross_entropy", "nll_of_probabilities"),
    ("accuracy", "accuracy"),
    ("evaluate_accuracy", "accuracy"),
    ("linreg", "linear"),
    ("squared_loss", "squared_error"),
    ("sgd", "sgd"),
])  # fmt: skip
def test_a_function_of_the_book_holds_without_options(name: str, contract: str) -> None:
    """It needs neither a contract nor an adapter."""
    verdicts = checked(getattr(chapter, name))
    assert {verdict.contract for verdict in verdicts} == {contract}
    assert [verdict.law for verdict in verdicts.failing] == []


def test_the_model_of_the_book_overflows_as_its_softmax_does() -> None:
    """The chapter's exercise: the first finding names the exponential."""
    found = findings([one for one in checked(chapter.net) if one.status.fails])
    assert sentence(found[0]).startswith("exp overflows at 88.7")
    assert found[0].first.contract == "softmax"


def test_the_loss_of_an_underflowed_probability_is_said() -> None:
    """The function is right, and what precedes it is the trap."""
    (said,) = [one.sentence for one in checked(chapter.cross_entropy).properties if "log(0)" in one.sentence]
    assert said.startswith("log(0): the loss of a probability that underflows to 0 is infinite")
    assert "compute it from logits" in said


def test_a_loss_with_an_epsilon_is_never_infinite() -> None:
    """The property about log(0) is absent."""

    def guarded(y_hat: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return -torch.log(y_hat[range(len(y_hat)), y] + 1e-8)

    assert not [one for one in checked(named("cross_entropy", guarded)).properties if "log(0)" in one.sentence]


def named(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with another name."""
    function.__name__ = function.__qualname__ = name
    return function


def failing(verdicts: list[Verdict]) -> set[str]:
    """Return the laws that fail."""
    return {verdict.law for verdict in verdicts if verdict.status.fails}


def test_a_step_without_the_batch_size_is_wrong() -> None:
    """The gradient is a sum over the batch."""

    def step(params: Any, lr: float, batch_size: int) -> None:
        with torch.no_grad():
            for param in params:
                param -= lr * param.grad

    assert "value" in failing(checked(named("sgd", step)))


def test_a_mean_of_the_shares_of_batches_is_wrong() -> None:
    """The last batch is smaller."""

    def evaluate(net: Any, data_iter: Any) -> float:
        shares = [(net(X).argmax(1) == y).double().mean() for X, y in data_iter]
        return float(sum(shares)) / len(shares)

    assert "share_of_hits" in failing(checked(named("evaluate_accuracy", evaluate)))


def test_a_count_that_is_off_is_wrong() -> None:
    """A number of hits has no tolerance."""

    def accuracy(y_hat: Any, y: Any) -> float:
        return float((y_hat.argmax(1) == y).sum()) + 1.0

    assert "share_of_hits" in failing(checked(named("accuracy", accuracy)))


def test_the_entry_is_found_without_running_the_file(tmp_path: Path) -> None:
    """Other parameters, or a model without the softmax, have no entry."""
    known = entry(f"{HERE}:sgd")
    assert known is not None
    assert known.why
    assert entry(f"{HERE}:net") is not None
    other = tmp_path / "own.py"
    other.write_text("def sgd(parameter, gradient, lr):\n    ...\n\n\ndef net(X):\n    return X @ W + b\n")
    assert entry(f"{other}:sgd") is None
    assert entry(f"{other}:net") is None


def test_the_parameter_that_decides_is_said() -> None:
    """Two contracts have the name of a cross-entropy, and one has the name of a softmax."""
    assert deciding(Case(chapter.cross_entropy, "", target="m:cross_entropy")) == "its name and its parameter `y_hat`"
    assert deciding(Case(chapter.softmax, "", target="m:softmax")) == "its name"
