"""Common use of the pytest-benchmark fixture: time a function in rounds, keep a record, refuse a wrong answer."""

from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Any, TypedDict

import pytest

from harness.case import Case
from harness.record.bench import BenchRecord
from harness.timing.clock import MIN_ROUNDS, WarmUp, rounds_within, warm, without_garbage_collection


def measure(
    benchmark: Any,
    function: Callable[[], object],
    *,
    budget_s: float,
    minimum: int = MIN_ROUNDS,
    warm_calls: int = 3,
    warm_s: float = 0.05,
) -> WarmUp:
    """Warm the function up and let pytest-benchmark time it.

    The rounds take about ``budget_s`` seconds, and there are at least ``minimum``. After the cold call, the warm-up has
    at least ``warm_calls`` calls and ``warm_s`` seconds.
    """
    with without_garbage_collection():
        warmed = warm(function, calls=warm_calls, duration_s=warm_s)
        plan = rounds_within(budget_s, warmed.warm_s, minimum=minimum)
        benchmark.pedantic(function, rounds=plan.rounds, iterations=plan.iterations)
    return warmed


class Names(TypedDict):
    """Fields of every record that name its case."""

    case: str
    family: str
    style: str


def names(case: Case) -> Names:
    """Return the fields that name a case."""
    return Names(case=case.name, family=case.family, style=case.style)


def keep(benchmark: Any, record: BenchRecord) -> None:
    """Let pytest-benchmark store the record with the statistics of the rounds."""
    benchmark.extra_info.update(record.extra_info())


def refuse(case: Case, rule: str, *, where: str, **details: object) -> None:
    """Fail the benchmark of a wrong implementation: its time is worthless."""
    lines = [f"{case.name} is wrong, so its time is not reported [{where}]", f"  rule       {rule}"]
    lines += [f"  {name:<9}  {value}" for name, value in details.items()]
    pytest.fail("\n".join(lines), pytrace=False)


class Tape:
    """A clock for pytest-benchmark that each call advances by a recorded time.

    Pytest-benchmark times one benchmark after the other. Replaying interleaved rounds gives them the same statistics
    and the same record as any other benchmark.
    """

    def __init__(self) -> None:
        self._now_s = 0.0

    def clock(self) -> float:
        """Return the seconds on the tape; the ``timer`` of the benchmark."""
        return self._now_s

    def play(self, benchmark: Any, rounds_s: Sequence[float], *, calls: int) -> None:
        """Let the benchmark time recorded rounds, given their seconds per call and the calls per round."""
        ahead = chain.from_iterable(repeat(call_s, calls) for call_s in rounds_s)

        def call() -> None:
            self._now_s += next(ahead, 0.0)  # the benchmark makes one more call for its result

        self._now_s = 0.0
        benchmark.pedantic(call, rounds=len(rounds_s), iterations=calls)
