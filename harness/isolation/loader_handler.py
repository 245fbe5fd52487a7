"""Answer requests about loaders, too: run exercises, and return the delivered samples."""

import socket
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.error import UsageError, shorten_error
from harness.isolation.request_handler import Server
from harness.isolation.spawned_workers import fork_spawned_workers
from harness.loading.content import SAMPLES
from harness.loading.exercise import EXERCISES, RESULTS
from harness.loading.fault import FaultKind, LoadingError, LoadingFault
from harness.loading.reader import ExerciseOptions, Reader, reference_samples
from harness.loading.source import Request, Source


class LoaderServer(Server):
    """Handles requests about loaders too."""

    def __init__(self, line: socket.socket, cases: Sequence[Any]) -> None:
        super().__init__(line, cases)
        self._readers: dict[int, Reader] = {}

    def _promise(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the promises of a loader target."""
        try:
            source = self._open_reader(request).source
        except UsageError as error:
            return {"usage": error.parts}
        return {"value": (source.is_factory, source.is_one_object, sorted(source.names))}

    def _open_reader(self, request: dict[str, Any]) -> Reader:
        case: int = request["case"]
        if case not in self._readers:
            self._readers[case] = Reader(Source(self._cases[case].function, request["name"]), fork_spawned_workers)
        return self._readers[case]

    def _exercise(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run an exercise."""
        reader = self._open_reader(request)
        exercise, wanted = EXERCISES[request["exercise"]], Request(**request["asked"])
        options = ExerciseOptions(**request["options"])
        try:
            value, left = reader.run_exercise(exercise, wanted, *request["given"], options=options)
            plain = RESULTS[exercise.__name__].dump_python(value)
            return {"value": plain, "rest": (left, sorted(reader.source.names))}
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
            return _describe_error(error)

    def _samples(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the first samples of an indexable data set."""
        try:
            samples = reference_samples(self._cases[request["case"]].function, request["count"])
            return {"value": SAMPLES.dump_python(samples)}
        except BaseException as error:  # noqa: BLE001 - as above
            return _describe_error(error)


def _describe_error(error: BaseException) -> dict[str, Any]:
    fault = LoadingFault(FaultKind.RAISED, f"loading raises: {shorten_error(error)}", "fix the exception")
    fault = error.fault if isinstance(error, LoadingError) else fault
    return {"fault": {**asdict(fault), "kind": fault.kind.value}}
