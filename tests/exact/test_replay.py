"""Recording changes nothing, and replays are exact."""

import pytest
import torch
from exact.tapes import recorded, replayed
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from harness.calling.modes import run_uncompiled
from harness.exact.replay import Balls, Doubles
from harness.exact.tape import MAX_STEPS, Recorder, Tape, TooLongError

X = torch.tensor([[0.5, -1.25, 2.0], [3.0, 0.75, -0.125]], dtype=torch.float64)


def test_a_second_backward_pass_is_named_for_the_operation_of_the_first() -> None:
    """The dispatched operator has another name."""

    def twice(x: Tensor) -> Tensor:
        x = x.requires_grad_()
        (first,) = torch.autograd.grad((torch.layer_norm(x, x.shape[-1:]) ** 2).sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), x)[0]

    tape, _ = recorded(twice, X.clone())
    named = {step.operation for step in tape.steps if step.node is not None}
    assert "layer_norm" in named
    assert not any(name.endswith("_backward") for name in named)


def test_the_backward_pass_of_log1p_has_the_public_name() -> None:
    """Autograd calls it Log1PBackward0."""
    x = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    tape, _ = recorded(lambda x: torch.autograd.grad(x.log1p().sum(), x)[0], x)
    assert {step.operation for step in tape.steps if step.node is not None} == {"log1p"}


@pytest.mark.parametrize("arithmetic", [Balls(), Doubles()])
def test_views_and_operations_in_place_need_no_rules(arithmetic: Balls | Doubles) -> None:
    """A value written through one view is read through another."""

    def in_place(x: Tensor) -> Tensor:
        work = x.clone()
        work.T[0] += 1.0
        work[:, 1:].mul_(3.0).sub_(work[:, :1])
        return work.reshape(-1)[::2]

    tape, answer = recorded(in_place, X.clone())
    assert torch.equal(replayed(tape, arithmetic), answer)


def test_the_first_operations_of_a_replay_are_as_they_were() -> None:
    """A third remains rounded to float32 from there on, and is more exact before."""
    tape, answer = recorded(lambda x: (x / 3) * 3 - 1, torch.ones(1))
    assert replayed(tape, Doubles(), 0).item() == 0.0
    assert replayed(tape, Doubles(), 1).item() == float(torch.tensor(1 / 3, dtype=torch.float32)) * 3 - 1 != 0.0
    assert replayed(tape, Doubles(), 3).item() == answer.item()


def test_balls_have_any_exponent() -> None:
    """Results that overflow or underflow in float64 are recovered."""
    tape, answer = recorded(lambda x: (x.exp().log(), (-x).exp().log())[1], torch.tensor([2000.0], dtype=torch.float64))
    assert answer.item() == -torch.inf
    assert replayed(tape, Balls()).item() == -2000.0


def test_a_call_that_is_too_long_is_given_up() -> None:
    """Recording stops before its end."""

    def long(x: Tensor) -> Tensor:
        for _ in range(MAX_STEPS + 1):
            x = x + 1
        return x

    with pytest.raises(TooLongError):
        recorded(long, torch.zeros(1))


def test_recording_changes_no_bit() -> None:
    """Result and gradient are equal bit by bit."""

    def gradient(x: Tensor) -> Tensor:
        (of_x,) = torch.autograd.grad(x.log_softmax(-1).square().sum(), x)
        return of_x

    x = X.to(torch.float16).requires_grad_()
    assert torch.equal(recorded(gradient, x)[1], gradient(x))


def test_what_is_compiled_is_followed_and_nothing_is_compiled_meanwhile() -> None:
    """Single operations are recorded, and the compiler works again afterwards."""
    backend = CompileCounter()
    compiled = torch.compile(lambda x: x.exp() / x.exp().sum(), backend=backend, dynamic=False)
    compiled(X)
    before = backend.frame_count
    tape = Tape()
    with run_uncompiled(), Recorder(tape):
        compiled(X)
    assert [step.name for step in tape.steps] == ["exp", "exp", "sum", "div"]
    assert backend.frame_count == before
    compiled(X[:1])
    assert backend.frame_count == before + 1
