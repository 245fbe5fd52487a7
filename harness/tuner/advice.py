"""Whether the kind of loader is the problem rather than its settings; examined before the tuning.

Settings gain at most a factor of the number of cores. A data set that delivers whole batches may gain a factor of ten.
If the transfer of a batch from a worker takes longer than its creation, no number of workers helps.
"""

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, default_collate

from harness.loading.accounting import Computing
from harness.loading.fault import shared_memory_left
from harness.loading.throughput import hop_s, is_sequence, tensors

WORTH_IT = 1.2
"""Minimum speed-up for which batches are fetched as a whole."""

CLEARLY = 1.25
"""Minimum ratio of receiving to creating a batch that rules workers out, unless a measurement shows a gain."""

FAR = 4.0
"""Minimum ratio of receiving to creating a batch at which workers are not even measured."""

ALREADY = "it already fetches batches by `__getitems__`"

_REPEATS, _ENOUGH_S = 3, 0.1
"""Number of timed calls, and the duration in seconds after which a single one is enough."""


@dataclass(frozen=True)
class Advice:
    """Delivery of the samples of a data set, in seconds per batch.

    Parameters
    ----------
    batch_size
        Samples of the examined batches; less than a batch if items are slow.
    items_s
        Time to fetch items one by one and collate them.
    batch_s
        Time to fetch the batch as a whole; ``None`` if that is not possible, or is already done.
    obstacle
        Reason why it is not possible; empty if it is.
    busy
        Share of ``items_s`` in which the processor computes.
    hop_s
        Time of the training process to receive a batch from a worker; infinite if shared memory is too small.
    cores
        Number of usable cores.
    step_s
        Time of a training step, if known.
    copies
        Whether each worker delivers all samples, as with a stream that does not divide them.
    """

    batch_size: int
    items_s: float
    batch_s: float | None
    obstacle: str
    busy: float
    hop_s: float
    cores: int
    step_s: float | None = None
    copies: bool = False

    @property
    def gain(self) -> float:
        """Return the speed-up of fetching whole batches; 1 if that is not possible."""
        return 1.0 if self.batch_s is None else self.items_s / self.batch_s

    @property
    def takes_batches(self) -> bool:
        """Whether to fetch whole batches."""
        return self.gain >= WORTH_IT

    @property
    def made_s(self) -> float:
        """Return the time to create a batch in the training process, the faster way."""
        return self.batch_s if self.batch_s is not None and self.takes_batches else self.items_s

    @property
    def waits(self) -> bool:
        """Whether items wait rather than compute, so that more workers than cores may gain."""
        return self.busy < 0.5

    @property
    def forbids_workers(self) -> bool:
        """Whether workers are not worth a measurement: they repeat samples, or receiving a batch takes far too long."""
        return self.copies or self.hop_s >= FAR * self.made_s

    @property
    def rules_workers_out(self) -> bool:
        """Whether receiving a batch clearly takes longer than creating it, or workers only repeat samples."""
        return self.copies or self.hop_s >= CLEARLY * self.made_s

    @property
    def item(self) -> str:
        """Return the time of an item in words."""
        return f"an item takes {_us(self.items_s / self.batch_size)}"

    def sentences(self, *, keeps_up: bool = False, workers_gain: bool = False) -> list[str]:
        """Return remarks for the user, the kind of loader first.

        A prediction must not contradict a measurement: that the loop ``keeps_up`` with the step, or that
        ``workers_gain``.
        """
        on_workers = self._explain_workers(keeps_up=keeps_up, workers_gain=workers_gain)
        return [sentence for sentence in (self._explain_batches(), on_workers) if sentence]

    def _explain_batches(self) -> str:
        if not self.takes_batches:
            return ""
        return (
            "the kind of loader is the problem, not its settings: `dataset[indices]` returns a whole batch, "
            f"bit-identical to its items, {self.gain:.3g} times as fast; the suggested line uses it"
        )

    def _explain_workers(self, *, keeps_up: bool, workers_gain: bool) -> str:
        if self.copies:
            return (
                "do not use workers: each one delivers all samples; first divide the samples among them with "
                "`get_worker_info()`"
            )
        if math.isinf(self.hop_s):
            return "do not use workers: shared memory has no room for two batches; enlarge /dev/shm"
        hop = f"receiving a batch of {self.batch_size} from a worker costs the training process {_us(self.hop_s)}"
        cheaper = "batches of fewer and larger arrays reduce this cost"
        if self.rules_workers_out and not workers_gain:
            return f"do not use workers: {hop}, but making the batch there takes only {_us(self.made_s)}; {cheaper}"
        if self.step_s is not None and self.hop_s >= self.step_s and not keeps_up:
            return f"no number of workers keeps up: {hop}, and a step takes only {_us(self.step_s)}; {cheaper}"
        return ""


