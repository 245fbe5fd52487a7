"""Wrong steps in float32 for which float64 also loses all digits, so that only balls find them.

Each has a marked line.
"""

import torch


def absorbed_in_both() -> None:
    """A constant so large that float64 loses all digits too."""
    torch.manual_seed(0)
    w = torch.randn(6, requires_grad=True)
    moved = w + 1e20 - 1e20  # WRONG
    (moved * w).sum().backward()


def power_of_two_absorbs() -> None:
    """A large constant that both formats represent exactly."""
    torch.manual_seed(0)
    w = torch.randn(6, requires_grad=True)
    moved = w + 2.0**70 - 2.0**70  # WRONG
    (moved * w).sum().backward()


def logarithm_of_one_and_nothing() -> None:
    """Computes log(1 + x) for an x that both formats round away."""
    w = torch.tensor([1e-20, 3e-19], requires_grad=True)
    small = torch.log(1 + w)  # WRONG
    (small * 1e19).sum().backward()


def saturated_in_both() -> None:
    """Subtracts a probability that is 1 in both formats from 1."""
    w = torch.tensor([50.0, 61.0], requires_grad=True)
    other = 1 - torch.sigmoid(w)  # WRONG
    (other * 1e21).sum().backward()
