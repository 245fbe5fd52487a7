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
    r"E {3}(\S.*)",
    r"_+ ERROR collecting .* _+\n(?!ImportError|.*:\d+: in )(.*)",
    r".*: error: (.*)",
    r"ERROR: (.*)",
    r"INTERNALERROR> (\w+Error: .*)",
)
"""Lines of pytest that name an error: of a module, without a traceback, of an option, of a path, and of a plugin."""

_PLACE = r"(?:(\S.*):(\d+): in |E +File \"(.*)\", line (\d+)$|_+ ERROR collecting (.*) _+$)"
"""Lines with the file, and in a traceback the line, of the next error."""


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
        suite = _read(folder)
        # With pytest-xdist, the code is that of a failed test even if no file can be collected.
        if process.returncode not in RAN or (process.returncode and not suite.passed + suite.failed):
            rule = "no tests ran" if process.returncode == NONE else _explain("".join(lines))
            raise UsageError("cannot judge the suite", rule=rule, remedy="run pytest alone")
        keep(suite)


def _read(folder: str) -> Suite:
    return merge([Suite.model_validate_json(file.read_bytes()) for file in Path(folder).glob("*.json")])


def _explain(output: str) -> str:
    """Return why pytest did not run the tests: its first error, with its file and line if it has one."""
    for pattern in _ERRORS:
        if error := re.search(f"^{pattern}", output, re.MULTILINE):
            places = list(re.finditer(f"^{_PLACE}", output[: error.start(1)], re.MULTILINE))
            place = ":".join(filter(None, places[-1].groups())).removeprefix(f"{Path.cwd()}{os.sep}") if places else ""
            return f"{place}: {error[1]}" if place else error[1]
    return (output.split("\n\n")[-1].strip() or "pytest printed nothing").splitlines()[-1]
