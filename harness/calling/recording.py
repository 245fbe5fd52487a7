"""Record calls in this or another process: a context writes the operations of its body to a tape."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from torch import Tensor

from harness.calling.compiler import uncompiled
from harness.exact.step import View
from harness.exact.tape import Recorder, Tape


class Recording(Protocol):
    """Records calls on a tape."""

    def body(self) -> AbstractContextManager[None]:
        """Record the calls of the body."""

    def views(self, tensors: Sequence[Tensor]) -> list[tuple[View, ...]]:
        """Return the tape's views of floating-point results of the body: one view, or several for a stacked tensor."""

    def tape(self) -> Tape:
        """The tape."""


class RecordingHere:
    """Records calls of this process."""

    def __init__(self) -> None:
        self._recorder = Recorder(Tape())

    @contextmanager
    def body(self) -> Iterator[None]:
        """Record the calls of the body."""
        with uncompiled(), self._recorder:
            yield

    def views(self, tensors: Sequence[Tensor]) -> list[tuple[View, ...]]:
        """Return the tape's views of tensors."""
        return [(self._recorder.view(x),) for x in tensors]

    def tape(self) -> Tape:
        """The tape."""
        return self._recorder.tape
