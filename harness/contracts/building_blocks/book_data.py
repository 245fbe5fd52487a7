"""The chapter's synthetic data with known true parameters: y = X w + b + noise."""

import numpy as np
import torch

from harness.floats import Array, Format, Measurement, portable
from harness.laws import Example

TRUE_WEIGHT, TRUE_BIAS, NOISE = (2.0, -3.4), 4.2, 0.01


def standard_errors(X: Array) -> Array:
    """Standard errors of the least-squares estimates of the weights and the bias, with the chapter's noise."""
    design = np.concatenate([X, np.ones((len(X), 1))], axis=1)
    return np.asarray(NOISE * np.sqrt(np.diag(np.linalg.inv(design.T @ design))))


def distance_from_truth(learned: Array, spread: Array, allowed: float) -> Measurement:
    """Distance of the learned parameters from the true ones, in standard errors ``spread``."""
    true = np.array([*TRUE_WEIGHT, TRUE_BIAS])
    with np.errstate(invalid="ignore"):
        deviation = np.where(np.isfinite(learned), np.abs(learned - true) / spread, np.inf)
    return Measurement(deviation, np.full(true.shape, allowed), learned, true)


def book_data(format_: Format, seed: int) -> Example:
    """The chapter's synthetic data: 1000 rows of two normal features."""
    rng = np.random.default_rng(seed)
    X = portable.standard_normal(rng, (1000, len(TRUE_WEIGHT)))
    y = X[:, 0] * TRUE_WEIGHT[0] + X[:, 1] * TRUE_WEIGHT[1] + TRUE_BIAS + NOISE * portable.standard_normal(rng, 1000)
    return {
        "book_X": torch.from_numpy(X).to(format_.dtype),
        "book_y": torch.from_numpy(y).to(format_.dtype),
        "order": seed,
    }
