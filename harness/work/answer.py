"""What came of a piece of work, wherever it was done."""

from dataclasses import dataclass

from harness.record import Fault
from harness.work.lost_worker import Loss
from harness.work.plan import Document


@dataclass(frozen=True)
class Answer:
    """What came of one piece.

    Parameters
    ----------
    index
        Of the piece.
    said
        What it came to; ``None`` where it did not come to its end.
    noticed
        What the implementation did in its process besides answering, and of which kind that is.
    loss
        How the worker was lost; ``None`` where it was not.
    reason
        Why the piece came to nothing, naming the case; ``None`` where it came to something, or was not begun.
    duration_s
        From question to answer.
    """

    index: int
    said: Document | None = None
    noticed: tuple[Fault, str] | None = None
    loss: Loss | None = None
    reason: str | None = None
    duration_s: float = 0.0
