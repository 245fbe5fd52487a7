"""What an audit keeps of an operation: enough to go back from a wrong end to the line that made it so."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from harness.auditor.line import Line


@dataclass(slots=True)
class Source:
    """What an operation read: who wrote it, and in which state it was.

    Parameters
    ----------
    writer
        Number of the operation that wrote it; -1 for what the step started from.
    error
        Normwise relative error; infinite where the shadow is finite and it is not.
    spread
        The larger of that and the mean relative error of its elements, each capped at one.
    nan, inf
        Whether it holds any.
    leaf
        Identity of the parameter it is; ``None`` where it is none.
    largest
        Largest absolute element that was written.
    gradient_of
        Identity of the parameter whose gradient it was before the step; ``None`` where it was none.
    """

    writer: int
    error: float = 0.0
    spread: float = 0.0
    nan: bool = False
    inf: bool = False
    leaf: int | None = None
    largest: float = 0.0
    gradient_of: int | None = None

    @property
    def worst(self) -> float:
        """The larger of both errors."""
        return max(self.error, self.spread)


@dataclass(slots=True)
class Birth:
    """The first element that is not finite although all that was read is.

    Parameters
    ----------
    count, size
        Elements that are not finite, and all of them.
    rows, all_rows
        The same of rows, the last axis of a tensor being its rows'.
    operands
        What was read at that element; ``None`` where that is not one number.
    exact
        What the shadow has there; ``None`` where there is none.
    again
        Whether the operation gives no finite number there in wider arithmetic either, of the very operands.
    wide
        What it gives there in wider arithmetic; ``None`` where that is unknown.
    """

    count: int
    size: int
    rows: int
    all_rows: int
    operands: tuple[float | None, ...]
    exact: float | None
    again: bool
    wide: float | None = None


@dataclass(slots=True)
class Operation:
    """One operation's result.

    Parameters
    ----------
    number
        Its place among all.
    line, name, backward
        Who asked for what, and whether autograd did, for what torch says the gradient is.
    dtype, shape
        Of the result.
    sources
        What it read.
    unit
        The coarsest unit roundoff of what it read and wrote.
    error, spread, nan, inf
        As in :class:`Source`.
    read_error
        The largest error of what it read.
    largest
        Largest absolute element.
    read_range
        Smallest and largest element of its first operand, where that is what decides.
    added
        A scalar's term and running total, in size.
    meant
        Whether its infinities were put there on purpose, as a mask's are.
    birth
        Where it is the first that is not finite.
    vanished
        Share of the elements that underflow to zero.
    has_emptied
        Whether an element underflows to zero.
    is_fair
        Whether the digits that it loses are harmless.
    absorbs
        Whether a term is so small beside the other that float64 keeps nothing of it either.
    cancelled
        By how much its terms cancel; zero where that was not looked at.
    confirmed
        Whether balls say as well that it is wrong; ``None`` where they were not asked, or did not decide.
    question
        What asks them, while they were not.
    """

    number: int
    line: Line
    name: str
    backward: bool
    dtype: torch.dtype
    shape: tuple[int, ...]
    sources: tuple[Source, ...]
    unit: float
    error: float = 0.0
    spread: float = 0.0
    nan: bool = False
    inf: bool = False
    read_error: float = 0.0
    largest: float = 0.0
    read_range: tuple[float, float] | None = None
    added: tuple[float, float] | None = None
    meant: bool = False
    birth: Birth | None = None
    vanished: float = 0.0
    has_emptied: bool = False
    is_fair: bool = False
    absorbs: bool = False
    cancelled: float = 0.0
    confirmed: bool | None = None
    question: Callable[[], bool | None] | None = None

    def is_confirmed(self) -> bool | None:
        """Ask balls whether it is wrong, once."""
        if self.question is not None:
            self.confirmed, self.question = self.question(), None
        return self.confirmed

    @property
    def worst(self) -> float:
        """The larger of both errors."""
        return max(self.error, self.spread)
