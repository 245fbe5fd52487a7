"""Data loaders in another process: requests name exercises, and replies contain data."""

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from harness.error import UsageError
from harness.isolation.child import Child
from harness.isolation.program import setup
from harness.isolation.wire import WireError
from harness.loading import transfer
from harness.loading.content import Sample
from harness.loading.exercise import use
from harness.loading.fault import FaultKind, LoadingError, LoadingFault
from harness.loading.reader import Exercise, Exercised
from harness.loading.source import KEYWORDS, Promise, Request
from harness.loading.supervision import SOON_S

_SENTENCE = 800
"""Maximum number of characters of a message from there."""


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
        answer = _answer(child, {"ask": "promise", "case": case, "name": name})
        if "usage" in answer:
            raise UsageError(**{part: text and str(text) for part, text in answer["usage"].items()})
        is_factory, is_one_object, names = _read(_PROMISE, answer.get("value"))
        self.source = Promise(name, is_factory, is_one_object, _keywords(names))

    def exercised(
        self,
        exercise: Exercise,
        wanted: Request,
        *arguments: Any,
        limit_s: float,
        hurried: bool = False,
        placed: bool = True,
    ) -> Exercised:
        """Have it done there: see :meth:`harness.loading.reader.Reader.exercised`."""
        options = {"limit_s": limit_s, "hurried": hurried, "placed": placed}
        name = exercise.__name__
        request = {"ask": "exercise", "exercise": name, "asked": asdict(wanted), "given": list(arguments)}
        answer = _answer(self._child, {**request, "options": options, "case": self._case, "name": self.source.name})
        value = _read(transfer.FORMS[name], answer.get("value"))
        left = _read(transfer.count, answer.get("left"))
        self.source.names = _keywords(_read(transfer.each(transfer.a(str)), answer.get("names")))
        # An orphan is not a worker of a current loader.
        left += self._child.end_strays(SOON_S) if exercise is use else 0
        return Exercised(value, left)


_PROMISE = transfer.row(transfer.flag, transfer.flag, transfer.each(transfer.a(str)))


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
        self._child.reads_loaders()

    def samples(self, count: int) -> list[Sample]:
        """Return the first ones."""
        self._child.begin(math.inf, None, self._child.limits.load_s)
        try:
            answer = _answer(self._child, {"ask": "samples", "case": 0, "count": count})
        finally:
            self._child.close()
        samples: list[Sample] = _read(transfer.each(transfer.sample), answer.get("value"))
        if len(samples) != count:
            raise LoadingError(_UNREADABLE)
        return samples


def _keywords(names: list[str]) -> frozenset[str]:
    return frozenset(names) & frozenset(KEYWORDS)


_UNREADABLE = LoadingFault(FaultKind.RAISED, "its process sends an unreadable answer", "let the process only load")


def _answer(child: Child, request: dict[str, Any]) -> dict[str, Any]:
    """Send a request, and raise the exceptions from there."""
    answer = child.ask(request, _special)
    if "fault" in answer:
        raise LoadingError(_read(_fault, answer["fault"]))
    return answer


def _special(value: Any) -> Any:
    try:
        return transfer.read(value)
    except transfer.UnreadableError as error:
        raise WireError from error


def _fault(value: Any) -> LoadingFault:
    kind, sentence, remedy, index, worker = transfer.row(
        *3 * [transfer.a(str)], *2 * [transfer.optional(transfer.a(int))]
    )(value)
    if kind not in list(FaultKind):
        raise transfer.UnreadableError
    return LoadingFault(FaultKind(kind), sentence[:_SENTENCE], remedy[:_SENTENCE], index, worker)


def _read(form: Callable[[Any], Any], value: Any) -> Any:
    try:
        return form(value)
    except transfer.UnreadableError:
        raise LoadingError(_UNREADABLE) from None
