"""Common parts of the suites: options, progress, outcomes, the data set, and dropping timings of failed benchmarks."""

import json
import os
import select
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest

from harness.bench.option import OPTIONS, flag
from harness.bench.suites.benchmark import NAME, give_up, give_up_if_idle
from harness.data.images import ImageData, image_data
from harness.error import UsageError
from harness.isolation.parent import end
from harness.timing.clock import set_aside


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of the suites; in a session with plugins, the harness's plugin declares some of them."""
    group = parser.getgroup("harness", "benchmarks of the harness")
    has_plugins = "PYTEST_DISABLE_PLUGIN_AUTOLOAD" not in os.environ
    for name, declared in OPTIONS.items():
        if not (has_plugins and declared.in_every_session):
            group.addoption(flag(name), **declared.keywords())


def pytest_configure(config: pytest.Config) -> None:
    """Count benchmarks, and give options their defaults.

    With ``--pyargs`` pytest finds this file after parsing the command line, too late to declare options.
    """
    for name, declared in OPTIONS.items():
        if not hasattr(config.option, f"harness_{name}"):
            setattr(config.option, f"harness_{name}", declared.default)
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
            folder = pytestconfig.getoption("harness_data")
            train = pytestconfig.getoption("harness_split") == "train"
            yield image_data(folder, pytestconfig.getoption("harness_images"), Path(scratch), train=train)
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
            "failed": _listed(self.failed),
            "skipped": _listed(self.skipped),
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


def _listed(reasons: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": nodeid.rpartition("::")[2], "reason": reason} for nodeid, reason in reasons.items()]
