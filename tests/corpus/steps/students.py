"""Steps as students write them, each with one wrong line, marked ``# WRONG``."""

import torch
from corpus.steps.parts import batch, net
from torch import nn


def logarithm_of_probabilities() -> None:
    """A loss as defined, on widely different logits."""
    model, (x, y) = net(), batch()
    probabilities = torch.softmax(model(x) * 300, dim=1)
    loss = -torch.log(probabilities)[torch.arange(len(y)), y].mean()  # WRONG
    loss.backward()


def mean_of_half_precision() -> None:
    """Five thousand numbers are added one by one."""
    torch.manual_seed(0)
    values = nn.Parameter(torch.rand(5000).half())
    total = torch.zeros((), dtype=torch.float16)
    for value in values:
        total = total + value  # WRONG
    ((total / len(values) - 0.5) ** 2).backward()


def adam_whose_eps_is_zero() -> None:
    """Adam in bfloat16, with a pixel that is always black."""
    torch.manual_seed(0)
    layer, x = nn.Linear(16, 4).bfloat16(), torch.randn(64, 16).bfloat16()
    x[:, 3] = 0.0
    layer(x).square().mean().backward()
    with torch.no_grad():
        for p in layer.parameters():
            m, v = 0.1 * p.grad, 0.001 * p.grad * p.grad
            p -= 1e-3 * m / (v.sqrt() + 1e-45)  # WRONG


def clipping_of_no_gradient() -> None:
    """A dead layer has zero gradients, whose norm is the divisor."""
    torch.manual_seed(0)
    model = nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.relu(model(torch.zeros(16, 8)) - 5.0).mean().backward()
    norm = sum((p.grad**2).sum() for p in model.parameters()).sqrt()
    for p in model.parameters():
        p.grad *= 1.0 / norm  # WRONG
    optimizer.step()


def loss_scaled_too_far() -> None:
    """Scaled by hand, with a factor beyond float16."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 1)).half()
    x, y = torch.randn(64, 32).half(), torch.randn(64, 1).half()
    loss = nn.functional.mse_loss(model(x), y)
    (loss * 2.0**17).backward()  # WRONG
