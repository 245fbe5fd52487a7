"""What the suites share: their options, the data set, and that only what was right is kept."""

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.bench.option import OPTIONS, flag
from harness.bench.suites.account import Account
from harness.bench.suites.progress import NAME, Progress
from harness.bench.suites.selection import give_up, give_up_if_idle
from harness.data.images import ImageData, image_data
from harness.error import UsageError
from harness.timing.clock import set_aside
from harness.work.parent import end_with_reader


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of the suites."""
    group = parser.getgroup("harness", "benchmarks of the harness")
    for name, declared in OPTIONS.items():
        if not declared.in_every_session:
            group.addoption(flag(name), **declared.keywords())


def pytest_configure(config: pytest.Config) -> None:
    """Keep account of what ran, and give options their defaults.

    Under ``--pyargs`` pytest finds this file only when the command line is parsed already, so that what it declares
    is not there.
    """
    for name, declared in OPTIONS.items():
        if not hasattr(config.option, f"harness_{name}"):
            setattr(config.option, f"harness_{name}", declared.default)
    config.pluginmanager.register(Account(), "harness-account")
    if config.option.harness_progress is not None:
        # A command that is killed can end nothing; what it measures would be kept by nobody.
        ending = config.option.harness_progress, config.option.harness_scratch
        threading.Thread(target=end_with_reader, args=ending, daemon=True).start()
        config.pluginmanager.register(Progress(config.option.harness_progress), NAME)


def pytest_collection_finish(session: pytest.Session) -> None:
    """End where there is nothing to do; else set aside what was imported, which each benchmark would collect anew.

    A full collection of torch, the oracles and the laws takes a fifth of a second, as long as many a benchmark.
    """
    give_up_if_idle(session)
    set_aside()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Drop the timing of what raised, was interrupted or turned out wrong after the timed loop."""
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
    """The images, cut to the number of images asked for, for as long as the session lasts."""
    try:
        with tempfile.TemporaryDirectory(prefix="images-", dir=tmp_path_factory.getbasetemp()) as scratch:
            folder = pytestconfig.getoption("harness_data")
            train = pytestconfig.getoption("harness_split") == "train"
            yield image_data(folder, pytestconfig.getoption("harness_images"), Path(scratch), train=train)
    except UsageError as error:
        give_up(pytestconfig, error)
