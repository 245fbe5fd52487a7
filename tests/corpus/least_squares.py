"""Deliberately wrong implementations of least squares."""

from typing import Any

import torch
from corpus.specimen import mutant
from torch import Tensor


@mutant("least_squares", "fit_recovers_the_true_parameters")
def fit_through_the_origin(X: Tensor, y: Tensor) -> Any:
    """The column of ones is missing."""
    return torch.linalg.lstsq(X, y.unsqueeze(1)).solution.T, X.new_zeros(1)


@mutant("least_squares", "residual_is_orthogonal")
def ridge(X: Tensor, y: Tensor) -> Any:
    """Adds a penalty."""
    A = torch.cat([X, X.new_ones(len(X), 1)], 1)
    theta = torch.linalg.solve(A.T @ A + torch.eye(A.shape[1], dtype=X.dtype), A.T @ y)
    return theta[:-1].unsqueeze(0), theta[-1:]


@mutant("least_squares", "calls_agree")
def pivots_on_unset_memory(X: Tensor, y: Tensor) -> Any:
    """Chooses pivot columns by uninitialized memory, like LAPACK's ``gelsy`` with an unset ``jpvt``."""
    # Allocate before the call frees memory, and skip the 16 bytes in which malloc stores pointers.
    stays = torch.empty(4 + X.shape[1] + 1, dtype=torch.int32)[4:] != 0
    A = torch.cat([X, X.new_ones(len(X), 1)], 1)
    order = torch.argsort(torch.where(stays, torch.inf, A.norm(dim=0)), descending=True, stable=True)
    theta = A.new_empty(A.shape[1])
    theta[order] = torch.linalg.lstsq(A[:, order], y.unsqueeze(1), driver="gels").solution.squeeze(1)
    return theta[:-1].unsqueeze(0), theta[-1:]
