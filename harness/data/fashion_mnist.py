"""Find, check and unpack Fashion-MNIST, or make a synthetic stand-in. This module imports no torch.

The search covers the folder from the caller or from ``FASHION_MNIST``, the cache, and the system package. Then, if
allowed, the data set is downloaded. Otherwise the stand-in replaces it, and tables say so. A named folder is used or
rejected, never replaced. The word ``synthetic`` instead of a folder selects the stand-in.

The files are validated and unpacked into the cache, in torchvision's layout. :mod:`harness.data.cache` describes the
checks.
"""

import os
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Literal

from harness.data import idx, synthetic
from harness.data.cache import Cache
from harness.data.idx import LAYOUT, NAMES, PAIRS, Arrays, Checksums, read_split
from harness.error import UsageError, require
from harness.record import DataSource

CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
"""The names of the classes, by label."""

VARIABLE = "FASHION_MNIST"
"""The environment variable that names the folder."""

SYNTHETIC = "synthetic"
"""In place of a folder: use the stand-in."""

CACHE = Path(".harness", "data")
"""Default folder for unpacked data."""

SYSTEM = Path("/usr/share/datasets/fashion-mnist")
"""Folder of Debian's package ``dataset-fashion-mnist``."""

# SHA-256 of the four uncompressed files, computed from Debian's package. Debian removes name and time from the gzip
# headers, so that its .gz files have other checksums than those torchvision publishes; with the two put back
# (1504176606 for the training set, 1504176627 for the test set) all four have torchvision's MD5. A test repeats that.
PUBLISHED = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""SHA-256 of the published files, uncompressed."""

# The stand-in is made by integer arithmetic alone, so these hold on every machine.
STAND_IN = {
    "train-images-idx3-ubyte": "46aa524f473f299038955c27a9b62860686a2ec71d1d8902ec586482175b8c74",
    "train-labels-idx1-ubyte": "c68f9a6521098f3c25129e2e0a2d727597931696bf3daea8938a8ed783e52b69",
    "t10k-images-idx3-ubyte": "6f2ec6be6be3566243c5c73961f4ccfd80a8aaec47371364a619e6a037eae002",
    "t10k-labels-idx1-ubyte": "c2b23ce606fcb7300b062a8aa103ac0db3d4bf40bb438754fdd2c6783deb2ba6",
}
"""SHA-256 of the stand-in's files, uncompressed."""

DataOrigin = Literal["folder", "cache", "system", "download", "synthetic"]


@dataclass(frozen=True)
class Prepared:
    """A data set that is ready to be read.

    Parameters
    ----------
    root
        Absolute path of a folder in torchvision's layout: the four files lie uncompressed in ``FashionMNIST/raw``.
    source
        Origin of the images, for the report.
    """

    root: Path
    source: DataSource


def prepare(folder: Path | str | None = None, *, download: bool = False, cache: Path = CACHE) -> Prepared:
    """Find Fashion-MNIST, check it and lay it out for reading.

    Parameters
    ----------
    folder
        Folder that holds the four IDX files, plain or .gz, directly or in ``FashionMNIST/raw``; or the word
        ``synthetic`` for the stand-in. By default, the environment variable ``FASHION_MNIST``.
    download
        Whether torchvision may download a missing data set.
    cache
        Folder into which the files are unpacked.

    Returns
    -------
    prepared
        Root folder and source. Called again with the same files, it reads no more than their sizes and times.

    Raises
    ------
    UsageError
        If the folder that was named does not exist or lacks a file, if a file there or in the system's package
        is damaged, if an allowed download fails, or if the cache cannot be written.
    """
    unpacked = Cache(cache)
    named = folder or os.environ.get(VARIABLE)
    if named and str(named) == SYNTHETIC:
        return _make_stand_in(unpacked, why="as requested")
    if named:
        return _use_folder(unpacked, Path(named), place=None if folder else VARIABLE)
    if unpacked.holds(PUBLISHED):
        return _describe_set(unpacked, PUBLISHED, "cache", str(unpacked.folder_of(PUBLISHED)))
    if any(_find_files(SYSTEM).values()):
        return _describe_set(unpacked, unpacked.take(_find_all_files(SYSTEM)), "system", str(SYSTEM))
    if download:
        return _describe_set(unpacked, _download(unpacked), "download", "torchvision's mirror of Fashion-MNIST")
    damaged = "; its copy in the cache is damaged" if unpacked.folder_of(PUBLISHED).exists() else ""
    return _make_stand_in(unpacked, why=f"because Fashion-MNIST was not found{damaged}")


def arrays(root: Path | str, *, train: bool) -> tuple[idx.Bytes, idx.Bytes]:
    """Read and check the images and labels below a root in torchvision's layout.

    Parameters
    ----------
    root
        The root of a :class:`Prepared` data set.
    train
        Whether the training set is wanted, or the test set.

    Returns
    -------
    images, labels
        uint8, ``[n, 28, 28]`` and ``[n]``.

    Raises
    ------
    UsageError
        If a file is missing or damaged.
    """
    images, labels = (Path(root) / LAYOUT / name for name in PAIRS[train])
    return read_split(images, labels)


