"""Reading counterexamples that were frozen, without knowing what their laws say: no torch is needed to refuse them."""

from pathlib import Path

from harness.error import UsageError
from harness.record.intake import is_there, parsed, read_text
from harness.record.schema import Counterexample

WHAT = "a corpus of counterexamples"
REMEDY = "fix or delete the line, or freeze the run again"


def read_corpus(file: Path) -> tuple[Counterexample, ...]:
    """Read a file of counterexamples; none where it does not exist.

    Raises
    ------
    UsageError
        If a line is no counterexample.
    """
    if not is_there(file):
        return ()
    lines = read_text(file, what=WHAT, remedy=REMEDY).split("\n")
    return tuple(
        parsed(Counterexample, line, place=f"{file}:{number}", what=WHAT, remedy=REMEDY)
        for number, line in enumerate(lines, 1)
        if line
    )


def refuse_damaged(folder: Path) -> None:
    """Read every corpus of a folder, before anything is checked with it.

    Raises
    ------
    UsageError
        If the folder is none, or a line in it is no counterexample.
    """
    if not folder.is_dir():
        remedy = "pass the folder that `harness freeze` wrote as `--corpus`"
        raise UsageError(f"folder not found: `{folder}`", remedy=remedy)
    for file in sorted(folder.glob("*.jsonl")):
        read_corpus(file)
