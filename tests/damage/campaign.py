"""A campaign of damage: many mutations of every input file, and the reaction of the harness."""

import random
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from damage.inputs import INPUTS, Damaged, laid_out
from damage.mutation import BYTES, KINDS

from harness.error import UsageError

HANGS_S = 5
"""Seconds after which a reader counts as hung."""

KINDS_SHARE = 0.05
"""Share of mutations that replace the file by another object."""


class Hung(BaseException):
    """Raised if a reader takes too long; no reader may catch it."""


@dataclass
class Tally:
    """Result of a campaign.

    ``outcomes`` counts ``refused``, ``unharmed``, ``read`` (without a checksum), ``lost``, ``traceback`` and ``hung``.
    ``wrong`` has the first failure of each kind, and ``slowest_s`` the longest time of a reader.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    by_input: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: dict[tuple[str, str, str], str] = field(default_factory=dict)
    slowest_s: float = 0.0

    @property
    def bad(self) -> int:
        """Number of failures."""
        return sum(self.outcomes[name] for name in ("lost", "traceback", "hung", "not one line"))

    def __str__(self) -> str:
        """Return it as lines."""
        counted = ", ".join(f"{number:,} {name}" for name, number in sorted(self.outcomes.items()))
        lines = [f"{sum(self.outcomes.values()):,} mutations: {counted}; slowest {self.slowest_s:.2f} s"]
        rows = {name for name, _ in self.by_input}
        for name in sorted(rows):
            of = ", ".join(f"{number:,} {what}" for (one, what), number in sorted(self.by_input.items()) if one == name)
            lines.append(f"{name}: {of}")
        return "\n".join([*lines, *(f"{' / '.join(key)}: {what}" for key, what in self.wrong.items())])


def campaign(mutations: int, seed: int, folder: Path) -> Tally:
    """Damage every input equally often, and read it after each mutation.

    ``mutations`` counts all mutations, ``seed`` draws them, and ``folder`` is a working folder.
    """
    tally = Tally()
    share = -(-mutations // len(INPUTS))
    for damaged in INPUTS:
        draw = random.Random(f"{seed} {damaged.name}")
        content = laid_out(damaged, folder / "input")
        whole = damaged.read(folder / "input")
        for _ in range(share):
            _one(damaged, content, whole, draw, folder / "input", tally)
    return tally


def _one(damaged: Damaged, content: bytes, whole: object, draw: random.Random, folder: Path, tally: Tally) -> None:
    file = folder / damaged.file
    _remove(file)
    if draw.random() < KINDS_SHARE:
        kind = draw.choice(KINDS)
        kind(file)
        name, changed = kind.__name__, True
    else:
        mutation = draw.choice(BYTES)
        name, written = mutation.__name__, mutation(content, draw)
        changed = written != content
        file.write_bytes(written)
    began = time.monotonic()
    outcome, said = _read(damaged, folder, whole)
    tally.slowest_s = max(tally.slowest_s, time.monotonic() - began)
    if outcome == "read" and not (damaged.guarded and changed):
        outcome = "read otherwise"
    elif outcome == "read":
        outcome = "lost"
    tally.outcomes[outcome] += 1
    tally.by_input[damaged.name, outcome] += 1
    if outcome in {"lost", "traceback", "hung", "not one line"}:
        tally.wrong.setdefault((outcome, damaged.name, name), said)
    _remove(file)
    file.write_bytes(content)


def _read(damaged: Damaged, folder: Path, whole: object) -> tuple[str, str]:
    try:
        with _limited():
            read = damaged.read(folder)
    except UsageError as error:
        text = str(error)
        one_line = text.isprintable() and len(text) < 2_000
        return ("refused", text) if one_line else ("not one line", repr(text)[:300])
    except Hung:
        return "hung", f"more than {HANGS_S} s"
    except Exception:  # noqa: BLE001 - whatever a reader raises is what is looked for
        return "traceback", traceback.format_exc().strip().splitlines()[-1][:200]
    return ("unharmed", "") if read == whole else ("read", "differs from what was written, and nothing was said")


@contextmanager
def _limited() -> Iterator[None]:
    def hung(_: int, __: FrameType | None) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(HANGS_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _remove(file: Path) -> None:
    with suppress(FileNotFoundError):
        if file.is_dir() and not file.is_symlink():
            shutil.rmtree(file)
        else:
            file.unlink()
