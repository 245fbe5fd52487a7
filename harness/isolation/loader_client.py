"""Data loaders in another process: requests name exercises, and replies contain data."""

import math
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from harness.error import UsageError
from harness.isolation.child import Child, setup
from harness.loading.content import Count, Sample
from harness.loading.exercise import RESULTS, use
from harness.loading.fault import FaultKind, LoadingError, LoadingFault
from harness.loading.reader import Exercise, ExerciseOptions, ExerciseResult
from harness.loading.source import KEYWORDS, Promise, Request
from harness.loading.supervision import SOON_S
from harness.loading.transfer import SAMPLES

_SENTENCE = 800
"""Maximum number of characters of a message from there."""


class _Promise(BaseModel):
    model_config = ConfigDict(strict=True)

    is_factory: bool
    is_one_object: bool
    names: list[str]


class _Left(BaseModel):
    model_config = ConfigDict(strict=True)

    left: Count
    names: list[str]


class _Fault(BaseModel):
    kind: FaultKind
    sentence: str
    remedy: str
    index: Annotated[int, Field(strict=True)] | None
    worker: Annotated[int, Field(strict=True)] | None


class RemoteReader:
    """Sends exercises to the process of the loaders.

    Parameters
    ----------
    child
        The process.
    case
        Index of the case that makes the loaders.
    name
        Name of the case.

    Raises
    ------
    UsageError
        If the case makes no loaders.
    """

    def __init__(self, child: Child, case: int, name: str) -> None:
        self._child, self._case = child, case
        answer = _ask(child, {"ask": "promise", "case": case, "name": name})
        if "usage" in answer:
            raise UsageError(**{part: text and str(text) for part, text in answer["usage"].items()})
        promise = _validate(_Promise, answer.get("value"))
        self.source = Promise(name, promise.is_factory, promise.is_one_object, _select_keywords(promise.names))

    def run_exercise(
        self, exercise: Exercise, wanted: Request, *arguments: Any, options: ExerciseOptions
    ) -> ExerciseResult:
        """Run an exercise in the process; see :meth:`harness.loading.reader.Reader.run_exercise`."""
        name = exercise.__name__
        request: dict[str, Any] = {"ask": "exercise", "exercise": name, "asked": asdict(wanted)}
        request |= {"given": list(arguments), "options": options._asdict()}
        request |= {"case": self._case, "name": self.source.name}
        answer = _ask(self._child, request)
        value = _validate(RESULTS[name], answer.get("value"))
        rest = _validate(_Left, {"left": answer.get("left"), "names": answer.get("names")})
        self.source.names = _select_keywords(rest.names)
        # An orphan is not a worker of a current loader.
        return ExerciseResult(value, rest.left + (self._child.end_strays(SOON_S) if exercise is use else 0))


class RemoteReference:
    """Source of the correct samples, in a separate process.

    Parameters
    ----------
    child
        The process of the loaders.
    target
        ``file.py:function`` or ``module:function``.
    """

    def __init__(self, child: Child, target: str) -> None:
        self._child = child.sibling(setup(target, None, child.limits))
        self._child.read_loaders()

    def samples(self, count: int) -> list[Sample]:
        """Return the first samples."""
        self._child.begin(math.inf, None, self._child.limits.load_s)
        try:
            answer = _ask(self._child, {"ask": "samples", "case": 0, "count": count})
        finally:
            self._child.close()
        samples: list[Sample] = _validate(SAMPLES, answer.get("value"))
        if len(samples) != count:
            raise LoadingError(_UNREADABLE)
        return samples


def _select_keywords(names: list[str]) -> frozenset[str]:
    return frozenset(names) & frozenset(KEYWORDS)


_UNREADABLE = LoadingFault(FaultKind.RAISED, "its process sends an unreadable answer", "let the process only load")


def _ask(child: Child, request: dict[str, Any]) -> dict[str, Any]:
    """Send a request, and raise the fault that the process reports."""
    answer = child.ask(request)
    if "fault" in answer:
        fault = _validate(_Fault, answer["fault"])
        sentence, remedy = fault.sentence[:_SENTENCE], fault.remedy[:_SENTENCE]
        raise LoadingError(LoadingFault(fault.kind, sentence, remedy, fault.index, fault.worker))
    return answer


def _validate(kind: Any, value: Any) -> Any:
    """Return a value that has the fields and types of a record."""
    try:
        return (kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)).validate_python(value)
    except ValidationError:
        raise LoadingError(_UNREADABLE) from None
