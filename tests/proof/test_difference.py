"""Differences between releases: each changed result is judged by the exact value."""

import math

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.proof.float32.difference import Difference
from harness.proof.float32.operation import OPERATIONS
from harness.proof.float32.release import SIZE, _find_function

Floats = NDArray[np.float32]

ONE = 0x3F80
"""The block of 1 and the numbers after it."""

NEGATIVE = 0x8000


def numbers(block: int) -> Floats:
    """Return the inputs of a block."""
    return (block * SIZE + np.arange(SIZE)).astype(np.uint32).view(np.float32)


def rounded(name: str, x: Floats) -> Floats:
    """Return results of NumPy in float64, rounded once more."""
    with np.errstate(all="ignore"):
        return np.asarray(getattr(np, name)(x.astype(np.float64)).astype(np.float32))


def moved(values: Floats, ulps: int) -> Floats:
    """Return the numbers some places after others."""
    return (values.view(np.int32) + np.int32(ulps)).view(np.float32)


def judged(name: str, block: int, before: Floats, after: Floats) -> Difference:
    """Return the judgment of two arrays of results."""
    found = Difference(name)
    with np.errstate(all="ignore"):
        found.examine(block, before, after)
    return found


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sqrt", "sin", "cos", "log1p", "expm1"])
@pytest.mark.parametrize("block", [ONE, 0x3E99, 0x42A0, 0x0000, 0x4B00, NEGATIVE + 0x3E99])
def test_a_correctly_rounded_result_is_better(name: str, block: int) -> None:
    """Results that are 1 ulp away from it are worse, and the other way round; NaN stays NaN."""
    right = rounded(name, numbers(block))
    wrong = np.where(np.isfinite(right) & (right != 0.0), moved(right, 1), right)
    count = int(np.count_nonzero(right.view(np.uint32) != wrong.view(np.uint32)))
    assert judged(name, block, right, wrong).counts == ({"worse": count} if count else {})
    assert judged(name, block, wrong, right).counts == ({"better": count} if count else {})


def test_two_results_on_either_side_are_compared_exactly() -> None:
    """Mpmath decides which of two neighbors is closer to the exact value."""
    x = numbers(ONE)[:300]
    results = rounded("exp", numbers(ONE))
    other = moved(results, -1)
    found = Difference("exp")
    mpmath.mp.dps = 40
    for i, one in enumerate(x):
        before, after = results.copy(), results.copy()
        before[i] = other[i]
        after[i] = moved(results, 1)[i]
        found.examine(ONE, before, after)
        exact = mpmath.exp(mpmath.mpf(float(one)))
        is_better = abs(float(after[i]) - exact) < abs(float(before[i]) - exact)
        assert (found.counts["better"], found.counts["worse"]) == (int(is_better), int(not is_better))
        found.counts.clear()


def test_special_results() -> None:
    """The sign of zero and the payload of NaN change bits, and nothing else; limits and overflow are exact."""
    zero = np.zeros(SIZE, dtype=np.float32)
    assert judged("tanh", 0, zero, np.where(np.arange(SIZE) == 0, -zero, zero)).counts == {"equal": 1}
    nan = np.full(SIZE, np.nan, dtype=np.float32)
    assert judged("log", NEGATIVE + ONE, nan, moved(nan, 1)).counts == {"equal": SIZE}
    assert judged("log", NEGATIVE + ONE, zero, nan).counts == {"better": SIZE}
    infinite = np.full(SIZE, np.inf, dtype=np.float32)
    largest = np.full(SIZE, np.finfo(np.float32).max)
    assert judged("exp", 0x4400, largest, infinite).counts == {"better": SIZE}
    assert judged("exp", 0x4400, infinite, nan).counts == {"worse": SIZE}
    # The first number of the block is infinity, and the others are NaN.
    limit = np.where(np.arange(SIZE) == 0, np.float32(1.0), nan)
    assert judged("tanh", 0x7F80, limit, nan).counts == {"worse": 1}
    assert judged("log", 0, zero, np.where(np.arange(SIZE) == 0, -infinite, zero)).counts == {"better": 1}


def test_the_largest_change_has_its_input() -> None:
    """A change to NaN is larger than all others."""
    right = rounded("exp", numbers(ONE))
    wrong = right.copy()
    wrong[5], wrong[9] = moved(right, 3)[5], moved(right, -7)[9]
    found = judged("exp", ONE, right, wrong)
    assert found.largest["worse"] == (7.0, float(numbers(ONE)[9]), float(right[9]), float(wrong[9]))
    assert found.judge("one", "two").sentence.endswith(f" after at {float(numbers(ONE)[9])!r}")
    wrong[3] = np.nan
    assert judged("exp", ONE, wrong, right).largest["better"].distance == math.inf


def test_each_operation_has_the_function_of_torch() -> None:
    """The program for other interpreters computes the same as the proofs."""
    import torch

    x = torch.linspace(0.25, 3.0, 64)
    for name, operation in OPERATIONS.items():
        assert torch.equal(_find_function(name)(x), operation.function(x)), name
