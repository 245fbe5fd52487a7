"""Data loaders in another process: requests name exercises, and replies contain data."""

import math
from dataclasses import asdict, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.error import UsageError
from harness.isolation.child import Child, setup
from harness.loading.content import SAMPLES, STRICT, Count, Sample
from harness.loading.exercise import RESULTS, use
from harness.loading.fault import FaultKind, LoadingError, LoadingFault
from harness.loading.reader import Exercise, ExerciseOptions, ExerciseResult
from harness.loading.source import KEYWORDS, Promise, Request
from harness.loading.supervision import SOON_S

_SENTENCE = 800
"""Maximum number of characters of a message from there."""


_PROMISE = TypeAdapter(tuple[bool, bool, list[str]], config=STRICT)
_REST = TypeAdapter(tuple[Count, list[str]], config=STRICT)
_FAULT = TypeAdapter(LoadingFault)
"""Validators of the parts of a reply: keywords, processes that were left, and a fault."""


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
        is_factory, is_one_object, names = _validate(_PROMISE, answer.get("value"))
        self.source = Promise(name, is_factory, is_one_object, _select_keywords(names))

    def run_exercise(
        self, exercise: Exercise, wanted: Request, *arguments: Any, options: ExerciseOptions
    ) -> ExerciseResult:
        """Run an exercise in the process; see :meth:`harness.loading.reader.Reader.run_exercise`."""
        name = exercise.__name__
        request: dict[str, Any] = {
            "ask": "exercise",
            "exercise": name,
            "asked": asdict(wanted),
            "given": list(arguments),
        }
        answer = _ask(
            self._child, {**request, "options": options._asdict(), "case": self._case, "name": self.source.name}
        )
        value = _validate(RESULTS[name], answer.get("value"))
        left, names = _validate(_REST, answer.get("rest"))
        self.source.names = _select_keywords(names)
        # An orphan is not a worker of a current loader.
        return ExerciseResult(value, left + (self._child.end_strays(SOON_S) if exercise is use else 0))


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
        fault = _validate(_FAULT, answer["fault"])
        raise LoadingError(replace(fault, sentence=fault.sentence[:_SENTENCE], remedy=fault.remedy[:_SENTENCE]))
    return answer


def _validate(kind: TypeAdapter[Any], value: Any) -> Any:
    """Return a value that has the types of a validator."""
    try:
        return kind.validate_python(value)
    except ValidationError:
        raise LoadingError(_UNREADABLE) from None
