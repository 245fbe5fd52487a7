"""Training steps: forward, loss, backward, update, on the CPU and on the accelerator, against the batch size."""

from typing import Any

import pytest
import torch

from harness.case import Case
from harness.suites.measurement import measure, refuse, subject_info
from harness.suites.selection import DTYPE, SECONDS, cases_of, option, parametrize
from harness.suites.training import CONTRACTS, disagreement, finite, problem
from harness.timing import NO_ACCELERATOR, Accelerator, current_accelerator, device_time, threads

BATCH_SIZES = (1, 32, 256, 1024)
DEVICE_CALLS = 50
"""Steps between two events: enough to see past the events themselves, few enough not to fill the queue."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item for each case, device and batch size."""
    batch_sizes = option(metafunc.config, "batch_sizes", BATCH_SIZES)
    cases = tuple(cases_of(metafunc.config, *CONTRACTS))
    parametrize(metafunc, cases, device=("cpu", "accelerator"), batch_size=batch_sizes)


def test_training_step(benchmark: Any, pytestconfig: pytest.Config, case: str, device: str, batch_size: int) -> None:
    """Time one step on one minibatch, then compare fresh steps with gradient descent."""
    accelerator = None if device == "cpu" else current_accelerator()
    if device != "cpu" and accelerator is None:
        pytest.skip(NO_ACCELERATOR)
    declared = cases_of(pytestconfig, *CONTRACTS)[case]
    benchmark.group = f"{declared.contract}, batch {batch_size:4}, {device}"
    with threads(1):
        seconds = option(pytestconfig, "seconds", SECONDS)
        _time_and_validate(benchmark, declared, accelerator, batch_size=batch_size, seconds=seconds)


def _time_and_validate(
    benchmark: Any, case: Case, accelerator: Accelerator | None, *, batch_size: int, seconds: float
) -> None:
    place = "cpu" if accelerator is None else accelerator.name
    given = problem(case, batch_size)
    there = given.to(place)
    step, parameters = case.function(there.weight.clone(), there.bias.clone(), given.plan.lr)
    X, y = there.minibatch(0)

    def launch() -> None:
        step(X, y)

    def launch_and_wait() -> None:
        step(X, y)
        if accelerator is not None:
            accelerator.synchronize()

    warmed = measure(benchmark, launch_and_wait if accelerator else launch, budget_s=seconds)
    benchmark.extra_info.update(
        subject_info(case),
        device=place,
        batch_size=batch_size,
        dtype=DTYPE,
        threads=torch.get_num_threads(),
        cold_s=warmed.cold_s,
        device_s=device_time(launch, accelerator, calls=DEVICE_CALLS).device_s if accelerator else None,
    )
    where = f"{DTYPE}, {place}, batch {batch_size}"
    if not finite(parameters):
        refuse(case, "weight and bias are finite after the timed steps", where=where)
    if (found := disagreement(case, given, place)) is not None:
        refuse(case, found.rule, where=where, deviation=found.deviation, bound=found.bound)
