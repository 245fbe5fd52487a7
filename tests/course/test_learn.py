"""The command ``harness learn``: the list, hints, solutions, the watch, and the check of all exercises."""

import json
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from samples.command import Command

from harness.course.command import _parse_findings, _run, complete_exercise
from harness.course.exercise import find_exercise, load_exercises
from harness.course.progress import FILE, State, read_progress, update
from harness.execution.interrupt import INTERRUPTED

OVERFLOW = find_exercise("overflow")
"""An exercise without a command, which is checked at once."""


@pytest.fixture
def harness(harness_command: Command, one_worker: None, workplace: Path) -> Command:
    """Return the command in an empty folder."""
    return harness_command


def test_the_list_has_every_exercise_with_its_state(harness: Command) -> None:
    """The next one is the first that was started, else the first to do."""
    listed = harness("learn", code=0)
    assert listed.stdout.startswith(f"{len(load_exercises())} exercises, 0 done\n")
    for exercise in load_exercises().values():
        assert f"   todo     {exercise.name} " in listed.stdout
    assert listed.stdout.endswith("next: harness learn workers\n")
    update("workers", state=State.DONE)
    update("softmax", state=State.STARTED)
    again = harness("learn").stdout
    assert ", 1 done\n" in again
    assert "   started  softmax " in again
    assert again.endswith("next: harness learn softmax\n")
    assert max(map(len, again.splitlines())) <= 80


def test_an_existing_file_is_not_overwritten(harness: Command) -> None:
    """It is checked without changes."""
    OVERFLOW.file.parent.mkdir()
    OVERFLOW.file.write_text("OVERFLOWS_FROM = {'float16': 12.0}\n", encoding="utf-8")
    done = harness("learn", "overflow", code=1)
    assert "your file: exercises/overflow.py" in done.stdout
    assert 'OVERFLOWS_FROM["float16"] = 12.0 is wrong' in done.stdout
    assert OVERFLOW.file.read_text(encoding="utf-8") == "OVERFLOWS_FROM = {'float16': 12.0}\n"


def test_hints_come_one_by_one_and_the_last_names_the_mistake(harness: Command) -> None:
    """The solution follows the last hint."""
    softmax = find_exercise("softmax")
    assert "it follows the last of the 3 hints" in harness("learn", "softmax", "--solution").refusal
    harness("learn", "softmax")
    for number in (1, 2):
        shown = harness("learn", "softmax", "--hint").stdout
        assert f"hint {number} of 3: {softmax.hints[number - 1]}" in shown
        assert f"hint {number + 1}" not in shown
        assert "your mistake" not in shown
    for _ in range(2):
        last = harness("learn", "softmax", "--hint").stdout
        assert all(text in last for text in softmax.hints)
        mistake = "exp overflows at 88.72283935546875 in float32 (softmax.py:6): subtract the row maximum first"
        assert f"your mistake: {mistake}\n" in last
    assert read_progress()["softmax"].hints == 3
    assert harness("learn", "softmax", "--solution").stdout == softmax.solution


def test_verify_checks_every_file(harness: Command) -> None:
    """The exit code is 0 only if all exercises pass."""
    nothing = harness("learn", "--verify", code=1)
    assert "todo     softmax: exercises/softmax.py does not exist\n" in nothing.stdout
    OVERFLOW.file.parent.mkdir()
    OVERFLOW.file.write_text(OVERFLOW.start, encoding="utf-8")
    fails = harness("learn", "--verify", "overflow", code=1)
    assert "not done overflow: EXP_50_IS_FINITE has no value yet" in fails.stdout
    OVERFLOW.file.write_text(OVERFLOW.solution, encoding="utf-8")
    passes = harness("learn", "overflow", "--verify", code=0)
    assert passes.stdout == "done     overflow\n1 of 1 exercises are done or skipped\n"
    assert json.loads(FILE.read_text(encoding="utf-8")) == {"overflow": {"state": "done", "hints": 0}}


def test_verify_reports_a_file_that_is_not_python(harness: Command) -> None:
    """It is a line like any other."""
    OVERFLOW.file.parent.mkdir()
    OVERFLOW.file.write_text("X = (\n", encoding="utf-8")
    done = harness("learn", "--verify", "overflow", code=1)
    assert "not done overflow: cannot read the file of the exercise" in done.stdout


