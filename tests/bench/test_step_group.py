"""Steps in turns on a simulated machine: timings, synchronization, and failing steps."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import torch
from samples.accelerator import Machine

from harness.bench.suites import step_group, test_steps
from harness.bench.suites.step_group import PHASES, measure_group
from harness.bench.suites.training import Problem, problem, steps_compared
from harness.case import Case
from harness.record.bench import StepRecord
from harness.timing.device import DeviceState
from harness.timing.roofline import COPY, MULTIPLY, READ, Gauge
from harness.timing.turns import MIN_TURNS


class PhasedStep:
    """A step whose phases take known times, on the host and on the device."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def forward(self, _: Any) -> None:
        """Take one second on the host and two on the device."""
        self.machine.launch(1.0, 2.0)

    def loss(self, *_: Any) -> None:
        """Take 1/8 s and 1/4 s."""
        self.machine.launch(0.125, 0.25)

    def backward(self, _: Any) -> None:
        """Take two and four seconds."""
        self.machine.launch(2.0, 4.0)

    def update(self) -> None:
        """Take half a second and one second."""
        self.machine.launch(0.5, 1.0)

    def __call__(self, *_: Any) -> None:
        """Run all phases."""
        self.forward(None)
        self.loss()
        self.backward(None)
        self.update()


def case(step: Callable[..., Any], name: str) -> Case:
    """Return a case with the given step."""
    return Case(lambda weight, bias, _: (step, (weight, bias)), "softmax_regression_step", name=name)


@pytest.fixture(autouse=True)
def rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Return the rates of the machine without a real matrix."""
    found = {name: Gauge(lambda: None, 1) for name in (READ, COPY, MULTIPLY)}
    monkeypatch.setattr(step_group, "gauges", lambda *_, **__: found)
    monkeypatch.setattr(step_group, "GAUGE_S", 1e-8)


class Ticking(Machine):
    """A machine whose clock advances a little at each reading, so that every duration is positive."""

    def clock(self) -> float:
        """Return the time."""
        self.now_s += 1e-9
        return self.now_s


def test_on_an_accelerator_a_step_is_timed_until_the_device_is_done() -> None:
    """The time includes host and device, and each phase includes the wait."""
    machine = Ticking()
    group = measure_group([case(PhasedStep(machine), "a.step")], 4, machine, seconds=1.0, clock=machine.clock)
    timed = group.timed["a.step"]
    assert timed.rounds_s == pytest.approx([3.625 + 7.25] * len(timed.rounds_s))
    assert list(timed.phases_s) == list(PHASES)
    assert [phase[0] for phase in timed.phases_s.values()] == pytest.approx([3.0, 0.375, 6.0, 1.5])
    assert timed.warmed.cold_s == pytest.approx(10.875)


def test_rounds_end_where_the_ratios_are_known_and_go_on_where_they_are_not() -> None:
    """The budget allows a hundred rounds: steady steps take the minimum, noisy ones take all."""
    scatter = Random(0)

    def measured(call: Callable[[], float]) -> int:
        machine = Ticking()
        steps = [
            case(lambda *_: machine.launch(1.0, 0.0), "a.steady"),
            case(lambda *_: machine.launch(call(), 0.0), "a.other"),
        ]
        group = measure_group(steps, 4, machine, seconds=100.0, clock=machine.clock)
        return len(group.timed["a.other"].rounds_s)

    assert measured(lambda: 2.0) == MIN_TURNS
    assert measured(lambda: scatter.uniform(0.6, 2.0)) > 2 * MIN_TURNS


def test_host_and_device_time_and_those_of_the_graph_are_apart() -> None:
    """The launch takes the host's seconds, the events the device's; the replay is waited for and timed too.

    All have their turns in every round, and so have an interval.
    """
    machine = Ticking()
    group = measure_group([case(PhasedStep(machine), "a.step")], 4, machine, seconds=1.0, clock=machine.clock)
    found = test_steps.read_device_times(group.timed["a.step"], group)
    assert found["launch_s"] == pytest.approx(3.625)
    assert found["device_s"] == pytest.approx(7.25)
    assert found["graph_s"] == pytest.approx(2.1)
    assert found["graph_device_s"] == pytest.approx(2.0)
    assert found["graph_absent"] is None
    rounds = len(group.timed["a.step"].rounds_s)
    assert {len(found[f"{name}_rounds_s"]) for name in ("launch", "device", "graph", "graph_device")} == {rounds}
    assert len(found["transfer_s"]) == rounds
    record = StepRecord(
        case="a.step", family="a", style="foreign", device="cuda", batch_size=4, dtype="float32", threads=1, **found
    )
    assert record.on_device.low <= 7.2500001 <= record.on_device.high * (1 + 1e-6)


def test_a_step_that_cannot_be_captured_has_a_reason_in_place_of_a_time() -> None:
    """It still has its other times."""
    machine = Ticking(capturable=False)
    group = measure_group([case(PhasedStep(machine), "a.step")], 4, machine, seconds=1.0, clock=machine.clock)
    found = test_steps.read_device_times(group.timed["a.step"], group)
    assert found["graph_s"] is None
    assert found["graph_absent"] == "it cannot be recorded: it waits"
    assert found["device_s"] == pytest.approx(7.25)


def test_without_an_accelerator_there_are_no_such_times() -> None:
    """They are unknown, not zero."""
    machine = Ticking()
    group = measure_group([case(PhasedStep(machine), "a.step")], 4, None, seconds=1.0, clock=machine.clock)
    assert machine.waits == 0
    found = test_steps.read_device_times(group.timed["a.step"], group)
    assert {value for value in found.values() if value != ()} == {None}
    assert group.timed["a.step"].rounds_s[0] == pytest.approx(3.625)


def test_the_state_of_the_device_is_read_before_and_after_the_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record has both clocks, the cache and the power limit."""
    states = iter([DeviceState(2**20, 1980.0, 2619.0, 700.0), DeviceState(2**20, 1755.0, 2619.0, 700.0)])
    monkeypatch.setattr(step_group, "device_state", lambda _: next(states))
    machine = Ticking()
    group = measure_group([case(PhasedStep(machine), "a.step")], 4, machine, seconds=1.0, clock=machine.clock)
    found = test_steps.read_device_times(group.timed["a.step"], group)
    assert (found["l2_bytes"], found["clock_mhz"], found["power_limit_w"]) == (2**20, (1980.0, 1755.0), 700.0)


