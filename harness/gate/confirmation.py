"""Suspicion and confirmation of slowdowns, and the policy with the limits of a slowdown.

A couple of processes gives one number for each case, the logarithm of a ratio of times. Only numbers of different
couples are independent, so every interval is over couples. There are two readings of a couple. The null arm decides
which reading is sharper on this machine at this time.

A look is taken after each block of couples. A case is suspected if its lower bound exceeds the margin. It has regressed
only if the next block, which is independent of the suspicion, confirms this.

The policy is the table ``[tool.harness.gate]`` of ``pyproject.toml``, with the tolerances of all gates.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from harness.error import UsageError, listed
from harness.gate.arm import BASE, CONTROL, FEWER, MORE, NULL
from harness.gate.baseline import baseline_of
from harness.record import Estimate, Slices, bounded_ratio, one_sided_reach
from harness.record.storage import is_there, quoted, toml_document

BLOCK = 5
"""Couples between two looks."""

MARGIN, TOLERANCE = 0.02, 0.05
"""A slowdown within the margin is none; one below the tolerance is tolerated."""


class State(StrEnum):
    """State of the comparison of a case."""

    OPEN = "open"
    """Not yet shown to be slower or to be within the tolerance."""
    FEW = "too few"
    """Fewer pairs than a verdict needs."""
    SUSPECTED = "suspected"
    """Slower, to be confirmed by fresh couples."""
    SLOWER = "slower"
    FASTER = "faster"
    UNCHANGED = "unchanged"
    VOID = "void"
    """The base differs from itself, so no statement is possible."""

    @property
    def settled(self) -> bool:
        """Whether further couples are of no use."""
        return self in {State.SLOWER, State.FASTER, State.UNCHANGED}


@dataclass(frozen=True)
class Margins:
    """Limits of a slowdown; 0.02 is two percent."""

    margin: float = MARGIN
    """A slowdown within it is none."""
    tolerance: float = TOLERANCE
    """A slowdown below it is tolerated."""


ArmPair = tuple[Sequence[float], Sequence[float]]
"""Fastest rounds of the slices of the base and another arm, in matching order."""

Statistic = Callable[[Sequence[float], Sequence[float]], float]
"""Makes one number of a pair: the logarithm of a ratio."""


def fastest(base_s: Sequence[float], arm_s: Sequence[float]) -> float:
    """Return the logarithm of the ratio of the fastest rounds.

    This is the sharpest reading on a quiet machine, because noise only lengthens a round. On a machine that is nearly
    always disturbed, one arm may have an undisturbed round and the other none.
    """
    assert len(base_s) == len(arm_s), "arms have equally many slices"
    return math.log(min(arm_s) / min(base_s))


def log_ratio(base_s: Sequence[float], arm_s: Sequence[float]) -> float:
    """Return the median over all turns of the logarithm of the ratio of adjacent slices.

    Another program that is nearly always running slows both slices down.
    """
    assert len(base_s) == len(arm_s), "arms have equally many slices"
    logs: list[float] = np.log(np.asarray(arm_s) / np.asarray(base_s)).tolist()
    return median(logs)


def sharper(nulls: Sequence[ArmPair]) -> Statistic:
    """Return the reading that varies less between couples when the base is compared with itself.

    The choice ignores the candidate, and considers only how numbers vary. It favors neither slower nor faster code.
    It is made when a look is taken, so that no case is decided between two looks.
    """
    complete = nulls[: len(nulls) - len(nulls) % BLOCK]
    if not complete:
        return fastest
    return min((fastest, log_ratio), key=lambda reading: float(np.std([reading(*pair) for pair in complete])))


@dataclass
class Evidence:
    """Measurements of a trial."""

    slices: list[Slices] = field(default_factory=list)
    """All slices: of every couple, case and arm."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why a case could not be timed, by case."""
    unreached: list[str] = field(default_factory=list)
    """Cases for which the budget was too small."""
    enough_s: float = 0.0
    """The budget that had reached the quickest case, where none was reached; else 0."""
    startup_s: float = 0.0
    """Seconds of the budget that passed before the first pair."""
    control: str | None = None
    """The case that was the positive control."""
    duration_s: float = 0.0
    """Seconds of the whole trial."""

    def log_ratios(self, case: str, arm: str) -> list[float]:
        """Return the numbers of a case in an arm, one a couple, in the order of the couples.

        The reading is the sharpest one for the null arm of the case. The control has rounds of another length, so its
        own pairs choose its reading.
        """
        read = sharper(self._pairs(case, CONTROL if arm == CONTROL else NULL))
        return [read(*pair) for pair in self._pairs(case, arm)]

    def _pairs(self, case: str, arm: str) -> list[ArmPair]:
        """Return the base's slices and an arm's, one pair a couple.

        The control is compared with slices of the base from the same turns, which have fewer calls per round.
        """
        of_case = [one for one in self.slices if one.case == case]
        bases = {(one.couple, one.iterations): one for one in of_case if one.arm == BASE}
        of_arm = [one for one in of_case if one.arm == arm]
        calls = [one.iterations // MORE * FEWER if arm == CONTROL else one.iterations for one in of_arm]
        return [(bases[one.couple, fewer].minima_s, one.minima_s) for one, fewer in zip(of_arm, calls, strict=True)]


def visible(error: float, couples: int, margin: float) -> float | None:
    """Return the smallest slowdown that would have been suspected with a probability of about 95 %; ``None`` if none.

    The mean has to exceed the margin by the bound's reach, and does so 19 times of 20 where the truth exceeds it by
    twice the reach.
    """
    reach = one_sided_reach(error, couples)
    return math.expm1(math.log1p(margin) + 2.0 * reach) if math.isfinite(reach) else None


def is_slower(log_ratios: Sequence[float], margin: float) -> bool:
    """Whether the lower bound exceeds the margin."""
    return len(log_ratios) > 1 and bounded_ratio(log_ratios).low > 1.0 + margin


def is_void(nulls: Sequence[float], margin: float) -> bool:
    """Whether the base, measured against itself, is beyond the margin on either side."""
    if len(nulls) < 2:
        return False
    null = bounded_ratio(nulls)
    return null.low > 1.0 + margin or null.high < 1.0 / (1.0 + margin)


def seems_slower(log_ratios: Sequence[float], nulls: Sequence[float], margin: float) -> bool:
    """Whether the whole interval lies beyond the margin, even if the pairs are too few for a verdict.

    If the second base also differs from the base, the candidate must be slower than both. Otherwise, the difference
    may be between processes, and not between the two versions of the code.
    """
    if not is_slower(log_ratios, margin):
        return False
    differences = [ours - null for ours, null in zip(log_ratios, nulls, strict=False)]
    return not is_void(nulls, margin) or is_slower(differences, margin)


def state(log_ratios: Sequence[float], nulls: Sequence[float], margins: Margins) -> State:
    """Return the state of a case after some couples, by repeating all looks."""
    suspected, reached = False, State.OPEN
    for end in range(BLOCK, len(log_ratios) + 1, BLOCK):
        if suspected and is_slower(log_ratios[end - BLOCK : end], margins.margin):
            reached = State.SLOWER
            break
        slowdown = bounded_ratio(log_ratios[:end])
        suspected = slowdown.low > 1.0 + margins.margin
        reached = State.SUSPECTED if suspected else _without_suspicion(slowdown, margins)
        if reached.settled:
            break
    if reached is State.OPEN and is_slower(log_ratios, margins.margin):
        reached = State.SUSPECTED
    if reached is State.OPEN and len(log_ratios) < BLOCK:
        return State.FEW
    return State.VOID if reached is not State.OPEN and is_void(nulls, margins.margin) else reached


def _without_suspicion(slowdown: Estimate, margins: Margins) -> State:
    if slowdown.high < 1.0 / (1.0 + margins.margin):
        return State.FASTER
    return State.UNCHANGED if slowdown.high < 1.0 + margins.tolerance else State.OPEN


# The policy

TABLE = "[tool.harness.gate]"
FILE = "pyproject.toml"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Allowance(_Table):
    """Tolerances for some cases; absent ones have the value of the whole table."""

    margin: float | None = Field(default=None, gt=0.0, lt=1.0)
    """A slowdown within it is none; 0.02 is two percent."""
    tolerance: float | None = Field(default=None, gt=0.0)
    """A slowdown below it is tolerated if it cannot be distinguished from noise."""
    ulp: float | None = Field(default=None, ge=0.0)
    """Allowed growth of the worst deviation of a law, in the law's unit."""
    growth: float | None = Field(default=None, ge=0.0)
    """Allowed relative growth of the worst deviation; the larger allowance counts."""


class Policy(_Table):
    """The whole table."""

    target: str = "cases"
    """The gated target, as for ``harness check``."""
    baseline: str | None = None
    """The baseline file for numerics and counts [default: next to the target]."""
    budget_s: float = Field(default=120.0, gt=0.0)
    """Seconds the time gate takes at most."""
    margin: float = Field(default=MARGIN, gt=0.0, lt=1.0)
    tolerance: float = Field(default=TOLERANCE, gt=0.0)
    ulp: float = Field(default=0.0, ge=0.0)
    growth: float = Field(default=0.0, ge=0.0)
    timed: tuple[str, ...] = ("*",)
    """Patterns of the cases that are timed."""
    retired: dict[str, str] = Field(default_factory=dict)
    """Cases that are gone, or no longer timed, on purpose, each with the reason."""
    renamed: dict[str, str] = Field(default_factory=dict)
    """Cases that have another name now: the old one, and the new one."""
    cases: dict[str, Allowance] = Field(default_factory=dict)
    """Allowances by pattern of the cases' names; the last that matches counts."""

    def allows(self, quantity: str, case: str) -> float:
        """Return an allowance of a case."""
        exceptions = [allowance for pattern, allowance in self.cases.items() if fnmatchcase(case, pattern)]
        values = [value for table in (self, *exceptions) if (value := getattr(table, quantity)) is not None]
        return float(values[-1])

    def margins(self, case: str) -> Margins:
        """Return what counts as slower, of a case."""
        return Margins(self.allows("margin", case), self.allows("tolerance", case))

    def is_timed(self, case: str) -> bool:
        """Whether a case is timed, by its name."""
        return any(fnmatchcase(case, pattern) for pattern in self.timed)

    def baseline_file(self, root: Path) -> Path:
        """Return the file of the baseline: the one named, or ``baseline.jsonl`` next to the source of the target."""
        return baseline_of(self.target, root) if self.baseline is None else root / self.baseline

    def reject_unknown(self, names: Iterable[str]) -> None:
        """Refuse a pattern that matches no case.

        Raises
        ------
        UsageError
            If there is one: a misspelt exception would be none.
        """
        known = list(names)
        for table, patterns in (("timed", self.timed), ("cases", self.cases)):
            for pattern in patterns:
                if not any(fnmatchcase(name, pattern) for name in known):
                    problem = f"`{pattern}` under `{table}` of {TABLE} matches no case"
                    raise UsageError(problem, place=FILE, remedy="run `harness list` to see the names")


def read_policy(root: Path, default: Policy | None = None) -> Policy:
    """Read the table of a project; a project without one has the default.

    Raises
    ------
    UsageError
        If it has a key that is unknown, or a value of another type.
    """
    file = root / FILE
    if not is_there(file):
        return default or Policy()
    table: Any = toml_document(file)
    for name in ("tool", "harness", "gate"):
        if not isinstance(table, dict):
            rule = f"{TABLE} must be a table"
            raise UsageError("invalid policy", rule=rule, value=quoted(table), place=str(file), remedy="fix the file")
        if name not in table:
            return default or Policy()
        table = table[name]
    return _validated(table, file)


def _validated(table: object, file: Path) -> Policy:
    try:
        # JSON accepts a list for a tuple, and is strict about all other types.
        return Policy.model_validate_json(to_json(table, inf_nan_mode="constants"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        problem, known = f"invalid key or value of `{key}` under {TABLE}", listed(Policy.model_fields)
        value = f"{quoted(first.get('input'))} ({first['msg'].lower()})"
        raise UsageError(problem, value=value, place=str(file), remedy=f"the keys are {known}") from error


def project_root(start: Path) -> Path:
    """Return the nearest folder upwards with a ``pyproject.toml``; the folder itself where there is none."""
    return next((folder for folder in (start, *start.parents) if (folder / FILE).is_file()), start)
