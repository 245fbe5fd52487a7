"""The one table of operations on balls agrees with torch, in replays of a tape and in audits."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from exact.tapes import recorded, replayed
from torch import Tensor

import harness
from harness.exact.operators import COPIES, MOVES, OPERATIONS, PICKED, PUTS
from harness.exact.replay import Balls
from harness.exact.tape import Tape

DOUBLE = torch.float64


def inputs() -> tuple[Tensor, Tensor]:
    """Numbers of both signs, none near a kink, and positive numbers."""
    rows = torch.linspace(-2.13, 1.87, 24, dtype=DOUBLE).view(4, 6)
    return rows.requires_grad_(), torch.linspace(0.31, 2.9, 24, dtype=DOUBLE).view(4, 6).requires_grad_()


LABELS = torch.tensor([0, 5, 2, -100])
MASK = torch.arange(24).view(4, 6) % 3 == 0

CALLS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "arithmetic": lambda x, p: 2 - x * 3 / p + (x - 1).square() - (-x).abs(),
    "powers": lambda x, p: x ** 3 + p ** 1.5 + p ** -2 + 2 ** x + p ** x,
    "roots": lambda _, p: p.sqrt() + p.rsqrt() + p.reciprocal(),
    "exponentials": lambda x, _: x.exp() + x.expm1() + x.exp2() + x.sinh() + x.cosh(),
    "logarithms": lambda _, p: p.log() + p.log1p() + p.log2() + p.log10(),
    "angles": lambda x, _: x.sin() + x.cos() + x.atan() + (x / 3).tan(),
    "normal": lambda x, _: x.erf() + x.erfc(),
    "saturating": lambda x, _: x.tanh() + x.sigmoid() + F.softplus(x, beta=2) + F.logsigmoid(x),
    "activations": lambda x, _: F.gelu(x) + F.gelu(x, approximate="tanh") + F.silu(x) + x.relu(),
    "bounds": lambda x, p: x.clamp(-1, 1) + x.clamp_min(0.5) + x.maximum(p) - x.sign(),
    "choices": lambda x, p: torch.where(MASK, x, p) + x.masked_fill(MASK, 3.0),
    "of pairs": lambda x, p: torch.logaddexp(x, p) + x.lerp(p, 0.3),
    "fused": lambda x, p: torch.addcmul(x, p, x, value=0.5) + x.addcdiv(x, p),
    "sums": lambda x, _: x.sum(0) + x.mean(0, keepdim=True) + x.cumsum(1) + x.prod(0),
    "extremes": lambda x, _: x.amax(1) + x.amin(1) + x.max(1).values + x.sort(1).values[:, 0],
    "spreads": lambda x, _: x.var(1) + x.std(1, correction=0) + x.norm(dim=1) + x.norm(p=1, dim=1),
    "of exponentials": lambda x, _: x.logsumexp(1, keepdim=True) + x.softmax(1) + x.log_softmax(0),
    "products": lambda x, p: x @ p.t() + torch.addmm(torch.ones(4, 4, dtype=DOUBLE), x, x.t()),
    "of batches": lambda x, p: x.view(2, 2, 6) @ p.view(2, 6, 2) + (x @ p[0])[:2, None],
    "cross entropy": lambda x, _: F.cross_entropy(x, LABELS) + F.cross_entropy(x, LABELS, reduction="sum"),
    "weighted": lambda x, p: F.cross_entropy(x, LABELS, p[0].detach(), label_smoothing=0.1),
    "squared error": lambda x, p: F.mse_loss(x, p) + F.mse_loss(x, p, reduction="none"),
    "layer norm": lambda x, p: F.layer_norm(x, (6,), p[0], x[0]) + F.layer_norm(x, (6,)),
    "batch norm": lambda x, p: F.batch_norm(x, *running(), p[0], x[0], training=True),
    "running norm": lambda x, p: F.batch_norm(x, *running(), p[0], x[0]),
    "picked": lambda x, _: x[[0, 2, 0], [1, 1, 1]] + x.gather(1, MASK.long())[:3, 0] + x[1:, 2]
    + x.index_select(0, LABELS[:1])[0, :3],
    "joined": lambda x, p: torch.cat([x, p], 1).flip(0).roll(1, 1) + torch.stack([x] * 2, 1).view(4, 12),
    "triangles": lambda x, _: x.tril() + x.triu(1) + F.pad(x, (1, 1))[:, 1:-1] + x.repeat(2, 1)[:4],
    "scaled": lambda x, p: torch.add(x, p, alpha=3) - torch.sub(x, p, alpha=2) + (1 - x) + x / 2 + torch.addmm(
        x[:, :4], x, p.t(), beta=2, alpha=3).sum(),
    "of all entries": lambda x, p: x.max() + x.min() + x.amax() + p.norm() + x.sum() * p.mean() + x[0] @ p[0] + x * 0,
    "copies": lambda x, p: x.clone().fill_(2.0) + torch.zeros_like(x) + x.clone().copy_(p).zero_()
    + x.to(DOUBLE, copy=True),
    "exponents": lambda x, p: x**-1 + p**0.5 + x.sgn() + x.clamp(min=0) + x.clamp_max(1.0) + x.abs().exp2(),
    "written": lambda x, p: F.pad(x, (1, 0), value=0.5)[:, 1:] + p.scatter(1, MASK.long(), 2.5),
    "norms": lambda x, p: x.norm(dim=1) + x.norm(p=torch.inf, dim=1) + x.norm(p=3, dim=1) + p.logsumexp((0, 1)),
    "further batches": lambda x, p: torch.baddbmm(p[0, :4].view(2, 2, 1), x.view(2, 2, 6), p.view(2, 6, 2)).sum()
    + (x.view(2, 2, 6) @ p.t()).view(4, 4) + x[:, :4].diagonal() + torch.diag_embed(x[0])[:4, :4],
    "further places": lambda x, p: x.detach().take(LABELS[:1]) + x.detach().masked_select(MASK).sum()
    + F.embedding(MASK[:, 0].long(), x.detach()) + x.select_scatter(p[0], 0, 1) + x.slice_scatter(p[:2], 0, 1, 3),
    "ranks": lambda x, _: x.topk(2).values + x.kthvalue(2).values[:, None] + x.median(1).values[:, None],
    "stacked": lambda x, p: torch.cat([x, p])[1:5] + torch.stack([x, p])[1] + x.gather(1, MASK.long()) + x.minimum(p),
}  # fmt: skip


def running() -> tuple[Tensor, Tensor]:
    """A running mean and variance."""
    return torch.linspace(-0.2, 0.4, 6, dtype=DOUBLE), torch.linspace(0.5, 2.0, 6, dtype=DOUBLE)


def gradient(function: Callable[[Tensor, Tensor], Tensor], x: Tensor, p: Tensor) -> Tensor:
    """Return the gradient of a weighted sum of the results."""
    value = function(x, p)
    weights = torch.arange(value.numel(), dtype=DOUBLE).cos().view(value.shape)
    return torch.cat(
        [of for of in torch.autograd.grad((value * weights).sum(), (x, p), allow_unused=True) if of is not None]
    )


def tape_of(name: str) -> tuple[Tape, Tensor]:
    """Record a call and its backward pass."""
    return recorded(lambda x, p: gradient(CALLS[name], x, p), *inputs())


@pytest.mark.parametrize("name", CALLS)
def test_an_operation_in_balls_is_what_torch_computes(name: str) -> None:
    """The replays of the forward and of the backward pass agree with float64 except for rounding."""
    tape, answer = recorded(CALLS[name], *inputs())
    torch.testing.assert_close(replayed(tape, Balls()), answer, rtol=1e-12, atol=0.0)
    tape, answer = tape_of(name)
    torch.testing.assert_close(replayed(tape, Balls()), answer, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", CALLS)
def test_an_audit_has_balls_for_every_operation(name: str) -> None:
    """Another definition would err by the size of the result."""
    with harness.audit() as found:
        value = CALLS[name](*inputs())
        (value * torch.arange(value.numel(), dtype=DOUBLE).cos().view(value.shape)).sum().backward()
    assert found.record.blind == {}
    errors = [stretch.error for stretch in found.record.errors]
    assert all(error is not None and error < 1e-13 for error in errors), found.record.errors
    assert found.record.loss_in_balls


def test_every_operation_is_tried() -> None:
    """The calls above use the whole table; a tape has no views."""
    tried = {step.schema.base for name in CALLS for step in tape_of(name)[0].steps}
    assert sorted({*OPERATIONS, *MOVES, *COPIES, *PICKED, *PUTS} - tried) == ["_unsafe_view"]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.log(), lambda x: 1 / x, lambda x: x.rsqrt(), lambda x: x**-2, lambda x: x.exp(), lambda x: x.tanh(),
        lambda x: x.sigmoid(), lambda x: x.softmax(0), lambda x: x.log_softmax(0), lambda x: x.logsumexp(0),
        lambda x: torch.logaddexp(x, x), lambda x: x - x, lambda x: x * 0, lambda x: x.sin(), lambda x: x.maximum(-x),
        lambda x: F.softplus(x), lambda x: F.logsigmoid(x), lambda x: x.log1p(), lambda x: x.amax(),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "values", [[0.0, 1.0], [torch.inf, 1.0], [-torch.inf, 1.0], [-torch.inf, -torch.inf], [torch.nan, 1.0], [-1.0, 2.0]]
)
def test_poles_and_infinities_are_those_of_torch(function: Callable[[Tensor], Tensor], values: list[float]) -> None:
    """Balls have no such rules."""
    tape, answer = recorded(function, torch.tensor(values, dtype=DOUBLE))
    torch.testing.assert_close(replayed(tape, Balls()), answer, rtol=1e-12, atol=0.0, equal_nan=True)
