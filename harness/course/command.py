"""The command ``learn``: exercises on the chapter, each with a starting file that fails its check."""

import io
import json
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from harness.command.options import console, say
from harness.command.runner import run_on_change
from harness.course.exercise import SECTIONS, Command, Exercise, find_exercise, load_exercises
from harness.course.progress import Entry, State, read_progress, update
from harness.error import UsageError
from harness.exit_code import ExitCode
from harness.record import write_atomically

HINTS = 3

_FAILS = " fails its check"
"""End of a complaint that names no mistake: the findings of the check do."""

FINDINGS = ("DEFECT", "ERROR")
"""Beginnings of the lines with findings; in an audit, such a line begins with the name of the file."""


def complete_exercise(incomplete: str) -> list[str]:
    """Return the exercises that start with a text, for shell completion."""
    return [name for name in load_exercises() if name.startswith(incomplete)]


def learn(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            help="Exercise to work on.",
            show_default="list the exercises",
            metavar="NAME",
            autocompletion=complete_exercise,
        ),
    ] = None,
    hint: Annotated[bool, typer.Option("--hint", help="Show the next of three hints.")] = False,
    solution: Annotated[
        bool, typer.Option("--solution", help="Print the solution, after the third hint or when it is done.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Give the starting file back, and keep yours with the suffix .old.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every exercise, or only NAME, in one line each.")
    ] = False,
) -> None:
    """Learn the linear-networks chapter by exercises, which turn from failing to passing.

    Examples
    --------
      harness learn
      harness learn softmax
      harness learn softmax --hint

    More examples:
      check all exercises
        harness learn --verify

    The files are in the folder exercises, the progress is in .harness/learn.json.
    An existing file is never overwritten, except with --reset.

    Exit codes:
      0  the exercise is done, or cannot be done on this machine; with --verify,
         every exercise
      1  it is not done
      2  the question could not be answered, for example because there is no such
         exercise
    """
    if hint + solution + reset + verify > 1:
        rule = "cannot use two of `--hint`, `--solution`, `--reset` and `--verify` together"
        raise UsageError(rule, remedy="leave one out")
    program = context.find_root().command
    chosen = None if name is None else find_exercise(name)
    if verify:
        raise typer.Exit(_verify([chosen] if chosen else list(load_exercises().values()), program))
    if chosen is None:
        if option := "hint" * hint or "solution" * solution or "reset" * reset:
            raise UsageError(f"no exercise for `--{option}`", remedy="see `harness learn`")
        _list()
        chosen = _offer_next()
    if hint and chosen:
        _print_hint(chosen, program)
    elif solution and chosen:
        _print_solution(chosen)
    elif reset and chosen:
        _reset(chosen)
    elif chosen:
        raise typer.Exit(_work(chosen, program))


def _list() -> None:
    """Print the exercises by section, with their state."""
    by_name, entries = load_exercises(), _read_entries()
    done = sum(entry.state is State.DONE for entry in entries.values())
    say(f"{len(by_name)} exercises, {done} done")
    width = max(map(len, by_name))
    for section, (title, page) in SECTIONS.items():
        say(f"\n{section}  {title}: docs/course/{page}")
        members = [exercise for exercise in by_name.values() if exercise.section == section]
        say(*(f"   {entries[member.name].state:<7}  {member.name:<{width}}  {member.title}" for member in members))
    following = _next(entries)
    say(f"\nnext: harness learn {following}" if following else "\nall exercises are done")


def _next(entries: dict[str, Entry]) -> str:
    """Return the first exercise that is started, else the first one to do; empty if all are done."""
    for wanted in (State.STARTED, State.TODO):
        for name, entry in entries.items():
            if entry.state is wanted:
                return name
    return ""


def _is_interactive() -> bool:
    """Return whether a person reads and types, and not a script or a pipe."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _offer_next() -> Exercise | None:
    """Return the next exercise if a person wants to go on."""
    if not (following := _next(_read_entries())) or not _is_interactive():
        return None
    say(f"press Enter to go on with {following}, or Ctrl-C to stop")
    try:
        input()
    except EOFError:
        return None
    return find_exercise(following)


def _reset(exercise: Exercise) -> None:
    """Write the starting file again, and keep the student's file."""
    if exercise.file.exists():
        say(f"your file: {exercise.file.replace(exercise.file.with_suffix('.py.old'))}")
    write_atomically(exercise.file, exercise.start)
    update(exercise.name, state=State.STARTED)
    say(f"wrote {exercise.file}")


