"""``harness.check`` in this process returns a verdict for any answer and any patch."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import harness
from harness.record import Fault, Status

ASKED: dict[str, Any] = {"dtypes": ["float32"], "examples": 3, "laws": ["value", "gradient", "second_derivative"]}


class Refusing(Tensor):
    """A tensor that raises on every access, including its class."""

    def __getattribute__(self, name: str) -> Any:
        """Raise."""
        raise ValueError(f"no {name}")


class Dispatching(Tensor):
    """A tensor without memory, whose real shape differs from its claim."""

    @staticmethod
    def __new__(cls, _: Tensor) -> "Dispatching":
        """Make a tensor with seven elements."""
        return Tensor._make_wrapper_subclass(cls, (7,), dtype=torch.float32)  # type: ignore[attr-defined, no-any-return]

    @classmethod
    def __torch_dispatch__(cls, *_: Any, **__: Any) -> Any:
        """Raise."""
        raise RuntimeError("not today")


class Other(Tensor):
    """A tensor that claims a false shape."""

    @property
    def shape(self) -> Any:  # type: ignore[override]
        """A wrong shape."""
        return torch.Size([3, 3, 3])

    def as_subclass(self, _: Any) -> Any:  # type: ignore[override]
        """Return the object itself."""
        return self


@pytest.mark.parametrize(
    "function",
    [lambda x: x.softmax(-1).as_subclass(Refusing), lambda x: Dispatching(x)],
    ids=["refusing", "dispatching"],
)
def test_what_cannot_be_read_is_an_error_of_the_function(function: Callable[[Tensor], Any]) -> None:
    """Each law has the error."""
    for verdict in harness.check(function, "softmax", **ASKED):
        assert verdict.status is Status.ERROR
        assert verdict.fault is Fault.TYPE
        assert "returns an object that cannot be read as a tensor" in str(verdict.reason)


def test_what_a_tensor_says_of_itself_is_not_believed() -> None:
    """Only its numbers count."""
    right = harness.check(lambda x: x.softmax(-1).as_subclass(Other), "softmax", **ASKED)
    assert {one.status for one in right} == {Status.HOLDS}
    (wrong, *_) = harness.check(lambda x: (2 * x.softmax(-1)).as_subclass(Other), "softmax", **ASKED)
    assert wrong.status is Status.BROKEN


class Numb(Tensor):
    """A tensor for which every function of torch returns a number."""

    @classmethod
    def __torch_function__(cls, *_: Any, **__: Any) -> Any:
        """Return a number."""
        return 3


def test_what_disturbs_the_check_is_an_error_of_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method of all tensors is replaced: there is a verdict for each law, which says where the check failed."""
    original = Tensor.to
    monkeypatch.setattr(Tensor, "to", original)

    def softmax(x: Tensor) -> Tensor:
        monkeypatch.setattr(Tensor, "to", lambda *_, **__: None)
        return torch.softmax(x, -1)

    disturbed = harness.check(softmax, "softmax", **ASKED)
    monkeypatch.setattr(Tensor, "to", original)
    assert {one.status for one in disturbed} == {Status.ERROR}
    assert all("disturbs the check" in str(one.reason) for one in disturbed)
    numb = harness.check(lambda x: x.softmax(-1).as_subclass(Numb), "softmax", dtypes=["float32"], examples=3)
    assert numb


@pytest.fixture
def _mended() -> Iterator[None]:
    """Restore the functions that a test replaced."""
    autograd: Any = torch.autograd
    before = autograd.grad, autograd.backward, autograd.graph._engine_run_backward
    yield
    autograd.grad, autograd.backward, autograd.graph._engine_run_backward = before


@pytest.mark.usefixtures("_mended")
@pytest.mark.parametrize("answer", [None, 5, ("text",), "raises"])
def test_a_replaced_backward_pass_is_not_asked(answer: Any) -> None:
    """The replacement neither raises nor hides a wrong gradient."""

    def replaced(*_: Any, **__: Any) -> Any:
        if answer == "raises":
            raise RuntimeError("not today")
        return answer

    def softmax(x: Tensor, factor: float) -> Tensor:
        autograd: Any = torch.autograd
        autograd.grad = autograd.backward = autograd.graph._engine_run_backward = replaced
        y = x.softmax(-1)
        return y.detach() + factor * (y - y.detach())

    right = harness.check(lambda x: softmax(x, 1.0), "softmax", **ASKED)
    assert {one.status for one in right} == {Status.HOLDS}
    wrong = {one.law: one.status for one in harness.check(lambda x: softmax(x, 1.25), "softmax", **ASKED)}
    assert wrong["gradient"] is Status.BROKEN