def test_a_step_without_phases_is_timed_as_a_whole() -> None:
    """It has no phases although other steps have."""
    machine = Ticking()
    plain = case(lambda *_: machine.launch(1.0, 0.0), "a.plain")
    group = measure_group([plain, case(PhasedStep(machine), "a.step")], 4, None, seconds=1.0, clock=machine.clock)
    assert group.timed["a.plain"].phases_s == {}
    assert len(group.timed["a.step"].phases_s) == 4
    assert len(group.timed["a.plain"].rounds_s) == len(group.timed["a.step"].rounds_s) == len(group.floor_s)


def test_what_raises_is_left_out_and_kept_as_what_it_raised() -> None:
    """It raises at the first call or later, in the step or in a phase."""
    machine = Ticking()

    class Failing(PhasedStep):
        def backward(self, _: Any) -> None:
            raise ValueError("no way back")

    def failing(X: Any, y: Any) -> None:
        raise ValueError("at once")

    cases = [case(failing, "a.failing"), case(Failing(machine), "a.back"), case(PhasedStep(machine), "a.step")]
    group = measure_group(cases, 4, None, seconds=1.0, clock=machine.clock)
    assert list(group.timed) == ["a.step"]
    assert {name: str(error) for name, error in group.failed.items()} == {
        "a.failing": "at once",
        "a.back": "no way back",
    }


def test_weights_that_became_nan_are_seen() -> None:
    """The final weights show it, not the time."""
    machine = Ticking()

    def factory(weight: Any, bias: Any, lr: float) -> Any:
        def step(X: Any, y: Any) -> None:
            machine.launch(1.0, 0.0)
            weight.fill_(torch.nan)

        return step, (weight, bias)

    lost = Case(factory, "softmax_regression_step", name="a.lost")
    assert not measure_group([lost], 4, None, seconds=1.0, clock=machine.clock).timed["a.lost"].finite


@pytest.mark.parametrize(("batch_size", "steps"), [(1, 64), (256, 64), (1024, 64), (8192, 8), (65_536, 3)])
def test_as_many_steps_are_compared_as_the_samples_allow(batch_size: int, steps: int) -> None:
    """There are 64 if they are cheap."""
    assert steps_compared(batch_size) == steps


def test_minibatches_differ_and_the_data_of_all_stays_small() -> None:
    """Each minibatch starts sixteen samples after the previous one."""
    given: Problem = problem(case(lambda *_: None, "a.step"), 64)
    assert len(given.X) == 64 + 63 * 16
    assert not torch.equal(given.minibatch(0)[0], given.minibatch(1)[0])
