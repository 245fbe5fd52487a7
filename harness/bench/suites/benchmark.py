"""The pytest plugin of the suites, and what their benchmarks share.

The plugin declares the options, writes the progress, counts the outcomes, and drops timings of failed benchmarks.
Benchmarks share the cases of the target that have their contracts, the time of a function in rounds, the record, and
the refusal of a wrong implementation.
"""

import json
import os
import select
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import chain, repeat
from pathlib import Path
from typing import Any, NoReturn, TextIO

import pytest

from harness.bench.option import SETTINGS, Settings
from harness.calling.discovery import SHIPPED, is_shipped
from harness.calling.target import load
from harness.case import Case
from harness.contracts import claimed, contract_named
from harness.data.images import ImageData, image_data
from harness.error import UsageError
from harness.isolation.limits import limit_memory
from harness.isolation.parent import end
from harness.record.bench import BenchRecord
from harness.timing.clock import MIN_ROUNDS, WarmUp, rounds_within, set_aside, stop_garbage_collection, warm

NAME = "harness-progress"
"""Registered name of the plugin that writes the progress of the suite."""

DTYPE = "float32"
"""Floating-point format of all timings."""

SECONDS = 0.5
"""Measuring time per benchmark in seconds, without warm-up and validation."""

_LOADED = pytest.StashKey[list[Case]]()
_SELECTED = pytest.StashKey[dict[str, None]]()


# The plugin


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of the suites."""
    group = parser.getgroup("harness", "benchmarks of the harness")
    target = "Package of cases, file.py:function or module:function."
    group.addoption("--harness-cases", default=SHIPPED, help=target, metavar="TARGET")
    group.addoption(
        "--harness-settings",
        default=Settings(),
        type=SETTINGS.validate_json,
        help="Settings of the benchmarks.",
        metavar="JSON",
    )
    ends = "File descriptor for progress. The suite ends when its reader closes it."
    group.addoption("--harness-progress", type=int, help=ends, metavar="FD")
    group.addoption("--harness-scratch", help="Folder to remove when the suite ends.", metavar="FOLDER")
    group.addoption("--harness-memory", type=int, help="Growth of memory that user code is allowed.", metavar="BYTES")


def pytest_configure(config: pytest.Config) -> None:
    """Count benchmarks, and write the progress to the process that started the suite."""
    config.pluginmanager.register(Account(), "harness-account")
    if config.option.harness_progress is not None:
        # A killed command cannot end this process, and its results would be lost.
        ending = config.option.harness_progress, config.option.harness_scratch
        threading.Thread(target=end_with_reader, args=ending, daemon=True).start()
        config.pluginmanager.register(Progress(config.option.harness_progress), NAME)


def end_with_reader(descriptor: int, scratch: str | None) -> None:
    """End this process and remove its folder when a pipe has no reader; until then do nothing that takes time."""
    gone = select.poll()
    gone.register(descriptor, 0)
    gone.poll()
    end(1, scratch)


def pytest_collection_finish(session: pytest.Session) -> None:
    """End a session without items; else freeze imported objects.

    A full collection of torch, the oracles and the laws takes a fifth of a second, as long as many benchmarks.
    """
    give_up_if_idle(session)
    set_aside()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Drop the timing of a benchmark that raised, was interrupted, or was found wrong after the timed loop."""
    try:
        return (yield)
    except BaseException:
        benchmark: Any = pyfuncitem.funcargs.get("benchmark")
        if benchmark is not None:
            benchmark.has_error = True
            if benchmark.stats is not None:
                benchmark.stats.stats.data.clear()
        raise


@pytest.fixture(scope="session")
def data(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageData]:
    """Yield the images, cut to the requested number, for the duration of the session."""
    try:
        with tempfile.TemporaryDirectory(prefix="images-", dir=tmp_path_factory.getbasetemp()) as scratch:
            settings: Settings = pytestconfig.option.harness_settings
            train = settings.split == "train"
            yield image_data(settings.data, settings.images, Path(scratch), train=train)
    except UsageError as error:
        give_up(pytestconfig, error)


class Progress:
    """A pytest plugin that writes JSON lines to a pipe: the number of items, and each start and end."""

    def __init__(self, descriptor: int) -> None:
        self._stream: TextIO = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)

    def _tell(self, **values: object) -> None:
        self._stream.write(json.dumps(values) + "\n")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write the number of items."""
        self._tell(total=len(session.items))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Write the name of an item that starts."""
        self._tell(running=nodeid.rpartition("::")[2])

    def pytest_runtest_logfinish(self) -> None:
        """Write that an item ended."""
        self._tell(done=1)

    def tell_import(self, target: str | None) -> None:
        """Write which target is being imported; ``None`` after the import."""
        self._tell(importing=target)

    def refuse(self, error: UsageError, *, idle: bool) -> None:
        """Write why nothing is measured."""
        self._tell(refused={**error.parts, "idle": idle})


