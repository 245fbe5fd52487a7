"""Fill freed memory with other values, so that code that reads unset memory cannot be right by chance."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

_SIZES = tuple(2**power for power in range(4, 17))
_SMALL, _FEW, _MANY = 1024, 4, 12
"""Number of blocks per size; for small ones more than the seven that glibc caches for other calls."""


def overwrite_freed(byte: int, *, sizes: Iterable[int] = (), device: str = "cpu") -> None:
    """Fill the blocks of memory that are handed out next, in less than a millisecond.

    Notes
    -----
    Blocks are allocated, filled and freed again, through torch and through NumPy, which caches small blocks. Memory
    that a call frees and allocates again is not reached. The first bytes of a block hold links of the allocator, so
    that an unset scalar may look like a small number.
    """
    blocks: list[object] = []
    for size in (*_SIZES, *sizes):
        for _ in range(_MANY if size <= _SMALL else _FEW):
            blocks += [torch.full((size,), byte, dtype=torch.uint8), np.full(size, byte, dtype=np.uint8)]
            if device != "cpu":
                blocks.append(torch.full((size,), byte, dtype=torch.uint8, device=device))


@contextmanager
def unset_is_nan() -> Iterator[None]:
    """Let torch fill unset tensors with NaN, also tensors that a call frees and allocates again.

    Notes
    -----
    It does so where it is to be deterministic, which may change how it adds: nothing but NaN follows from the memory.
    """
    before = torch.get_deterministic_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Not `use_deterministic_algorithms`, which loads the compiler.
        torch.set_deterministic_debug_mode("warn")
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(before)
