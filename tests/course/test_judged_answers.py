"""Answers of students: right ones in another style are accepted, wrong ones refused with the mistake named first."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from samples.command import Command

from harness.course.exercise import find_exercise

ANSWERS = tomllib.loads(Path(__file__).with_name("answers.toml").read_text(encoding="utf-8"))

CASES = [
    pytest.param(name, answer, id=f"{name}-{answer.get('right') or answer['wrong']}".replace(" ", "_"))
    for name, answers in ANSWERS.items()
    for answer in answers
]


def change(text: str, parts: list[str]) -> str:
    """Return a text with parts replaced: the old and the new one in turn."""
    for old, new in zip(parts[::2], parts[1::2], strict=True):
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


@pytest.mark.judged
@pytest.mark.usefixtures("one_worker", "workplace")
@pytest.mark.parametrize(("name", "answer"), CASES)
def test_an_answer_is_judged(name: str, answer: dict[str, Any], harness_command: Command) -> None:
    """The first message of a refused answer names the mistake."""
    exercise = find_exercise(name)
    if exercise.missing():
        pytest.skip(exercise.missing())
    exercise.file.parent.mkdir()
    exercise.file.write_text(change(exercise.solution, answer["change"]), encoding="utf-8")
    done = harness_command("learn", name, "--verify")
    first = done.stdout.partition("\n1 of 1")[0].partition("\n0 of 1")[0]
    assert done.returncode == ("wrong" in answer), f"{first}{done.stderr}"
    if "wrong" in answer:
        message = first.removeprefix(f"not done {name}: ")
        is_named = re.search(answer["names"], " ".join(message.split()), re.IGNORECASE) is not None
        assert is_named != answer.get("unnamed", False), message
