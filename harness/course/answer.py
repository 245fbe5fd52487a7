"""The constants that a student fills in, compared with the exact values."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.course.exercise import Answer, Exercise
from harness.error import UsageError


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
    """

    name: str
    given: Any
    exact: Any
    is_right: bool

    @property
    def sentence(self) -> str:
        """The result in words, which show the exact value only if the answer is right."""
        if self.given is ... or (isinstance(self.given, list | tuple) and ... in self.given):
            return f"{self.name} has no value yet"
        if not self.is_right:
            return f"{self.name} = {self.given!r} is wrong"
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


def make_replies(exercise: Exercise, source: str | bytes) -> list[Reply]:
    """Compare the constants of a file with the exact values."""
    values = read_constants(source)
    return [
        reply
        for answer in exercise.answers
        for reply in _compare(answer, answer.name, values.get(answer.name, ...), answer.exact())
    ]


def _compare(answer: Answer, name: str, given: Any, exact: Any) -> Iterator[Reply]:
    values = given if isinstance(given, Mapping) else {}
    if isinstance(exact, Mapping) and any(value is not ... for value in values.values()):
        for key, value in exact.items():
            yield from _compare(answer, f'{name}["{key}"]', values.get(key, ...), value)
    elif isinstance(exact, Mapping):
        yield Reply(name, ..., exact, is_right=False)
    else:
        yield Reply(name, given, exact, is_right=_agree(given, exact, answer.digits))


def _agree(given: Any, exact: Any, digits: int) -> bool:
    """Return whether two values are equal, numbers after rounding to as many digits."""
    if isinstance(exact, float) and isinstance(given, int | float) and not isinstance(given, bool):
        return f"{given:.{digits - 1}e}" == f"{exact:.{digits - 1}e}"
    if isinstance(exact, Sequence) and not isinstance(exact, str):
        if not isinstance(given, Sequence) or len(given) != len(exact):
            return False
        return all(_agree(element, exact_element, digits) for element, exact_element in zip(given, exact, strict=True))
    return type(given) is type(exact) and bool(given == exact)
