"""A mutant: a wrong implementation, and the law that must detect it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.record import Status


@dataclass(frozen=True)
class Mutant:
    """A wrong but plausible implementation.

    ``law`` of ``contract`` must break on it in ``dtype``. ``declares`` has its conventions. ``status`` is the expected
    verdict, which is an error if it raises. ``generic`` marks a defect that any operation can have, unrelated to the
    laws of this one.
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
        """The name of the function without leading underscores."""
        return getattr(self.function, "__name__", type(self.function).__name__).strip("_")
