"""Reading counterexamples that were frozen, without knowing what their laws say: no torch is needed to refuse them.

The last line of a corpus is a digest of the others, so that a damaged file is refused.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from harness.error import UsageError
from harness.record.schema import Counterexample
from harness.record.untrusted_file import is_there, parsed, read_text

WHAT = "a corpus of counterexamples"
REMEDY = "fix or delete the line, or freeze the run again"
RESTORE = "restore the file, or delete it and freeze the run again"


def read_corpus(file: Path) -> tuple[Counterexample, ...]:
    """Read a file of counterexamples; none where it does not exist.

    Raises
    ------
    UsageError
        If a line is no counterexample, or the digest does not match.
    """
    if not is_there(file):
        return ()
    text = read_text(file, what=WHAT, remedy=REMEDY)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    *others, last = lines or [(1, "")]
    if last[1].strip() != _digest_line(line for _, line in others):
        raise UsageError(f"the digest of the corpus does not match: `{file}`", remedy=RESTORE)
    return tuple(
        parsed(Counterexample, line, place=f"{file}:{number}", what=WHAT, remedy=REMEDY) for number, line in others
    )


def corpus_text(lines: Iterable[str]) -> str:
    """Return the content of a file of counterexamples: their lines in order, and the digest."""
    known = sorted(lines)
    return "".join(f"{line}\n" for line in [*known, _digest_line(known)])


def _digest_line(lines: Iterable[str]) -> str:
    content = "\n".join(line.strip() for line in lines)
    return json.dumps({"digest": hashlib.blake2b(content.encode(errors="replace"), digest_size=16).hexdigest()})


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
