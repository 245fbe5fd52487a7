"""Wrong steps in float64, for which a shadow in float64 is the same arithmetic. Each has a marked line."""

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish, net
from torch import nn

DOUBLE = torch.float64


def variance_of_far_data() -> None:
    """E[x^2] - E[x]^2 at an offset of 1e9."""
    model, (x, y) = net(dtype=DOUBLE), batch(dtype=DOUBLE)
    x = x + 1e9
    mean = x.mean(0)
    var = (x**2).mean(0) - mean**2  # WRONG
    finish(model, F.cross_entropy(model((x - mean) / (var.abs() + 1e-5).sqrt()), y))


def difference_quotient() -> None:
    """A step below the resolution."""
    torch.manual_seed(0)
    w = torch.randn(8, dtype=DOUBLE, requires_grad=True)
    h = 1e-15
    moved = (w + h).sin() - w.sin()  # WRONG
    (moved / h).square().sum().backward()


def logarithm_of_nearly_one() -> None:
    """The sum 1 + x loses x."""
    w = torch.tensor([3.3e-16, 5.7e-15, 4.1e-16], dtype=DOUBLE, requires_grad=True)
    small = torch.log(1 + w)  # WRONG
    (small * 1e15).sum().backward()


def one_minus_a_probability() -> None:
    """A saturated sigmoid leaves few digits."""
    w = torch.tensor([34.0, 35.1, 35.9], dtype=DOUBLE, requires_grad=True)
    other = 1 - torch.sigmoid(w)  # WRONG
    (-other.log()).sum().backward()


def one_minus_cosine() -> None:
    """The cosine of a small angle."""
    w = torch.tensor([1.3e-8, 2.1e-8], dtype=DOUBLE, requires_grad=True)
    gap = 1 - torch.cos(w)  # WRONG
    (gap / w.detach() ** 2).sum().backward()


def smaller_root_of_a_quadratic() -> None:
    """-b + sqrt(b^2 - 4 a c)."""
    b = torch.tensor([1.1e8, 3.7e8], dtype=DOUBLE, requires_grad=True)
    root = (-b + (b * b - 4.0).sqrt()) / 2  # WRONG
    root.sum().backward()


def absorbed_and_taken_away() -> None:
    """A large constant is added and taken away."""
    torch.manual_seed(0)
    w = torch.randn(6, dtype=DOUBLE, requires_grad=True)
    moved = w + 1e20 - 1e20  # WRONG
    (moved * w).sum().backward()


def exponential_by_its_series() -> None:
    """Alternating terms that are much larger than their sum."""
    w = torch.tensor(-30.0, dtype=DOUBLE, requires_grad=True)
    term, total = torch.ones_like(w), torch.ones_like(w)
    for k in range(1, 120):
        term = term * w / k
        total = total + term  # WRONG
    total.backward()


def distances_by_products() -> None:
    """|a|^2 + |b|^2 - 2 a b of points far from the origin."""
    torch.manual_seed(0)
    model = nn.Linear(4, 4).to(DOUBLE)
    x = model(torch.randn(12, 4, dtype=DOUBLE)) + 3e7
    squares = (x * x).sum(1)
    distances = squares[:, None] + squares[None, :] - 2 * x @ x.t()  # WRONG
    finish(model, torch.exp(-distances.abs()).mean())


def expm1_by_hand() -> None:
    """Computes exp(x) - 1 for a tiny number."""
    w = torch.tensor([1.7e-15, 8.3e-16], dtype=DOUBLE, requires_grad=True)
    gap = w.exp() - 1  # WRONG
    (gap / w.detach()).sum().backward()
