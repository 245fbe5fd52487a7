"""Functions of the book are recognized by their names and parameters, and called as its chapters define them."""

import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import harness
from harness.calling.target import entry
from harness.case import Case
from harness.contracts import deciding
from harness.record import Verdict

PAGE = Path(__file__).parents[2] / "docs" / "course" / "functions-of-the-book.md"


@pytest.fixture
def chapter(tmp_path: Path) -> Path:
    """Write the file that the page of the course shows. A test of the pages runs the page's commands on it."""
    code = re.search(r"```python\n(# chapter\.py\n.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert code is not None
    file = tmp_path / "chapter.py"
    file.write_text(code[1], encoding="utf-8")
    return file


def checked(function: Callable[..., Any]) -> Any:
    """Check a function in float32 without any option."""
    return harness.check(function, dtypes=["float32"], examples=4, corpora=())


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


def test_the_entry_is_found_without_running_the_file(chapter: Path, tmp_path: Path) -> None:
    """Other parameters, or a model without the softmax, have no entry."""
    known = entry(f"{chapter}:sgd")
    assert known is not None
    assert known.why
    assert entry(f"{chapter}:net") is not None
    other = tmp_path / "own.py"
    other.write_text("def sgd(parameter, gradient, lr):\n    ...\n\n\ndef net(X):\n    return X @ W + b\n")
    assert entry(f"{other}:sgd") is None
    assert entry(f"{other}:net") is None


def test_the_parameter_that_decides_is_said(chapter: Path) -> None:
    """Two contracts have the name of a cross-entropy, and one has the name of a softmax."""
    names = runpy.run_path(str(chapter))
    assert deciding(Case(names["cross_entropy"], "", target="m:cross_entropy")) == "its name and its parameter `y_hat`"
    assert deciding(Case(names["softmax"], "", target="m:softmax")) == "its name"
