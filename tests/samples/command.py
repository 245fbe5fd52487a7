"""The result of a command that ran in this process."""

from collections.abc import Callable
from typing import NamedTuple


class Done(NamedTuple):
    """Exit code and output."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]
"""Runs ``harness`` with some words."""
