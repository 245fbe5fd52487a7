"""Journals: files of a run that grow by one record at a time, each written before the next is computed.

An appended record survives the end of the process. A synced record also survives a crash of the machine.
"""

import os
from pathlib import Path

from harness.record.chain import Chain, sealed
from harness.record.schema import FileState, Record
from harness.record.storage import written


class Journal:
    """A file for appending, which is created if it does not exist; ``chain`` is its present content."""

    def __init__(self, file: Path, chain: Chain) -> None:
        self._file = file
        self._records, self._sum = len(chain.lines), chain.sums[-1]
        with written(file):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(file, flags, 0o644)
            # A line that a killed process did not write to its end.
            self._size = os.fstat(self._descriptor).st_size - chain.torn
            os.ftruncate(self._descriptor, self._size)

    @property
    def state(self) -> FileState:
        """The number of records, and the checksum after the last."""
        return FileState(records=self._records, sum=self._sum)

    def append(self, record: Record) -> None:
        """Append a record.

        Raises
        ------
        UsageError
            If the disk is full; the earlier records remain intact.
        """
        line, after = sealed(record.model_dump_json(), self._sum)
        with written(self._file):
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError:
                os.ftruncate(self._descriptor, self._size)
                raise
        self._size += len(line)
        self._records, self._sum = self._records + 1, after

    def sync(self) -> None:
        """Write the appended records to the disk."""
        with written(self._file):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Append no more."""
        os.close(self._descriptor)