class Account:
    """A pytest plugin that counts the benchmarks of a session; it ignores other tests.

    It adds an object ``harness`` to the document of pytest-benchmark: ``collected`` and ``passed`` are counts,
    ``failed`` and ``skipped`` are lists of ``name`` and ``reason``. The suite is ``complete`` if each benchmark passed
    or was skipped.
    """

    def __init__(self) -> None:
        self.collected: set[str] = set()
        self.passed: set[str] = set()
        self.failed: dict[str, str] = {}
        self.skipped: dict[str, str] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note the collected benchmarks."""
        self.collected = {
            item.nodeid
            for item in session.items
            if isinstance(item, pytest.Function) and "benchmark" in item.fixturenames
        }

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a benchmark."""
        if report.nodeid not in self.collected:
            return
        if report.failed:
            self.passed.discard(report.nodeid)
            self.failed[report.nodeid] = report.longreprtext
        elif report.skipped:
            *_, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("",)
            self.skipped[report.nodeid] = str(reason).removeprefix("Skipped: ")
        elif report.when == "call":
            self.passed.add(report.nodeid)

    @property
    def missing(self) -> int:
        """Return the number of benchmarks that neither passed nor were skipped."""
        return len(self.collected) - len(self.passed) - len(self.skipped)

    def pytest_benchmark_update_json(self, output_json: dict[str, Any]) -> None:
        """Add the counts to the document before it is written."""
        output_json["harness"] = {
            "complete": self.missing == 0,
            "collected": len(self.collected),
            "passed": len(self.passed),
            "failed": _list_reasons(self.failed),
            "skipped": _list_reasons(self.skipped),
        }

    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        """Print how many benchmarks are missing, if any."""
        if self.missing:
            terminalreporter.section("incomplete", red=True)
            unfinished = self.missing - len(self.failed)
            terminalreporter.line(
                f"{len(self.passed)} of {len(self.collected)} benchmarks were measured and kept; {len(self.failed)} "
                f"failed, {unfinished} did not finish, {len(self.skipped)} were skipped"
            )


def _list_reasons(reasons: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": nodeid.rpartition("::")[2], "reason": reason} for nodeid, reason in reasons.items()]


# Cases


def cases_of(config: pytest.Config, *contracts: str) -> dict[str, Case]:
    """Return the cases of some contracts that support float32, by name and in order of declaration.

    The session ends with a message if the target cannot be loaded, or if two cases of these contracts share a name.
    """
    selected: dict[str, Case] = {}
    config.stash.setdefault(_SELECTED, {}).update(dict.fromkeys(contracts))
    for case in _load_cases(config):
        if case.contract not in contracts or DTYPE not in case.dtypes:
            continue
        if case.name in selected:
            problem = f"two cases have the name `{case.name}`"
            give_up(config, UsageError(problem, remedy="give each case its own `name`"))
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


@contextmanager
def importing(config: pytest.Config, target: str) -> Iterator[None]:
    """Import user code in the body, within the limits of the process that started the session."""
    if (memory := config.option.harness_memory) is not None:
        limit_memory(memory)
    progress = config.pluginmanager.get_plugin(NAME)
    if progress is None:
        yield
        return
    progress.tell_import(target)
    yield
    progress.tell_import(None)


def give_up_if_idle(session: pytest.Session) -> None:
    """End the session if the loaded cases leave the suite without an item."""
    contracts = session.config.stash.get(_SELECTED, {})
    if not contracts or not session.items or not all(map(_stands_for_none, session.items)):
        return
    wanted = " or ".join(f"`{name}`" for name in contracts) if len(contracts) < _MANY else "an operation"
    rule, place = f"this suite times cases of {wanted} in {DTYPE}", f"`{session.config.option.harness_cases}`"
    remedy = "choose other suites, or omit the names to run all suites that apply"
    give_up(session.config, UsageError("nothing to time", rule=rule, place=place, remedy=remedy), idle=True)


_MANY = 10
"""Number of contracts from which a general word replaces their names."""


def _stands_for_none(item: pytest.Item) -> bool:
    """Whether an item is the skip by which pytest replaces an empty set of parameters."""
    return item.get_closest_marker("skip") is not None


def option(config: pytest.Config, name: str, default: Any) -> Any:
    """Return a setting, or the default if it is absent."""
    value = getattr(config.option.harness_settings, name)
    return default if value is None else value


def parametrize(metafunc: pytest.Metafunc, names: Sequence[str], items: Sequence[tuple[Any, ...]]) -> None:
    """Make one item for each tuple of values; its id joins them by dashes."""
    metafunc.parametrize(names, items, ids=["-".join(map(str, item)) for item in items])


def _load_cases(config: pytest.Config) -> list[Case]:
    if _LOADED not in config.stash:
        contract = option(config, "contract", None)
        try:
            if contract is not None:
                contract_named(contract)
            target = config.option.harness_cases
            with nullcontext() if is_shipped(target) else importing(config, target):
                config.stash[_LOADED] = [claimed(case) for case in load(target, contract=contract, by_name=True)]
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
    with stop_garbage_collection():
        warmed = warm(function, calls=warm_calls, duration_s=warm_s)
        plan = rounds_within(budget_s, warmed.warm_s, minimum=minimum)
        benchmark.pedantic(function, rounds=plan.rounds, iterations=plan.iterations)
    return warmed


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
