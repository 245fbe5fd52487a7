"""Operations: one call on a standard input, with its gradient where the contract has one, to set beside accuracy."""

from pathlib import Path
from typing import Any

import pytest

from harness.bench.suites.fixture import keep, measure, names
from harness.bench.suites.selection import DTYPE, cases_of, option
from harness.bench.suites.validation import validate
from harness.bench.workload import is_operation, standard_inputs, workload
from harness.case import Case
from harness.contracts import contract_named, contracts
from harness.laws.law import Example
from harness.record.bench import OperationRecord
from harness.timing.clock import threads

SECONDS = 0.1
"""Seconds measured an operation: a thousand calls, or a few dozen of the slowest."""


def operations(config: pytest.Config) -> dict[str, Case]:
    """Return the cases that are called on tensors and numbers, contract by contract."""
    cases = cases_of(config, *contracts())
    return {name: case for name, case in cases.items() if is_operation(case)}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item for each case."""
    metafunc.parametrize("case", operations(metafunc.config))


def test_operation(benchmark: Any, pytestconfig: pytest.Config, case: str) -> None:
    """Time one call, then hold the result against the contract's laws of value."""
    declared = operations(pytestconfig)[case]
    benchmark.group = declared.contract
    with threads(1):
        call = workload(declared, Path())
        warmed = measure(benchmark, call, budget_s=option(pytestconfig, "seconds", SECONDS))
    keep(benchmark, OperationRecord(**names(declared), contract=declared.contract, cold_s=warmed.cold_s))
    validate(declared, example_of(declared), where=f"{DTYPE}, the standard input")


def example_of(case: Case) -> Example:
    """Return the standard input as laws read it: an operation that reduces over all it is given has groups."""
    contract = contract_named(case.contract)
    inputs = standard_inputs(contract)
    assert inputs is not None
    grouped = {name for name, axes in contract.axes.items() if axes.names[:1] == ("g",)}
    return {name: value[None] if name in grouped else value for name, value in inputs.items()}
