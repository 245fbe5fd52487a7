"""What the suites share: their options, the data set, and that only what was right is kept."""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.bench.suites.outcome import Outcome
from harness.bench.suites.progress import NAME, Progress
from harness.bench.suites.selection import give_up, give_up_if_idle
from harness.calling.discovery import SHIPPED
from harness.data.images import ImageData, image_data
from harness.error import UsageError

OPTIONS = (
    *("cases", "contract", "batch_sizes", "workers", "sizes", "data", "images", "split", "seconds", "seeds"),
    "data_sets",
    *("dataset", "prefetch", "persistent", "pin", "start_method", "timeout", "progress"),
)


def counts(text: str) -> tuple[int, ...]:
    """Parse whole numbers separated by commas."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = (-1,)
    if min(numbers) < 0:
        raise argparse.ArgumentTypeError(f"whole numbers separated by commas, got `{text}`")
    return numbers


def sizes(text: str) -> tuple[int, ...]:
    """Parse positive whole numbers separated by commas."""
    numbers = counts(text)
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"whole numbers from 1 separated by commas, got `{text}`")
    return numbers


def names(text: str) -> tuple[str, ...]:
    """Split names separated by commas."""
    return tuple(part.strip() for part in text.split(","))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare what a suite can be told."""
    group = parser.getgroup("harness", "benchmarks of the harness")
    group.addoption(
        "--harness-cases", metavar="TARGET", default=SHIPPED, help="a package of cases, file.py:function, ..."
    )
    group.addoption("--harness-contract", metavar="NAME", help="contract of a target that is a single function")
    group.addoption("--harness-batch-sizes", metavar="N,N", type=sizes, help="batch sizes of steps and loaders")
    group.addoption("--harness-workers", metavar="N,N", type=counts, help="worker processes of loaders")
    group.addoption("--harness-sizes", metavar="N,N", type=sizes, help="elements, or side of the matrices")
    group.addoption("--harness-data", metavar="FOLDER", help="folder of Fashion-MNIST, or `synthetic`")
    group.addoption("--harness-images", metavar="N", type=int, help="load no more than N images an epoch")
    group.addoption("--harness-split", choices=("train", "test"), help="which images loaders load")
    group.addoption("--harness-dataset", metavar="TARGET", help="a data set of one's own, instead of cases of loaders")
    group.addoption("--harness-prefetch", metavar="N,N", type=sizes, help="batches each worker keeps ahead")
    group.addoption(
        "--harness-persistent", action=argparse.BooleanOptionalAction, help="whether workers outlive an epoch"
    )
    group.addoption("--harness-pin", action="store_true", default=None, help="batches in page-locked memory")
    group.addoption("--harness-timeout", metavar="S", type=float, help="seconds of a loader in one configuration")
    group.addoption("--harness-start-method", choices=("fork", "spawn", "forkserver"), help="how workers are started")
    group.addoption("--harness-progress", metavar="FD", type=int, help="descriptor that progress is written to")
    group.addoption("--harness-seeds", metavar="N", type=int, help="seeds of each way of searching, and of the tuner")
    group.addoption("--harness-data-sets", metavar="A,B", type=names, help="data sets of the tuner")


def pytest_configure(config: pytest.Config) -> None:
    """Keep account of what ran, and give options their defaults.

    Under ``--pyargs`` pytest finds this file only when the command line is parsed already, so that what it declares
    is not there.
    """
    for name in OPTIONS:
        if not hasattr(config.option, f"harness_{name}"):
            setattr(config.option, f"harness_{name}", SHIPPED if name == "cases" else None)
    config.pluginmanager.register(Outcome(), "harness-outcome")
    if config.option.harness_progress is not None:
        config.pluginmanager.register(Progress(config.option.harness_progress), NAME)


def pytest_collection_finish(session: pytest.Session) -> None:
    """End where there is nothing to do."""
    give_up_if_idle(session)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Drop the timing of what raised, was interrupted or was found wrong after the timed loop."""
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
def data(pytestconfig: pytest.Config) -> Iterator[ImageData]:
    """The images, cut to the number of images asked for, for as long as the session lasts."""
    try:
        with tempfile.TemporaryDirectory(prefix="harness-images-") as scratch:
            folder = pytestconfig.getoption("harness_data")
            train = pytestconfig.getoption("harness_split") == "train"
            yield image_data(folder, pytestconfig.getoption("harness_images"), Path(scratch), train=train)
    except UsageError as error:
        give_up(pytestconfig, error)
