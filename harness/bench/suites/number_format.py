"""A training step in TF32 and in 16 bits, with its error in ulp of float32.

The parameters after one step are compared with a step in float64. The learning rate of this step is high, so that the
update is much larger than the parameters and the error of the gradient is visible. TF32 rounds the factors of products
in float32 to ten bits; 16 bits are the format of data and parameters.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from harness.bench.suites.training import Problem, run_gradient_descent, start_step
from harness.case import Case
from harness.record.bench import FormatRecord
from harness.timing.turns import Arm

TF32, FLOAT32 = "tf32", "float32"

FORMATS = (TF32, "bfloat16", "float16")
"""Formats that are compared with float32."""

HIGH_RATE = 64.0
"""Learning rate at which errors are measured; the parameters stay within the range of float16."""


@contextmanager
def allow_format(name: str) -> Iterator[None]:
    """Allow TF32 in the body if it is the format.

    This function of torch sets its old and new options alike, which torch refuses to read where they differ.
    """
    if name != TF32:
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def convert(task: Problem, name: str) -> Problem:
    """Return a problem in a format."""
    dtype = torch.float32 if name == TF32 else getattr(torch, name)
    tensors = {field: getattr(task, field) for field in ("X", "y", "weight", "bias")}
    return replace(task, **{field: x.to(dtype) for field, x in tensors.items() if x.is_floating_point()})


def measure_error(case: Case, task: Problem, device: str, name: str) -> float:
    """Return the largest error of the parameters after one step, in ulp of the largest parameter in float32."""
    exact = replace(task, plan=task.plan._replace(lr=HIGH_RATE, batches=task.plan.batches[:1]))
    on_device = convert(exact, name).to(device)
    step, parameters = start_step(case, on_device)
    with allow_format(name):
        step(*on_device.minibatch(0))
    actual, expected = (
        torch.cat([x.detach().cpu().double().flatten() for x in both])
        for both in (parameters, run_gradient_descent(exact)[1])
    )
    return float((actual - expected).abs().max()) / float(np.spacing(np.float32(expected.abs().max())))


def compare_formats(
    case: Case, task: Problem, device: str, make_arm: Callable[[Callable[[], object]], Arm]
) -> tuple[dict[str, Arm], dict[str, FormatRecord]]:
    """Return an arm for each format that the device has, and the errors, or the reasons why there are none."""
    arms: dict[str, Arm] = {}
    records: dict[str, FormatRecord] = {}
    for name in (FLOAT32, *FORMATS):
        if name == TF32 and not has_tf32(device):
            records[name] = FormatRecord(absent=f"no TF32 on {device}")
            continue
        try:
            records[name] = FormatRecord(error_ulp=measure_error(case, task, device, name))
            if name != FLOAT32:
                on_device = convert(task, name).to(device)
                step, _ = start_step(case, on_device)
                arms[name] = _allow_in_turn(make_arm(_bind(step, on_device)), name)
        except Exception as error:  # noqa: BLE001 - steps and devices need not support a format
            records[name] = FormatRecord(absent=f"{name}: {str(error).partition(chr(10))[0] or type(error).__name__}")
    return arms, records


def has_tf32(device: str) -> bool:
    """True if a device has TF32 by its module in torch."""
    is_supported: Callable[[], bool] | None = getattr(torch.get_device_module(device), "is_tf32_supported", None)
    return is_supported is not None and is_supported()


def _bind(step: Callable[..., object], task: Problem) -> Callable[[], object]:
    X, y = task.minibatch(0)
    return lambda: step(X, y)


def _allow_in_turn(arm: Arm, name: str) -> Arm:
    def turn(calls: int) -> tuple[float, ...]:
        with allow_format(name):
            return arm.slice(calls)

    return replace(arm, slice=turn)


def add_rounds(
    records: Mapping[str, FormatRecord], rounds: Callable[[str], list[tuple[float, ...]]]
) -> dict[str, FormatRecord]:
    """Return the records with the times of the rounds; float32 has none, since its times are the step's own."""
    return {
        name: record.model_copy(update={"rounds_s": tuple(time_s for (time_s,) in rounds(name))})
        for name, record in records.items()
    }
