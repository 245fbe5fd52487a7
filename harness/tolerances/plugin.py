"""The pytest plugin of ``harness tolerances``; it is loaded on request only.

Each process of a session writes its verdicts to a separate file, so that pytest-xdist needs nothing else.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.tolerances.interception import Interception
from harness.tolerances.place import Suite


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option that turns the plugin on."""
    group = parser.getgroup("harness")
    group.addoption(
        "--harness-tolerances", metavar="FOLDER", help="judge the tolerances, and write the verdicts to this folder"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Wrap the comparing functions before tests are collected."""
    if folder := config.getoption("harness_tolerances"):
        config.pluginmanager.register(Judging(Path(folder), config.rootpath), "harness-tolerances")


class Judging:
    """The hooks of a session whose comparisons are judged."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder = folder
        self._interception = Interception(root)
        self._interception.start()
        self._passed = self._failed = 0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:  # noqa: ARG002 - the hook's argument
        """Keep the comparisons of a test that passes."""
        watch = self._interception.watch
        watch.pending.clear()
        try:
            yield
        except pytest.skip.Exception:
            raise
        except BaseException:
            self._failed += 1
            raise
        else:
            self._passed += 1
            watch.keep()
        finally:
            watch.pending.clear()

    def pytest_unconfigure(self) -> None:
        """Restore the functions, and write the verdicts."""
        self._interception.stop()
        suite = Suite(places=self._interception.watch.places, passed=self._passed, failed=self._failed)
        file = self._folder / f"{os.getpid()}.json"
        file.write_text(suite.model_dump_json(), encoding="utf-8")
