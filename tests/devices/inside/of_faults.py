"""Steps on a sound device, in all formats, on a hot one, and on one that reports a part of its cache.

A launch takes a millisecond, so that what the simulation adds in real time is small. Other faults are planted in
``test_planted.py``.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from simulated_device.timeline import DEVICE

from harness.bench.suites.step_group import Timed, measure_group
from harness.calling.discovery import make_importable
from harness.case import Case
from harness.timing.clock import current_accelerator

make_importable("cases")
from cases.softmax_regression.concise import training_step  # noqa: E402 - found only now

BATCH = 1024


@pytest.fixture(autouse=True)
def sound() -> Iterator[None]:
    """Restore the parameters."""
    before = DEVICE.parameters
    yield
    DEVICE.parameters = before


def measure(**changes: Any) -> Timed:
    """Time a step on the device after a change of its parameters."""
    DEVICE.parameters = replace(DEVICE.parameters, **changes)
    case = Case(training_step, "softmax_regression_step", name="step")
    group = measure_group([case], BATCH, current_accelerator(), seconds=0.01)
    assert not group.failed, group.failed
    return group.timed["step"]


def test_of_a_sound_device_nothing_is_said() -> None:
    """The control, with times that vary."""
    timed = measure(jitter=0.02)
    assert (timed.faults, timed.remarks) == ((), ())


def test_each_format_has_its_time_and_its_error() -> None:
    """Factors with ten bits make errors of 2**13 ulp and above; 16 bits of bfloat16 make larger ones."""
    formats = measure().formats
    assert not [record.absent for record in formats.values() if record.absent]
    assert all(formats[name].rounds_s for name in ("tf32", "bfloat16", "float16"))
    errors = {name: record.error_ulp or 0.0 for name, record in formats.items()}
    assert min(errors.values()) > 0
    assert errors["float32"] < 100 < errors["tf32"] < errors["bfloat16"]
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_cache_is_flushed_of_which_the_device_reports_a_part() -> None:
    """A device of several dies reports the cache of one of them."""
    assert measure(l2_bytes=2**27, reported_l2_bytes=2**25).faults == ()


def test_a_throttled_device_is_waited_for_and_its_rounds_do_not_count() -> None:
    """It becomes hot during the measurement; the slow rounds would make the median longer."""
    start = time.perf_counter()
    usual_s = sorted(measure().rounds_s)
    end = time.perf_counter()
    begin = end + 0.7 * (end - start)
    timed = measure(hot=(begin, begin + 0.15 * (end - start)), hot_share=0.4)
    (remark,) = timed.remarks
    assert "40.0 % of its clock" in remark
    assert max(timed.rounds_s) < 1.2 * usual_s[-1]


def test_a_device_that_stays_throttled_is_named() -> None:
    """Waiting ends, and the rounds count."""
    start = time.perf_counter()
    measure()
    end = time.perf_counter()
    timed = measure(hot=(end + 0.7 * (end - start), 1e9), hot_share=0.4)
    assert any("40.0 % of its clock" in remark for remark in timed.remarks)
    assert timed.rounds_s
