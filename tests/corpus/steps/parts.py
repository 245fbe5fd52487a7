"""Building blocks of the steps: a small network, a batch, and a backward pass with update."""

import torch
from torch import Tensor, nn


def net(width: int = 16, out: int = 10, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return a network with two layers."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, out)).to(dtype)


def batch(rows: int = 32, width: int = 16, out: int = 10, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Return normal inputs and labels."""
    torch.manual_seed(1)
    return torch.randn(rows, width).to(dtype), torch.randint(0, out, (rows,))


def finish(model: nn.Module, loss: Tensor, optimizer: torch.optim.Optimizer | None = None) -> None:
    """Run the backward pass and the optimizer."""
    loss.backward()
    (optimizer or torch.optim.SGD(model.parameters(), 1e-2)).step()
