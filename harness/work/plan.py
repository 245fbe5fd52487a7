"""Plans: work in independent, seeded, idempotent pieces, as plain data that every process turns into the same list."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

from pydantic import TypeAdapter

Document = dict[str, Any]
"""A JSON object."""


class Pieces(Protocol):
    """A plan in a process that carries it out: the code it is about is loaded."""

    def about(self) -> Sequence[Document]:
        """What each piece is about, in a fixed order.

        Each names its ``case``, and as its ``first_call`` what a compiler compiles anew; the case when absent. Those
        that are ``apart`` are judged by a process which does not import the code. Those
        with the same ``kin`` are done by one process rather than by several, where that costs no time.
        """

    def do(self, index: int) -> Document:
        """Do one piece, and return what came of it."""


class Plan(Protocol):
    """What to do: a dataclass of what can be said in JSON."""

    @property
    def target(self) -> str:
        """The code that it is about."""

    @property
    def is_foreign(self) -> bool:
        """Whether that code is somebody else's."""

    @property
    def pays_from(self) -> int:
        """Pieces for each process from which it pays to start several."""

    def longest_s(self, call_s: float) -> float:
        """Seconds that a piece may take, given those that a call of the implementation may."""

    def load(self) -> Pieces:
        """Load the code.

        Raises
        ------
        UsageError
            If it cannot be loaded, or nothing in it can be done.
        """


def to_document(plan: Plan) -> Document:
    """Return a plan as a document, for another process."""
    kind = type(plan)
    facts = TypeAdapter(kind).dump_python(plan, mode="json")
    return {"module": kind.__module__, "name": kind.__qualname__, "facts": facts}


def from_document(document: Document) -> Plan:
    """Return the plan that was sent as a document; only what it needs is imported."""
    kind = getattr(import_module(document["module"]), document["name"])
    plan: Plan = TypeAdapter(kind).validate_python(document["facts"])
    return plan
