"""Recording changes nothing, replays are exact, and both kinds of arithmetic know the same operations."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from harness.calling.compiler import uncompiled
from harness.calling.trace import Balls, Doubles, Recorder, Replay, Tape
from harness.calling.trace.rules import MOVES, RULES
from harness.calling.trace.tape import MOST_STEPS, TooLongError

X = torch.tensor([[0.5, -1.25, 2.0], [3.0, 0.75, -0.125]], dtype=torch.float64)
Y = torch.tensor([[1.5, 0.25, -2.0], [0.5, -0.75, 4.0]], dtype=torch.float64)

OPERATIONS: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda x, y: torch.add(x, y, alpha=3) - torch.sub(x, y, alpha=2) + (1 - x),
    lambda x, y: x * y / (y + 8) / 2,
    lambda x, _: -x.abs() + x.sign() + x.square() + x.relu(),
    lambda x, _: x.exp() + x.exp2() + x.expm1() + x.tanh() + x.sigmoid(),
    lambda x, _: x.abs().log() + x.abs().log1p() + x.abs().log2() + x.abs().log10(),
    lambda x, _: x.abs().sqrt() + x.abs().rsqrt() + x.reciprocal() + x**2 + x**-1 + x.abs() ** 0.5,
    lambda x, y: torch.maximum(x, y) + torch.minimum(x, y) + x.clamp(-1, 1) + x.clamp(min=0) + x.clamp_max(1.0),
    lambda x, y: torch.where(x > 0, x, y) + x.masked_fill(y > 0, 7.0),
    lambda x, y: torch.addcmul(x, x, y, value=2) + torch.addcdiv(x, x, y + 8, value=2) + torch.lerp(x, y, 0.25),
    lambda x, _: x.sum() + x.sum(0) + x.mean(-1, keepdim=True) + x.prod(0) + x.cumsum(0),
    lambda x, _: x.amax(0) + x.amin(-1, keepdim=True) + x.max(0).values + x.min(0).values + x.max() + x.min(),
    lambda x, _: x.var(-1, keepdim=True) + x.std(-1, keepdim=True, correction=0) + x.norm(dim=-1, keepdim=True),
    lambda x, y: x @ y.T + (x.T @ y).sum() + x[0] @ y[0] + (x @ y[0])[:, None],
    lambda x, y: torch.bmm(x[None], y.T[None])[0] + torch.addmm(x[:, :2], x, y.T, beta=2, alpha=3),
    lambda x, y: x.softmax(-1) + x.log_softmax(0) + x.logsumexp(-1, keepdim=True) + torch.logaddexp(x, y),
    lambda x, _: F.logsigmoid(x) + x.clone().fill_(2.0) + x.to(torch.float32).double() + torch.zeros_like(x),
    lambda x, y: (
        torch.cat([x, y])[1:3] + torch.stack([x, y])[1] + x.flip(0) + x.roll(1, 0) + x.gather(1, (y > 0).long())
    ),
    lambda x, _: x.index_select(0, torch.tensor([1, 0])) + x[torch.tensor([1, 1])] + x.tril() + x.triu(),
    lambda x, y: F.pad(x, (1, 0))[:, 1:] + x.repeat(2, 1)[1:3] + torch.clamp_min(x, 0.5) + x.clone().copy_(y).zero_(),
    lambda x, _: x.sin() + x.erf() + x.atan(),
]
"""Operations with a rule, and at the end operations without one, which run in float64."""


def recorded(function: Callable[..., Tensor], *inputs: Tensor) -> tuple[Tape, Tensor]:
    """Return the tape of a call and its result."""
    recorder = Recorder(tape := Tape())
    with recorder:
        answer = function(*inputs)
    tape.answers.append(recorder.view(answer))
    return tape, answer


def replayed(tape: Tape, arithmetic: Balls | Doubles, rounded: int = 0) -> Tensor:
    """Return the result of a replay."""
    return Replay(tape, arithmetic, rounded).read(tape.answers[0]).hi


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


@pytest.mark.parametrize("function", OPERATIONS)
def test_balls_know_what_torchs_operations_are(function: Callable[..., Tensor]) -> None:
    """The rounded exact result agrees with float64 except for rounding."""
    tape, answer = recorded(function, X.clone(), Y.clone())
    torch.testing.assert_close(replayed(tape, Balls()), answer, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("function", OPERATIONS)
def test_balls_know_what_the_backward_passes_are(function: Callable[..., Tensor]) -> None:
    """All gradients of these operations agree."""

    def gradient(x: Tensor, y: Tensor) -> Tensor:
        (of_x,) = torch.autograd.grad(function(x, y).sum(), x)
        return of_x

    tape, answer = recorded(gradient, X.clone().requires_grad_(), Y.clone())
    torch.testing.assert_close(replayed(tape, Balls()), answer, rtol=1e-11, atol=0.0)


def test_every_rule_and_every_move_is_tried() -> None:
    """The operations above use all of them, forward and backward."""
    tried = set()
    for function in OPERATIONS:
        tape, _ = recorded(
            lambda x, y, f=function: torch.autograd.grad(f(x, y).sum(), x)[0], X.clone().requires_grad_(), Y
        )
        tried |= {step.operator.overloadpacket.__name__ for step in tape.steps}
    plain = {name.removesuffix("_") if not name.startswith("_") else name for name in tried}
    assert sorted((set(RULES) | MOVES) - plain - tried) == []


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
        for _ in range(MOST_STEPS + 1):
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
    with uncompiled(), Recorder(tape):
        compiled(X)
    assert [step.name for step in tape.steps] == ["exp", "exp", "sum", "div"]
    assert backend.frame_count == before
    compiled(X[:1])
    assert backend.frame_count == before + 1
