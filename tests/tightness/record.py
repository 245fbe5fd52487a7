"""The record of how tight each bound is, in ``tests/recorded/tightness.txt``: a line for each law and dtype.

A control breaks a bound that is too tight, but no test breaks if a bound is too loose. The record therefore has the
geometric mean of each bound over the usual examples of ``python -m mutants``. It also has the largest share of the
bound that each control reaches. The results of the correctly rounded control depend only on the inputs and not on the
machine.
"""

import math
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from tightness.reasons import LAWS, LOW

from harness.record import Verdict

FILE = Path(__file__).parent.parent / "recorded" / "tightness.txt"

DTYPES = ("float32", "float16")
"""A wide and a narrow dtype."""

MOVED = 1.002
"""A bound has moved from this factor on; smaller differences are roundings of a mean to four digits."""

MOVED_WITH_THE_ANSWER = 1.2
"""The factor if only the stable control is decided, whose results, and thus a bound, may depend on torch's kernels."""

WORDS = ("contract", "law", "dtype", "bound", "rounded", "stable", "why")

Key = tuple[str, str, str]
"""Contract, law and dtype."""


class Tightness(NamedTuple):
    """The mean of a bound, and the shares of it that the controls reach."""

    bound: float
    """Geometric mean over the examples, in the unit of the law; zero if no deviation is allowed."""
    rounded: float | None = None
    """Largest share of the bound for the correctly rounded control; ``None`` if it is not decided."""
    stable: float | None = None
    """The share of the stable control, which also depends on torch's kernels."""

    @property
    def is_low(self) -> bool:
        """Whether neither control comes near the bound."""
        return self.bound > 0.0 and max(self.rounded or 0.0, self.stable or 0.0) < LOW


def share(verdict: Verdict) -> float | None:
    """Return the largest share of the bound, with three digits; zero if no deviation is allowed."""
    if verdict.deviation is None or verdict.bound is None:
        return None
    return float(f"{verdict.deviation / verdict.bound:.3g}") if verdict.deviation else 0.0


def key_of(verdict: Verdict) -> Key:
    """Return the key of a line."""
    return verdict.contract, verdict.law, verdict.dtype


def told(verdicts: Iterable[Verdict]) -> dict[Key, Tightness]:
    """Return the lines for verdicts on the controls; the correctly rounded control has the bound, if decided."""
    lines: dict[Key, Tightness] = {}
    for verdict in verdicts:
        if verdict.typical_bound is None:
            continue
        control, bound = verdict.case.partition(".")[0], float(f"{verdict.typical_bound:.4g}")
        line = lines.get(key_of(verdict), Tightness(bound))
        shares: dict[str, Any] = {control: share(verdict)}
        line = line._replace(**shares)
        lines[key_of(verdict)] = line._replace(bound=bound) if control == "rounded" else line
    return lines


def moved(verdict: Verdict, line: Tightness) -> str:
    """Return how a verdict on a control differs from the record of its law; empty if it does not."""
    rounded = verdict.case.startswith("rounded.")
    if verdict.typical_bound is None or not (rounded or line.rounded is None):
        return ""
    where = f"the bound of {' '.join(key_of(verdict))}"
    if not _near(verdict.typical_bound, line.bound, MOVED if rounded else MOVED_WITH_THE_ANSWER):
        factor = verdict.typical_bound / line.bound if line.bound else math.inf
        return f"{where} is {verdict.typical_bound:.4g}, where it was {line.bound:.4g}: {factor:.3g} times. {AGAIN}"
    reached, was = share(verdict) or 0.0, line.rounded or 0.0
    if rounded and not _near(reached, was, MOVED):
        return f"{where} is reached to {reached:.3g} by what is correctly rounded, where it was {was:.3g}. {AGAIN}"
    return ""


def is_comparable() -> bool:
    """Whether this version of Hypothesis made the record: other versions draw other examples, which move a bound."""
    return f"Hypothesis {version('hypothesis')}," in FILE.read_text()


def differing(verdicts: Iterable[Verdict]) -> list[str]:
    """Return a sentence for each verdict in a recorded dtype that differs from its line or has none."""
    recorded, sentences = read(), []
    for verdict in verdicts:
        line = recorded.get(key_of(verdict))
        if line is not None:
            sentences.append(moved(verdict, line))
        elif verdict.dtype in DTYPES:
            sentences.append(f"{' '.join(key_of(verdict))} is not recorded. {AGAIN}")
    return [sentence for sentence in sentences if sentence]


AGAIN = "If that is meant, `python -m tightness CONTRACT` in tests/ records it"


def _near(now: float, was: float, factor: float) -> bool:
    return was / factor <= now <= was * factor


def read() -> dict[Key, Tightness]:
    """Return the record."""
    rows = [line.split() for line in FILE.read_text().splitlines() if not line.startswith("#")]
    return {(row[0], row[1], row[2]): Tightness(float(row[3]), *map(_number, row[4:6])) for row in rows}


def write(lines: dict[Key, Tightness]) -> None:
    """Write the record, in order."""
    rows = [WORDS, *((*key, *map(_text, lines[key]), _why(key, lines[key])) for key in sorted(lines))]
    widths = [max(len(row[at]) for row in rows) for at in range(len(WORDS))]
    head = f"# Draws of Hypothesis {version('hypothesis')}, as many as usual. See tests/tightness/record.py.\n"
    FILE.write_text(head + "".join(_line(row, widths, "# " if row is WORDS else "") for row in rows))


def _line(row: Sequence[str], widths: Sequence[int], mark: str) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
    return f"{mark}{'  '.join(cells)}".rstrip() + "\n"


def _why(key: Key, line: Tightness) -> str:
    """Return the word of :data:`tightness.reasons.WHY` for a bound that no control comes near."""
    return LAWS.get(key[1], "?") if line.is_low else ""


def _number(text: str) -> float | None:
    return None if text == "-" else float(text)


def _text(number: float | None) -> str:
    return "-" if number is None else f"{number:.4g}"
