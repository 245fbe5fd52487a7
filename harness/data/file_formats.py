"""Data sets of files, as people have them: pictures, lines, rows, an array, an archive; written from Fashion-MNIST.

The files are written once, below the cache of the data set, from its first images; they are real files of these
formats, read by the libraries that read such files. ``SETS`` names what makes each data set without arguments.
"""

import io
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info
from torchvision.transforms import v2

from harness.data.fashion_mnist import CACHE, arrays, prepare

COUNT, SIDE, LARGE, ROWS = 600, 28, 112, 50
"""Number of images, their side, the side of a large picture, and rows per Parquet group."""

WAIT_S = 2e-3
"""Seconds in which a slow disk gives a file."""

Item = tuple[Tensor, int]


def folder_of(kind: str, write: Callable[[Path, NDArray[np.uint8], NDArray[np.uint8]], object]) -> Path:
    """Return the folder with the files of a kind, written whole or not at all.

    Parameters
    ----------
    kind
        Its name.
    write
        Writes images and labels into a folder.
    """
    prepared = prepare()
    source = prepared.source.name.lower().replace(" ", "-")
    folder = CACHE.resolve() / "files" / f"{kind}-{source}-{COUNT}"
    if not folder.is_dir():
        images, labels = arrays(prepared.root, train=False)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            whole = Path(scratch, "whole")
            whole.mkdir()
            write(whole, images[:COUNT], labels[:COUNT])
            try:
                whole.rename(folder)
            except OSError:  # another process was faster
                shutil.rmtree(whole)
    return folder


def _encode_image(image: NDArray[np.uint8], kind: str) -> bytes:
    """One image, four times as large and in colour, in a format of pictures."""
    stream = io.BytesIO()
    decoded = Image.fromarray(image).resize((LARGE, LARGE), Image.Resampling.BICUBIC).convert("RGB")
    decoded.save(stream, kind)
    return stream.getvalue()


def _decode_image(data: bytes) -> Tensor:
    """Return the pixels of a picture, uint8 ``[3, height, width]``; torchvision's own decoders are deprecated."""
    with Image.open(io.BytesIO(data)) as image:
        pixels: Tensor = v2.functional.pil_to_tensor(image.convert("RGB"))
    return pixels