def _work(exercise: Exercise, program: Any) -> int:
    """Work on an exercise, and on the following ones as long as a person goes on."""
    while (code := _work_on(exercise, program)) == 0 and (following := _offer_next()):
        exercise = following
    return code


def _work_on(exercise: Exercise, program: Any) -> int:
    """Write the starting file, check it, and check again after each save if a person is watching."""
    say(f"exercise {exercise.number}, {exercise.name}: {exercise.title}")
    if lack := exercise.missing():
        say(f"skipped: {lack}")
        return 0
    _print_sentence(exercise.question)
    if exercise.file.exists():
        say(f"your file: {exercise.file}")
    else:
        write_atomically(exercise.file, exercise.start)
        update(exercise.name, state=State.STARTED)
        say(f"wrote {exercise.file}")

    # A person edits the file meanwhile; a script or a pipe gets one check.
    if _is_interactive():
        return run_on_change(f"{exercise.file}:{exercise.name}", partial(_run_checks, exercise, program), until=0)
    return _run_checks(exercise, program)


def _run_checks(exercise: Exercise, program: Any) -> int:
    """Run the checks with their output, and report whether the exercise is done."""
    if complaint := "; ".join(_find_complaints(exercise, program)):
        is_advised = _read_entries()[exercise.name].hints >= HINTS
        more = "" if is_advised else f"; `harness learn {exercise.name} --hint` helps"
        _print_sentence(f"not done: {complaint}")
        say(f"edit {exercise.file} and save it{more}")
        return 1
    update(exercise.name, state=State.DONE)
    say(f"done: {exercise.name}")
    _print_sentence(f"learned: {exercise.learned}")
    if following := _next(_read_entries()):
        say(f"next: harness learn {following}")
    return 0


def _read_entries() -> dict[str, Entry]:
    """Return the progress in every exercise, in the order of the course."""
    saved = read_progress()
    return {name: saved.get(name, Entry()) for name in load_exercises()}


def _find_complaints(exercise: Exercise, program: Any) -> Iterator[str]:
    """Print the results of all checks, and yield the reasons why an exercise is not done."""
    from harness.course.answer import make_replies, read_answers

    source = exercise.file.read_bytes()
    values = read_answers(exercise, source)
    for reply in make_replies(exercise, values):
        say(f"answer: {reply.sentence}")
        if not reply.is_right:
            yield reply.sentence
    for command in exercise.commands:
        words = _fill_words(command.words, exercise, values)
        say(f"$ harness {words}")
        if complaint := _explain_failure(command, shlex.split(words), program):
            yield complaint


def _fill_words(words: str, exercise: Exercise, given: dict[str, Any]) -> str:
    """Return a command line with the file and its constants.

    Raises
    ------
    UsageError
        If a constant is missing or not a number.
    """
    numbers = {name: value for name, value in given.items() if type(value) is int}
    try:
        return words.format_map({**numbers, "file": exercise.file})
    except KeyError as error:
        rule = f"`{error.args[0]}` must be a whole number"
        raise UsageError(f"cannot check {exercise.file}", rule=rule) from error


class _Copy(io.StringIO):
    """Standard output that also keeps its text."""

    def __init__(self, screen: TextIO) -> None:
        super().__init__()
        self.screen = screen

    def write(self, text: str) -> int:
        self.screen.write(text)
        return super().write(text)

    def flush(self) -> None:
        self.screen.flush()

    def isatty(self) -> bool:
        return self.screen.isatty()


