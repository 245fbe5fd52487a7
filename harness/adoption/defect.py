"""Known numerical defects of published packages, and which of them this environment has.

Each defect is a line of Python that prints a wrong number, and a form that prints the right one. Both run in a fresh
process, which imports nothing of the harness.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.isolation.environment import user_environment

FILES = [Path(__file__).with_name("defects") / f"{name}.toml" for name in
         ("torch", "distributions", "jax", "statistics", "models")]  # fmt: skip

WRONG_ULP = 1000.0
"""A printed number with a larger error is a defect: about three of the seven digits of float32 are lost."""

RIGHT_ULP = 128.0
"""The number that the fix prints has at most this error."""

_FORMATS = {"float32": (2.0**-23, 2.0**-149), "float64": (2.0**-52, 5e-324)}
"""The spacing of numbers next to one, and the smallest number."""


@dataclass(frozen=True, kw_only=True)
class Defect:
    """A function that prints a wrong number, and a fix that prints the right one.

    ``setup``, ``wrong``, ``fixed`` and ``truth`` are source code: statements, two expressions that are printed, and an
    expression of functions of mpmath.
    """

    function: str
    documented: str
    """The mathematics that the documentation of the package promises."""
    setup: str
    wrong: str
    truth: str
    value: str
    """The true value with 20 digits."""
    matters: str
    """One sentence: for whom, and when."""
    fix: str
    """The form that keeps the digits, in Markdown."""
    fixed: str
    command: str = ""
    """The arguments of ``harness check`` that find the defect; empty if it was found by reading the code."""
    dtype: str = "float32"
    mended_in: str = ""
    """The first release without the defect."""
    pip: str = ""
    """The name for pip, if it is not that of the module."""

    @property
    def package(self) -> str:
        """The name for pip."""
        return self.pip or re.split("[. ]", self.function)[0].replace("_", "-")

    @property
    def line(self) -> str:
        """The line of Python that reproduces the defect."""
        return f"{self.setup}; print({self.wrong})"

    def compute_error_ulp(self, printed: str) -> float:
        """Return the error of a printed number in units in the last place; infinite if only one is finite."""
        truth, number = Decimal(self.value), Decimal(printed)
        if truth.is_nan() or number.is_nan():
            return 0.0 if truth.is_nan() and number.is_nan() else float("inf")
        if truth.is_infinite() or number.is_infinite():
            return 0.0 if truth == number else float("inf")
        eps, smallest = map(Decimal, _FORMATS[self.dtype])
        return float(abs(number - truth) / max(eps * abs(truth), smallest))


@cache
def read_defects() -> Sequence[Defect]:
    """Return all known defects."""
    texts = (file.read_text(encoding="utf-8") for file in FILES)
    return [Defect(**entry) for text in texts for entry in tomllib.loads(text)["defect"]]


@dataclass(frozen=True)
class Reproduction:
    """Output of the line of a defect, and of its fix, with a version of the package."""

    function: str
    version: str
    printed: str
    fixed: str

    def is_wrong(self, defect: Defect) -> bool:
        """Whether the defect is still there."""
        return defect.compute_error_ulp(self.printed) > WRONG_ULP

    def is_fixed(self, defect: Defect) -> bool:
        """Whether the fix prints the true value."""
        return defect.compute_error_ulp(self.fixed) <= RIGHT_ULP


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


def reproduce(defects: Sequence[Defect], python: str = sys.executable) -> list[Reproduction | str]:
    """Run the lines of defects in one fresh process, and return the output or the error of each."""
    lines = [(defect.package, f"{defect.line}; print({defect.fixed})") for defect in defects]
    process = subprocess.run(
        [python, "-P", "-W", "ignore", "-c", _PROGRAM],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        check=False,
        env=user_environment(),
    )
    rows = [json.loads(line) for line in process.stdout.splitlines() if line.startswith("[")]
    last = (process.stderr.splitlines() or ["the process ended"])[-1]
    rows += [["", "", last]] * (len(defects) - len(rows))
    return [
        error or Reproduction(defect.function, release, *printed.split())
        for defect, (release, printed, error) in zip(defects, rows, strict=True)
    ]


class State(StrEnum):
    """Whether this environment has a defect."""

    PRESENT = "present"
    CORRECTED = "corrected"
    ABSENT = "not installed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """A defect, its state in this environment, and the output or the error of its line."""

    defect: Defect
    state: State
    details: str

    def __str__(self) -> str:
        """Return the state, the function, its output and the way around it, in one line."""
        return f"{self.state.upper():<13}  {self.defect.function} ({self.details}); use {self.defect.fix}"


def examine_packages(defects: Sequence[Defect]) -> list[Finding]:
    """Run the defects of installed packages, and return a finding on each defect."""
    return [finding for package in dict.fromkeys(d.package for d in defects)
            for finding in _examine(package, [d for d in defects if d.package == package])]  # fmt: skip


def _examine(package: str, defects: Sequence[Defect]) -> list[Finding]:
    try:
        release = f"{package} {version(package)}"
    except PackageNotFoundError:
        return [Finding(defect, State.ABSENT, package) for defect in defects]
    findings = []
    for defect, output in zip(defects, reproduce(defects), strict=True):
        if isinstance(output, str):
            findings.append(Finding(defect, State.UNKNOWN, f"{release}: {output}"))
            continue
        state = State.PRESENT if output.is_wrong(defect) else State.CORRECTED
        wanted = f" instead of {defect.value}" if state is State.PRESENT else ""
        findings.append(Finding(defect, state, f"{release} prints {output.printed}{wanted}"))
    return findings
