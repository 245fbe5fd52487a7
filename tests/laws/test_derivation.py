"""A repeated call finds uninitialized memory, and a single difference is enough."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.calling.modes import overwrite_freed
from harness.case import Case
from harness.floats import FORMATS, Array, to_array
from harness.laws import compare_repeated_calls
from harness.record import Status, Verdict
from harness.verdict.decide import decide
from harness.verdict.job import list_jobs
from harness.wording.verdict import violation_block

FLOAT32 = FORMATS["float32"]


def torch_memory(size: int) -> Array:
    """Return the contents of a new tensor."""
    return to_array(torch.empty(size, dtype=torch.uint8))


def numpy_memory(size: int) -> Array:
    """Return the contents of a new array."""
    return np.empty(size, dtype=np.uint8).astype(np.float64)


@pytest.mark.parametrize("memory", [torch_memory, numpy_memory])
@pytest.mark.parametrize("size", [1, 24, 100, 1_000, 5_000, 60_000])
def test_uninitialized_memory_differs_between_calls(memory: Callable[[int], Array], size: int) -> None:
    """In rare cases it is equal, because other code of the process allocates and frees memory too."""
    seen = [compare_repeated_calls(lambda: memory(size), FLOAT32, sizes=(size,)).broken for _ in range(20)]
    assert sum(seen) >= 16


@pytest.mark.parametrize("size", [1, 100, 60_000])
def test_an_unset_tensor_is_always_found(size: int) -> None:
    """The check finds every word of an unset tensor.

    The first word of a block is hard to find, because an allocator stores a known value there. So is memory that a call
    has just freed.
    """

    def total() -> Array:
        (torch.ones(size) * 2.0).sum()
        return to_array(torch.ones(size) + torch.empty(size))

    assert all(compare_repeated_calls(total, FLOAT32).broken for _ in range(20))
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_unset_tensor_is_found_where_the_compiler_is_loaded_too() -> None:
    """Compiled code is not recompiled for the check."""
    compilations = []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        compilations.append(graph)
        return graph.forward

    @torch.compile(backend=backend)
    def unset(x: Tensor) -> Tensor:
        return x + torch.empty(100)

    x = torch.ones(100)
    assert compare_repeated_calls(lambda: to_array(unset(x)), FLOAT32).broken
    assert len(compilations) == 1


def test_a_tensor_that_is_set_before_it_is_read_is_accepted() -> None:
    """The way of creation does not matter, and an answer that is always NaN is no finding."""

    def filled() -> Array:
        x = torch.empty(100)
        x[:50], x[50:] = 1.0, torch.nan
        return to_array(x)

    assert not compare_repeated_calls(filled, FLOAT32).broken


def test_a_constant_answer_agrees_with_itself() -> None:
    """NaN and infinity agree too."""
    measurement = compare_repeated_calls(lambda: np.array([1.0, np.nan, np.inf, -0.0]), FLOAT32)
    assert not measurement.broken
    assert measurement.ratio.shape == (4,)


@pytest.mark.parametrize("answers", [(0.0, -0.0), (1.0, 1.0 + 2.0**-23), (1.0, np.nan), (np.inf, 1.0)])
@pytest.mark.parametrize("other", [1, 2])
def test_one_bit_is_a_difference(answers: tuple[float, float], other: int) -> None:
    """It may be in any later call."""
    calls = iter(answers[call == other] for call in range(3))
    assert compare_repeated_calls(lambda: np.array([next(calls)]), FLOAT32).broken


def test_another_shape_is_a_difference() -> None:
    """The answer grows with each call."""
    lengths = iter((1, 2, 3))
    assert compare_repeated_calls(lambda: np.zeros(next(lengths)), FLOAT32).broken


def agreement(function: Callable[..., Any], contract: str, dtype: str = "float32", **claims: Any) -> Verdict:
    """Decide whether calls agree. The function has not been called before."""
    (job,) = list_jobs([Case(function, contract, **claims)], laws=["calls_agree"], dtypes=[dtype])
    return decide(job, corpora=())


def seldom_another(every: int) -> Callable[[Tensor], Tensor]:
    """Return a softmax that gives another result in a few calls."""
    calls = [0]

    def softmax(x: Tensor) -> Tensor:
        calls[0] += 1
        return x.softmax(-1).nextafter(torch.tensor(2.0)) if calls[0] % every == every - 1 else x.softmax(-1)

    return softmax


@pytest.mark.parametrize("every", [2, 3, 7, 25, 10_000])
def test_a_difference_that_is_seen_once_is_believed(every: int) -> None:
    """The difference need not occur again. A difference that occurs in no call is not found."""
    verdict = agreement(seldom_another(every), "softmax")
    assert verdict.status is (Status.HOLDS if every == 10_000 else Status.BROKEN)
    if verdict.status is Status.BROKEN:
        assert "randomness" in violation_block(verdict)


def test_a_difference_that_is_declared_is_expected() -> None:
    """The difference need not occur on every call."""
    assert agreement(seldom_another(25), "softmax", breaks={"calls_agree": "a cache"}).status is Status.EXPECTED


def fit(driver: str) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return least squares with the given driver of LAPACK."""

    def least_squares(X: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        A = torch.cat([X, X.new_ones(len(X), 1)], 1)
        theta = torch.linalg.lstsq(A, y.unsqueeze(1), driver=driver).solution.squeeze(1)
        return theta[:-1].unsqueeze(0), theta[-1:]

    return least_squares


def reads_uninitialised_memory() -> bool:
    """Return whether the rank that this torch's ``gelsy`` finds depends on freed memory.

    https://github.com/pytorch/pytorch/issues/71222: columns that an unset ``jpvt`` names are not pivoted. With 64 of
    them, the links of the allocator cover only the first few.
    """
    A = torch.eye(64, dtype=torch.float64)
    A[40, 40] = 0
    ranks = set()
    for byte in (0, 255) * 5:
        overwrite_freed(byte)
        ranks.add(int(torch.linalg.lstsq(A, A[:, :1], driver="gelsy").rank))
    return len(ranks) > 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_default_driver_of_lstsq_is_found_to_read_uninitialised_memory(dtype: str) -> None:
    """The test applies to affected versions of torch, which the returned rank shows without the law."""
    status = Status.BROKEN if reads_uninitialised_memory() else Status.HOLDS
    assert agreement(fit("gelsy"), "least_squares", dtype).status is status


@pytest.mark.parametrize("driver", ["gels", "gelsd", "gelss"])
def test_the_other_drivers_of_lstsq_answer_alike(driver: str) -> None:
    """They cause no false alarm."""
    assert agreement(fit(driver), "least_squares").status is Status.HOLDS
