"""Environments in which pip installs other releases of torch, once each."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from harness.error import UsageError

ENVIRONMENTS = Path(".harness", "environments")

_CONFLICT = "The conflict is caused by:\n"


def find_interpreter(wanted: str) -> str:
    """Return a Python interpreter: the one at a path, or one with a release of torch, which pip installs.

    Raises
    ------
    UsageError
        If the text is neither, or pip cannot install the release.
    """
    if Path(wanted).is_file():
        return str(Path(wanted).absolute())
    if not re.fullmatch(r"torch==[\w.+]+", wanted):
        rule = "it must be a release, such as `torch==2.13.0`, or the path of a Python interpreter"
        raise UsageError(f"cannot compare `{wanted}`", rule=rule)
    folder = (ENVIRONMENTS / wanted).absolute()
    python, complete = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python"), folder / "complete"
    if not complete.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        run_program(f"cannot install `{wanted}`", sys.executable, "-m", "venv", str(folder))
        run_program(f"cannot install `{wanted}`", python, "-m", "pip", "install", wanted)
        complete.touch()
    return python


def run_program(problem: str, *words: str) -> None:
    """Run a program; the last line of its errors, or the conflict that pip names, is the reason of a usage error."""
    try:
        subprocess.run(words, capture_output=True, text=True, errors="replace", check=True)
    except OSError as error:
        raise UsageError(problem, rule=str(error)) from None
    except subprocess.CalledProcessError as error:
        conflict = error.stdout.partition(_CONFLICT)[2].partition("\n\n")[0].split("\n")
        last = error.stderr.strip().rpartition("\n")[2].removeprefix("ERROR: ")
        raise UsageError(problem, rule="; ".join(map(str.strip, conflict)) or last) from None
