"""Loops compared with vectorized code: elementwise sums and linear maps, by size."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from harness.bench.suites.benchmark import DTYPE, SECONDS, cases_of, keep, measure, option, parametrize
from harness.bench.suites.validation import validate
from harness.case import Case
from harness.laws.law import Example
from harness.record.bench import VectorizationRecord, names
from harness.timing.clock import threads

SIZES: Mapping[str, tuple[int, ...]] = {"add": (10, 100, 1000, 10_000), "linear": (10, 30, 100)}
"""Elements of the vectors; rows, features and outputs of the linear map. The largest loops take 0.1 s."""


def find_vectorized_cases(config: pytest.Config) -> dict[str, Case]:
    """Return the cases of families that add; other families have no loop to compare with."""
    cases = cases_of(config, *SIZES)
    families = {case.family for case in cases.values() if case.contract == "add"}
    return {name: case for name, case in cases.items() if case.family in families}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item for each case and size."""
    items = [
        (case, n)
        for case, declared in find_vectorized_cases(metafunc.config).items()
        for n in option(metafunc.config, "sizes", SIZES[declared.contract])
    ]
    parametrize(metafunc, ("case", "n"), items)


def test_operation(benchmark: Any, pytestconfig: pytest.Config, case: str, n: int) -> None:
    """Time one call, then check the result with the laws on values of the contract."""
    declared = find_vectorized_cases(pytestconfig)[case]
    benchmark.group = f"{declared.contract}, n {n:5}"
    example = operands(declared.contract, n)
    arguments = tuple(example.values())
    with threads(1):
        seconds = option(pytestconfig, "seconds", SECONDS)
        warmed = measure(benchmark, lambda: declared.function(*arguments), budget_s=seconds)
    record = VectorizationRecord(**names(declared), contract=declared.contract, n=n, cold_s=warmed.cold_s)
    keep(benchmark, record)
    validate(declared, example, where=f"{DTYPE}, n {n}")


def operands(contract: str, n: int) -> Example:
    """Return float32 operands by name, in the order of the contract's signature."""
    generator = torch.Generator().manual_seed(n)
    shapes: Mapping[str, tuple[int, ...]] = (
        {"a": (n,), "b": (n,)} if contract == "add" else {"X": (n, n), "weight": (n, n), "bias": (n,)}
    )
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
