"""The table of the functions of the book: what the tool says about each of them.

``python -m samples.book_table`` in the folder ``tests`` runs the commands and writes the page of the course.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from samples import chapter

PAGE = Path(__file__).parents[2] / "docs" / "course" / "functions-of-the-book.md"
FILE = Path(chapter.__file__)

CHECK, AUDIT = "harness check chapter.py:{name} --dtypes float32", "harness audit chapter.py:{name}"


class Entry(NamedTuple):
    """A function of the book: its section, and the command that a student runs."""

    section: str
    name: str
    command: str

    @property
    def asked(self) -> str:
        """The command with the name of the function."""
        return self.command.format(name=self.name)


LINEAR, SCRATCH, CONCISE = "Linear regression", "Linear regression from scratch", "Linear regression, concise"
SOFTMAX, SOFTMAX_CONCISE = "Softmax regression from scratch", "Softmax regression, concise"

ENTRIES = (
    Entry(
        LINEAR,
        "normal",
        f"{CHECK} --formula 'exp(-x ** 2 / 2) / sqrt(2 * pi)' --call 'lambda f, x: f(x, 0, 1)'",
    ),
    Entry(SCRATCH, "synthetic_data", CHECK),
    Entry(SCRATCH, "data_iter", f"{CHECK} --contract data_loader"),
    Entry(SCRATCH, "linreg", CHECK),
    Entry(SCRATCH, "squared_loss", CHECK),
    Entry(SCRATCH, "sgd", CHECK),
    Entry(SCRATCH, "train_from_scratch", AUDIT),
    Entry(CONCISE, "load_array", f"{CHECK} --contract data_loader"),
    Entry(CONCISE, "train_concise", AUDIT),
    Entry(SOFTMAX, "softmax", CHECK),
    Entry(SOFTMAX, "net", CHECK),
    Entry(SOFTMAX, "cross_entropy", CHECK),
    Entry(SOFTMAX, "accuracy", CHECK),
    Entry(SOFTMAX, "evaluate_accuracy", CHECK),
    Entry(SOFTMAX, "train_softmax", AUDIT),
    Entry(SOFTMAX_CONCISE, "loss", f"{CHECK} --contract cross_entropy --declare reduction=none"),
    Entry(SOFTMAX_CONCISE, "train_softmax_concise", AUDIT),
)


def answer(entry: Entry, folder: Path) -> tuple[int, str]:
    """Run the command of an entry in a folder with the file; return the exit code and the output."""
    program = entry.asked.replace("chapter.py", str(folder / "chapter.py")).removeprefix("harness ")
    import shlex

    done = subprocess.run(
        [sys.executable, "-m", "harness", *shlex.split(program)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).replace(f"{folder}/", "")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "chapter.py").write_bytes(FILE.read_bytes())
        for entry in ENTRIES:
            code, said = answer(entry, folder)
            print(f"##### {entry.section} | {entry.name}\n$ {entry.asked}\n{said}(exit {code})\n", flush=True)
