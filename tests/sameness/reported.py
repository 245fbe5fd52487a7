"""Defects of other projects, and a dead model, in small, each with the line of the mistake."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
TOKENS, LABELS = torch.randn(24, 8), torch.randint(4, (24,))
LABELS[::5] = -100
LABELS[:4] = -100
MODEL = nn.Linear(8, 4)
OPTIMIZER = torch.optim.SGD(MODEL.parameters(), lr=0.1)
WEIGHT = torch.full((8, 4), -9.0, requires_grad=True)


def mean_over_tokens(accumulation=1):
    """Huggingface/transformers 34191: each loss is a mean over the tokens of its part, whose number differs."""
    OPTIMIZER.zero_grad()
    total = torch.zeros(())
    for x, y in zip(TOKENS.chunk(accumulation), LABELS.chunk(accumulation), strict=True):
        loss = F.cross_entropy(MODEL(x), y) / accumulation
        loss.backward()
        total += loss.detach()
    OPTIMIZER.step()
    return total


def loss_without_its_gradient(accumulation=1):
    """Huggingface/transformers 35210: the printed loss is right, and the gradient is divided by the parts once more."""
    OPTIMIZER.zero_grad()
    total = torch.zeros(())
    count = (LABELS != -100).sum()
    for x, y in zip(TOKENS.chunk(accumulation), LABELS.chunk(accumulation), strict=True):
        loss = F.cross_entropy(MODEL(x), y, reduction="sum") / count
        (loss / accumulation).backward()
        total += loss.detach()
    OPTIMIZER.step()
    return total


def row_of_a_product(x, w):
    """Pytorch/pytorch 45422: a row alone has other bits than in its batch."""
    return x @ w.T


def dead_model():
    """Two runs agree, because neither trains."""
    loss = torch.relu(TOKENS.abs() @ WEIGHT).sum()
    loss.backward()
    with torch.no_grad():
        WEIGHT.sub_(0.1 * WEIGHT.grad)
    WEIGHT.grad = None
    return loss


def narrow_intermediate(x):
    """Pytorch/pytorch 183761: compiled code does not round an intermediate result to float16."""
    return (x * 3.1).half().float() + (x * 0.7).half().float()
