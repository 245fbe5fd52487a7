"""The exercises of the course: the texts, the two files, and the checks that decide when one is done.

Each exercise is a file in ``exercises``; the functions that it names are in :mod:`harness.course.functions`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from harness.course import functions
from harness.course.functions import Judgment
from harness.error import UsageError, did_you_mean

FOLDER = Path("exercises")
"""Folder for the files of the exercises, in the working directory."""

SECTIONS = {
    1: ("Images and data loaders", "images-and-loaders.md"),
    2: ("Linear regression and why squared error", "why-squared-error.md"),
    3: ("Linear regression from scratch", "linear-regression-from-scratch.md"),
    4: ("Linear regression, concise", "linear-regression-concise.md"),
    5: ("Softmax regression", "softmax-regression.md"),
    6: ("Softmax regression from scratch", "softmax-from-scratch.md"),
    7: ("Softmax regression, concise", "softmax-concise.md"),
}
"""Titles of the chapter's sections, and their pages in ``docs/course``."""


@dataclass(frozen=True)
class Command:
    """A command of ``harness`` that must exit with code 0.

    Parameters
    ----------
    words
        The command line after ``harness``. ``{file}`` is the student's file; other names in braces are constants of
        the file.
    judge
        Judge of the command's JSON document, for commands whose exit code does not answer, and for a check that
        fails. The judgment has the answer, and a sentence about the result.
    mistakes
        Explanations of known mistakes, a sentence each, by a pattern of the findings that they cause.
    """

    words: str
    judge: Callable[[Mapping[str, Any]], Judgment] | None = None
    mistakes: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_shown(self) -> bool:
        """Whether the student reads the output of the command, and its exit code may answer."""
        return self.judge is None or self.words.lstrip().startswith("check")


@dataclass(frozen=True)
class Answer:
    """A constant that the student fills in.

    Parameters
    ----------
    name
        Name of the constant in the file.
    exact
        Function that computes the right value: a number, a text, or a sequence or dictionary of them.
    digits
        Number of significant digits to which a number must agree.
    mistakes
        Wrong values, as Python writes them, and why a student may give them; ``below`` and ``above`` the exact number.
    """

    name: str
    exact: Callable[[], Any]
    digits: int = 3
    mistakes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Exercise:
    """An exercise of the course.

    Parameters
    ----------
    number
        Section and place in it, such as ``6.2``.
    title
        What the student does, in the imperative.
    question
        The question that the exercise answers, in a few sentences.
    start, solution
        The starting file, which fails the checks, and a file that passes them.
    hints
        Three hints. The command adds the mistake that the check names to the last one.
    learned
        What the student knows afterwards, in one or two sentences.
    commands, answers
        What decides whether the exercise is done.
    missing
        Function that returns what this machine lacks for the exercise, in a sentence; an empty text if nothing.
    name
        Name of the exercise and of its two files.
    """

    number: str
    title: str
    question: str
    start: str
    solution: str
    hints: tuple[str, str, str]
    learned: str
    commands: tuple[Command, ...] = ()
    answers: tuple[Answer, ...] = ()
    missing: Callable[[], str] = str
    name: str = ""

    @property
    def section(self) -> int:
        """Number of the section."""
        return int(self.number.partition(".")[0])

    @property
    def file(self) -> Path:
        """The student's file."""
        return FOLDER / f"{self.name}.py"


@cache
def load_exercises() -> dict[str, Exercise]:
    """Return the exercises by name, in the order of the course."""
    loaded = [_read_exercise(file.stem) for file in functions.TEXTS.glob("*.toml")]
    return {exercise.name: exercise for exercise in sorted(loaded, key=lambda exercise: exercise.number)}


def _read_exercise(name: str) -> Exercise:
    """Return the exercise in a file, with the functions that it names."""
    texts = functions.read_texts(name)
    commands = [Command(**_find_function(command, "judge")) for command in texts.pop("commands", ())]
    answers = [Answer(**_find_function(answer, "exact")) for answer in texts.pop("answers", ())]
    hints = tuple(texts.pop("hints"))
    parts: dict[str, Any] = {"hints": hints, "commands": tuple(commands), "answers": tuple(answers), "name": name}
    return Exercise(**_find_function(texts, "missing"), **parts)


def _find_function(texts: dict[str, Any], key: str) -> dict[str, Any]:
    """Return an entry of a file with the function that it names under a key, if it has that."""
    return texts | ({key: getattr(functions, texts[key])} if key in texts else {})


def find_exercise(name: str) -> Exercise:
    """Return the exercise with a name.

    Raises
    ------
    UsageError
        If there is no such exercise.
    """
    if name not in load_exercises():
        remedy = did_you_mean(name, load_exercises(), "`harness learn` lists the exercises")
        raise UsageError(f"unknown exercise `{name}`", remedy=remedy)
    return load_exercises()[name]
