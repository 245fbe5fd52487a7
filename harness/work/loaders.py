"""Data loaders in another process: requests name exercises, and replies contain data."""

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from harness.calling.wire import WireError
from harness.error import UsageError
from harness.loading import crossing
from harness.loading.content import Sample
from harness.loading.exercise import use
from harness.loading.fault import SOON_S, FaultKind, LoadingError, LoadingFault
from harness.loading.reader import Exercise, Exercised
from harness.loading.source import KEYWORDS, Ask, Promise
from harness.work.child import Child
from harness.work.program import setup

_SENTENCE = 800
"""Maximum number of characters of a message from there."""


class ReaderElsewhere:
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
        answer = _answer(child, {"ask": "promise", "case": case, "name": name})
        if "usage" in answer:
            raise UsageError(**{part: text and str(text) for part, text in answer["usage"].items()})
        is_factory, is_one_object, names = _read(_PROMISE, answer.get("value"))
        self.source = Promise(name, is_factory, is_one_object, _keywords(names))

    def exercised(
        self, exercise: Exercise, ask: Ask, *given: Any, limit_s: float, hurried: bool = False, placed: bool = True
    ) -> Exercised:
        """Have it done there: see :meth:`harness.loading.reader.Reader.exercised`."""
        options = {"limit_s": limit_s, "hurried": hurried, "placed": placed}
        name = exercise.__name__
        question = {"ask": "exercise", "exercise": name, "asked": asdict(ask), "given": list(given)}
        answer = _answer(self._child, {**question, "options": options, "case": self._case, "name": self.source.name})
        value = _read(crossing.FORMS[name], answer.get("value"))
        left = _read(crossing.count, answer.get("left"))
        self.source.names = _keywords(_read(crossing.each(crossing.a(str)), answer.get("names")))
        # An orphan is not a worker of a current loader.
        left += self._child.end_strays(SOON_S) if exercise is use else 0
        return Exercised(value, left)


_PROMISE = crossing.row(crossing.flag, crossing.flag, crossing.each(crossing.a(str)))


class ReferenceElsewhere:
    """Source of the correct samples, in a separate process.

    Parameters
    ----------
    child
        The process of the loaders.
    target
        ``file.py:function`` or ``module:function``.
    """

    def __init__(self, child: Child, target: str) -> None:
        self._child = child.beside(setup(target, None, child.limits))
        self._child.reads_loaders()

    def samples(self, count: int) -> list[Sample]:
        """Return the first ones."""
        self._child.begin(math.inf, None, self._child.limits.load_s)
        try:
            answer = _answer(self._child, {"ask": "samples", "case": 0, "count": count})
        finally:
            self._child.close()
        samples: list[Sample] = _read(crossing.each(crossing.sample), answer.get("value"))
        if len(samples) != count:
            raise LoadingError(_UNREADABLE)
        return samples


def _keywords(names: list[str]) -> frozenset[str]:
    return frozenset(names) & frozenset(KEYWORDS)


_UNREADABLE = LoadingFault(FaultKind.RAISED, "its process sends an unreadable answer", "let the process only load")


def _answer(child: Child, question: dict[str, Any]) -> dict[str, Any]:
    """Send a request, and raise the exceptions from there."""
    answer = child.ask(question, _special)
    if "fault" in answer:
        raise LoadingError(_read(_fault, answer["fault"]))
    return answer


def _special(value: Any) -> Any:
    try:
        return crossing.read(value)
    except crossing.UnreadableError as error:
        raise WireError from error


def _fault(value: Any) -> LoadingFault:
    kind, sentence, remedy, index, worker = crossing.row(
        *3 * [crossing.a(str)], *2 * [crossing.optional(crossing.a(int))]
    )(value)
    if kind not in list(FaultKind):
        raise crossing.UnreadableError
    return LoadingFault(FaultKind(kind), sentence[:_SENTENCE], remedy[:_SENTENCE], index, worker)


def _read(form: Callable[[Any], Any], value: Any) -> Any:
    try:
        return form(value)
    except crossing.UnreadableError:
        raise LoadingError(_UNREADABLE) from None