def _describe_set(unpacked: Cache, checksums: Checksums, origin: DataOrigin, location: str) -> Prepared:
    """Describe a set that lies in the unpacked."""
    genuine = checksums == PUBLISHED
    if genuine:
        name, note = "Fashion-MNIST", f"Fashion-MNIST from {location}; all checksums match the published ones."
    elif checksums == STAND_IN:
        name, note = "synthetic stand-in", f"A copy of the synthetic stand-in for Fashion-MNIST, from {location}."
    else:
        name = "data in Fashion-MNIST's format"
        note = f"Images in Fashion-MNIST's format from {location}; their checksums differ from the published ones."
    source = DataSource(
        name=name, origin=origin, location=location, checksums=dict(checksums), genuine=genuine, note=note
    )
    return Prepared(unpacked.folder_of(checksums).resolve(), source)


def _make_stand_in(unpacked: Cache, *, why: str) -> Prepared:
    """Make the stand-in, or find it in the unpacked."""
    checksums = STAND_IN
    if not unpacked.holds(checksums):
        created = _make_synthetic_arrays()
        checksums = {name: idx.checksum(array) for name, array in created.items()}
        unpacked.put(checksums, created)
    source = DataSource(
        name="synthetic stand-in",
        origin="synthetic",
        location="made by the harness",
        checksums=dict(checksums),
        genuine=False,
        note=f"Synthetic images replace Fashion-MNIST, {why}: results made from them say nothing about real clothes.",
    )
    return Prepared(unpacked.folder_of(checksums).resolve(), source)


def _make_synthetic_arrays() -> Arrays:
    """Make the stand-in's four files."""
    images, labels = synthetic.images_and_labels(synthetic.TRAIN_COUNT + synthetic.TEST_COUNT)
    created: Arrays = {}
    for train, rows in ((True, slice(synthetic.TRAIN_COUNT)), (False, slice(synthetic.TRAIN_COUNT, None))):
        created.update(zip(PAIRS[train], (images[rows], labels[rows]), strict=True))
    return created


def _use_folder(unpacked: Cache, folder: Path, *, place: str | None) -> Prepared:
    """Use the folder that was named, or refuse it."""
    try:
        expanded = folder.expanduser()
        problem = "" if expanded.is_dir() else "is a file" if expanded.exists() else "does not exist"
        files = {} if problem else _find_all_files(expanded)
    except (OSError, RuntimeError) as error:  # no permission, a name too long, `~` of an unknown user
        problem = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    if problem:
        remedy = f"name the folder with the four IDX files or `{SYNTHETIC}`, or omit the folder"
        raise UsageError(f"the Fashion-MNIST folder `{folder}` {problem}", place=place, remedy=remedy)
    return _describe_set(unpacked, unpacked.take(files), "folder", str(folder))


def _find_files(folder: Path) -> dict[str, Path | None]:
    """Find each file in a folder: directly or in torchvision's layout, plain before .gz."""
    layouts = [
        {name: next((file for file in (where / name, where / f"{name}.gz") if file.is_file()), None) for name in NAMES}
        for where in (folder, folder / LAYOUT)
    ]
    return max(layouts, key=lambda files: sum(file is not None for file in files.values()))


def _find_all_files(folder: Path) -> dict[str, Path]:
    """Find all four files in a folder, or say which are missing."""
    files = _find_files(folder)
    missing = [name for name, file in files.items() if file is None]
    if missing:
        raise UsageError(
            f"files of Fashion-MNIST are missing in `{folder}`: {', '.join(missing)}",
            rule="the folder must hold four IDX files, plain or .gz, directly or in `FashionMNIST/raw`",
            remedy="add the missing files, or name another folder",
        )
    return {name: file for name, file in files.items() if file is not None}


def _download(unpacked: Cache) -> Checksums:
    """Fetch the published files by torchvision and check that they are those."""
    require("cases", "the download of Fashion-MNIST")
    from torchvision.datasets import FashionMNIST

    with unpacked.scratch() as scratch:
        try:
            FashionMNIST(str(scratch), download=True)
        except (RuntimeError, OSError, HTTPException) as error:
            raise UsageError(
                f"cannot download Fashion-MNIST: {' '.join(str(error).split()) or type(error).__name__}",
                remedy=f"check the network, set `{VARIABLE}` to a folder, or use the stand-in without a download",
            ) from error
        checksums = unpacked.take(_find_all_files(scratch))
        wrong = [name for name in NAMES if checksums[name] != PUBLISHED[name]]
        if wrong:
            raise UsageError(
                f"the checksums of downloaded files are wrong: {', '.join(wrong)}",
                remedy="download them again; if the checksums are still wrong, do not trust the mirror",
            )
        return checksums
