"""What a command that was run in this process left."""

from collections.abc import Callable
from typing import NamedTuple


class Done(NamedTuple):
    """Exit code and output."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]
"""Runs ``harness`` with some words."""
