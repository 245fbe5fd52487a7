"""Memory of the device: what lives counts, views do not, and too much is refused."""

import pytest
import torch

MIB = 2**20


def test_memory_counts_while_tensors_live() -> None:
    """A view counts nothing, and keeps its base alive."""
    before = torch.accelerator.memory_allocated()
    x = torch.zeros(MIB // 4, device="sim")
    assert torch.accelerator.memory_allocated() - before == MIB
    view = x[:10]
    del x
    assert torch.accelerator.memory_allocated() - before == MIB
    del view
    assert torch.accelerator.memory_allocated() == before


def test_the_peak_stays_until_it_is_reset() -> None:
    """An intermediate result counts."""
    torch.accelerator.reset_peak_memory_stats()
    before = torch.accelerator.max_memory_allocated()
    x = torch.zeros(MIB // 4, device="sim")
    (x + 1).sum().item()
    assert torch.accelerator.max_memory_allocated() - before >= 2 * MIB
    torch.accelerator.reset_peak_memory_stats()
    assert torch.accelerator.max_memory_allocated() - before == MIB


def test_saved_tensors_of_autograd_live_until_the_backward_pass() -> None:
    """The result of an exponential is saved."""
    x = torch.zeros(MIB // 4, device="sim", requires_grad=True)
    before = torch.accelerator.memory_allocated()
    loss = x.exp().sum()
    assert torch.accelerator.memory_allocated() - before >= MIB
    loss.backward()
    x.grad = None
    del loss
    assert torch.accelerator.memory_allocated() == before


def test_more_than_the_device_has_is_refused() -> None:
    """With torch's own exception, and what lives stays usable."""
    x = torch.ones(4, device="sim")
    with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate"):
        torch.zeros(128 * MIB // 4, device="sim")
    assert x.sum().item() == 4
