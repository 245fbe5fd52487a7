"""Random inputs that do not depend on the order in which they are drawn."""

import numpy as np
import torch


def tensor(*shape: int, scale: float = 1.0, seed: int = 3, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Normal entries."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape) * scale).to(dtype)


def positive(*shape: int, seed: int = 3) -> torch.Tensor:
    """Entries between 2^-4 and 2^4."""
    return torch.from_numpy(np.exp2(np.random.default_rng(seed).uniform(-4, 4, shape)))


def labels(*shape: int, k: int, seed: int = 3) -> torch.Tensor:
    """Classes below ``k``."""
    return torch.from_numpy(np.random.default_rng(seed).integers(0, k, shape))
