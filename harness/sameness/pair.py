"""Pairs to compare: two targets, or one and a change; importing this module does not import torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from harness.error import UsageError
from harness.record import Judgment, Record
from harness.sameness.change import Change, read_change


class Pair(Record):
    """Two targets, or one and a change, and facts about their inputs."""

    first: str
    second: str | None = None
    contract: str | None = None
    declares: Mapping[str, Any] = Field(default_factory=dict)
    """Conventions of the contract."""
    shapes: tuple[tuple[int, ...], ...] = ()
    change: Change | None = None
    is_declared: bool = False
    """Whether a side declares a failure."""

    def add_names(self, judgment: Judgment) -> Judgment:
        """Return a judgment with the targets and the change."""
        names = {"first": self.first, "second": self.second or "", "under": str(self.change or "")}
        return judgment.model_copy(update={**names, "is_declared": self.is_declared})


class Pairs(Record):
    """The pairs of a package of cases."""

    pairs: tuple[Pair, ...]


def make_pair(
    first: str, second: str | None = None, under: str | None = None, contract: str | None = None,
    shapes: Sequence[str] = (),
) -> Pair:  # fmt: skip
    """Return the pair of the options of a command.

    Raises
    ------
    UsageError
        If there is nothing to compare, or an option cannot be read.
    """
    if contract and shapes:
        raise UsageError("cannot use `--contract` together with `--shape`", remedy="leave one out")
    if (second is None) == (under is None):
        raise UsageError("nothing to compare", rule="name either two targets, or one and `--under CHANGE`")
    change = None if under is None else read_change(under)
    lengths = tuple(map(_read_shape, shapes))
    return Pair(first=first, second=second, contract=contract, shapes=lengths, change=change)


def _read_shape(text: str) -> tuple[int, ...]:
    lengths = text.split(",")
    if not all(length.strip().isdecimal() for length in lengths):
        raise UsageError("cannot read `--shape`", rule="it must be lengths, such as 32,64", value=f"`{text}`")
    return tuple(map(int, lengths))
