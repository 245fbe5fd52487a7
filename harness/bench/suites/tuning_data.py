"""Four data sets with different best loaders: cheap items, batches in memory, decoded items, and slow items.

All are deterministic, with images of 28 x 28 and a label, and none reads a file.
"""

import io
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

SIZE, SIDE, CLASSES = 20_000, 28, 10
PICTURES, PICTURE_SIDE = 64, 84
"""Number of pictures to decode, and their side: three times the side of the final image."""
WAIT_S = 3e-4
"""Latency of a fast network store."""

Item = tuple[Tensor, int]


class Cheap(Dataset[Item]):
    """Bytes in memory, converted item by item: microseconds each."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 256, (SIZE, 1, SIDE, SIDE), dtype=torch.uint8, generator=generator)
        self.labels = torch.arange(SIZE) % CLASSES

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, index: int) -> Item:
        return self.images[index].float() / 255, int(self.labels[index])


class InMemory(Cheap):
    """The same with a fetch of whole batches, which is cheaper than a worker."""

    def __getitems__(self, indices: Sequence[int]) -> list[Item]:
        """Return the items of a batch, gathered and converted together."""
        rows = torch.tensor(indices)
        images = self.images.index_select(0, rows).float().div_(255)
        return list(zip(images.unbind(), self.labels.index_select(0, rows).tolist(), strict=True))


class DecodeHeavy(Dataset[Item]):
    """JPEG pictures, decoded and resized item by item: a fraction of a millisecond of computing each."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.pictures = [_jpeg(random.integers(0, 256, (PICTURE_SIDE,) * 2, dtype=np.uint8)) for _ in range(PICTURES)]

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, index: int) -> Item:
        image = Image.open(io.BytesIO(self.pictures[index % PICTURES])).resize((SIDE, SIDE), Image.Resampling.BOX)
        return torch.from_numpy(np.array(image)).unsqueeze(0).float() / 255, index % CLASSES


def _jpeg(grey: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "JPEG")
    return stream.getvalue()


class Sleepy(Dataset[Item]):
    """Items that wait and do not compute: workers gain, even beyond the number of cores."""

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, index: int) -> Item:
        time.sleep(WAIT_S)
        return torch.full((1, SIDE, SIDE), index % 256 / 255), index % CLASSES


DATA_SETS: Mapping[str, Callable[[], Dataset[Item]]] = {
    "cheap": Cheap,
    "in memory": InMemory,
    "decode-heavy": DecodeHeavy,
    "sleepy": Sleepy,
}
"""The data sets, by name."""
