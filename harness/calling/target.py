"""Targets: the code for a check, a survey or a proof, as plain data."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from harness.calling import known
from harness.calling.discovery import SHIPPED, is_shipped, load
from harness.calling.question import Question
from harness.case import Case


class Loader(Protocol):
    """Loads cases in another process, which calls them."""

    def cases(self, target: str, contract: str | None, claims: Mapping[str, Any]) -> list[Case]:
        """Return the cases of a target, each with a stand-in for the function in the other process."""

    def begins_to_read_loaders(self) -> bool:
        """Let the process read loaders from now on; return whether that is new."""


@dataclass(frozen=True)
class Target(Question):
    """A question about the cases of a target, which this class loads.

    Parameters
    ----------
    root
        Folder from which its package is imported, before all others; none by default.
    """

    target: str = SHIPPED
    root: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Fill in the contract and the adapter of a library's function, if the user does not name another contract."""
        contract, call = known.completed(known.entry(self.target), self.contract, self.call)
        object.__setattr__(self, "contract", contract)
        object.__setattr__(self, "call", call)

    @cached_property
    def is_foreign(self) -> bool:
        """Whether the code is not shipped, so that it runs in an isolated process."""
        return not is_shipped(self.target)

    def cases(self, remote: Loader | None = None) -> list[Case]:
        """Load the cases.

        Raises
        ------
        UsageError
            If the target does not exist, cannot be imported, or holds no case.
        """
        claims = {"declares": self.declares, "breaks": self.breaks, "call": self.call}
        if remote is not None:
            return remote.cases(self.target, self.contract, claims)
        if self.root is not None and self.root not in sys.path:
            sys.path.insert(0, self.root)
        return load(self.target, contract=self.contract, by_name=True, **claims)
