"""Progress in a notebook, where no terminal has a bar: how many pieces of how many, and the time that is left."""

import sys
import time
from collections.abc import Iterator, Sequence
from html import escape
from importlib import import_module
from typing import Any, Self, TypeVar

EVERY_S = 0.3
"""Seconds between two signs of life."""

_Piece = TypeVar("_Piece")


class Sign:
    """A line of progress in a notebook, which begins with the task; removed at the end."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._handle: Any = None

    def __enter__(self) -> Self:
        """Show the line in a notebook."""
        display = _display()
        if display is not None:
            self._handle = display(_html(escape(self._task)), raw=True, display_id=True)
        return self

    def show(self, text: str) -> None:
        """Show the progress."""
        self.update(f"{escape(self._task)}: {escape(text)}")

    def update(self, html: str) -> None:
        """Replace the line."""
        if self._handle is not None:
            self._handle.update(_html(html), raw=True)

    def __exit__(self, *_: object) -> None:
        """Remove the line."""
        self.update("")


def show_progress(pieces: Sequence[_Piece], task: str) -> Iterator[_Piece]:
    """Yield pieces of work; a notebook shows a progress bar, with the task, until the end."""
    start, last_s = time.monotonic(), 0.0
    with Sign("") as sign:
        for done, piece in enumerate(pieces):
            now = time.monotonic()
            if now - last_s > EVERY_S:
                sign.update(_bar(task, done, len(pieces), now - start))
                last_s = now
            yield piece


def _display() -> Any:
    """Return how a notebook displays; ``None`` where there is none."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    return import_module("IPython.display").display


def _html(text: str) -> dict[str, str]:
    return {"text/html": text, "text/plain": ""}


def _bar(task: str, done: int, total: int, elapsed_s: float) -> str:
    remaining = f", {elapsed_s * (total - done) / done:.0f} s left" if done else ""
    return f'{escape(task)} <progress value="{done}" max="{total}"></progress> {done:,} of {total:,}{remaining}'