def _explain_failure(command: Command, words: list[str], program: Any) -> str:
    """Run a command of the harness in this process, and return why it fails; empty if it passes."""
    if command.is_shown:
        with redirect_stdout(_Copy(sys.stdout)) as output:
            code = _run(words, program)
        if code == 0:
            return ""
        findings = " ".join(_parse_findings(output.getvalue(), words[1].partition(":")[0]))
        if known := next((text for pattern, text in command.mistakes.items() if re.search(pattern, findings)), ""):
            return known
    if command.judge is None:
        return f"{words[1]}{_FAILS}"
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        document = Path(folder, "document.json")
        _run([*words, "--json", str(document)], program)
        if not document.is_file():
            return f"{words[1]} was not measured"
        is_done, message = command.judge(json.loads(document.read_text(encoding="utf-8")))
    if is_done:
        say(message)
    return "" if is_done else message or f"{words[1]}{_FAILS}"


def _run(words: list[str], program: Any) -> int:
    """Run a command, and return its exit code.

    Raises
    ------
    KeyboardInterrupt
        If it was interrupted, which is not a result of the exercise.
    """
    code = int(program.main(words, prog_name="harness", standalone_mode=False) or 0)
    if code == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    return code


def _find_mistakes(exercise: Exercise, program: Any) -> list[str]:
    """Check an exercise without output, and return the findings of its checks, else why it is not done."""
    out = io.StringIO()
    try:
        with redirect_stdout(out):
            complaints = list(_find_complaints(exercise, program))
    except UsageError as error:
        return [str(error)]
    sentences = _parse_findings(out.getvalue(), str(exercise.file)) if complaints else []
    return [*(text for text in complaints if not text.endswith(_FAILS)), *sentences] or complaints


def _parse_findings(output: str, file: str) -> list[str]:
    """Return the sentences of the findings in the output of a command, joined from their lines."""
    sentences: list[str] = []
    is_open = False
    for line in output.splitlines():
        if line.startswith((*FINDINGS, file)):
            sentences.append(line.removeprefix("DEFECT"))
            is_open = True
        # A sentence continues on indented lines; a label has spaces after it, and a place ends with its line.
        elif is_open and line.startswith("  ") and "  " not in line.strip() and not re.search(r":\d+$", line):
            sentences[-1] += line
        else:
            is_open = False
    return [" ".join(sentence.split()) for sentence in sentences]


def _print_hint(exercise: Exercise, program: Any) -> None:
    """Print the next hint and those before it, and with the last one the mistake that the check names."""
    read = min(_read_entries()[exercise.name].hints + 1, HINTS)
    for number, text in enumerate(exercise.hints[:read], 1):
        _print_sentence(f"hint {number} of {HINTS}: {text}")
    update(exercise.name, hints=read)
    if read < HINTS:
        say(f"next hint: harness learn {exercise.name} --hint")
        return
    if exercise.file.exists() and not exercise.missing():
        for mistake in _find_mistakes(exercise, program):
            _print_sentence(f"your mistake: {mistake}")
    say(f"solution: harness learn {exercise.name} --solution")


def _print_solution(exercise: Exercise) -> None:
    """Print a file that passes.

    Raises
    ------
    UsageError
        If the student has neither finished the exercise nor read all hints.
    """
    entry = _read_entries()[exercise.name]
    if entry.state is not State.DONE and entry.hints < HINTS:
        raise UsageError(
            f"cannot show the solution of `{exercise.name}`",
            rule=f"it follows the last of the {HINTS} hints",
            remedy=f"see `harness learn {exercise.name} --hint`",
        )
    say(exercise.solution.rstrip("\n"))


def _verify(chosen: list[Exercise], program: Any) -> int:
    """Check exercises, print a line for each, and return 1 unless all are done."""
    fails = 0
    for exercise in chosen:
        if lack := exercise.missing():
            say(f"skipped  {exercise.name}: {lack}")
            continue
        if not exercise.file.exists():
            say(f"todo     {exercise.name}: {exercise.file} does not exist")
            fails += 1
            continue
        mistakes = _find_mistakes(exercise, program)
        update(exercise.name, state=State.STARTED if mistakes else State.DONE)
        fails += bool(mistakes)
        _print_sentence(f"not done {exercise.name}: {mistakes[0]}" if mistakes else f"done     {exercise.name}")
    say(f"{len(chosen) - fails} of {len(chosen)} exercises are done or skipped")
    return int(fails > 0)


def _print_sentence(text: str) -> None:
    """Print a sentence, wrapped on a narrow screen."""
    from harness.display.table import print_sentence

    print_sentence(console(), text)
