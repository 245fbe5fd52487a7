"""Turns: equally many for each arm, in random order, with separate times; and the tape that records them."""

import signal
import time
from itertools import count
from typing import Any

import pytest

from harness.bench.suites.benchmark import Tape
from harness.timing.clock import MAX_ROUNDS, limit_wall_time
from harness.timing.turns import MIN_TURNS, Arm, calls_within, interleave, rounds_for, time_parts, whole


class World:
    """A clock that work advances."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def clock(self) -> float:
        """Return the time."""
        return self.now_s

    def work(self, duration_s: float) -> None:
        """Advance the clock."""
        self.now_s += duration_s


def test_every_arm_has_one_turn_per_round_in_random_order() -> None:
    """Ten rounds each have all three arms, in different orders."""
    seen: list[str] = []

    def arm(name: str) -> Arm:
        def turn(_: int) -> tuple[float, ...]:
            seen.append(name)
            return (1.0,)

        return Arm(turn, 1)

    taken = interleave({name: arm(name) for name in "abc"}, rounds=10, seed=3)
    rounds = [tuple(seen[place : place + 3]) for place in range(0, 30, 3)]
    assert all(sorted(order) == ["a", "b", "c"] for order in rounds)
    assert len(set(rounds)) > 2
    assert {name: len(times) for name, times in taken.times.items()} == {"a": 10, "b": 10, "c": 10}


def test_rounds_end_where_enough_is_known_and_not_before_the_fewest() -> None:
    """The criterion is evaluated every few rounds after the minimum. If it is never met, all rounds run."""
    arms = {"a": Arm(lambda _: (1.0,), 1)}
    asked: list[int] = []

    def enough(times: dict[str, list[tuple[float, ...]]]) -> bool:
        asked.append(len(times["a"]))
        return len(times["a"]) >= 20

    assert len(interleave(arms, rounds=100, enough=enough).times["a"]) == 24
    assert asked == [12, 18, 24]
    assert asked[0] == MIN_TURNS
    assert len(interleave(arms, rounds=100, enough=lambda _: False).times["a"]) == 100
    assert len(interleave(arms, rounds=5, enough=lambda _: True).times["a"]) == 5


def test_orders_are_those_of_the_seed() -> None:
    """Another seed gives other orders."""

    def orders(seed: int) -> list[str]:
        seen: list[str] = []
        arms = {name: Arm(lambda _, name=name: (seen.append(name) or 1.0,), 1) for name in "abcd"}  # type: ignore[misc]
        interleave(arms, rounds=6, seed=seed)
        return seen

    assert orders(1) == orders(1)
    assert orders(1) != orders(2)


def test_a_turn_is_a_warm_call_and_the_calls_that_are_timed() -> None:
    """Five of six calls are timed, and the time is their mean."""
    world, calls = World(), count()

    def function() -> None:
        world.work(100.0 if next(calls) == 0 else 2.0)

    taken = interleave({"it": Arm(whole(function, world.clock), 5)}, rounds=1)
    assert taken.times == {"it": [(2.0,)]}
    assert next(calls) == 6


def test_parts_of_a_call_are_timed_separately() -> None:
    """Each part has its seconds per call."""
    world = World()

    def parts(ended: Any) -> None:
        for duration_s in (1.0, 0.25, 4.0):
            world.work(duration_s)
            ended()

    taken = interleave({"it": Arm(time_parts(parts, world.clock), 3)}, rounds=2)
    assert taken.times == {"it": [(1.0, 0.25, 4.0)] * 2}


def test_an_arm_that_raises_leaves_and_the_others_go_on() -> None:
    """It has no times, and its exception is kept."""
    turns = count()

    def failing(_: int) -> tuple[float, ...]:
        if next(turns) == 2:
            raise ValueError("enough")
        return (1.0,)

    taken = interleave({"right": Arm(lambda _: (1.0,), 1), "failing": Arm(failing, 1)}, rounds=8)
    assert list(taken.times) == ["right"]
    assert len(taken.times["right"]) == 8
    assert str(taken.failed["failing"]) == "enough"


def test_an_interrupt_is_no_failure_of_an_arm() -> None:
    """The interrupt propagates."""

    def interrupted(_: int) -> tuple[float, ...]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interleave({"it": Arm(interrupted, 1)}, rounds=1)


def test_turns_are_long_enough_and_rounds_many_enough() -> None:
    """Calls fill a turn, and rounds fill the budget; both are limited."""
    assert calls_within(2e-3, 1e-4) == 20
    assert calls_within(2e-3, 1.0) == 1
    assert rounds_for(1.0, 0.1, 4) == 40
    assert rounds_for(0.0, 1.0, 4) == MIN_TURNS
    assert rounds_for(1e9, 1e-3, 1) == MAX_ROUNDS


class FakeBenchmark:
    """The part of pytest-benchmark's fixture that the tape uses."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.rounds: list[float] = []

    def pedantic(self, target: Any, *, rounds: int, iterations: int) -> None:
        """Time rounds of iterations, and call once more for the result."""
        for _ in range(rounds):
            start = self.clock()
            for _ in range(iterations):
                target()
            self.rounds.append((self.clock() - start) / iterations)
        target()


def test_the_tape_plays_what_was_recorded() -> None:
    """The benchmark receives exactly the recorded rounds, with the same number of calls."""
    tape = Tape()
    for rounds in ([1e-3, 2e-3, 5e-4], [3.0]):
        benchmark = FakeBenchmark(tape.clock)
        tape.play(benchmark, rounds, calls=7)
        assert benchmark.rounds == pytest.approx(rounds)


def test_a_long_arm_is_given_up() -> None:
    """The error names it, and the alarm is off afterwards."""
    signal.setitimer(signal.ITIMER_REAL, 0.0)  # that of pytest
    limited = limit_wall_time(0.05, "the warm-up of mine")
    with pytest.raises(TimeoutError, match=r"^the warm-up of mine took longer than 0\.05 s$"), limited:
        time.sleep(60.0)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
