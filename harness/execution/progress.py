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


def followed(pieces: Sequence[_Piece], task: str) -> Iterator[_Piece]:
    """Yield pieces of work; a notebook shows a progress bar until the end.

    Parameters
    ----------
    pieces
        The pieces.
    task
        Description of the work.
    """
    display = _display()
    if display is None:
        yield from pieces
        return
    start, last_s = time.monotonic(), 0.0
    handle = display(_html(""), raw=True, display_id=True)
    try:
        for done, piece in enumerate(pieces):
            now = time.monotonic()
            if now - last_s > EVERY_S:
                handle.update(_html(_bar(task, done, len(pieces), now - start)), raw=True)
                last_s = now
            yield piece
    finally:
        handle.update(_html(""), raw=True)


class Sign:
    """A line of progress in a notebook for an unknown number of pieces; removed at the end.

    Parameters
    ----------
    task
        Description of the work.
    """

    def __init__(self, task: str) -> None:
        self._what = task
        self._handle: Any = None

    def __enter__(self) -> Self:
        """Show it, where there is a notebook."""
        display = _display()
        if display is not None:
            self._handle = display(_html(escape(self._what)), raw=True, display_id=True)
        return self

    def show(self, text: str) -> None:
        """Say how far it is."""
        if self._handle is not None:
            self._handle.update(_html(f"{escape(self._what)}: {escape(text)}"), raw=True)

    def __exit__(self, *_: object) -> None:
        """Take it away."""
        if self._handle is not None:
            self._handle.update(_html(""), raw=True)


def _display() -> Any:
    """Return how a notebook displays; ``None`` where there is none."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    return import_module("IPython.display").display


def _html(text: str) -> dict[str, str]:
    return {"text/html": text, "text/plain": ""}


def _bar(task: str, done: int, total: int, elapsed_s: float) -> str:
    left = f", {elapsed_s * (total - done) / done:.0f} s left" if done else ""
    return f'{escape(task)} <progress value="{done}" max="{total}"></progress> {done:,} of {total:,}{left}'
