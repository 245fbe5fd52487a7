"""Common parts of benchmarks: options and cases, the time of a function in rounds, the record, and the refusal.

A suite runs on the cases of the target that have its contracts.
"""

from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Any, NoReturn, TypedDict

import pytest

from harness.calling.discovery import SHIPPED
from harness.calling.target import load
from harness.case import Case
from harness.contracts import claimed, contract_named
from harness.error import UsageError
from harness.record.bench import BenchRecord
from harness.timing.clock import MIN_ROUNDS, WarmUp, rounds_within, warm, without_garbage_collection

NAME = "harness-progress"
"""Registered name of the plugin that writes the progress of the suite."""

DTYPE = "float32"
"""Floating-point format of all timings."""

SECONDS = 0.5
"""Measuring time per benchmark in seconds, without warm-up and validation."""

_LOADED = pytest.StashKey[list[Case]]()
_SELECTED = pytest.StashKey[dict[str, None]]()


def cases_of(config: pytest.Config, *contracts: str) -> dict[str, Case]:
    """Return the cases of some contracts that support float32, by name and in order of declaration.

    The session ends with a message if the target cannot be loaded, or if two cases of these contracts share a name.
    """
    selected: dict[str, Case] = {}
    config.stash.setdefault(_SELECTED, {}).update(dict.fromkeys(contracts))
    for case in _loaded(config):
        if case.contract not in contracts or DTYPE not in case.dtypes:
            continue
        if case.name in selected:
            give_up(
                config,
                UsageError(f"two cases have the name `{case.name}`", remedy="give each case its own `name`"),
            )
        selected[case.name] = case
    return selected


def give_up(config: pytest.Config, error: UsageError, *, idle: bool = False) -> NoReturn:
    """End the session with a message, for the process that started it or on the last line of pytest.

    An ``idle`` session has no error, but nothing to do.
    """
    progress = config.pluginmanager.get_plugin(NAME)
    if progress is not None:
        progress.refuse(error, idle=idle)
    pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)


def give_up_if_idle(session: pytest.Session) -> None:
    """End the session if the loaded cases leave the suite without an item."""
    contracts = session.config.stash.get(_SELECTED, {})
    if not contracts or not session.items or not all(map(_stands_for_none, session.items)):
        return
    wanted = " or ".join(f"`{name}`" for name in contracts) if len(contracts) < _MANY else "an operation"
    error = UsageError(
        "nothing to time",
        rule=f"this suite times cases of {wanted} in {DTYPE}",
        place=f"`{option(session.config, 'cases', SHIPPED)}`",
        remedy="choose other suites, or omit the names to run all suites that apply",
    )
    give_up(session.config, error, idle=True)


_MANY = 10
"""Number of contracts from which a general word replaces their names."""


def _stands_for_none(item: pytest.Item) -> bool:
    """Whether an item is the skip by which pytest replaces an empty set of parameters."""
    return item.get_closest_marker("skip") is not None


def option(config: pytest.Config, name: str, default: Any) -> Any:
    """Return the value of an option, or the default if it is absent."""
    value = config.getoption(f"harness_{name}")
    return default if value is None else value


def parametrize(metafunc: pytest.Metafunc, cases: Sequence[str], **axes: Sequence[Any]) -> None:
    """Make one item for each case and point of the axes; its id joins their values by dashes."""
    metafunc.parametrize("case", cases)
    for axis, values in axes.items():
        metafunc.parametrize(axis, values, ids=str)


def _loaded(config: pytest.Config) -> list[Case]:
    if _LOADED not in config.stash:
        contract = option(config, "contract", None)
        try:
            if contract is not None:
                contract_named(contract)
            config.stash[_LOADED] = [
                claimed(case) for case in load(option(config, "cases", SHIPPED), contract=contract, by_name=True)
            ]
        except UsageError as error:
            give_up(config, error)
    return config.stash[_LOADED]


# Rounds and records


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
