"""The process in which loaders are read: it is asked as one is in which functions are called, and for exercises.

What a loader's workers have to import of ours is there under the name under which this process has it.
"""

import socket
from collections.abc import Sequence
from typing import Any

from ..error import UsageError
from ..loading.crossing import outward, spelled
from ..loading.exercise import EXERCISES
from ..loading.fault import FaultKind, LoadingError
from ..loading.reader import Reader, referred
from ..loading.source import Ask, Source
from .answering import Server, in_words
from .callee import serve


class LoaderServer(Server):
    """Who is asked of loaders too."""

    def __init__(self, line: socket.socket, cases: Sequence[Any]) -> None:
        super().__init__(line, cases)
        self._readers: dict[int, Reader] = {}

    def _promise(self, question: dict[str, Any]) -> dict[str, Any]:
        """What a loader's target promises."""
        try:
            source = self._reader(question).source
        except UsageError as error:
            return {"usage": error.parts}
        return {"value": [source.is_factory, source.is_one_object, sorted(source.names)]}

    def _reader(self, question: dict[str, Any]) -> Reader:
        case: int = question["case"]
        if case not in self._readers:
            self._readers[case] = Reader(Source(self._cases[case].function, question["name"]))
        return self._readers[case]

    def _exercise(self, question: dict[str, Any]) -> dict[str, Any]:
        """Do something with loaders."""
        reader = self._reader(question)
        exercise, asked, options = EXERCISES[question["exercise"]], Ask(**question["asked"]), question["options"]
        try:
            value, left = reader.exercised(exercise, asked, *question["given"], **options)
            return {"value": outward(value), "left": left, "names": sorted(reader.source.names)}
        except LoadingError as error:
            fault = error.fault
            return {"fault": [fault.kind.value, fault.sentence, fault.remedy, fault.index, fault.worker]}
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
            return _raised(error)

    def _samples(self, question: dict[str, Any]) -> dict[str, Any]:
        """The first samples of what gives them by their index."""
        try:
            return {"value": outward(referred(self._cases[question["case"]].function, question["count"]))}
        except BaseException as error:  # noqa: BLE001 - as above
            return _raised(error)

    def special(self, value: Any) -> Any:
        """What goes over the line in place of what was read."""
        said = spelled(value)
        return super().special(value) if said is None else said


def _raised(error: BaseException) -> dict[str, Any]:
    return {"fault": [FaultKind.RAISED.value, f"loading raises: {in_words(error)}", "fix the exception", None, None]}


def main(given: socket.socket) -> None:
    """Load what the first message names, say what it is, and serve."""
    serve(given, LoaderServer)
