"""Operations: one call on inputs of several shapes, including the gradient if the contract has one."""

from pathlib import Path
from typing import Any

import pytest

from harness.bench.option import Shape
from harness.bench.suites.benchmark import DTYPE, cases_of, keep, measure, option, parametrize
from harness.bench.suites.validation import validate
from harness.bench.workload import Workload, is_operation, sizes_of, standard_inputs, workload
from harness.case import Case
from harness.contracts import contract_named, contracts
from harness.laws.law import Example
from harness.record.bench import OperationRecord, names
from harness.timing.clock import WarmUp, limit_wall_time, threads

SECONDS = 0.1
"""Measuring time for each operation and shape, in seconds."""

STANDARD = Shape(256, 10)
"""The small shape. Contracts of layers and vectors have their own standard sizes, see ``harness.bench.workload``."""

SHAPES = (STANDARD, Shape(1024, 1024))
"""Default shapes: a tensor of the second has 4 MiB, more than the second-level cache of most processors."""

LIMIT_S = 10.0
"""Time limit at a shape other than the standard one, in seconds. Python loops over a million elements exceed it."""


def operations(config: pytest.Config) -> dict[str, Case]:
    """Return the cases that are called on tensors and numbers, contract by contract."""
    cases = cases_of(config, *contracts())
    return {name: case for name, case in cases.items() if is_operation(case)}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item for each case and shape."""
    shapes = option(metafunc.config, "shapes", SHAPES)
    items = [(name, shape) for name in operations(metafunc.config) for shape in shapes]
    parametrize(metafunc, ("case", "shape"), items)


def test_operation(benchmark: Any, pytestconfig: pytest.Config, case: str, shape: Shape) -> None:
    """Time one call, then check the result with the laws on values of the contract."""
    declared = operations(pytestconfig)[case]
    sizes = {} if shape == STANDARD else sizes_of(contract_named(declared.contract), *shape)
    benchmark.group = f"{declared.contract}, {shape}"
    with threads(1):
        call = workload(declared, Path(), sizes)
        warmed = _measure_calls(benchmark, call, shape, option(pytestconfig, "seconds", SECONDS))
    record = OperationRecord(**names(declared), contract=declared.contract, shape=str(shape), cold_s=warmed.cold_s)
    keep(benchmark, record)
    validate(declared, example_of(declared, sizes), where=f"{DTYPE}, shape {shape}")


def _measure_calls(benchmark: Any, call: Workload, shape: Shape, seconds: float) -> WarmUp:
    """Time the calls; skip a large shape at which that takes too long."""
    if shape == STANDARD:
        return measure(benchmark, call, budget_s=seconds)
    try:
        with limit_wall_time(LIMIT_S, f"timing at shape {shape}"):
            return measure(benchmark, call, budget_s=seconds)
    except TimeoutError as error:
        pytest.skip(str(error))


def example_of(case: Case, sizes: dict[str, int] | None = None) -> Example:
    """Return the inputs as laws read them: an operation that reduces over all inputs has an axis of groups."""
    contract = contract_named(case.contract)
    inputs = standard_inputs(contract, sizes)
    assert inputs is not None
    grouped = {name for name, axes in contract.axes.items() if axes.names[:1] == ("g",)}
    return {name: value[None] if name in grouped else value for name, value in inputs.items()}
