"""Targets: the code that a check, a survey or a proof is about, as plain data."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from harness.calling import known
from harness.calling.discovery import is_shipped, load
from harness.calling.own_cases import SHIPPED
from harness.case import Break, Case


class Loader(Protocol):
    """What loads cases in another process, where they are called."""

    def cases(self, target: str, contract: str | None, claims: Mapping[str, Any]) -> list[Case]:
        """Return what a target names, each function standing in for one there."""

    def begins_to_read_loaders(self) -> bool:
        """Have loaders read there when cases are loaded again; whether they were not before."""


@dataclass(frozen=True)
class Target:
    """Cases to load, and what is claimed of them.

    Parameters
    ----------
    target, contract
        As :func:`harness.calling.discovery.load` takes them.
    declares, breaks, call
        What a single function claims: see :class:`harness.case.Case`.
    root
        A folder from which its package is imported before all others, as whoever names it has it; none when absent.
    """

    target: str = SHIPPED
    contract: str | None = None
    declares: Mapping[str, Any] = field(default_factory=dict)
    breaks: Mapping[str, str | Break] = field(default_factory=dict)
    call: str | None = None
    root: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Fill in the contract and the adapter of a library's function, if the user does not name another contract."""
        contract, call = known.completed(known.entry(self.target), self.contract, self.call)
        object.__setattr__(self, "contract", contract)
        object.__setattr__(self, "call", call)

    @cached_property
    def is_foreign(self) -> bool:
        """Whether the code is somebody else's, which is run in a process of its own; looked for in files once."""
        return not is_shipped(self.target)

    def cases(self, elsewhere: Loader | None = None) -> list[Case]:
        """Load the cases.

        Raises
        ------
        UsageError
            If the target does not exist, cannot be imported, or holds no case.
        """
        claims = {"declares": self.declares, "breaks": self.breaks, "call": self.call}
        if elsewhere is not None:
            return elsewhere.cases(self.target, self.contract, claims)
        if self.root is not None and self.root not in sys.path:
            sys.path.insert(0, self.root)
        return load(self.target, contract=self.contract, by_name=True, **claims)
