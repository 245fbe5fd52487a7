"""Reproductions of defects in a fresh Python process, which imports nothing of this project."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from packaging.version import Version
from wild.defect import RIGHT_ULP, WRONG_ULP, Defect, error_ulp

RECORD = Path(__file__).with_name("reproduced.jsonl")
"""What each line printed, with each tried version of its package."""

_PROGRAM = """
import contextlib, io, json, sys
from importlib.metadata import version
for package, line in json.load(sys.stdin):
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(line, {})
        error = ""
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    print(json.dumps([version(package), out.getvalue(), error]))
"""


@dataclass(frozen=True)
class Reproduction:
    """Output of the line of a defect, and of its fix, with a version of the package."""

    function: str
    version: str
    printed: str
    fixed: str

    def is_wrong(self, defect: Defect) -> bool:
        """Whether the defect is still there."""
        return error_ulp(defect, self.printed) > WRONG_ULP

    def is_fixed(self, defect: Defect) -> bool:
        """Whether the fix prints the true value."""
        return error_ulp(defect, self.fixed) <= RIGHT_ULP


class MissingPackageError(Exception):
    """A package is not installed."""


def reproduced(defects: Sequence[Defect], python: str = sys.executable) -> list[Reproduction]:
    """Run the lines of the defects in one fresh process, and return what they printed."""
    lines = [(one.package, f"{one.line}; print({one.fixed})") for one in defects]
    done = subprocess.run(
        [python, "-P", "-W", "ignore", "-c", _PROGRAM],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        check=False,
    )
    results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    if len(results) < len(defects):
        raise MissingPackageError(
            f"{defects[len(results)].package}: {(done.stderr.splitlines() or ['the process ended'])[-1]}"
        )
    found = []
    for defect, (version, printed, error) in zip(defects, results, strict=True):
        if error.startswith(("ModuleNotFoundError", "ImportError")):
            raise MissingPackageError(f"{defect.package}: {error}")
        if error:
            raise RuntimeError(f"{defect.line}\n{error}")
        wrong, fixed = printed.split()
        found.append(Reproduction(defect.function, version, wrong, fixed))
    return found


def is_installed(package: str) -> bool:
    """Whether this Python has the package."""
    try:
        installed_version(package)
    except PackageNotFoundError:
        return False
    return True


def complaint(defect: Defect, found: Reproduction) -> str:
    """Return what is not as the entry says; empty if it is."""
    if not defect.mended_in and not found.is_wrong(defect):
        return f"{defect.function} is mended in {defect.package} {found.version}: set `mended_in` of the entry"
    if defect.mended_in and Version(found.version) >= Version(defect.mended_in) and found.is_wrong(defect):
        return f"{defect.function} is still wrong in {defect.package} {found.version}, and prints {found.printed}"
    if not found.is_fixed(defect):
        return f"the fix of {defect.function} prints {found.fixed}, which is not the true value"
    return ""


def read() -> list[Reproduction]:
    """Return the recorded reproductions."""
    return [Reproduction(**json.loads(line)) for line in RECORD.read_text(encoding="utf-8").splitlines()]


def add(found: Sequence[Reproduction]) -> None:
    """Record reproductions, and forget older ones of the same function and version."""
    known = {(one.function, one.version): one for one in (read() if RECORD.exists() else [])}
    known |= {(one.function, one.version): one for one in found}
    lines = [json.dumps(asdict(known[key])) for key in sorted(known)]
    RECORD.write_text("\n".join(lines) + "\n", encoding="utf-8")
