"""The pytest plugin of ``harness tolerances``; it is loaded on request only.

Each process of a session writes its verdicts to a separate file, so that pytest-xdist needs nothing else.
"""

import operator
import os
import random
import signal
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from harness.record.storage import PYPROJECT, read_harness_table
from harness.tolerances.interception import Interception
from harness.tolerances.judgment import Decide, judge, judge_and_measure, measure
from harness.tolerances.place import Suite

DECISIONS: dict[str, Decide] = {"judge": judge, "both": judge_and_measure, "measure": measure}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("harness")
    group.addoption(
        "--harness-tolerances", metavar="FOLDER", help="judge the tolerances, and write the verdicts to this folder"
    )
    group.addoption("--harness-tolerances-by", default="judge", choices=DECISIONS, help="measure differences, too")


def pytest_configure(config: pytest.Config) -> None:
    """Wrap the comparing functions before tests are collected."""
    if folder := config.getoption("harness_tolerances"):
        decide = DECISIONS[config.getoption("harness_tolerances_by")]
        config.pluginmanager.register(Judging(Path(folder), config.rootpath, decide), "harness-tolerances")
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _read_helpers(file: Path) -> list[str]:
    """Return the comparing functions that a project names in ``[tool.harness.tolerances]``."""
    table: Any = read_harness_table(file) if file.is_file() else None
    return list(((table or {}).get("tolerances") or {}).get("helpers") or [])


class Judging:
    """The hooks of a session whose comparisons are judged."""

    def __init__(self, folder: Path, root: Path, decide: Decide) -> None:
        self._folder = folder
        self._interception = Interception(root, decide, _read_helpers(root / PYPROJECT))
        self._interception.start()
        self._is_seeded = decide is not judge
        self._outcomes: Counter[str] = Counter()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note the files with tests, which may belong to an installed package."""
        self._interception.watch.collected.update(item.path for item in session.items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Seed the generators if several runs are compared."""
        if self._is_seeded:
            seed = zlib.crc32(item.nodeid.encode())
            random.seed(seed)
            for name, seeding in (("numpy", "random.seed"), ("torch", "manual_seed")):
                if name in sys.modules:
                    operator.attrgetter(seeding)(sys.modules[name])(seed)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, call: "pytest.CallInfo[None]"
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep the comparisons of a test that passes; where differences are measured, of every test."""
        # The report has the outcome also where a test of unittest fails or is skipped, which raises nothing.
        report = yield
        watch = self._interception.watch
        if call.when == "call":
            self._outcomes[report.outcome] += 1
            if report.passed or (report.failed and watch.notes_failures):
                watch.keep(has_passed=report.passed)
        watch.pending.clear()
        return report

    def pytest_unconfigure(self) -> None:
        """Restore the functions, and write the verdicts."""
        self._interception.stop()
        watch = self._interception.watch
        suite = Suite(
            places=watch.places, passed=self._outcomes["passed"], failed=self._outcomes["failed"], root=str(watch.root)
        )
        file = self._folder / f"{os.getpid()}.json"
        file.write_text(suite.model_dump_json(), encoding="utf-8")
