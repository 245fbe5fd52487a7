"""Least squares: the minimizer of the squared error in one step.

References
----------
Dive into Deep Learning (2023), section 3.1. N. J. Higham (2002), chapter 20.
"""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks.book_data import book_data, distance_from_truth, standard_errors
from harness.contracts.building_blocks.gradient_descent import FLOATS, flat, matmul
from harness.floats import DoubleDouble, Format, Measurement, compare_absolute, dd, portable, to_array
from harness.laws import Contract, Example, Subject, compare_repeated_calls, law, repeatable
from harness.laws.strategies import SEEDS


@law(
    "The least-squares fit recovers the true parameters within the noise.",
    source="Gauss-Markov",
    bound="6 standard errors",
    cause="the column of ones is missing, or another system is solved: append the column, and solve the normal "
    "equations or a QR factorization",
    group="training",
    unit="standard errors",
)
def fit_recovers_the_true_parameters(fit: Subject, book_X: Tensor, book_y: Tensor) -> Measurement:
    """Fit the chapter's synthetic data."""
    learned = flat(fit.case.name, fit.run(book_X, book_y))
    return distance_from_truth(learned, standard_errors(to_array(book_X)), 6.0)


@law(
    "The residual of the least-squares fit is orthogonal to every feature.",
    source="normal equations; Higham (2002), chapter 20",
    bound="(n + 6 d^2) u |A|^T (|A| |theta| + |y|)",
    cause="another system is solved, or an ill-conditioned one is solved without pivoting: use a QR factorization",
    group="value",
    unit="ulp of 1",
)
def residual_is_orthogonal(fit: Subject, X: Tensor, y: Tensor) -> Measurement:
    """Form the residual in double-double, so that the deviation is the fit's."""
    theta = flat(fit.case.name, fit.run(X, y))
    A = np.concatenate([to_array(X), np.ones((len(X), 1))], axis=1)
    residual = dd.lift(to_array(y)) - matmul(dd.lift(A), dd.lift(theta[:, None]))[:, 0]
    normal = matmul(dd.lift(A.T), DoubleDouble(residual.hi[:, None], residual.lo[:, None]))[:, 0]
    n, d = A.shape
    size = float(np.linalg.norm(np.abs(A).T @ (np.abs(A) @ np.abs(theta) + np.abs(to_array(y)))))
    bound = np.full(d, (n + 6 * d * d) * fit.format.u * size)
    return compare_absolute(normal.hi, np.zeros(d), bound, fit.format)


@repeatable("Repeated fits of the same data give the same bits, whatever freed memory contains.")
def calls_agree(fit: Subject, X: Tensor, y: Tensor) -> Measurement:
    """Fit three times."""
    return compare_repeated_calls(
        lambda: flat(fit.case.name, fit.run(X, y)), fit.format, sizes={X.nbytes, y.nbytes}, host=fit.host
    )


def _designs(format_: Format) -> st.SearchStrategy[Example]:
    def expand(n: int, d: int, offset: float, seed: int) -> Example:
        rng = np.random.default_rng(seed)
        X = portable.standard_normal(rng, (n, d)) + offset
        y = portable.standard_normal(rng, n) + X.sum(1)
        return {
            "X": torch.from_numpy(X).to(format_.dtype),
            "y": torch.from_numpy(y).to(format_.dtype),
            **book_data(format_, seed),
        }

    return st.builds(expand, st.integers(8, 64), st.integers(1, 4), st.sampled_from([0.0, 1.0, 4.0]), SEEDS)


LEAST_SQUARES = Contract(
    "least_squares",
    signature="(X[n,d], y[n]) -> (weight[1,d], bias[1])",
    summary="minimizer of the squared error, in one step",
    domain="well-conditioned features, n > d",
    inputs=_designs,
    laws=(residual_is_orthogonal, fit_recovers_the_true_parameters, calls_agree),
    dtypes=FLOATS,
    examples=20,
    form="fit",
    task="regression",
)
