"""The cache of data sets: each unpacked once, under a name made of its checksums. It imports no torch.

A set is the four IDX files of the training and the test images and labels. Every file is validated and hashed when it
is first seen. After that, a file whose size and modification time are unchanged is taken to be unchanged, and is
neither read nor hashed; any other is validated and hashed again, those in the cache included.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness.data import idx
from harness.data.idx import LAYOUT, NAMES, PAIRS, Arrays, Checksums, read_split
from harness.error import UsageError
from harness.record import write_atomically
from harness.record.storage import read_bytes


class Cache:
    """Sets of four files, unpacked, and a memory of the files seen.

    Parameters
    ----------
    folder
        Where they lie; it is made when something is put into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._memory = folder / "seen.json"

    def folder_of(self, checksums: Checksums) -> Path:
        """Return where the set with these checksums lies, or would lie."""
        joined = " ".join(checksums[name] for name in NAMES)
        return self.folder / hashlib.sha256(joined.encode()).hexdigest()[:16]

    def holds(self, checksums: Checksums) -> bool:
        """Return whether the set is there, undamaged."""
        files = self._list_files(checksums)
        if not all(file.is_file() for file in files.values()):
            return False
        with suppress(UsageError):  # a damaged file: the set is not held
            return (self._find_checksums(files) or self._examine(files)[0]) == checksums
        return False

    def take(self, files: Mapping[str, Path]) -> Checksums:
        """Validate four files that lie elsewhere and unpack them, as far as that is not done yet.

        Parameters
        ----------
        files
            The four files by name, plain or compressed with gzip.

        Returns
        -------
        checksums
            What identifies the set from now on.

        Raises
        ------
        UsageError
            If a file is damaged, or the cache cannot be written.
        """
        checksums = self._find_checksums(files)
        if checksums is None or not self.holds(checksums):
            checksums, arrays = self._examine(files)
            self.put(checksums, arrays)
        return checksums

    def put(self, checksums: Checksums, arrays: Arrays) -> None:
        """Write a set unless it is there; a reader sees all four files or none.

        Parameters
        ----------
        checksums
            What identifies the set.
        arrays
            Its content.

        Raises
        ------
        UsageError
            If the cache cannot be written.
        """
        if self.holds(checksums):
            return
        target = self.folder_of(checksums)
        with self.scratch() as scratch:
            raw = scratch / "set" / LAYOUT
            raw.mkdir(parents=True)
            for name, array in arrays.items():
                idx.write(raw / name, array)
            if target.exists():
                target.rename(scratch / "damaged")
            try:
                (scratch / "set").rename(target)
            except OSError:
                if not self.holds(checksums):  # where it does, another process was quicker
                    raise
        self._remember(_make_stamps(self._list_files(checksums)), checksums)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Lend a folder in the cache that is removed again."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=".unpacking-") as scratch:
                yield Path(scratch)
        except OSError as error:
            raise UsageError(
                f"cannot write the data cache `{self.folder}`: {error.strerror or error}",
                remedy="free some space or fix the permissions there, or choose another cache folder",
            ) from error

    def _list_files(self, checksums: Checksums) -> dict[str, Path]:
        """Return the files of a set, by name."""
        return {name: self.folder_of(checksums) / LAYOUT / name for name in NAMES}

    def _examine(self, files: Mapping[str, Path]) -> tuple[Checksums, Arrays]:
        """Read, validate and hash four files, and remember them."""
        stamps = _make_stamps(files)
        arrays: Arrays = {}
        for images, labels in PAIRS.values():
            arrays[images], arrays[labels] = read_split(files[images], files[labels])
        checksums = {name: idx.checksum(array) for name, array in arrays.items()}
        self._remember(stamps, checksums)
        return checksums, arrays

    def _find_checksums(self, files: Mapping[str, Path]) -> Checksums | None:
        """Return the checksums of four files seen before; ``None`` where one is new or changed."""
        memory = self._recall()
        stamps = _make_stamps(files)
        memos = {name: memory.get(stamp.path) for name, stamp in stamps.items()}
        checksums = {
            name: memo.checksum for name, memo in memos.items() if memo is not None and memo.stamp == stamps[name]
        }
        return checksums if len(checksums) == len(NAMES) else None

    def _remember(self, stamps: Mapping[str, "_Stamp"], checksums: Checksums) -> None:
        """Note four files that were validated; in a cache that cannot be written they are just examined again."""
        fresh = {stamp.path: _Seen(stamp, checksums[name]) for name, stamp in stamps.items()}
        with suppress(UsageError):
            write_atomically(self._memory, _MEMORY.dump_json(self._recall() | fresh, indent=1).decode())

    def _recall(self) -> dict[str, "_Seen"]:
        """Return the files seen; a memory that is absent or cannot be read is empty."""
        try:
            return _MEMORY.validate_json(read_bytes(self._memory))
        except (UsageError, ValidationError):
            return {}


@dataclass(frozen=True)
class _Stamp:
    """Identification of a known file."""

    path: str
    size: int
    modified_ns: int


@dataclass(frozen=True)
class _Seen:
    """A file that was validated and hashed."""

    stamp: _Stamp
    checksum: str


_MEMORY = TypeAdapter(dict[str, _Seen])


def _make_stamps(files: Mapping[str, Path]) -> dict[str, _Stamp]:
    """Return the stamps of files."""
    stats = {name: (str(file.resolve()), file.stat()) for name, file in files.items()}
    return {name: _Stamp(path, stat.st_size, stat.st_mtime_ns) for name, (path, stat) in stats.items()}
