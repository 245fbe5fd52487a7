"""Deliberately wrong implementations of addition and the linear map."""

from mutants.mutant import Mutant
from torch import Tensor


def narrow_add(a: Tensor, b: Tensor) -> Tensor:
    """The sum is formed in bfloat16."""
    return (a.bfloat16() + b.bfloat16()).to(a.dtype)


def lopsided_add(a: Tensor, b: Tensor) -> Tensor:
    """One operand passes through a narrower format."""
    return a + b.half().to(b.dtype)


def narrow_linear(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Accumulates in the 16-bit format: ones stick at 256 in bfloat16."""
    Y = X.new_zeros(len(X), len(weight))
    for j in range(X.shape[1]):
        Y += X[:, j : j + 1] * weight[:, j]
    return Y + bias


def linear_without_bias(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The bias is dropped."""
    return X @ weight.T


MUTANTS = [
    Mutant(narrow_add, "add", "correctly_rounded"),
    Mutant(lopsided_add, "add", "commutative"),
    Mutant(narrow_linear, "linear", "value", dtype="bfloat16"),
    Mutant(linear_without_bias, "linear", "zero_weight_gives_bias"),
]
