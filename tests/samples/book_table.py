"""The page on the functions of the book: a command and its answer for each of them.

``python -m samples.book_table`` in the folder ``tests`` runs the commands, prints the complete answers, and writes the
page of the course. The test of the pages runs the commands again.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

from samples import chapter

PAGE = Path(__file__).parents[2] / "docs" / "course" / "functions-of-the-book.md"
FILE = Path(chapter.__file__)

CHECK, AUDIT = "harness check chapter.py:{name} --dtypes float32", "harness audit chapter.py:{name}"
DENSITY = "--formula 'exp(-x ** 2 / 2) / sqrt(2 * pi)' --call 'lambda f, x: f(x, 0, 1)'"


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
    def lines(self) -> Iterator[str]:
        """The lines that fail, the properties and the verdict, without counts that depend on the machine."""
        shown = False
        for line in self.text.splitlines():
            shown = bool(_FINDING.match(line)) or (shown and bool(_CONTINUED.match(line)))
            if shown or self.code == 2:
                yield line
            elif _VERDICT.match(line):
                yield line.partition(" (")[0].partition(" in ")[0] if "operations" in line else line.partition(" (")[0]


_FINDING = re.compile("DEFECT|property:")
_CONTINUED = re.compile("  (?!example|breaks|affects|worst|look at|rerun|meant)")
_VERDICT = re.compile(r"verdict: |\S+: (?:\d+ finding|nothing found)")

LINEAR, SCRATCH, CONCISE = "Linear regression", "Linear regression from scratch", "Linear regression, concise"
SOFTMAX, SOFTMAX_CONCISE = "Softmax regression from scratch", "Softmax regression, concise"

ENTRIES = (
    Entry(
        LINEAR,
        "normal",
        f"{CHECK} {DENSITY}",
        "The density of the normal distribution is right. `--formula` gives its mathematics, and `--call` sets the "
        "mean to 0 and the standard deviation to 1.",
    ),
    Entry(
        SCRATCH,
        "synthetic_data",
        CHECK,
        "The function draws random numbers, so it computes no formula, and there is nothing to compare it with.",
    ),
    Entry(
        SCRATCH,
        "data_iter",
        f"{CHECK} --contract data_loader",
        "A loader is checked with several batch sizes, but always with the same data. Check a function that passes the "
        "data: the next one.",
    ),
    Entry(
        SCRATCH,
        "read_features",
        "harness check chapter.py:{name} --contract data_loader",
        "Every row arrives once, in batches of the right size. Laws on parameters that the function does not have, "
        "such as `seed`, are skipped.",
    ),
    Entry(SCRATCH, "linreg", CHECK, "The model is right. The weights are a column, as in the book."),
    Entry(
        SCRATCH,
        "squared_loss",
        CHECK,
        "The loss is right. It is half the square, and has a value for each row; the contract also has the whole "
        "square and the mean.",
    ),
    Entry(SCRATCH, "sgd", CHECK, "The step is right. The tool gives it parameters with a gradient and a batch size."),
    Entry(SCRATCH, "train_from_scratch", AUDIT, "One step of the loop loses no accuracy."),
    Entry(
        CONCISE,
        "load_array",
        f"{CHECK} --contract data_loader",
        "Check a function that passes the arrays, as for `data_iter`.",
    ),
    Entry(
        CONCISE,
        "load_features",
        "harness check chapter.py:{name} --contract data_loader",
        "The library's loader delivers the same.",
    ),
    Entry(CONCISE, "train_concise", AUDIT, "One step of the concise loop loses no accuracy either."),
    Entry(
        SOFTMAX,
        "softmax",
        CHECK,
        "The definition overflows. This is the first exercise of the chapter, and the answer of the tool is the first "
        "float32 at which it happens. The second finding says that with an infinite logit only one entry of the row is "
        "NaN.",
    ),
    Entry(SOFTMAX, "net", CHECK, "The model inherits the overflow of its softmax."),
    Entry(
        SOFTMAX,
        "cross_entropy",
        CHECK,
        "The loss is right for the probabilities that it receives. The property is the trap of the chapter's second "
        "exercise: a probability that was rounded to 0.",
    ),
    Entry(SOFTMAX, "accuracy", CHECK, "The number of hits is right. The contract has the share and the number."),
    Entry(
        SOFTMAX,
        "evaluate_accuracy",
        CHECK,
        "The share over all batches is right, also if the last batch is smaller.",
    ),
    Entry(SOFTMAX, "train_softmax", AUDIT, "With small initial weights, one step loses no accuracy."),
    Entry(
        SOFTMAX_CONCISE,
        "loss",
        f"{CHECK} --contract cross_entropy --declare reduction=none",
        "The library's loss takes logits and does not overflow.",
    ),
    Entry(SOFTMAX_CONCISE, "train_softmax_concise", AUDIT, "One step of the concise epoch loses no accuracy."),
)

INTRODUCTION = """# The functions of the book

This page shows the answers of the tool for the functions of the chapter, with their structure, names and parameters.
Save the code as `chapter.py`, or use your file of the same functions.

```python
# chapter.py
{code}```

The first lines of each block are a command and the important part of its answer. Exit code 0 means that there is no
defect, 1 that there is one, and 2 that the tool needs another command.
"""


def answer(entry: Entry, folder: Path) -> Answer:
    """Run the command of an entry in a folder that contains the file."""
    arguments = shlex.split(entry.asked.removeprefix("harness "))
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    return Answer(done.returncode, (done.stdout + done.stderr).replace(f"{folder}/", ""))


def part(entry: Entry, said: Answer) -> str:
    """Return the part of the page about a function; a command without an answer is not run by the test."""
    kind = "text" if said.code == 2 else "console"
    block = "\n".join([f"```{kind}", f"$ {entry.asked}", *said.lines, "```"])
    return f"### {entry.name}\n\n{fill(f'{entry.meaning} Exit code {said.code}.', 120)}\n\n{block}\n"


def code() -> str:
    """Return the file without its docstring and the comments for the linter."""
    return FILE.read_text(encoding="utf-8").partition("ignore-errors\n")[2]


def page(answers: Mapping[str, Answer]) -> str:
    """Return the page for the answers by function."""
    parts = [INTRODUCTION.format(code=code())]
    for section, entries in groupby(ENTRIES, key=lambda entry: entry.section):
        parts += [f"## {section}\n", *(part(entry, answers[entry.name]) for entry in entries)]
    return "\n".join(parts)


def main() -> None:
    """Run all commands, print the answers and write the page."""
    answers = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / FILE.name).write_text(f"# chapter.py\n{code()}", encoding="utf-8")
        for entry in ENTRIES:
            said = answers[entry.name] = answer(entry, folder)
            heading = f"##### {entry.section} | {entry.name}"
            sys.stdout.write(f"{heading}\n$ {entry.asked}\n{said.text}(exit {said.code})\n\n")
            sys.stdout.flush()
    PAGE.write_text(page(answers), encoding="utf-8")


if __name__ == "__main__":
    main()
