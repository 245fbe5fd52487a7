"""Where an accelerator becomes faster: in ten configurations, the interval of the crossing has the true one.

Both devices are simulated, and their times vary by jitter; the CPU is a device without a queue. The true crossing is
computed from the parameters alone.
"""

from random import Random
from typing import Any

import pytest
from simulated_device.machine import HOST, Device, Parameters

from harness.record import median_ratio
from harness.record.crossing import Times, find_crossing

SIZES = (1, 32, 256, 1024, 8192, 65_536)
ROUNDS = 21
ROW_BYTES, ROW_OPERATIONS = 3144, 31_360
OPERATIONS = 12
"""Operations of a step, of which two are products; each reads the minibatch."""

CONFIGURATIONS = [
    {"launch_s": launch_s, "kernel_s": kernel_s, "bytes_per_s": bytes_per_s, "operations_per_s": operations_per_s}
    for launch_s, kernel_s, bytes_per_s, operations_per_s in [
        (1e-5, 5e-6, 1e12, 1e13),
        (2e-5, 5e-6, 1e12, 1e13),
        (5e-5, 1e-5, 1e12, 1e13),
        (1e-4, 1e-5, 1e11, 1e12),
        (2e-4, 5e-6, 2e11, 1e12),
        (1e-5, 5e-5, 5e11, 5e12),
        (1e-5, 2e-4, 1e12, 1e13),
        (3e-5, 1e-4, 3e11, 3e12),
        (5e-6, 2e-6, 5e10, 5e11),
        (4e-4, 1e-4, 1e12, 1e13),
    ]
]
CPU: dict[str, Any] = {"asynchronous": False, "launch_s": 3e-6, "kernel_s": 2e-6, "wait_s": 0.0}
CPU_RATES = {"bytes_per_s": 1.5e10, "operations_per_s": 3e10}


def time_step(size: int, seed: int, jitter: float, parameters: dict[str, Any]) -> float:
    """Return the seconds of a step that is waited for, by the host's clock."""
    device = Device(Parameters(**parameters, jitter=jitter, l2_bytes=0), HOST, draws=Random(seed))
    with HOST.stop():
        start = HOST.now()
        for number in range(OPERATIONS):
            operations = ROW_OPERATIONS / 2 * size if number < 2 else 0.0
            device.launch(device.queues[0], {1: ROW_BYTES * size}, operations)
        device.synchronize()
        return HOST.now() - start


def measure(parameters: dict[str, Any]) -> Times:
    """Return the medians of some rounds with their intervals, by batch size."""
    rounds = {size: [time_step(size, seed, 0.05, parameters) for seed in range(ROUNDS)] for size in SIZES}
    return {size: median_ratio(times_s, [1.0] * ROUNDS) for size, times_s in rounds.items()}


def find_true_crossing(cpu: dict[str, Any], accelerator: dict[str, Any]) -> float:
    """Return the batch size at which both take the same time without jitter."""
    low, high = 1, SIZES[-1]
    while high - low > 1:
        middle = (low + high) // 2
        is_faster = time_step(middle, 0, 0.0, accelerator) < time_step(middle, 0, 0.0, cpu)
        low, high = (low, middle) if is_faster else (middle, high)
    return high


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=range(10))
def test_the_interval_has_the_true_crossing(configuration: dict[str, Any]) -> None:
    """It lies between two measured sizes, and the interval is narrower than they are apart."""
    cpu = CPU | CPU_RATES
    true = find_true_crossing(cpu, configuration)
    assert SIZES[0] < true < SIZES[-1]
    crossing = find_crossing(measure(cpu), measure(configuration))
    assert crossing is not None
    assert crossing.low <= true <= crossing.high
    assert crossing.high < 4 * crossing.low
