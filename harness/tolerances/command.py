"""The command ``tolerances``."""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from harness.command.options import say
from harness.error import UsageError
from harness.tolerances.place import Answer, Suite, merge
from harness.wording.number import count

RAN = {0, 1}
"""Exit codes of pytest after the tests have run: all passed, or some failed."""

_ERRORS = (r"E +(\w*(?:Error|Exception|Exit)\b.*)", r".*: error: (.*)", r"ERROR: (.*)")
"""Lines of pytest that name an error: of a module, of an option, and of a path."""


def tolerances(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders and options of pytest.", metavar="ARGUMENT", show_default="all tests"),
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="List comparisons that are sound or not judged, too.")] = False,
) -> None:
    """Find the comparisons of a test suite whose tolerance accepts a wrong result, or refuses a right one.

    Examples
    --------
      harness tolerances tests
      harness tolerances tests/test_loss.py -k cross_entropy

    pytest runs in this environment and imports your code as it always does.
    Comparisons in tests that fail get no verdict.

    Exit codes:
      0  no comparison is vacuous
      1  a comparison accepts 0 in place of the result
      2  the suite did not run
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "-p", "harness.tolerances.plugin", "-q", "--no-header", "--tb=short"]
        done = subprocess.run(
            [*command, f"--harness-tolerances={folder}", *(arguments or ())],
            capture_output=True,
            text=True,
            check=False,
        )
        suite = merge([Suite.model_validate_json(file.read_bytes()) for file in Path(folder).glob("*.json")])
    if done.returncode not in RAN:
        raise UsageError("cannot judge the suite", rule=_explain(done.stdout, done.stderr), remedy="run pytest alone")
    shown = [Answer.VACUOUS, Answer.LOOSE, Answer.TIGHT, *([Answer.SOUND, Answer.UNJUDGED] if every else [])]
    for answer in shown:
        say(*(f"{answer.upper():<10}  {place.sentence}" for place in suite.places if place.answer is answer))
    say(_summarize(suite))
    raise typer.Exit(int(any(place.answer is Answer.VACUOUS for place in suite.places)))


def _explain(stdout: str, stderr: str) -> str:
    """Return why pytest did not run the tests: its first error, else its last line."""
    lines = [line.strip() for line in (stdout + stderr).splitlines() if line.strip()]
    found = (re.match(pattern, line) for pattern in _ERRORS for line in lines)
    return next((match[1] for match in found if match), lines[-1] if lines else "pytest printed nothing")


def _summarize(suite: Suite) -> str:
    """Return how many places have which verdict, why some have none, and the tests that failed."""
    counts = Counter(place.answer for place in suite.places)
    words = ", ".join(f"{counts[answer]} {answer}" for answer in Answer)
    reasons = Counter(place.reason.partition(" by ")[0] for place in suite.places if place.answer is Answer.UNJUDGED)
    why = f" ({', '.join(f'{reason} {count}' for reason, count in reasons.most_common())})" if reasons else ""
    failed = f"; {count(suite.failed, 'test')} failed, without verdicts" if suite.failed else ""
    return f"tolerances: {words}{why}, in {count(suite.passed, 'test')}{failed}"
