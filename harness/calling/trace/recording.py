"""Recording calls, wherever they are made: what the body of a context does goes onto one tape."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from torch import Tensor

from harness.calling.compiler import uncompiled
from harness.calling.trace.step import View
from harness.calling.trace.tape import Recorder, Tape


class Recording(Protocol):
    """What records calls onto one tape."""

    def body(self) -> AbstractContextManager[None]:
        """Record the calls of the body."""

    def views(self, tensors: Sequence[Tensor]) -> list[tuple[View, ...]]:
        """What the tape has of floating-point tensors that came of the body: one view, or those of what was stacked."""

    def tape(self) -> Tape:
        """The tape."""


class RecordingHere:
    """What records calls that are made in this process."""

    def __init__(self) -> None:
        self._recorder = Recorder(Tape())

    @contextmanager
    def body(self) -> Iterator[None]:
        """Record the calls of the body."""
        with uncompiled(), self._recorder:
            yield

    def views(self, tensors: Sequence[Tensor]) -> list[tuple[View, ...]]:
        """What the tape has of tensors."""
        return [(self._recorder.view(x),) for x in tensors]

    def tape(self) -> Tape:
        """The tape."""
        return self._recorder.tape
