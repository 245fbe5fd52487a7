"""A mutant: a deliberately wrong implementation, and the law that must see it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.record import Status


@dataclass(frozen=True)
class Mutant:
    """A wrong implementation, plausible otherwise.

    Parameters
    ----------
    function
        The implementation.
    contract, law
        The law that must break on it.
    dtype
        The dtype it is killed in.
    declares
        Conventions it follows.
    status
        The verdict it is to get; an error where it raises.
    generic
        Whether it is wrong in a way any operation can be, and says nothing about the laws of this one.
    """

    function: Callable[..., Any]
    contract: str
    law: str
    dtype: str = "float32"
    declares: dict[str, Any] = field(default_factory=dict)
    status: Status = Status.BROKEN
    generic: bool = False

    @property
    def name(self) -> str:
        """The function's name, without the underscores that make it private."""
        return getattr(self.function, "__name__", type(self.function).__name__).strip("_")
