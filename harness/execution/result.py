"""The result of a piece of work, in its worker and for the command."""

from dataclasses import dataclass

from harness.execution.plan import Document
from harness.isolation.lost_worker import WorkerFailure
from harness.record import Fault


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
