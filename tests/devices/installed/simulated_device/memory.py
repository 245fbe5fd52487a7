"""Memory of the simulated device: the bytes of living storages, and page-locked memory of the host."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from simulated_device.timeline import DEVICE


class Memory:
    """The living storages of the device, by address."""

    def __init__(self) -> None:
        self.storages: dict[int, tuple[StorageWeakRef, int]] = {}
        self.pinned: dict[int, StorageWeakRef] = {}
        self.peak = 0

    def add(self, x: Tensor) -> None:
        """Count the storage of a new tensor; refuse it if memory is full."""
        storage = x.untyped_storage()
        self.storages[storage.data_ptr()] = (StorageWeakRef(storage), storage.nbytes())
        allocated = self.allocated()
        if allocated > DEVICE.parameters.memory_bytes:
            del self.storages[storage.data_ptr()]
            raise torch.OutOfMemoryError(f"sim out of memory. Tried to allocate {storage.nbytes()} bytes.")
        self.peak = max(self.peak, allocated)

    def allocated(self, *_: object) -> int:
        """Return the bytes of living storages."""
        self.storages = {name: entry for name, entry in self.storages.items() if not entry[0].expired()}
        return sum(size for _, size in self.storages.values())

    def highest(self, *_: object) -> int:
        """Return the most bytes that lived at a time."""
        return self.peak

    def reset_peak(self, *_: object) -> None:
        """Let the peak begin with what lives now."""
        self.peak = self.allocated()

    def info(self, *_: object) -> tuple[int, int]:
        """Return the free and all bytes."""
        return DEVICE.parameters.memory_bytes - self.allocated(), DEVICE.parameters.memory_bytes

    def pin(self, x: Tensor, *_: object) -> Tensor:
        """Return a copy in page-locked memory of the host."""
        if self.is_pinned(x):
            return x
        copied = x.detach().clone()
        self.pinned[copied.untyped_storage().data_ptr()] = StorageWeakRef(copied.untyped_storage())
        return copied

    def is_pinned(self, x: Tensor, *_: object) -> bool:
        """Whether the memory is page-locked."""
        found = self.pinned.get(x.untyped_storage().data_ptr()) if x.device.type == "cpu" else None
        return found is not None and not found.expired()


MEMORY = Memory()


def with_memory(accelerator: Any) -> None:
    """Let torch ask this memory."""
    functions: dict[str, Callable[..., Any]] = {
        "memory_allocated": MEMORY.allocated,
        "memory_reserved": MEMORY.allocated,
        "max_memory_allocated": MEMORY.highest,
        "max_memory_reserved": MEMORY.highest,
        "reset_peak_memory_stats": MEMORY.reset_peak,
        "get_memory_info": MEMORY.info,
        "empty_cache": lambda: None,
    }
    for name, function in functions.items():
        setattr(accelerator, name, function)
    Tensor.pin_memory = lambda x, *_: MEMORY.pin(x)  # type: ignore[method-assign]
    Tensor.is_pinned = lambda x, *_: MEMORY.is_pinned(x)  # type: ignore[method-assign]
