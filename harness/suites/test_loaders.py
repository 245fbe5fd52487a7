"""Loaders: one steady epoch over the test set, against batch size and number of workers."""

import gc
import multiprocessing
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.suites.image_data import ImageData
from harness.suites.measurement import measure, refuse, subject_info
from harness.suites.selection import cases_of, option, parametrize
from harness.timing import threads

BATCH_SIZES = (32, 256, 1024)
WORKERS = (0, 1, 2)
FEWEST_EPOCHS = 3
SECONDS = 0.3
"""Seconds measured a loader: enough for a hundred epochs from memory, and the fewest of those that decode."""
GOODBYE_S = 3.0
"""How long workers have for ending by themselves."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item for each case, batch size and number of workers."""
    batch_sizes = option(metafunc.config, "batch_sizes", BATCH_SIZES)
    workers = option(metafunc.config, "workers", WORKERS)
    parametrize(metafunc, tuple(cases_of(metafunc.config, "loader")), batch_size=batch_sizes, workers=workers)


def test_steady_epoch(
    benchmark: Any, pytestconfig: pytest.Config, data: ImageData, case: str, batch_size: int, workers: int
) -> None:
    """Time whole epochs after a first one, then look at what was delivered."""
    declared = cases_of(pytestconfig, "loader")[case]
    benchmark.group = f"loader, batch {batch_size:4}, workers {workers}"
    with threads(1), no_worker_left(declared, where=f"workers {workers}"):
        reading = Reading(declared, data, batch_size=batch_size, workers=workers)
        try:
            _time_and_validate(benchmark, reading, option(pytestconfig, "seconds", SECONDS))
        finally:
            reading.close()


class Reading:
    """A loader that is made and run through, epoch by epoch, when it is called.

    Parameters
    ----------
    case
        The loader's case.
    data
        What it loads.
    batch_size, workers
        As the loader is told.
    """

    def __init__(self, case: Case, data: ImageData, *, batch_size: int, workers: int) -> None:
        self.case = case
        self.data = data
        self.batch_size = batch_size
        self.workers = workers
        self.first_batch_s: float | None = None
        self.epochs: list[tuple[int, int]] = []
        self._batches: Iterable[tuple[Tensor, Tensor]] | None = None

    def __call__(self) -> None:
        """Run through one epoch and note its samples and batches; the first one also makes the loader."""
        if self._batches is None:
            self._epoch(self._made(), start=time.perf_counter())
        else:
            self._epoch(self._batches)

    def _made(self) -> Iterator[tuple[Tensor, Tensor]]:
        self._batches = self.case.function(self.data.root, False, self.batch_size, self.workers, True)  # noqa: FBT003
        yield from self._batches

    def _epoch(self, batches: Iterable[tuple[Tensor, Tensor]], start: float | None = None) -> None:
        samples = count = 0
        for _, labels in batches:
            if count == 0 and start is not None:
                self.first_batch_s = time.perf_counter() - start
            samples += len(labels)
            count += 1
        self.epochs.append((samples, count))

    def one_batch(self) -> tuple[Tensor, Tensor]:
        """Return the first batch of one more epoch."""
        assert self._batches is not None
        images, labels = next(iter(self._batches))
        return images, labels

    def close(self) -> None:
        """Let go of the loader, and so of its workers."""
        self._batches = None


def _time_and_validate(benchmark: Any, reading: Reading, seconds: float) -> None:
    data, size = reading.data, reading.batch_size
    warmed = measure(benchmark, reading, budget_s=seconds, fewest=FEWEST_EPOCHS, warm_calls=1, warm_s=0.0)
    expected = (data.size, -(-data.size // size))
    benchmark.extra_info.update(
        subject_info(reading.case),
        batch_size=size,
        workers=reading.workers,
        samples=expected[0],
        batches=expected[1],
        first_batch_s=reading.first_batch_s,
        cold_s=warmed.cold_s,
        data=data.name,
    )
    where = f"batch {size}, workers {reading.workers}"
    if wrong := [epoch for epoch in reading.epochs if epoch != expected]:
        rule = "an epoch delivers every sample once, in batches of the size asked for"
        refuse(reading.case, rule, where=where, actual=_counted(*wrong[0]), expected=_counted(*expected))
    images, labels = reading.one_batch()
    if images.dtype != torch.float32 or images.shape != (len(labels), 1, 28, 28):
        refuse(reading.case, "images are float32 [b, 1, 28, 28]", where=where, actual=f"{images.dtype} {images.shape}")
    if (strange := _strangers(images, labels, data)) > 0:
        rule = "a sample is an image of the data, each byte divided by 255, with its label"
        refuse(reading.case, rule, where=where, actual=f"{strange} of {len(labels)} are not")


def _counted(samples: int, batches: int) -> str:
    return f"{samples} samples in {batches} batches"


def _strangers(images: Tensor, labels: Tensor, data: ImageData) -> int:
    """How many samples of a batch are not in the data."""
    grey = (images.double() * 255.0).round().clamp(0, 255).to(torch.uint8).numpy()
    samples = [(image.tobytes(), int(label)) for image, label in zip(grey, labels, strict=True)]
    return sum(sample not in data.samples for sample in samples)


@contextmanager
def no_worker_left(case: Case, *, where: str) -> Iterator[None]:
    """Wait until the processes started within have ended; end those that stay, and fail if nothing else did."""
    before = set(multiprocessing.active_children())
    try:
        yield
    except BaseException:
        _end(_started_since(before))
        raise
    gc.collect()
    until = time.monotonic() + GOODBYE_S
    while (left := _started_since(before)) and time.monotonic() < until:
        time.sleep(0.01)
    if left:
        _end(left)
        refuse(case, "a loader that is let go ends its workers", where=where, actual=f"{len(left)} still run")


def _started_since(before: set[Any]) -> set[Any]:
    return set(multiprocessing.active_children()) - before


def _end(processes: set[Any]) -> None:
    for process in processes:
        process.terminate()
        process.join(1.0)
        if process.is_alive():
            process.kill()
            process.join()
