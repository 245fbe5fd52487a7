"""Models in wrappers for several devices, here a single one: nothing changes, and the same line is named."""

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch._C._distributed_c10d import HashStore
from torch.nn.parallel import DataParallel, DistributedDataParallel

import harness
from harness.record.audit import Mode

Step = Callable[[], Tensor]
Left = Callable[[], list[Tensor]]

WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "distributed": DistributedDataParallel,
    "distributed with buckets as gradients": lambda model: DistributedDataParallel(model, gradient_as_bucket_view=True),
    "distributed with a static graph": lambda model: DistributedDataParallel(model, static_graph=True),
    "in one process": DataParallel,
}


@pytest.fixture(scope="module", autouse=True)
def _group() -> Iterator[None]:
    """Start a Gloo group of this process alone."""
    dist.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def naive_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy with softmax as defined."""
    e = logits.exp()
    return -(e / e.sum(1, keepdim=True))[range(len(y)), y].log().mean()


def stepping(wrap: Callable[[nn.Module], nn.Module], loss_of: Callable[[Tensor, Tensor], Tensor]) -> tuple[Step, Left]:
    """Return a step of a wrapped model, and a function that returns its state."""
    torch.manual_seed(0)
    model = wrap(nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4)))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    X, y = torch.randn(6, 8), torch.arange(6) % 4

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(model(X), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def left() -> list[Tensor]:
        gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        return [*gradients, *(value.clone() for value in model.state_dict().values()), torch.get_rng_state()]

    return step, left


@pytest.mark.parametrize("mode", ["full", "events"])
@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapped_model_takes_the_same_step(name: str, mode: Mode) -> None:
    """With an audit of the second of three steps, losses, gradients, weights and buffers stay equal."""
    ends = []
    for audited in (False, True):
        step, left = stepping(WRAPPERS[name], F.cross_entropy)
        losses = [step()]
        if audited:
            with harness.audit(mode=mode) as found:
                losses.append(step())
            assert found.findings == ()
            assert found.record.ends >= 7  # the loss, four gradients, two buffers
        else:
            losses.append(step())
        ends.append([*losses, *left(), step()])
    assert len(ends[0]) == len(ends[1])
    assert all(torch.equal(plain, seen) for plain, seen in zip(*ends, strict=True))


@pytest.mark.parametrize("name", WRAPPERS)
def test_the_line_is_named_through_a_wrapper(name: str) -> None:
    """The finding also names the parameters of the wrapped module."""
    step, _ = stepping(WRAPPERS[name], lambda logits, y: naive_loss(200 + logits, y))
    with harness.audit() as found:
        step()
    first = found.findings[0]
    assert (first.file, first.function, first.kind) == (__file__, "naive_loss", "overflow")
    assert "the gradient of module.0.weight" in first.reaches
