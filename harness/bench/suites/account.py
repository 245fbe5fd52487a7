"""Plugins of a session of benchmarks.

One stores the outcomes in the JSON with the timings, and prints whether results are missing. The other writes the
progress of the suite, or its refusal to start, for the process that started it.
"""

import json
import os
from typing import Any, TextIO

import pytest

from harness.error import UsageError

NAME = "harness-progress"
"""Registered name of the plugin."""


class Progress:
    """A pytest plugin that writes JSON lines to a pipe: the number of items, and each start and end."""

    def __init__(self, descriptor: int) -> None:
        self._stream: TextIO = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)

    def _tell(self, **facts: object) -> None:
        self._stream.write(json.dumps(facts) + "\n")

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
