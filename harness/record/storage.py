"""Atomic writing of files, with errors of the disk as one sentence."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.error import UsageError

_REMEDIES = {
    errno.ENOSPC: "free some space (finished results are kept)",
    errno.EDQUOT: "free some space (finished results are kept)",
    errno.EFBIG: "allow larger files (finished results are kept)",
}


@contextmanager
def written(file: Path) -> Iterator[None]:
    """Turn an error of the file system into a :class:`UsageError` that names the file.

    Raises
    ------
    UsageError
        If the body raises an :class:`OSError`: the disk is full, or the folder is not writable or does not exist.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write `{file}`",
            rule=(error.strerror or str(error)).lower(),
            remedy=_REMEDIES.get(error.errno or 0, "choose a writable folder"),
        ) from error


def write_atomically(path: Path, content: str | bytes, *, synced: bool = False) -> None:
    """Write a file so that a reader sees either the old or the new content; text as UTF-8.

    Parameters
    ----------
    path, content
        The file.
    synced
        Whether to return only after the data is on the disk.

    Raises
    ------
    UsageError
        If it cannot be written; the old content then remains.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                if synced:
                    stream.flush()
                    os.fsync(descriptor)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(temporary).unlink()
            raise