def test_an_exercise_that_a_machine_cannot_do_is_skipped(harness: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is a sentence, and nothing fails."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for words in (("learn", "device"), ("learn", "--verify", "device")):
        done = harness(*words, code=0)
        assert "this machine has no GPU that torch can use" in done.stdout
    assert not find_exercise("device").file.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("sofmax", "did you mean `softmax`"),
        ("softmax --hint --solution", "cannot use two of"),
        ("--hint", "no exercise for `--hint`"),
        ("--solution", "no exercise for `--solution`"),
        ("--reset", "no exercise for `--reset`"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(harness: Command, words: str, message: str) -> None:
    """The exit code is 2."""
    assert message in harness(f"learn {words}").refusal


def test_a_constant_that_a_command_needs_must_be_a_number(harness: Command) -> None:
    """The number of workers is part of the command."""
    workers = find_exercise("workers")
    workers.file.parent.mkdir()
    workers.file.write_text(workers.start.replace("NUM_WORKERS = 0", "NUM_WORKERS = None"), encoding="utf-8")
    assert "`NUM_WORKERS` must be a whole number" in harness("learn", "workers").refusal


def test_in_a_terminal_the_file_is_watched_until_it_passes(harness: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each save starts a check; the command ends with the first that passes."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)

    def end() -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", end)

    def save() -> None:
        while not OVERFLOW.file.exists():
            time.sleep(0.01)
        for text in (OVERFLOW.start + "\n", OVERFLOW.solution):
            time.sleep(1.5)
            OVERFLOW.file.write_text(text, encoding="utf-8")

    student = threading.Thread(target=save)
    student.start()
    done = harness("learn", "overflow", code=0)
    student.join()
    assert done.stdout.count("not done: ") >= 1
    assert "watching exercises/overflow.py; press Ctrl-C to stop\n" in done.stdout
    assert "done: overflow\n" in done.stdout


def test_an_interrupt_of_a_check_is_no_result() -> None:
    """The exercise is not called wrong, and the command ends."""
    program = SimpleNamespace(main=lambda *_, **__: INTERRUPTED)
    with pytest.raises(KeyboardInterrupt):
        _run(["check", "homework.py:softmax"], program)


def test_completion_knows_the_exercises() -> None:
    """It offers the exercises whose names start with the typed text."""
    assert complete_exercise("log") == ["log_zero", "logsumexp"]


@pytest.mark.parametrize(
    ("output", "sentences"),
    [
        (
            "DEFECT  exp overflows in float32 (a.py:3): subtract\n  the row maximum first\n  example   x = 1\n",
            1,
        ),
        (
            "DEFECT  one is broken\n  exercises/a.py:10\n    return x\nDEFECT  two is broken\ngrade: wrong\n",
            2,
        ),
        ("exercises/a.py:13 step: exp overflows in\n    float32\n  reaches  the loss\na.step: 1 finding\n", 1),
        ("grade: faithful in float32\nverdict: no defect in 2 laws (2 hold)\n", 0),
    ],
)
def test_findings_are_whole_sentences(output: str, sentences: int) -> None:
    """Examples, places and totals are not part of them."""
    found = _parse_findings(output, "exercises/a.py")
    assert len(found) == sentences
    for words in ("example", "return", "reaches", "grade", "DEFECT"):
        assert not any(words in sentence for sentence in found)
    if "float32\n  reaches" in output:
        assert found == ["exercises/a.py:13 step: exp overflows in float32"]
    if "maximum" in output:
        assert found == ["exp overflows in float32 (a.py:3): subtract the row maximum first"]


def test_reset_gives_the_starting_file_back(harness: Command) -> None:
    """The file of the student is kept."""
    OVERFLOW.file.parent.mkdir()
    OVERFLOW.file.write_text(OVERFLOW.solution, encoding="utf-8")
    update("overflow", state=State.DONE)
    done = harness("learn", "overflow", "--reset", code=0)
    assert done.stdout == "your file: exercises/overflow.py.old\nwrote exercises/overflow.py\n"
    assert OVERFLOW.file.read_text(encoding="utf-8") == OVERFLOW.start
    assert OVERFLOW.file.with_suffix(".py.old").read_text(encoding="utf-8") == OVERFLOW.solution
    assert read_progress()["overflow"].state is State.STARTED


@pytest.mark.parametrize("words", ["", "overflow"])
def test_a_person_goes_on_with_the_next_exercise(harness: Command, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """After a finished exercise, and after the list, Enter starts the next one; the end of the input stops."""
    typed = iter([""])
    for name in load_exercises():
        update(name, state=State.TODO if name in {"threshold", "overflow"} else State.DONE)
    for name in ("overflow", "threshold"):
        exercise = find_exercise(name)
        exercise.file.parent.mkdir(exist_ok=True)
        exercise.file.write_text(exercise.solution, encoding="utf-8")

    def press_enter() -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", press_enter)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    done = harness("learn", words, code=0) if words else harness("learn", code=0)
    last = "threshold" if words else "overflow"
    assert f"press Enter to go on with {last}, or Ctrl-C to stop\n" in done.stdout
    assert f"done: {last}\n" in done.stdout
