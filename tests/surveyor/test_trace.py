"""Traces: the steps of an implementation along a ray, call by call."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.exact import tape
from harness.record import RayTrace
from harness.surveyor.breaking import breaking
from harness.surveyor.explore import explorations
from harness.surveyor.search import Budget
from harness.surveyor.trace import trace


def traces(function: Callable[[Tensor], Tensor], dtype: str = "float32") -> list[RayTrace]:
    """Follow a softmax along its first ray."""
    listed = explorations([Case(function, "softmax")], Budget(0), laws=["value"], dtypes=[dtype], rays=["spike"])
    return [found for found in listed[0].findings() if isinstance(found, RayTrace)]


def naive(logits: Tensor) -> Tensor:
    """The definition."""
    exponentials = logits.exp()
    return exponentials / exponentials.sum(-1, keepdim=True)


def library(logits: Tensor) -> Tensor:
    """A single operation, without stages."""
    return logits.softmax(-1)


def python(logits: Tensor) -> Tensor:
    """A function with more operations than a test allows to record."""
    for _ in range(70):
        logits = logits + 0.0
    return logits.softmax(-1)


def test_the_breaking_point_is_between_two_neighbouring_calls() -> None:
    """The exponential is finite, then infinite, and the answer changes from right to NaN."""
    (trace,) = traces(naive)
    broken = [call.broken for call in trace.stations]
    first = broken.index(True)
    before, there = trace.stations[first - 1 : first + 1]
    assert trace.breaks_at == there.t == 88.72283935546875
    assert before.t == torch.tensor(there.t).nextafter(torch.tensor(0.0)).item()
    assert [stage.operation for stage in there.stages] == ["exp", "sum"]
    assert (there.stages[0].values[0], before.stages[0].values[0] < math.inf) == (math.inf, True)
    assert math.isnan(there.actual[0])
    assert there.expected[0] == before.actual[0] == 1.0
    assert not any(broken[:first])
    assert all(broken[first:])


def test_one_that_holds_is_followed_as_far_as_exp_goes_and_further() -> None:
    """A single operation has no stages, and parameters increase."""
    (trace,) = traces(library)
    ts = [call.t for call in trace.stations]
    assert trace.breaks_at is None
    assert ts == sorted(set(ts))
    assert ts[0] == 0.0
    assert ts[-1] > 88.8
    assert not any(call.stages or call.broken for call in trace.stations)


def test_a_long_computation_is_followed_without_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trace still has the results."""
    monkeypatch.setattr(tape, "MAX_STEPS", 64)
    (trace,) = traces(python)
    assert not any(call.stages for call in trace.stations)
    assert all(len(call.actual) == 8 for call in trace.stations)


def test_a_station_is_one_call() -> None:
    """The call is recorded and measured at once."""
    calls = 0

    def counted(logits: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return naive(logits)

    (listed,) = explorations([Case(counted, "softmax")], Budget(0), laws=["value"], dtypes=["float32"], rays=["spike"])
    (part,) = (part for part in listed.parts if part.what == "ray")
    point = breaking(part.job, part.ray)
    calls = 0
    assert len(trace(part.job, part.ray, point).stations) == calls
