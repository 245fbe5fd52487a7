"""The constants that a student fills in, compared with the exact values."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.course.exercise import Answer, Exercise
from harness.course.functions import Threshold
from harness.error import UsageError
from harness.isolation.delegate import run_in_child

_MISSING = (..., None)
"""Values of a constant without an answer."""


@dataclass(frozen=True)
class Reply:
    """The student's value of one number or text.

    Parameters
    ----------
    name
        The constant, with the key if it is a dictionary.
    given
        The student's value; ``...`` if it is missing.
    exact
        The exact value.
    is_right
        Whether they agree.
    mistake
        Cause of the wrong value, if it is a known mistake.
    """

    name: str
    given: Any
    exact: Any
    is_right: bool
    mistake: str = ""

    @property
    def sentence(self) -> str:
        """The result in words, which show the exact value only if the answer is right."""
        if self.given in _MISSING or (isinstance(self.given, list | tuple) and any(x in _MISSING for x in self.given)):
            return f"{self.name} has no value yet"
        if not self.is_right:
            return f"{self.name} = {self.given!r} is wrong" + f": {self.mistake}" * bool(self.mistake)
        is_rounded = isinstance(self.exact, float) and self.exact != self.given
        exact = f"; the exact value is {self.exact:.7g}" if is_rounded else ""
        return f"{self.name} = {self.given!r} is right{exact}"


def read_constants(source: str | bytes) -> dict[str, Any]:
    """Return the constants that a file assigns at its top level, without executing it.

    Raises
    ------
    UsageError
        If the file is not Python.
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        place = f" in line {error.lineno}" if error.lineno else ""
        raise UsageError("cannot read the file of the exercise", rule=f"{error.msg}{place}") from error
    except ValueError as error:
        raise UsageError("cannot read the file of the exercise", rule=str(error)) from error
    values = {}
    for statement in statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                values[statement.targets[0].id] = ast.literal_eval(statement.value)
            except ValueError:
                continue  # an expression, such as a tensor
    return values


def compute_constants(source: str, names: list[str]) -> dict[str, Any]:
    """Execute a file, and return constants as plain values, for a process that user code may not enter."""
    assigned: dict[str, Any] = {"__name__": "exercise"}
    exec(compile(source, "exercise", "exec"), assigned)  # noqa: S102 - in a child that holds nothing
    return {name: _make_plain(assigned.get(name)) for name in names}


def _make_plain(value: Any) -> Any:
    """Return a value of numbers, texts, lists and dictionaries, with ``None`` for a missing one."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _make_plain(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [_make_plain(element) for element in value]
    if value in _MISSING:
        return None
    return value if isinstance(value, bool | int | float | str) else repr(value)


def read_answers(exercise: Exercise, source: str | bytes) -> dict[str, Any]:
    """Return the constants of a file; another process computes all that are no literals.

    Raises
    ------
    UsageError
        If the file is not Python, or if it cannot be executed.
    """
    values = read_constants(source)
    needed = [name for command in exercise.commands for name in re.findall(r"{([A-Z_]+)}", command.words)]
    names = [name for name in [*(answer.name for answer in exercise.answers), *needed] if name not in values]
    text = source.decode() if isinstance(source, bytes) else source
    if not any(re.search(rf"^{name}\s*[:=]", text, re.MULTILINE) for name in names):
        return values
    target = f"{exercise.file}:{names[0]}"
    arguments = {"source": text, "names": names}
    computed = run_in_child("harness.course.answer:compute_constants", arguments, dict[str, Any], target=target)
    return {**values, **computed}


def make_replies(exercise: Exercise, values: Mapping[str, Any]) -> list[Reply]:
    """Compare the constants of a file with the exact values."""
    return [
        reply
        for answer in exercise.answers
        for reply in _compare(answer, answer.name, values.get(answer.name, ...), answer.exact())
    ]


def _compare(answer: Answer, name: str, given: Any, exact: Any) -> Iterator[Reply]:
    values = given if isinstance(given, Mapping) else {}
    if isinstance(exact, Mapping) and any(value not in _MISSING for value in values.values()):
        for key, value in exact.items():
            yield from _compare(answer, f'{name}["{key}"]', values.get(key, ...), value)
    elif isinstance(exact, Mapping):
        yield Reply(name, ..., exact, is_right=False)
    elif isinstance(exact, Threshold):
        is_between = type(given) in {int, float} and exact.value <= given <= exact.next
        is_right = is_between or _agree(given, exact.value, answer.digits)
        yield Reply(name, given, exact.value, is_right, _explain_mistake(answer, given, exact.value))
    else:
        is_right = _agree(given, exact, answer.digits)
        yield Reply(name, given, exact, is_right, _explain_mistake(answer, given, exact))


def _explain_mistake(answer: Answer, given: Any, exact: Any) -> str:
    """Return why a student may give a wrong value; an empty text if it is not known."""
    for value, reason in answer.mistakes.items():
        if value not in {"below", "above"} and _agree(given, ast.literal_eval(value), answer.digits):
            return reason
    is_number = type(given) in {int, float} and isinstance(exact, int | float)
    return answer.mistakes.get("below" if given < exact else "above", "") if is_number else ""


def _agree(given: Any, exact: Any, digits: int) -> bool:
    """Return whether two values are equal, numbers after rounding to as many digits."""
    if isinstance(exact, float) and isinstance(given, int | float) and not isinstance(given, bool):
        return f"{given + 0.0:.{digits - 1}e}" == f"{exact + 0.0:.{digits - 1}e}"  # -0 is 0
    if isinstance(exact, Sequence) and not isinstance(exact, str):
        if not isinstance(given, Sequence) or len(given) != len(exact):
            return False
        return all(_agree(element, exact_element, digits) for element, exact_element in zip(given, exact, strict=True))
    if type(exact) is int:
        return type(given) in {int, float} and bool(given == exact)
    return type(given) is type(exact) and bool(given == exact)
