"""The table of the functions of the book: what the tool says about each of them.

``python -m samples.book_table`` in the folder ``tests`` runs the commands, prints the complete answers, and writes the
page of the course.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from samples import chapter

PAGE = Path(__file__).parents[2] / "docs" / "course" / "functions-of-the-book.md"
FILE = Path(chapter.__file__)

CHECK, AUDIT = "harness check chapter.py:{name} --dtypes float32", "harness audit chapter.py:{name}"


class Entry(NamedTuple):
    """A function of the book: its section, the command that a student runs, and the meaning of the answer."""

    section: str
    name: str
    command: str
    meaning: str

    @property
    def asked(self) -> str:
        """The command with the name of the function."""
        return self.command.format(name=self.name)


class Answer(NamedTuple):
    """The exit code of a command, and its output."""

    code: int
    text: str

    @property
    def short(self) -> str:
        """The findings that fail, properties and the verdict, without counts in parentheses."""
        if self.code == 2:
            return " ".join(self.text.split())
        found = [*_FINDING.findall(self.text), *_VERDICT.findall(self.text)]
        return "; ".join(_COUNTS.sub("", " ".join(said.split())) for said in found)


_FACT = "(?!example|breaks|affects|worst|look at|rerun|meant)"
_FINDING = re.compile(rf"^(?:DEFECT|PROPERTY|property:) .*(?:\n  {_FACT}.*)*", re.M)
_VERDICT = re.compile(r"^(?:verdict: .*|\S+: (?:\d+ finding|nothing found).*)", re.M)
_COUNTS = re.compile(r" \([^()]*(?:hold|verdicts)[^()]*\)")


LINEAR, SCRATCH, CONCISE = "Linear regression", "Linear regression from scratch", "Linear regression, concise"
SOFTMAX, SOFTMAX_CONCISE = "Softmax regression from scratch", "Softmax regression, concise"

ENTRIES = (
    Entry(
        LINEAR,
        "normal",
        f"{CHECK} --formula 'exp(-x ** 2 / 2) / sqrt(2 * pi)' --call 'lambda f, x: f(x, 0, 1)'",
        "The density of the normal distribution is right. `--formula` gives its mathematics, and `--call` the mean and "
        "the deviation.",
    ),
    Entry(SCRATCH, "synthetic_data", CHECK, ""),
    Entry(SCRATCH, "data_iter", f"{CHECK} --contract data_loader", ""),
    Entry(SCRATCH, "linreg", CHECK, ""),
    Entry(SCRATCH, "squared_loss", CHECK, ""),
    Entry(SCRATCH, "sgd", CHECK, ""),
    Entry(SCRATCH, "train_from_scratch", AUDIT, ""),
    Entry(CONCISE, "load_array", f"{CHECK} --contract data_loader", ""),
    Entry(CONCISE, "train_concise", AUDIT, ""),
    Entry(SOFTMAX, "softmax", CHECK, ""),
    Entry(SOFTMAX, "net", CHECK, ""),
    Entry(SOFTMAX, "cross_entropy", CHECK, ""),
    Entry(SOFTMAX, "accuracy", CHECK, ""),
    Entry(SOFTMAX, "evaluate_accuracy", CHECK, ""),
    Entry(SOFTMAX, "train_softmax", AUDIT, ""),
    Entry(SOFTMAX_CONCISE, "loss", f"{CHECK} --contract cross_entropy --declare reduction=none", ""),
    Entry(SOFTMAX_CONCISE, "train_softmax_concise", AUDIT, ""),
)


def answer(entry: Entry, folder: Path) -> Answer:
    """Run the command of an entry in a folder that contains the file."""
    arguments = shlex.split(entry.asked.removeprefix("harness "))
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    return Answer(done.returncode, (done.stdout + done.stderr).replace(f"{folder}/", ""))


def row(entry: Entry, said: Answer) -> str:
    """Return the part of the page about a function."""
    command = f"```console\n$ {entry.asked}\n```"
    return f"### {entry.name}\n\n{entry.meaning}\n\n{command}\n\n{escaped(said.short)} (exit code {said.code})\n"


def escaped(text: str) -> str:
    """Return text without Markdown."""
    return re.sub(r"([*_<>\[\]])", r"\\\1", text)


INTRODUCTION = """# The functions of the book

The file `chapter.py` has the functions of the chapter with their structure, names and parameters. This page shows the
command for each of them, and the answer of the tool. `python -m samples.book_table` in the folder `tests` makes it.
"""


def page(answers: dict[str, Answer]) -> str:
    """Return the page for the answers by function."""
    parts = [INTRODUCTION]
    for section, entries in groupby(ENTRIES, key=lambda entry: entry.section):
        parts += [f"## {section}\n", *(row(entry, answers[entry.name]) for entry in entries)]
    return "\n".join(parts)


def main() -> None:
    """Run all commands, print the answers and write the page."""
    answers = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "chapter.py").write_bytes(FILE.read_bytes())
        for entry in ENTRIES:
            said = answers[entry.name] = answer(entry, folder)
            heading = f"##### {entry.section} | {entry.name}"
            sys.stdout.write(f"{heading}\n$ {entry.asked}\n{said.text}(exit {said.code})\n\n")
            sys.stdout.flush()
    PAGE.write_text(page(answers), encoding="utf-8")


if __name__ == "__main__":
    main()