class Pictures(Dataset[Item]):
    """A file for each picture, in a folder for each class.

    Parameters
    ----------
    kind
        ``JPEG`` or ``PNG``.
    transform
        Transform of a decoded picture, uint8 ``[3, 112, 112]``.
    """

    def __init__(self, kind: str, transform: Callable[[Tensor], Tensor]) -> None:
        def write(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
            for number, (image, label) in enumerate(zip(images, labels, strict=True)):
                file = folder / str(label) / f"{number:05}.{kind.lower()}"
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(_encode_image(image, kind))

        self.files = sorted(folder_of(kind.lower(), write).glob("*/*"))
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Item:
        return self.transform(_decode_image(self.read(index))), int(self.files[index].parent.name)

    def read(self, index: int) -> bytes:
        """Return the bytes of a file."""
        return self.files[index].read_bytes()


class SlowPictures(Pictures):
    """The same on a disk that lets wait for each file."""

    def read(self, index: int) -> bytes:
        """Return the bytes of a file, late."""
        time.sleep(WAIT_S)
        return super().read(index)


class _Opened:
    """A file that each process opens when it first reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._pid = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_file": None, "_pid": 0}

    def __call__(self) -> BinaryIO:
        if self._file is None or self._pid != os.getpid():
            self._file, self._pid = self.path.open("rb"), os.getpid()
        return self._file

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()


class Archive(Dataset[Item]):
    """Pictures in one tar archive, each read from where it lies."""

    def __init__(self) -> None:
        def write(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
            with tarfile.open(folder / "pictures.tar", "w") as archive:
                for number, (image, label) in enumerate(zip(images, labels, strict=True)):
                    data, member = _encode_image(image, "PNG"), tarfile.TarInfo(f"{number:05}-{label}.png")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))

        path = folder_of("tar", write) / "pictures.tar"
        with tarfile.open(path) as archive:
            self.members = [(int(member.name[6]), member.offset_data, member.size) for member in archive.getmembers()]
        self.opened = _Opened(path)
        self.transform = _make_conversion()

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: int) -> Item:
        label, offset, size = self.members[index]
        file = self.opened()
        file.seek(offset)
        return self.transform(_decode_image(file.read(size))), label


def _lines(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    rows = [" ".join(map(str, (label, *image.ravel()))) for image, label in zip(images, labels, strict=True)]
    (folder / "images.txt").write_text("\n".join(rows) + "\n", encoding="ascii")


def parse_line(line: bytes) -> Item:
    """Return the image and the label of a line: whole numbers, the label first."""
    label, *pixels = map(int, line.split())
    return torch.tensor(pixels, dtype=torch.float32).div_(255).reshape(1, SIDE, SIDE), label


class Lines(Dataset[Item]):
    """A line of text for each image, read from where it begins."""

    def __init__(self) -> None:
        path = folder_of("lines", _lines) / "images.txt"
        lengths = [len(line) for line in path.read_bytes().splitlines(keepends=True)]
        self.offsets = np.cumsum([0, *lengths[:-1]]).tolist()
        self.opened = _Opened(path)

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, index: int) -> Item:
        file = self.opened()
        file.seek(self.offsets[index])
        return parse_line(file.readline())


class LineStream(IterableDataset[Item]):
    """The same lines one after another; each worker parses its share."""

    def __init__(self) -> None:
        self.path = folder_of("lines", _lines) / "images.txt"

    def __len__(self) -> int:
        return COUNT

    def __iter__(self) -> Iterator[Item]:
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines):
                if number % workers == worker:
                    yield parse_line(line)


class Rows(Dataset[Item]):
    """Rows of a Parquet file, in groups; the last group that was read is cached."""

    def __init__(self) -> None:
        def write(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
            columns = {"image": [image.tobytes() for image in images], "label": labels.tolist()}
            pq.write_table(pa.table(columns), folder / "images.parquet", row_group_size=ROWS)

        self.path = folder_of("parquet", write) / "images.parquet"
        self.length = pq.read_metadata(self.path).num_rows
        self._group: tuple[int, Any] = (-1, None)

    def __len__(self) -> int:
        return int(self.length)

    def __getitem__(self, index: int) -> Item:
        group, row = divmod(index, ROWS)
        if self._group[0] != group:
            self._group = group, pq.ParquetFile(self.path).read_row_group(group)
        image, label = (self._group[1][name][row].as_py() for name in ("image", "label"))
        pixels = torch.frombuffer(bytearray(image), dtype=torch.uint8).reshape(1, SIDE, SIDE)
        return pixels.float().div_(255), label


class Mapped(Dataset[Item]):
    """An array in a file that is mapped into memory."""

    def __init__(self) -> None:
        def write(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
            np.save(folder / "images.npy", images)
            np.save(folder / "labels.npy", labels)

        folder = folder_of("array", write)
        self.images = np.load(folder / "images.npy", mmap_mode="r")
        self.labels = np.load(folder / "labels.npy")

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Item:
        pixels = torch.from_numpy(self.images[index].copy()).unsqueeze(0)
        return pixels.float().div_(255), int(self.labels[index])


def _make_augmentation() -> v2.Transform:
    """Random crops, flips and colours, as pictures are trained on."""
    steps = (v2.RandomResizedCrop(64), v2.RandomHorizontalFlip(), v2.ColorJitter(0.2, 0.2))
    return v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True)])


def _make_conversion() -> v2.Transform:
    return v2.Compose([v2.Resize(64), v2.ToDtype(torch.float32, scale=True)])


def jpegs() -> Dataset[Item]:
    """JPEG files, augmented at random."""
    return Pictures("JPEG", _make_augmentation())


def pngs() -> Dataset[Item]:
    """PNG files, made smaller."""
    return Pictures("PNG", _make_conversion())


def slow_pngs() -> Dataset[Item]:
    """The same on a slow disk, which is simulated by sleeping."""
    return SlowPictures("PNG", _make_conversion())


SETS: Mapping[str, Callable[[], Dataset[Item]]] = {
    "jpeg files": jpegs,
    "png files": pngs,
    "slow disk": slow_pngs,
    "archive": Archive,
    "text lines": Lines,
    "line stream": LineStream,
    "parquet": Rows,
    "mapped array": Mapped,
}
"""The data sets of files, by name."""
