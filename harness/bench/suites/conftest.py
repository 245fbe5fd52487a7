"""Common parts of the suites: options, the data set, and dropping the timings of failed benchmarks."""

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.bench.option import OPTIONS, flag
from harness.bench.suites.account import NAME, Account, Progress
from harness.bench.suites.selection import give_up, give_up_if_idle
from harness.data.images import ImageData, image_data
from harness.error import UsageError
from harness.isolation.parent import end_with_reader
from harness.timing.clock import set_aside


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of the suites."""
    group = parser.getgroup("harness", "benchmarks of the harness")
    for name, declared in OPTIONS.items():
        if not declared.in_every_session:
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
