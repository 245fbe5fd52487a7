"""The policy: tolerances of the gate, from the table ``[tool.harness.gate]`` of ``pyproject.toml``."""

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from harness.error import UsageError, join_names
from harness.gate.baseline import baseline_of
from harness.gate.confirmation import MARGIN, TOLERANCE, Margins
from harness.record.storage import is_there, parse_toml, quote_value

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
        """Return the limits from which a case counts as slower."""
        return Margins(self.allows("margin", case), self.allows("tolerance", case))

    def is_timed(self, case: str) -> bool:
        """Whether a case is timed, by its name."""
        return any(fnmatchcase(case, pattern) for pattern in self.timed)

    def baseline_file(self, root: Path, pythonpath: Sequence[str] = ()) -> Path:
        """Return the file of the baseline: the one named, or ``baseline.jsonl`` next to the source of the target."""
        return baseline_of(self.target, root, pythonpath) if self.baseline is None else root / self.baseline

    def loosened_from(self, old: "Policy") -> list[str]:
        """Return how this policy allows more than an older one, or gates something else, in words."""
        return list(self._list_loosened(old))

    def _list_loosened(self, old: "Policy") -> Iterator[str]:
        for name in ("target", "baseline"):
            if getattr(self, name) != getattr(old, name):
                yield f"`{name}` is {quote_value(getattr(self, name))}, was {quote_value(getattr(old, name))}"
        for pattern in old.timed:
            if pattern not in self.timed:
                yield f"`timed` lacks {quote_value(pattern)}"
        for name in Allowance.model_fields:
            own = getattr(self, name)
            if own > getattr(old, name):
                yield f"`{name}` is {own:g}, was {getattr(old, name):g}"
            for pattern in self.cases:
                now, was = self.allows(name, pattern), old.allows(name, pattern)
                if was < now != own:
                    yield f"`{name}` of {quote_value(pattern)} is {now:g}, was {was:g}"

    def reject_unknown(self, names: Iterable[str]) -> None:
        """Refuse a pattern that matches no case.

        Raises
        ------
        UsageError
            If there is one: a misspelt exception would be none.
        """
        case_names = list(names)
        for table, patterns in (("timed", self.timed), ("cases", self.cases)):
            for pattern in patterns:
                if not any(fnmatchcase(name, pattern) for name in case_names):
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
    return _build_policy(parse_toml(file), str(file), default or Policy()) if is_there(file) else default or Policy()


def parse_policy(text: str, place: str) -> Policy:
    """Read the table of a project from the text of its file.

    Raises
    ------
    UsageError
        If it has a key that is unknown, or a value of another type.
    """
    try:
        return _build_policy(tomllib.loads(text), place, Policy())
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"invalid TOML in {place}: {error!s:.200}", remedy="fix the file") from error


def _build_policy(table: Any, place: str, default: Policy) -> Policy:
    for name in ("tool", "harness", "gate"):
        if not isinstance(table, dict):
            rule = f"{TABLE} must be a table"
            raise UsageError("invalid policy", rule=rule, value=quote_value(table), place=place, remedy="fix the file")
        if name not in table:
            return default
        table = table[name]
    try:
        # JSON accepts a list for a tuple, and is strict about all other types.
        return Policy.model_validate_json(to_json(table, inf_nan_mode="constants"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        problem, keys = f"invalid key or value of `{key}` under {TABLE}", join_names(Policy.model_fields)
        value = f"{quote_value(first.get('input'))} ({first['msg'].lower()})"
        raise UsageError(problem, value=value, place=place, remedy=f"the keys are {keys}") from error


def project_root(start: Path) -> Path:
    """Return the nearest folder upwards with a ``pyproject.toml``; the folder itself where there is none."""
    return next((folder for folder in (start, *start.parents) if (folder / FILE).is_file()), start)
