"""Functions whose first loss of the truth an expert can name, with an example on which it breaks a law."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.record import EventKind

MARK = "# here"
"""Ends the line of a function that the event is to name."""


@dataclass(frozen=True)
class Known:
    """One function on one example.

    Parameters
    ----------
    function, contract, law, dtype
        What breaks what.
    example
        The inputs, as nested lists by name.
    kind, operation, backward
        The event; no event where ``kind`` is ``None``, since what is wrong is not a rounding.
    declares
        Conventions of the function.
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
        """The line that is marked, in the function or in what it calls ``marked``."""
        lines, first = inspect.getsourcelines(getattr(self.function, "marked", self.function))
        at = next((n for n, line in enumerate(lines) if line.rstrip().endswith(MARK)), None)
        return None if at is None else f"{Path(inspect.getsourcefile(self.function) or '').name}:{first + at}"

    @property
    def name(self) -> str:
        """As tests list it."""
        return f"{self.function.__name__} {self.law} {self.dtype}"


KNOWN: list[Known] = []
"""All of them, in the order in which they are defined."""


def loses(
    contract: str,
    law: str,
    event: str,
    *,
    backward: bool = False,
    declares: dict[str, Any] | None = None,
    **examples: dict[str, Any],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Note what a function loses: ``event`` is its kind and operation, such as ``overflow exp``, or ``none``."""
    kind, _, operation = event.partition(" ")

    def note(function: Callable[..., Any]) -> Callable[..., Any]:
        named = None if kind == "none" else EventKind(kind)
        KNOWN.extend(
            Known(function, contract, law, dtype, example, named, operation, backward, declares or {})
            for dtype, example in examples.items()
        )
        return function

    return note
