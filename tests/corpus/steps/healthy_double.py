"""Steps in float64 without a defect, although terms cancel, saturate or are zero in many."""

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish, net
from torch import nn

DOUBLE = torch.float64


def softmax_regression() -> None:
    """The chapter's model."""
    torch.manual_seed(0)
    model, (x, y) = nn.Linear(16, 10).to(DOUBLE), batch(dtype=DOUBLE)
    finish(model, F.cross_entropy(model(x), y), torch.optim.SGD(model.parameters(), 0.1))


def softmax_regression_from_scratch() -> None:
    """Softmax as defined, on small logits."""
    model, (x, y) = net(dtype=DOUBLE), batch(dtype=DOUBLE)
    z = model(x)
    e = (z - z.max(1, keepdim=True).values).exp()
    p = e / e.sum(1, keepdim=True)
    finish(model, -p[torch.arange(32), y].log().mean())


def adam() -> None:
    """Three steps of Adam with decay and clipping."""
    model, (x, y) = net(dtype=DOUBLE), batch(dtype=DOUBLE)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def converged_regression() -> None:
    """The residual and the gradient are rounding errors."""
    torch.manual_seed(0)
    model, (x, _) = nn.Linear(16, 1).to(DOUBLE), batch(dtype=DOUBLE)
    y = model(x).detach()
    finish(model, (model(x) - y).pow(2).mean() / 2 + model.weight.square().sum())


def attention() -> None:
    """The exact gradient of the keys' bias is zero."""
    torch.manual_seed(0)
    x = torch.randn(2, 6, 8, dtype=DOUBLE)
    q, k, v = (nn.Linear(8, 8).to(DOUBLE) for _ in range(3))
    mask = torch.ones(6, 6, dtype=torch.bool).triu(1)
    scores = (q(x) @ k(x).transpose(1, 2) / 8**0.5).masked_fill(mask, float("-inf"))
    out = F.layer_norm(scores.softmax(-1) @ v(x) + x, (8,))
    (out * torch.arange(8, dtype=DOUBLE)).square().mean().backward()


def stable_forms() -> None:
    """The functions log1p, expm1, softplus and logsigmoid of tiny and large arguments."""
    w = torch.tensor([1e-18, 3e-15, 0.3, 40.0], dtype=DOUBLE, requires_grad=True)
    (w.log1p() + F.softplus(-w) - F.logsigmoid(w)).sum().backward()
    v = torch.tensor([1e-18, 3e-15, 0.3], dtype=DOUBLE, requires_grad=True)
    (v.expm1() / v.detach()).sum().backward()


def variance_around_the_mean() -> None:
    """Data at an offset that float64 can represent."""
    model, (x, y) = net(dtype=DOUBLE), batch(dtype=DOUBLE)
    x = x + 1e4
    centred = x - x.mean(0)
    finish(model, F.cross_entropy(model(centred / (centred.square().mean(0) + 1e-5).sqrt()), y))


def exact_differences() -> None:
    """A number minus itself is zero, and differences of neighbors are exact."""
    w = torch.tensor([1e15 + 1, 1e15 + 3], dtype=DOUBLE, requires_grad=True)
    ((w - 1e15).sum() + (w - w.detach()).sum()).backward()


def momentum_on_a_curve() -> None:
    """Sines and powers, two steps."""
    w = nn.Parameter(torch.linspace(0.1, 2.0, 8, dtype=DOUBLE))
    optimizer = torch.optim.SGD([w], 1e-2, momentum=0.9)
    for _ in range(2):
        optimizer.zero_grad()
        (w.sin() * w.pow(3) + w.tanh()).sum().backward()
        optimizer.step()


def normalised_by_batch() -> None:
    """Batch norm between two layers, in training."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 10)).to(DOUBLE)
    x, y = batch(dtype=DOUBLE)
    finish(model, F.cross_entropy(model(x), y))
