"""IDX, the file format of the MNIST family: reading, checking and writing. It imports no torch.

A file is a magic number, one big-endian 32-bit count per dimension, then one byte per element, row-major. It may be
compressed with gzip, which is recognized by its content. An invalid file raises a
:class:`~harness.error.UsageError` that names the file, the rule, the value and the remedy.
"""

import errno
import gzip
import hashlib
import io
import math
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.error import UsageError

Bytes = NDArray[np.uint8]
"""An array of unsigned bytes: images ``[n, height, width]`` or labels ``[n]``."""

MAGIC = {3: 0x00000803, 1: 0x00000801}
"""The magic number by count of dimensions: unsigned bytes in three (images) and in one (labels)."""

CLASS_COUNT = 10
"""A label is a class from 0 to ``CLASS_COUNT - 1``."""

SIDE = 28
"""Height and width of an image of the family, in pixels."""

MAX_BYTES = 2**30
"""A file that declares more is refused unread. The largest published file of the family has 47 MB."""

REMEDY = "download or unpack it again: it is damaged or another file"


def _make_damage_error(problem: str, rule: str, value: str, file: Path) -> UsageError:
    return UsageError(problem, rule=rule, value=value, place=str(file), remedy=REMEDY)


def read_images(file: Path) -> Bytes:
    """Read and check a file of images.

    Parameters
    ----------
    file
        An IDX file of three dimensions, plain or compressed with gzip.

    Returns
    -------
    images
        uint8, ``[n, height, width]``, writable.

    Raises
    ------
    UsageError
        If the file cannot be read, its gzip stream is truncated or corrupt, its magic number is another one, or it
        has more or fewer bytes than it declares.
    """
    return _read(file, dimensions=3)


def read_labels(file: Path) -> Bytes:
    """Read and check a file of labels.

    Parameters
    ----------
    file
        A one-dimensional IDX file, plain or compressed with gzip.

    Returns
    -------
    labels
        uint8, ``[n]``, each from 0 to 9, writable.

    Raises
    ------
    UsageError
        As :func:`read_images` does, and if a label is not from 0 to 9.
    """
    labels = _read(file, dimensions=1)
    wrong = np.flatnonzero(labels >= CLASS_COUNT)
    if wrong.size:
        rule = f"labels must be from 0 to {CLASS_COUNT - 1}"
        raise _make_damage_error("invalid label", rule, f"{labels[wrong[0]]} at index {wrong[0]}", file)
    return labels


def read_pair(images_file: Path, labels_file: Path) -> tuple[Bytes, Bytes]:
    """Read a file of images and the file of their labels, and check that they have equally many.

    Parameters
    ----------
    images_file, labels_file
        The two files, each plain or compressed with gzip.

    Returns
    -------
    images, labels
        uint8, ``[n, height, width]`` and ``[n]``.

    Raises
    ------
    UsageError
        If either file is damaged, or the counts differ.
    """
    images, labels = read_images(images_file), read_labels(labels_file)
    if len(images) != len(labels):
        raise UsageError(
            "the numbers of images and labels differ",
            value=f"{len(images)} images and {len(labels)} labels",
            place=f"{images_file} and {labels_file}",
            remedy="download both files again: one of them belongs to another data set",
        )
    return images, labels


def header(array: Bytes) -> bytes:
    """Return what stands before the elements of ``array``: the magic number and the counts."""
    return struct.pack(f">I{array.ndim}I", MAGIC[array.ndim], *array.shape)


def checksum(array: Bytes) -> str:
    """Return the SHA-256 of the uncompressed IDX file that holds ``array``."""
    digest = hashlib.sha256(header(array))
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def write(file: Path, array: Bytes) -> None:
    """Write an IDX file; equal arrays give equal files, byte for byte.

    Parameters
    ----------
    file
        Where to; compressed with gzip if the name ends in ``.gz``.
    array
        uint8, images ``[n, height, width]`` or labels ``[n]``.
    """
    content = header(array) + array.tobytes()
    file.write_bytes(gzip.compress(content, mtime=0) if file.suffix == ".gz" else content)


