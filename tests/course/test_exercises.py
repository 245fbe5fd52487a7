"""Every exercise fails with its starting file, and passes with its solution, by its own command."""

import ast
from pathlib import Path

import pytest
import torch
from samples.command import Command
from samples.course_pictures import functions

from harness.api import check
from harness.course.answer import make_replies, read_answers
from harness.course.exercise import SECTIONS, Exercise, find_exercise, load_exercises
from harness.course.functions import MAX_OPERATIONS, MAX_WAITING
from harness.record import Status

PAGES = Path(__file__).parents[2] / "docs" / "course"
EVERY = list(load_exercises().values())
MEASURED = {"workers"}
"""Exercises that measure time: their judges are tested here, their commands with the known defects."""


def named(exercise: Exercise) -> str:
    """Return the name of an exercise, for the name of a test."""
    return exercise.name


@pytest.mark.usefixtures("one_worker", "workplace")
@pytest.mark.parametrize(
    "exercise",
    [pytest.param(one, marks=pytest.mark.judged if one.name in MEASURED else ()) for one in EVERY if not one.missing()],
    ids=named,
)
def test_an_exercise_fails_and_then_passes(exercise: Exercise, harness_command: Command) -> None:
    """The command writes the starting file; the solution takes its place."""
    failed = harness_command("learn", exercise.name, code=1)
    assert "not done: " in failed.stdout
    exercise.file.write_text(exercise.solution, encoding="utf-8")
    passed = harness_command("learn", exercise.name, code=0)
    assert f"done: {exercise.name}\nlearned: {exercise.learned}\n" in passed.stdout


@pytest.mark.usefixtures("one_worker", "workplace")
def test_a_constant_that_cannot_be_computed_is_one_sentence(harness_command: Command) -> None:
    """The sentence names the exception."""
    exercise = find_exercise("overflow")
    exercise.file.parent.mkdir()
    exercise.file.write_text("OVERFLOWS_FROM = 1 / 0\n", encoding="utf-8")
    assert "raises ZeroDivisionError: division by zero" in harness_command("learn", "overflow", code=2).stderr


@pytest.mark.parametrize("exercise", EVERY, ids=named)
def test_the_answers_of_the_starting_file_are_missing_and_those_of_the_solution_right(exercise: Exercise) -> None:
    """The exact values are computed; the solution rounds them."""
    assert not any(reply.is_right for reply in make_replies(exercise, read_answers(exercise, exercise.start)))
    assert all(reply.is_right for reply in make_replies(exercise, read_answers(exercise, exercise.solution)))


@pytest.mark.parametrize("exercise", EVERY, ids=named)
def test_the_texts_of_an_exercise_are_complete(exercise: Exercise) -> None:
    """There are three hints, and the files are Python."""
    assert len(exercise.hints) == 3
    assert exercise.commands or exercise.answers
    for text in (exercise.title, exercise.question, exercise.learned, *exercise.hints):
        assert text.strip() == text != ""
    for code in (exercise.start, exercise.solution):
        ast.parse(code)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_has_a_page_that_names_its_exercises(section: int) -> None:
    """The page tells the student to run each of them, and the overview lists them."""
    own = [exercise for exercise in EVERY if exercise.section == section]
    assert own
    page = (PAGES / SECTIONS[section][1]).read_text(encoding="utf-8")
    overview = (PAGES / "README.md").read_text(encoding="utf-8")
    for exercise in own:
        assert f"    harness learn {exercise.name}\n" in page
        assert f"| {exercise.number} | `{exercise.name}` | {exercise.title} |\n" in overview


def test_every_page_is_short_and_has_a_question_a_picture_and_a_command() -> None:
    """A page has at most 1,200 words."""
    for _, name in SECTIONS.values():
        page = (PAGES / name).read_text(encoding="utf-8")
        assert len(page.split()) <= 1200
        assert "**Question:**" in page
        assert "](pictures/" in page
        assert "```console\n$ harness " in page
        assert "## How to read the result" in page


def test_the_order_is_that_of_the_numbers() -> None:
    """No number is used twice."""
    numbers = [exercise.number for exercise in EVERY]
    assert numbers == sorted(set(numbers))


def test_a_loop_over_elements_is_not_done() -> None:
    """The number of operations decides, which is equal on every machine."""
    judge = find_exercise("vectorize").commands[1].judge
    assert judge is not None
    message = "step runs 200 operations of torch to add 100 numbers; one is enough"
    assert judge({"audits": [{"operations": 200}]}) == (False, message)
    assert judge({"audits": [{"operations": MAX_OPERATIONS}]})[0]


def test_a_loop_that_waits_is_not_done() -> None:
    """The share of the loop that waits decides."""
    judge = find_exercise("workers").commands[0].judge
    assert judge is not None
    loop = {"choice": {"num_workers": 2, "batch_size": 32}}
    assert judge(loop | {"wait_share": 0.5}) == (
        False,
        "the training loop waits for data 50% of the time; it should be at most 25%",
    )
    assert judge(loop | {"wait_share": MAX_WAITING})[0]
    assert judge(loop | {"wait_share": None}) == (False, "the training loop could not be measured")


def test_the_exercise_for_a_gpu_depends_on_the_device_of_the_data() -> None:
    """The solution also runs where tensors have no values; the starting file fails there, as on a GPU."""
    exercise = find_exercise("device")
    logits, y = torch.zeros(2, 3, device="meta"), torch.zeros(2, dtype=torch.int64, device="meta")
    start, solution = functions("device", solved=False), functions("device", solved=True)
    with pytest.raises((RuntimeError, NotImplementedError)):
        start["cross_entropy"](logits, y)
    assert solution["cross_entropy"](logits, y).device.type == "meta"
    assert "--devices cpu,cuda" in exercise.commands[0].words
    verdicts = check(solution["cross_entropy"], "cross_entropy", dtypes=["float32"], laws=["value"], examples=5)
    assert [verdict.status for verdict in verdicts] == [Status.HOLDS]
