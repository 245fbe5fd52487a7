"""Buffers, counters and averages are watched like weights, and a settled one is not accused."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import harness
from harness.record.audit import AuditKind, Mode


class Keeping(nn.Module):
    """A model with a buffer that a function changes in each forward pass."""

    def __init__(self, buffer: Tensor, change: Callable[[nn.Module, Tensor], None]) -> None:
        super().__init__()
        self.register_buffer("kept", buffer)
        self.layer, self.change = nn.Linear(8, 2), change

    def forward(self, x: Tensor) -> Tensor:
        """Change the buffer, and apply the layer."""
        self.change(self, x.detach())
        return self.layer(x)


def replaced(model: Any, x: Tensor) -> None:
    """Assign a new average."""
    model.kept = 0.9995 * model.kept + 0.0005 * x.var(0).to(model.kept.dtype)


def multiplied(model: Any, x: Tensor) -> None:
    """Change the average in place, in two operations."""
    model.kept.mul_(0.999).add_(x.var(0).to(model.kept.dtype), alpha=0.001)


def interpolated(model: Any, x: Tensor) -> None:
    """Change the average in place, in one operation."""
    model.kept.lerp_(x.var(0).to(model.kept.dtype), 1e-4)


def counted(model: Any, _x: Tensor) -> None:
    """Add one."""
    model.kept += 1


def counted_anew(model: Any, _x: Tensor) -> None:
    """Assign a number that is larger by one."""
    model.kept = model.kept + 1


SHORT, HALF, SINGLE = torch.bfloat16, torch.float16, torch.float32
LOST = [
    (replaced, torch.full((8,), 40.0, dtype=SHORT)),
    (multiplied, torch.full((8,), 40.0, dtype=SHORT)),
    (interpolated, torch.full((8,), 40.0, dtype=HALF)),
    (counted, torch.tensor(2.0**24)),
    (counted, torch.full((3,), 256.0, dtype=SHORT)),
    (counted_anew, torch.tensor(2048.0, dtype=HALF)),
]
KEPT = [
    (replaced, torch.full((8,), 40.0)),
    (multiplied, torch.full((8,), 40.0)),
    (interpolated, torch.full((8,), 40.0)),
    (counted, torch.tensor(2.0**24 - 2)),
    (counted_anew, torch.tensor(100.0, dtype=SHORT)),
    (counted, torch.tensor(2.0**24, dtype=torch.float64)),
    (counted, torch.tensor(2**24)),
]


def kinds(change: Callable[[nn.Module, Tensor], None], buffer: Tensor, mode: Mode) -> list[AuditKind]:
    """Audit a step of a model that keeps a buffer."""
    torch.manual_seed(0)
    model = Keeping(buffer.clone(), change)
    x = torch.randn(32, 8)
    with harness.audit(mode=mode) as found:
        model(x).square().mean().backward()
    return [finding.kind for finding in found.findings]


@pytest.mark.parametrize("mode", ["full", "events"])
@pytest.mark.parametrize(("change", "buffer"), LOST)
def test_a_buffer_that_does_not_move_is_found(
    change: Callable[[nn.Module, Tensor], None], buffer: Tensor, mode: Mode
) -> None:
    """In place or assigned, in 16 bits or a count in float32."""
    assert set(kinds(change, buffer, mode)) == {AuditKind.UPDATE}


@pytest.mark.parametrize("mode", ["full", "events"])
@pytest.mark.parametrize(("change", "buffer"), KEPT)
def test_a_buffer_that_moves_is_not_accused(
    change: Callable[[nn.Module, Tensor], None], buffer: Tensor, mode: Mode
) -> None:
    """The same changes in formats that resolve them."""
    assert kinds(change, buffer, mode) == []


@pytest.mark.parametrize(
    ("momentum", "spread", "is_lost"), [(1e-3, 5.0, True), (1e-3, 1.0, True), (0.1, 5.0, False), (0.1, 1.0, False)]
)
def test_statistics_that_stop_short_are_found(momentum: float, spread: float, is_lost: bool) -> None:
    """A small momentum stops them far from the batch, wherever they are now."""
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(8, momentum=momentum).bfloat16()
    x = (torch.randn(4096, 8) * spread).bfloat16()
    with harness.audit() as found:
        norm(x).float().cos().sum().backward()
    assert [finding.kind for finding in found.findings] == [AuditKind.UPDATE] * is_lost
    assert not is_lost or found.findings[0].reaches == ("the buffer running_var",)


def test_a_step_that_the_scaler_skips_is_a_note() -> None:
    """The gradients overflow because of the scale alone, in both modes."""
    for mode in ("full", "events"):
        torch.manual_seed(0)
        model = nn.Linear(8, 2)
        optimizer, scaler = torch.optim.SGD(model.parameters(), 0.1), torch.amp.GradScaler("cpu", init_scale=2.0**40)
        with harness.audit(mode=mode) as found:
            with torch.autocast("cpu", dtype=HALF):
                loss = model(torch.ones(4, 8)).float().square().mean()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        assert found.findings == ()
        assert any(note.startswith("GradScaler skips a step") for note in found.record.notes)
