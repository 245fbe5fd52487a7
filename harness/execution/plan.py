"""Plans: work in independent, seeded, idempotent pieces, as plain data that every process turns into the same list."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from pydantic import TypeAdapter

from harness.isolation.lost_worker import WorkerFailure
from harness.record import Fault

Document = dict[str, Any]
"""A JSON object."""


class Pieces(Protocol):
    """The work items of a plan, in a process that has loaded the code."""

    def about(self) -> Sequence[Document]:
        """The description of each piece, in a fixed order.

        It contains the ``case``, and as ``first_call`` the key of what a compiler compiles, by default the case.
        An ``isolated`` piece is judged by a process that does not import the code. One process should do all pieces
        with the same ``affinity``.
        """

    def do(self, index: int) -> Document:
        """Do one piece, and return its result."""


class Plan(Protocol):
    """A plan: a dataclass whose fields can be written as JSON.

    If it is ``isolated``, another process imports and calls the code. ``judges`` are then the modules that decide the
    results; the judge imports them before user code starts, which could rewrite the files.
    """

    @property
    def target(self) -> str:
        """The target of the plan."""

    @property
    def is_foreign(self) -> bool:
        """Whether the target is user code."""

    @property
    def pays_from(self) -> int:
        """Work items per process from which several processes are faster than one."""

    def longest_s(self, call_s: float) -> float:
        """Return the time limit of a piece, given that of a call."""

    def load(self) -> Pieces:
        """Load the code.

        Raises
        ------
        UsageError
            If it cannot be loaded, or contains nothing to do.
        """


def to_document(plan: Plan) -> Document:
    """Return a plan as a document, for another process."""
    kind = type(plan)
    fields = TypeAdapter(kind).dump_python(plan, mode="json")
    return {"module": kind.__module__, "name": kind.__qualname__, "facts": fields}


def from_document(document: Document) -> Plan:
    """Return the plan in a document, and import only the needed modules."""
    kind = getattr(import_module(document["module"]), document["name"])
    plan: Plan = TypeAdapter(kind).validate_python(document["facts"])
    return plan


@dataclass(frozen=True)
class Result:
    """The outcome of a piece in a worker that was not lost.

    Parameters
    ----------
    reply
        What the piece returned.
    noticed
        A side effect, with its kind.
    failure
        How the process of the code was lost, where it was.
    """

    reply: Document | None = None
    noticed: tuple[Fault, str] | None = None
    failure: WorkerFailure | None = None


@dataclass(frozen=True)
class Answer:
    """The result of a piece.

    Parameters
    ----------
    index
        Number of the piece.
    reply
        The result; ``None`` if the piece did not finish.
    noticed
        A side effect of the implementation, with its kind.
    failure
        How the worker was lost; ``None`` if it was not.
    reason
        Why there is no result, with the name of the case; ``None`` if there is one, or the piece was not started.
    duration_s
        Time from request to reply.
    """

    index: int
    reply: Document | None = None
    noticed: tuple[Fault, str] | None = None
    failure: WorkerFailure | None = None
    reason: str | None = None
    duration_s: float = 0.0
