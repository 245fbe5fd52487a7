"""Functions with a known first loss of accuracy, each with an example on which it breaks a law."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.record import EventKind

MARK = "# here"
"""Ends the line that the event should name."""


@dataclass(frozen=True)
class Known:
    """A function, and an example on which it breaks a law in a dtype.

    The example has nested lists by name. ``kind``, ``operation`` and ``backward`` describe the event. ``kind`` is
    ``None`` if the defect is not a rounding. ``declares`` has the conventions of the function.
    """

    function: Callable[..., Any]
    contract: str
    law: str
    dtype: str
    example: dict[str, Any]
    kind: EventKind | None
    operation: str
    backward: bool
    declares: dict[str, Any]

    @property
    def place(self) -> str | None:
        """The marked line, in the function or in its attribute ``marked``."""
        lines, first = inspect.getsourcelines(getattr(self.function, "marked", self.function))
        at = next((n for n, line in enumerate(lines) if line.rstrip().endswith(MARK)), None)
        return None if at is None else f"{Path(inspect.getsourcefile(self.function) or '').name}:{first + at}"

    @property
    def name(self) -> str:
        """Name in the list of tests."""
        return f"{self.function.__name__} {self.law} {self.dtype}"


KNOWN: list[Known] = []
"""All functions in the order of their definition."""


def loses(
    contract: str,
    law: str,
    event: str,
    *,
    backward: bool = False,
    declares: dict[str, Any] | None = None,
    **examples: dict[str, Any],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function with its expected ``event``: kind and operation, such as ``overflow exp``, or ``none``."""
    kind, _, operation = event.partition(" ")

    def note(function: Callable[..., Any]) -> Callable[..., Any]:
        named = None if kind == "none" else EventKind(kind)
        KNOWN.extend(
            Known(function, contract, law, dtype, example, named, operation, backward, declares or {})
            for dtype, example in examples.items()
        )
        return function

    return note
