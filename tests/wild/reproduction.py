"""The recorded reproductions of defects, and what is not as their entries say."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from packaging.version import Version

from harness.adoption.defect import Defect, Reproduction, reproduce

RECORD = Path(__file__).with_name("reproduced.jsonl")
"""What each line printed, with each tried version of its package."""

MISSING = ("ModuleNotFoundError", "ImportError", "importlib.metadata.PackageNotFoundError")
"""Errors of packages that are not installed."""


class MissingPackageError(Exception):
    """A package is not installed."""


def reproduced(defects: Sequence[Defect], python: str = sys.executable) -> list[Reproduction]:
    """Run the lines of the defects in one fresh process, and return what they printed."""
    found = []
    for defect, output in zip(defects, reproduce(defects, python), strict=True):
        if isinstance(output, Reproduction):
            found.append(output)
        elif output.startswith(MISSING):
            raise MissingPackageError(f"{defect.package}: {output}")
        else:
            raise RuntimeError(f"{defect.line}\n{output}")
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