def examine(dataset: Any, batch_size: int, *, cores: int, step_s: float | None = None, seed: int = 0) -> Advice:
    """Examine how a data set delivers samples, for about a second.

    Parameters
    ----------
    dataset
        A map-style data set, or an iterable one of torch.
    batch_size
        Samples per batch; fewer are examined if they are slow.
    cores
        Number of usable cores.
    step_s
        Seconds of a training step, if known.
    seed
        Random seed for the indices.
    """
    is_stream = isinstance(dataset, IterableDataset)
    draw = random.Random(seed)  # noqa: S311 - a sample, no secret
    places = list(range(batch_size)) if is_stream else draw.choices(range(len(dataset)), k=batch_size)

    def fetch_items() -> Any:
        if is_stream:
            return default_collate(list(islice(dataset, len(places))))
        if hasattr(dataset, "__getitems__"):
            return default_collate(dataset.__getitems__(places))
        return default_collate([dataset[index] for index in places])

    wished = batch_size
    items, batch_size = _enough(fetch_items, places)
    obstacle = "it has no indices" if is_stream else _find_obstacle(dataset, places, items, fetch_items)
    items_s, busy = _time_calls(fetch_items)
    batch_s = None if obstacle else _time_calls(lambda: dataset[places])[0]
    copies = is_stream and _copies(dataset, batch_size, items)
    hop = math.inf if _is_too_large(items, wished / batch_size) else hop_s(items)
    return Advice(batch_size, items_s, batch_s, obstacle, busy, hop, cores, step_s, copies=copies)


def _copies(stream: Any, batch_size: int, items: Any) -> bool:
    """Whether each worker delivers all samples of a stream, of which ``items`` are the first."""
    first = list(islice(DataLoader(stream, batch_size, num_workers=2), 2))
    return len(first) == 2 and equal(first[1], first[0]) and equal(items, first[0])


def _is_too_large(batch: Any, times: float) -> bool:
    """Whether two batches, each this many times as large, do not fit into shared memory."""
    free_bytes = shared_memory_left()
    return free_bytes is not None and 2 * times * sum(tensor.nbytes for tensor in tensors(batch)) > free_bytes


def _enough(fetch_items: Callable[[], Any], indices: list[int]) -> tuple[Any, int]:
    """Shorten the indices to as many as show the cost of items in little time; return their items, too."""
    all_indices, number = list(indices), 1
    while True:
        indices[:] = all_indices[:number]
        start = time.perf_counter()
        items = fetch_items()
        if number == len(all_indices) or time.perf_counter() - start >= _ENOUGH_S / 2:
            return items, number
        number = min(4 * number, len(all_indices))


def _find_obstacle(dataset: Any, indices: list[int], items: Any, fetch_items: Callable[[], Any]) -> str:
    """Return why a batch cannot be fetched as a whole; empty if it can, and equals its items."""
    if hasattr(dataset, "__getitems__"):
        return ALREADY
    try:
        batch = dataset[indices]
    except Exception as error:  # noqa: BLE001 - most data sets refuse a list, by any error
        return f"`dataset[indices]` raises {type(error).__name__}"
    if equal(batch, items):
        return ""
    if not equal(fetch_items(), items):
        return "the items differ from call to call, so a batch cannot be compared with them"
    return "`dataset[indices]` does not equal the collated items"


def _time_calls(function: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of the fastest of some calls, and the share of computing, without the wait for a core."""
    calls: list[tuple[float, float]] = []
    computing = Computing()
    while len(calls) < _REPEATS and (not calls or calls[-1][0] < _ENOUGH_S):
        waited, ran, start = computing.measure_wait_s(), computing.ran(), time.perf_counter()
        function()
        wall_s = max(time.perf_counter() - start, 1e-9)
        # On a busy machine, a thread waits for a core after each sleep. This wait is neither computing nor sleeping.
        ran, waited = computing.ran() - ran, computing.measure_wait_s() - waited
        calls.append((wall_s, ran / max(wall_s - waited, ran, 1e-9)))
    computing.close()
    return min(calls)


def _us(seconds: float) -> str:
    return f"{1e6 * seconds:.3g} us" if seconds < 1e-3 else f"{1e3 * seconds:.3g} ms"


def equal(actual: Any, expected: Any) -> bool:
    """Whether two batches are equal, bit for bit and type for type; a tuple may replace a list."""
    if isinstance(expected, Tensor | np.ndarray):
        if type(actual) is not type(expected) or actual.shape != expected.shape or actual.dtype != expected.dtype:
            return False
        return bool((_get_bytes(actual) == _get_bytes(expected)).all())
    if isinstance(expected, Mapping):
        same_keys = isinstance(actual, Mapping) and actual.keys() == expected.keys()
        return same_keys and all(equal(actual[key], expected[key]) for key in expected)
    if is_sequence(expected):
        same_length = is_sequence(actual) and len(actual) == len(expected)
        return same_length and all(map(equal, actual, expected))
    return bool(actual == expected)


def _get_bytes(array: Any) -> Any:
    """Return the bytes of a tensor or array, so that NaN equals NaN."""
    if isinstance(array, Tensor):
        return array.detach().contiguous().reshape(-1).view(torch.uint8) if array.numel() else array
    return np.frombuffer(np.ascontiguousarray(array).tobytes(), dtype=np.uint8)
