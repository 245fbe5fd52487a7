"""Conventions: the admissible choices where mathematics or custom leaves a choice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from harness.error import listed


@dataclass(frozen=True)
class AnyNumber(Sequence[float]):
    """A convention that may be any number in a range; as a sequence, its usual values.

    Parameters
    ----------
    usual
        Values in common use, the default first. They are tried if a case declares none.
    least, most
        Ends of the range, both admissible.
    """

    usual: tuple[float, ...]
    least: float
    most: float

    def __contains__(self, value: object) -> bool:
        """Return whether a value may be declared; it must be a number, and not NaN."""
        return isinstance(value, (int, float)) and self.least <= value <= self.most

    def __iter__(self) -> Iterator[float]:
        """Yield the usual values."""
        return iter(self.usual)

    def __len__(self) -> int:
        """Return the number of usual values."""
        return len(self.usual)

    @overload
    def __getitem__(self, at: int) -> float: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[float, ...]: ...
    def __getitem__(self, at: int | slice) -> float | tuple[float, ...]:
        """Return usual values by position."""
        return self.usual[at]

    def __str__(self) -> str:
        """Describe the choices in words."""
        return f"any number from {self.least:g} to {self.most:g}"


@dataclass(frozen=True)
class Anything(Sequence[Any]):
    """A convention that a user names, such as a file or a function; ``None`` by default.

    Parameters
    ----------
    what
        Description of the named object.
    """

    what: str

    def __contains__(self, value: object) -> bool:
        """Return true, since the reader of the object checks it."""
        return True

    def __len__(self) -> int:
        """Return 1, for the default ``None``."""
        return 1

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Any, ...]: ...
    def __getitem__(self, at: int | slice) -> Any:
        """Nothing."""
        return (None,)[at]

    def __str__(self) -> str:
        """Describe the object to name."""
        return self.what


Convention = tuple[Any, ...] | AnyNumber | Anything
"""The values that may be declared, the default first."""


def choices(convention: Convention) -> str:
    """Return the admissible values as text for a message."""
    return str(convention) if isinstance(convention, AnyNumber | Anything) else listed(convention)
