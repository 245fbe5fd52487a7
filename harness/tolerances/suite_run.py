"""Run a test suite with pytest in another process, and read the verdicts that its processes have written."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.error import UsageError
from harness.tolerances.place import Suite, merge

RAN, NONE = {0, 1}, 5
"""Exit codes of pytest after the tests have run: all passed, or some failed; and if it found none."""

PATIENCE_S = 10.0
"""Seconds that pytest has to write its verdicts after an interrupt."""

_ERRORS = (
    r"E +(\w*(?:Error|Exception|Exit)\b.*)",
    r".*: error: (.*)",
    r"ERROR: (.*)",
    r"INTERNALERROR> (\w+Error: .*)",
)
"""Lines of pytest that name an error: of a module, of an option, of a path, and of a plugin."""


def run_suite(
    arguments: Sequence[str],
    variables: Mapping[str, str],
    keep: Callable[[Suite], None],
    show: Callable[[int], None],
) -> None:
    """Run a suite, and pass what its processes saw to ``keep``, also after an interrupt.

    ``show`` gets the percentage of the tests that are finished.
    """
    command = [sys.executable, "-m", "pytest", "-p", "harness.tolerances.plugin", "-q", "--no-header", "--tb=short"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [*command, f"--harness-tolerances={folder}", *arguments],
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if percentage := re.search(r"\[ *(\d+)%\]\s*$", line):
                    show(int(percentage[1]))
            process.wait()
        except KeyboardInterrupt:
            # The plugin listens to this signal even where a shell starts its children with it ignored.
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
            keep(_read(folder))
            raise
        if process.returncode not in RAN:
            rule = "no tests ran" if process.returncode == NONE else _explain(lines)
            raise UsageError("cannot judge the suite", rule=rule, remedy="run pytest alone")
        keep(_read(folder))


def _read(folder: str) -> Suite:
    return merge([Suite.model_validate_json(file.read_bytes()) for file in Path(folder).glob("*.json")])


def _explain(output: Sequence[str]) -> str:
    """Return why pytest did not run the tests: its first error, else its last line."""
    lines = [line.strip() for line in output if line.strip()]
    matches = (re.match(pattern, line) for pattern in _ERRORS for line in lines)
    return next((match[1] for match in matches if match), lines[-1] if lines else "pytest printed nothing")
