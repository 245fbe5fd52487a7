"""The student's progress, in a plain file: which exercises are started or done, and how many hints were read."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from harness.error import UsageError
from harness.record import write_atomically

FILE = Path(".harness", "learn.json")


class State(StrEnum):
    """The state of an exercise."""

    TODO = "todo"
    STARTED = "started"
    DONE = "done"


@dataclass
class Entry:
    """The progress in one exercise.

    Parameters
    ----------
    state
        The state.
    hints
        Number of hints that were read.
    """

    state: State = State.TODO
    hints: int = 0


def read_progress() -> dict[str, Entry]:
    """Return the progress by exercise; exercises that are not in it are to do.

    Raises
    ------
    UsageError
        If the file is damaged.
    """
    if not FILE.is_file():
        return {}
    try:
        document = json.loads(FILE.read_text(encoding="utf-8"))
        return {name: Entry(State(entry["state"]), int(entry["hints"])) for name, entry in document.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = "delete it, then run `harness learn --verify`"
        raise UsageError(f"cannot read {FILE}", rule="it is damaged", remedy=remedy) from error


def update(name: str, *, state: State | None = None, hints: int | None = None) -> Entry:
    """Change the progress in one exercise, and return it."""
    entries = read_progress()
    entry = entries.setdefault(name, Entry())
    entry.state = entry.state if state is None else state
    entry.hints = entry.hints if hints is None else hints
    write_atomically(FILE, json.dumps({name: asdict(entry) for name, entry in entries.items()}, indent=2) + "\n")
    return entry
