"""A plan without torch: numbers are counted, and some of the pieces misbehave."""

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar


@dataclass(frozen=True)
class Counting:
    """A plan of numbered pieces.

    ``manners`` changes the behavior of a piece by its number: ``interrupts``, ``exits``, ``prints``, ``sleeps`` or
    ``logs``, which returns whether an error would be logged. Any other text is the name of a file that the piece
    creates after a sleep.
    """

    target: str = "counting"
    count: int = 6
    manners: dict[int, str] = field(default_factory=dict)
    pays_from: ClassVar[int] = 1

    @property
    def is_foreign(self) -> bool:
        """Always, so that it runs isolated."""
        return True

    def longest_s(self, call_s: float) -> float:
        """Return ten calls."""
        return 10.0 * call_s

    def load(self) -> "Numbers":
        """Return the pieces."""
        return Numbers(self)


@dataclass(frozen=True)
class Numbers:
    """The pieces."""

    plan: Counting

    def about(self) -> Sequence[dict[str, Any]]:
        """Return one of two cases in turns."""
        return [{"case": f"case {i % 2}", "number": i} for i in range(self.plan.count)]

    def do(self, index: int) -> dict[str, Any]:
        """Return the number."""
        match self.plan.manners.get(index):
            case "interrupts":
                raise KeyboardInterrupt
            case "exits":
                os._exit(3)
            case "prints":
                os.write(2, b"hello\n")
            case "sleeps":
                time.sleep(600.0)
            case "logs":
                return {"number": int(logging.getLogger().isEnabledFor(logging.ERROR))}
            case str() as file:
                time.sleep(0.5)
                Path(file).touch()
        return {"number": index}
