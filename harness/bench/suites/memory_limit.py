"""The memory limit of loading: gathering rows of tensors in memory, and converting bytes to floats."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.loading.reading import Throughput


class MemoryLimit:
    """Gathers random rows of some tensors with equally many rows, and nothing else.

    Bytes become float32, multiplied by 1 / 255.
    """

    def __init__(self, arrays: Sequence[Tensor]) -> None:
        self.arrays = tuple(arrays)
        self.n = len(self.arrays[0])

    @classmethod
    def of_images(cls, images: Any, labels: Any) -> "MemoryLimit":
        """Return the limit for a set of images in bytes."""
        return cls([torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long()])

    @classmethod
    def of_batch(cls, batch: Any, samples: int) -> "MemoryLimit | None":
        """Return the limit for batches like this one; ``None`` if it has no tensor."""
        arrays = [part for part in _tensors(batch) if part.ndim and len(part) == samples]
        return cls(arrays) if arrays else None

    def slice(self, batch_size: int, seconds: float) -> Throughput:
        """Gather batches for some seconds, after an untimed first batch.

        The rows are chosen in advance. A batch stays alive until the next one exists, as in a loop over any loader: two
        batches need more of the processor cache than one.
        """
        orders = torch.randperm(self.n).split(batch_size)
        batch = self._batch(orders[0])
        samples = batches = 0
        cpu, start = time.process_time(), time.perf_counter()
        until = start + seconds
        while True:
            for rows in orders:
                batch = self._batch(rows)
                samples, batches = samples + len(batch[0]), batches + 1
                if time.perf_counter() >= until:
                    wall = time.perf_counter() - start
                    return Throughput(samples, batches, wall, time.process_time() - cpu)

    def _batch(self, rows: Tensor) -> list[Tensor]:
        gathered = [array.index_select(0, rows) for array in self.arrays]
        return [part.float().mul_(1 / 255) if part.dtype == torch.uint8 else part for part in gathered]


def _tensors(part: Any) -> list[Tensor]:
    if isinstance(part, Tensor):
        return [part]
    if isinstance(part, Mapping):
        part = list(part.values())
    if isinstance(part, Sequence) and not isinstance(part, str | bytes):
        return [tensor for inner in part for tensor in _tensors(inner)]
    return []
