"""Training steps by batch size: forward, loss, backward, update, on the CPU and on the accelerator.

Steps with a common contract, device and batch size are interleaved. The first of their benchmarks measures all, and
each benchmark records its own rounds. Ratios between steps are taken within the rounds.
"""

from typing import Any

import pytest
import torch

from harness.bench.suites.benchmark import DTYPE, Tape, cases_of, keep, option, parametrize, refuse
from harness.bench.suites.step_group import TIMES, Group, Timed, measure_group
from harness.bench.suites.training import CONTRACTS, comparisons, problem
from harness.calling.adapter import NotApplicable
from harness.calling.modes import explain_missing_compiler
from harness.case import Case
from harness.record.bench import StepRecord, compute_median, names
from harness.timing.clock import NO_ACCELERATOR, Accelerator, current_accelerator, threads

BATCH_SIZES = (1, 32, 256, 1024, 8192)
"""Default batch sizes; 1 to 65,536 are possible."""

SECONDS = 0.2
"""Seconds for each step and its phases, without warm-up and validation."""

DEVICES = ("cpu", "accelerator")

TAPE = Tape()

StepKey = tuple[str, str, int]
_GROUPS = pytest.StashKey[dict[StepKey, Group]]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item for each case, device and batch size; interleaved ones are adjacent."""
    batch_sizes = option(metafunc.config, "batch_sizes", BATCH_SIZES)
    cases = cases_of(metafunc.config, *CONTRACTS)
    items = [
        (name, device, batch_size)
        for device in DEVICES
        for contract in CONTRACTS
        for batch_size in batch_sizes
        for name, case in cases.items()
        if case.contract == contract
    ]
    parametrize(metafunc, ("case", "device", "batch_size"), items)


@pytest.mark.benchmark(timer=TAPE.clock)
def test_training_step(benchmark: Any, pytestconfig: pytest.Config, case: str, device: str, batch_size: int) -> None:
    """Time one step on one minibatch, interleaved with others, then compare fresh steps with gradient descent."""
    accelerator = None if device == "cpu" else current_accelerator()
    if device != "cpu" and accelerator is None:
        pytest.skip(NO_ACCELERATOR)
    declared = cases_of(pytestconfig, *CONTRACTS)[case]
    benchmark.group = f"{declared.contract}, batch {batch_size:6}, {device}"
    with threads(1):
        group = _group(pytestconfig, (declared.contract, device, batch_size), accelerator)
        if case in group.failed:
            _explain(group.failed[case])
        timed = group.timed[case]
        TAPE.play(benchmark, timed.rounds_s, calls=timed.calls)
        record = StepRecord(
            **names(declared),
            contract=declared.contract,
            device="cpu" if accelerator is None else accelerator.name,
            batch_size=batch_size,
            dtype=DTYPE,
            threads=torch.get_num_threads(),
            cold_s=timed.warmed.cold_s,
            phases_s={phase: tuple(rounds_s) for phase, rounds_s in timed.phases_s.items()},
            formats=timed.formats,
            **_compute_floor(group),
            **read_device_times(timed, group),
            remarks=timed.remarks,
            **_validate_step(declared, timed, accelerator, batch_size),
        )
        keep(benchmark, record)


def _group(config: pytest.Config, key: StepKey, accelerator: Accelerator | None) -> Group:
    """Return the interleaved measurement; make it if needed."""
    groups = config.stash.setdefault(_GROUPS, {})
    if key not in groups:
        contract, _, batch_size = key
        group = list(cases_of(config, contract).values())
        groups.clear()  # frees the data of the previous group
        groups[key] = measure_group(group, batch_size, accelerator, seconds=option(config, "seconds", SECONDS))
    return groups[key]


def _explain(error: Exception) -> None:
    """Skip if the machine has no compiler; otherwise fail with the error of the step."""
    if reason := explain_missing_compiler(error):
        pytest.skip(reason)
    if isinstance(error, (NotApplicable, TimeoutError)):
        pytest.fail(str(error), pytrace=False)
    raise error


def _compute_floor(group: Group) -> dict[str, Any]:
    """Return the fields of the floor."""
    return {
        "bytes": group.work.bytes,
        "operations": group.work.operations,
        "bytes_per_s": [rate.bytes_per_s for rate in group.rates],
        "operations_per_s": [rate.operations_per_s for rate in group.rates],
        "floor_s": group.floor_s,
    }


def read_device_times(timed: Timed, group: Group) -> dict[str, Any]:
    """Return times on an accelerator with their rounds, and the state of the device; unknown on the CPU."""
    before, after = group.states
    clocks = ("clock_mhz", "memory_clock_mhz")
    fields: dict[str, Any] = {name: compute_median(timed.device_s.get(name, ())) for name in TIMES}
    fields |= {"graph_absent": timed.graph_absent, "l2_bytes": after.l2_bytes, "power_limit_w": after.power_limit_w}
    fields |= {name.replace("_s", "_rounds_s"): tuple(timed.device_s.get(name, ())) for name in TIMES}
    fields |= {name: tuple(filter(None, (getattr(before, name), getattr(after, name)))) for name in clocks}
    return fields | {"transfer_s": tuple(group.transfer_s)}


def _validate_step(case: Case, timed: Timed, accelerator: Accelerator | None, batch_size: int) -> dict[str, Any]:
    """Refuse a wrong step; otherwise return its distance from gradient descent."""
    device_name = "cpu" if accelerator is None else accelerator.name
    where = f"{DTYPE}, {device_name}, batch {batch_size}"
    for fault in timed.faults:
        pytest.fail(f"the time of {case.name} is wrong, and not reported [{where}]: {fault}", pytrace=False)
    if not timed.finite:
        refuse(case, "the weight and the bias are finite after the timed steps", where=where)
    task = problem(case, batch_size)
    loss, parameters = comparisons(case, task, device_name)
    for comparison in (loss, parameters):
        if not comparison.holds:
            refuse(case, comparison.rule, where=where, deviation=comparison.deviation, bound=comparison.bound)
    return {
        "steps_compared": len(task.plan.batches),
        "deviation": parameters.deviation,
        "bound": parameters.bound,
    }
