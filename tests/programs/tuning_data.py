"""Data sets that judge the tuner, written before the tuner ran on any of them.

They differ in the cost, type and size of an item, in computing or waiting, evenly or unevenly, in whether a batch can
be fetched as a whole, and in having indices at all. All are deterministic and small. Waiting is sleeping, so that it
takes the same time under load.
"""

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

Item = tuple[Tensor, int]


class Rows(Dataset[Any]):
    """A table of 20 columns in memory: ``dataset[indices]`` gives a whole batch."""

    def __init__(self, n: int = 100_000) -> None:
        self.x = torch.arange(20.0).repeat(n, 1) + torch.arange(n).unsqueeze(1)
        self.y = torch.arange(n) % 3

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Any) -> Any:
        return self.x[index], self.y[index]


class Colours(Dataset[Item]):
    """Pictures 3 x 32 x 32 of a memory-mapped file, copied and converted one by one."""

    def __init__(self, n: int = 10_000) -> None:
        self._file = TemporaryFile()  # noqa: SIM115 - it goes with the data set
        self.pixels = np.memmap(self._file, np.uint8, "w+", shape=(n, 3, 32, 32))
        self.pixels[:] = np.random.default_rng(1).integers(0, 256, (n, 1, 1, 32), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Item:
        return torch.from_numpy(self.pixels[index] / np.float32(255)), index % 10


class Wide(Dataset[Item]):
    """Float pictures 3 x 96 x 96, cloned: 110 kB per item, so that the transfer from a worker is slow."""

    def __init__(self, n: int = 2_000) -> None:
        self.n, self.pictures = n, torch.rand(50, 3, 96, 96, generator=torch.Generator().manual_seed(2))

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Item:
        return self.pictures[index % 50].clone(), index % 10


class Photos(Dataset[Item]):
    """Photographs of 256 x 256 as JPEG, decoded and resized to 64 x 64: a millisecond of computing each."""

    side, small, kind, n = 256, 64, "JPEG", 4_000

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        self.files = [self._file(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(32)]

    def _file(self, colours: NDArray[np.uint8]) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(colours).resize((self.side, self.side)).save(stream, self.kind)
        return stream.getvalue()

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Item:
        image = Image.open(io.BytesIO(self.files[index % 32])).convert("RGB").resize((self.small, self.small))
        return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255, index % 10


class Icons(Photos):
    """Small PNG pictures, which take a tenth of the time."""

    side, small, kind, n = 32, 32, "PNG", 20_000


class Words(Dataset[Item]):
    """Lines of text, split and looked up word by word in Python."""

    def __init__(self, n: int = 20_000) -> None:
        rng = np.random.default_rng(4)
        words = ["".join(chr(97 + c) for c in rng.integers(0, 26, 6)) for _ in range(500)]
        self.lines = [" ".join(words[w] for w in rng.integers(0, 500, 40)) for _ in range(200)]
        self.n, self.numbers = n, {word: number for number, word in enumerate(words)}

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Item:
        return torch.tensor([self.numbers[word] for word in self.lines[index % 200].split()]), index % 2


class Waits(Dataset[Item]):
    """Items that take ``wait_s`` seconds of waiting, each or per fetch."""

    def __init__(self, wait_s: float, *, n: int = 20_000, side: int = 16) -> None:
        self.wait_s, self.n, self.side = wait_s, n, side

    def __len__(self) -> int:
        return self.n

    def _item(self, index: int) -> Item:
        return torch.full((self.side, self.side), float(index % 256)), index % 10

    def __getitem__(self, index: int) -> Item:
        time.sleep(self.wait_s)
        return self._item(index)


class Uneven(Waits):
    """Every hundredth item takes a hundred times the mean."""

    def __getitem__(self, index: int) -> Item:
        if index % 100 == 0:
            time.sleep(100 * self.wait_s)
        return self._item(index)


class WaitsAndComputes(Waits):
    """Half of the time of an item is waiting, half computing."""

    def __getitem__(self, index: int) -> Item:
        until = time.thread_time() + self.wait_s
        while time.thread_time() < until:
            pass
        return super().__getitem__(index)


class AskedAtOnce(Waits):
    """A store that takes equally long for one item and for many: ``__getitems__`` asks once per batch."""

    def __getitems__(self, indices: Sequence[int]) -> list[Item]:
        """Return the items of a batch."""
        time.sleep(self.wait_s)
        return [self._item(index) for index in indices]


class Stream(IterableDataset[Item]):
    """Items in sequence that wait, divided among workers."""

    def __init__(self, wait_s: float, n: int = 20_000) -> None:
        self.wait_s, self.n = wait_s, n

    def __iter__(self) -> Iterator[Item]:
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for index in range(first, self.n, step):
            time.sleep(self.wait_s)
            yield torch.full((16, 16), float(index % 256)), index % 10


DATA_SETS: Mapping[str, Callable[[], Dataset[Any]]] = {
    "rows": Rows,
    "memory-mapped": Colours,
    "wide": Wide,
    "photos": Photos,
    "icons": Icons,
    "words": Words,
    "slow store": lambda: Waits(2e-3),
    "near store": lambda: Waits(1e-4, side=32),
    "uneven": lambda: Uneven(2e-4),
    "half and half": lambda: WaitsAndComputes(1e-4),
    "asked at once": lambda: AskedAtOnce(2e-2),
    "stream": lambda: Stream(5e-4),
}
"""The data sets, by name."""
