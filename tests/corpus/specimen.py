"""A specimen: an implementation, the contract that it claims, and what a judge must find."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.record import EventKind, Status

MARK = "# here"
"""Ends the line that an event should name."""


@dataclass(frozen=True)
class Specimen:
    """A wrong implementation and the ``law`` of ``contract`` that breaks on it in ``dtype``; or a sound one.

    ``source`` tells where it comes from, and so who judges it: the kill matrix judges mutants, and tests the others. A
    specimen ``held out`` was written before the law that it needs. ``declares`` has its conventions. ``status`` is the
    expected verdict, which is an error if it raises. ``generic`` marks a defect that any operation can have.

    ``says`` is a part of the message. ``example`` has nested lists by name, on which the law breaks by the event
    ``kind``, ``operation`` and ``backward``; ``kind`` is ``None`` if the defect is not a rounding. ``marked`` contains
    the line of the event if the function does not.
    """

    function: Callable[..., Any]
    contract: str
    law: str = "value"
    dtype: str = "float32"
    declares: Mapping[str, Any] = field(default_factory=dict)
    source: Literal["mutant", "bug report", "first loss", "held out", "careful", "unusual"] = "mutant"
    status: Status = Status.BROKEN
    generic: bool = False
    title: str = ""
    says: str = ""
    example: Mapping[str, Any] = field(default_factory=dict)
    kind: EventKind | None = None
    operation: str = ""
    backward: bool = False
    marked: Any = None

    @property
    def name(self) -> str:
        """The title, or the name of the function without leading underscores."""
        return self.title or getattr(self.function, "__name__", type(self.function).__name__).strip("_")

    @property
    def place(self) -> str | None:
        """The line that the event should name."""
        lines, first = inspect.getsourcelines(self.marked or self.function)
        at = next((n for n, line in enumerate(lines) if line.rstrip().endswith(MARK)), None)
        return None if at is None else f"{Path(inspect.getsourcefile(self.function) or '').name}:{first + at}"

    def __str__(self) -> str:
        return f"{self.contract}-{self.name}-{self.law}-{self.dtype}".replace(" ", "-")


SPECIMENS: list[Specimen] = []
"""Specimens that were noted beside their function, in the order of their definition."""

Note = Callable[[Callable[..., Any]], Callable[..., Any]]


def _note(specimens: Callable[[Callable[..., Any]], list[Specimen]]) -> Note:
    def note(function: Callable[..., Any]) -> Callable[..., Any]:
        SPECIMENS.extend(specimens(function))
        return function

    return note


def mutant(contract: str, *laws: str, **of: Any) -> Note:
    """Note a mutant, and the laws that must detect it."""
    return _note(lambda function: [Specimen(function, contract, law, **of) for law in laws])


def reported(contract: str, law: str, says: str, dtype: str = "float32") -> Note:
    """Note the pattern of a bug report: its law, and a part of the message that names the mechanism."""
    return _note(lambda function: [Specimen(function, contract, law, dtype, source="bug report", says=says)])


def held_out(contract: str, law: str, dtype: str = "float32", **of: Any) -> Note:
    """Note a specimen that was written before the law that detects it."""
    return _note(lambda function: [Specimen(function, contract, law, dtype, source="held out", **of)])


def unusual(contract: str, *dtypes: str, title: str = "", declares: Mapping[str, Any] | None = None) -> Note:
    """Note an unusual implementation that is right in all modes and layouts."""
    of: dict[str, Any] = {"source": "unusual", "title": title, "declares": declares or {}}
    return _note(lambda f: [Specimen(f, contract, dtype=dtype, **of) for dtype in dtypes or ("float32",)])


def careful(contract: str, **declares: Any) -> Note:
    """Note a form that a careful engineer writes, with its conventions."""
    return _note(lambda function: [Specimen(function, contract, declares=declares, source="careful")])


def logits(*row: float, cotangent: Any = None) -> dict[str, Any]:
    """Return an example with one row of logits."""
    return {"logits": [list(row)], **({} if cotangent is None else {"cotangent": [cotangent]})}


def loses(
    contract: str,
    law: str,
    event: str,
    *,
    backward: bool = False,
    declares: Mapping[str, Any] | None = None,
    marked: Any = None,
    **examples: Mapping[str, Any],
) -> Note:
    """Note the first loss of accuracy on an example by dtype: its kind and operation, or ``none``."""
    kind, _, operation = event.partition(" ")
    of: dict[str, Any] = {"kind": None if kind == "none" else EventKind(kind), "operation": operation}
    of |= {"backward": backward, "declares": declares or {}, "marked": marked, "source": "first loss"}
    return _note(lambda f: [Specimen(f, contract, law, dtype, example=one, **of) for dtype, one in examples.items()])
