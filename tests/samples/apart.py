"""Run a benchmark suite in a folder, like a user's shell, but always in a forked process."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from harness.bench.option import Settings
from harness.bench.run import run_suite
from harness.error import UsageError


def run_apart(
    folder: Path, patch: pytest.MonkeyPatch, suite: str, *, target: str, settings: Settings
) -> tuple[int, str, Any]:
    """Return the exit code, the output, and the document, or ``None`` without one."""
    patch.chdir(folder)
    patch.setattr("harness.bench.run.FRESH", ())
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = run_suite(suite, target=target, run_folder=Path("run"), settings=settings)
        except UsageError as error:
            print(error)  # noqa: T201 - as the command does
            code = 2
    file = folder / "run" / f"bench-{suite}.json"
    return code, said.getvalue(), json.loads(file.read_text()) if file.is_file() else None
