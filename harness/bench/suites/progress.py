"""Progress of a suite, or its refusal to start, as lines for the process that started it."""

import json
import os
from typing import TextIO

import pytest

from harness.error import UsageError

NAME = "harness-progress"
"""Registered name of the plugin."""


class Progress:
    """A pytest plugin that writes JSON lines to a pipe: the number of items, and each start and end."""

    def __init__(self, descriptor: int) -> None:
        self._stream: TextIO = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)

    def _tell(self, **facts: object) -> None:
        self._stream.write(json.dumps(facts) + "\n")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write the number of items."""
        self._tell(total=len(session.items))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Write the name of an item that starts."""
        self._tell(running=nodeid.rpartition("::")[2])

    def pytest_runtest_logfinish(self) -> None:
        """Write that an item ended."""
        self._tell(done=1)

    def refuse(self, error: UsageError, *, idle: bool) -> None:
        """Write why nothing is measured."""
        self._tell(refused={**error.parts, "idle": idle})
