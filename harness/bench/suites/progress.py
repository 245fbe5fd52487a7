"""How far a suite has come, or why it was not begun, sent line by line to whoever started it."""

import json
import os
from typing import TextIO

import pytest

from harness.error import UsageError

NAME = "harness-progress"
"""Registered name of the plugin."""


class Progress:
    """A pytest plugin that writes a line of JSON for the number of items, and for each that begins or ends.

    Parameters
    ----------
    descriptor
        The write end of a pipe.
    """

    def __init__(self, descriptor: int) -> None:
        self._stream: TextIO = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)

    def _tell(self, **facts: object) -> None:
        self._stream.write(json.dumps(facts) + "\n")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell how many items there are."""
        self._tell(total=len(session.items))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Tell which one begins."""
        self._tell(running=nodeid.rpartition("::")[2])

    def pytest_runtest_logfinish(self) -> None:
        """Tell that it has ended."""
        self._tell(done=1)

    def refuse(self, error: UsageError, *, idle: bool) -> None:
        """Tell why nothing is measured."""
        self._tell(refused={**error.parts, "idle": idle})
