"""Sound steps from reports about the audit, which it flagged."""

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish
from torch import nn


def norm_over_a_clamped_square() -> None:
    """A row is 0; the square has the slope 0 there, so the clamp blocks nothing."""
    model, (x, y) = nn.Linear(16, 10, bias=False), batch()
    x[7] = 0.0
    h = model(x)
    norm = h.pow(2).sum(1, keepdim=True).clamp(min=1e-12).sqrt()
    finish(model, F.cross_entropy(4 * h / norm, y))


def norm_of_dead_features() -> None:
    """All rows are 0 behind a ReLU, and the penalty on their norm blocks nothing."""
    model, x = nn.Linear(8, 4), torch.randn(16, 8)
    with torch.no_grad():
        model.bias.fill_(-50.0)
    h = F.relu(model(x))
    norm = torch.clamp_min(h.square().sum(1), 1e-6).sqrt()
    finish(model, (norm - 1).square().mean() + 0.0 * model(x).mean())
