"""Journals: a file of a run that grows by a record at a time, each written before the next is computed.

What was appended survives whatever ends the process. What was synced survives the machine, too.
"""

import os
from pathlib import Path

from harness.record.chain import Chain, sealed
from harness.record.schema import FileState, Record
from harness.record.storage import written


class Journal:
    """A file that is appended to.

    Parameters
    ----------
    file
        The file, which is made where it is not there.
    chain
        What stands in it.
    """

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
        """How many records there are, and the checksum after the last."""
        return FileState(records=self._records, sum=self._sum)

    def append(self, record: Record) -> None:
        """Write a record behind the others.

        Raises
        ------
        UsageError
            If the disk takes no more; what was there before is whole.
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
        """Have the disk keep what was appended."""
        with written(self._file):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Append no more."""
        os.close(self._descriptor)