def _read(file: Path, *, dimensions: int) -> Bytes:
    """Read one file whole; no more than it declares and one byte is ever held in memory."""
    with _open_file(file) as stream:
        shape = _read_shape(stream, file, dimensions)
        declared = math.prod(shape)
        # A count of zero hides the others from the product, and no array takes them.
        if max(declared, *shape) > MAX_BYTES:
            rule = f"at most {MAX_BYTES} elements are allowed"
            raise _make_damage_error("invalid IDX header", rule, f"{_format_shape(shape)} elements", file)
        content = bytearray(stream.read(declared + 1))  # one more, so that gzip reaches its CRC at the end
    if len(content) != declared:
        count = f"{len(content)}" if len(content) < declared else "more"
        rule = f"{_format_shape(shape)} elements need {declared} bytes after the header"
        raise _make_damage_error("wrong length of an IDX file", rule, f"{count} bytes", file)
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _read_shape(stream: io.BufferedIOBase, file: Path, dimensions: int) -> tuple[int, ...]:
    """Read the header and return the counts it declares."""
    size = 4 + 4 * dimensions
    start = stream.read(size)
    if len(start) >= 4 and int.from_bytes(start[:4], "big") != MAGIC[dimensions]:
        content = {3: "images", 1: "labels"}[dimensions]
        rule = f"it must start with the magic number 0x{MAGIC[dimensions]:08x}"
        raise _make_damage_error(f"not an IDX file of {content}", rule, f"0x{start[:4].hex()}", file)
    if len(start) < size:
        rule = f"{dimensions} dimension{'s' * (dimensions > 1)} need a header of {size} bytes"
        raise _make_damage_error("incomplete IDX header", rule, f"{len(start)} bytes", file)
    return struct.unpack(f">{dimensions}I", start[4:])


def _format_shape(shape: tuple[int, ...]) -> str:
    """Return a shape in words: ``60000 x 28 x 28``."""
    return " x ".join(str(count) for count in shape)


def _open_regular(file: Path) -> io.BufferedReader:
    """Open a regular file; a pipe is not waited for, and a device not read."""
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    stream = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        stream.close()
        raise OSError(errno.EINVAL, "not a regular file")
    return stream


@contextmanager
def _open_file(file: Path) -> Iterator[io.BufferedIOBase]:
    """Open a file, decompressing it if it is compressed; what goes wrong on the way is the user's to know."""
    try:
        with _open_regular(file) as plain:
            start = plain.peek(2)[:2]
            if start == b"\x1f\x8b":
                with gzip.open(plain) as unpacked:
                    yield unpacked
            elif file.suffix == ".gz":
                raise gzip.BadGzipFile(f"a file that starts with 0x{start.hex()}" if start else "an empty file")
            else:
                yield plain
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        problem = f"damaged gzip file `{file}`: {str(error) or type(error).__name__}"
        raise UsageError(problem, remedy=REMEDY) from error
    except OSError as error:
        raise UsageError(
            f"cannot read `{file}`: {error.strerror or error}",
            remedy="check that it exists and that you have permission to read it",
        ) from error


# The files of Fashion-MNIST


LAYOUT = Path("FashionMNIST", "raw")
"""Subfolder in which torchvision keeps the files."""

PAIRS = {
    True: ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    False: ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
"""The names of the two files of the training set (``True``) and of the test set."""

NAMES = PAIRS[True] + PAIRS[False]

Checksums = dict[str, str]
"""SHA-256 of the uncompressed files, by name."""
Arrays = dict[str, Bytes]
"""Contents of the files, by name."""


def read_split(images_file: Path, labels_file: Path) -> tuple[Bytes, Bytes]:
    """Read the images and labels of one split and check the properties of Fashion-MNIST.

    Parameters
    ----------
    images_file, labels_file
        The two files, each plain or compressed with gzip.

    Returns
    -------
    images, labels
        uint8, ``[n, 28, 28]`` and ``[n]``.

    Raises
    ------
    UsageError
        If a file is damaged, there is no image, or the images have another size.
    """
    images, labels = read_pair(images_file, labels_file)
    count, height, width = images.shape
    if not count or (height, width) != (SIDE, SIDE):
        rule = f"expected at least one image of {SIDE} x {SIDE} pixels"
        value, remedy = f"{count} images of {height} x {width} pixels", "name the folder of Fashion-MNIST"
        raise UsageError("not Fashion-MNIST", rule=rule, value=value, place=str(images_file), remedy=remedy)
    return images, labels
