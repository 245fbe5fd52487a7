"""``python -m wild [WORD ...]``: write the page of defects in other packages; ``--run`` reproduces them first."""

import argparse
import sys

from wild.catalog import DEFECTS
from wild.page import PAGE, page
from wild.reproduction import MissingPackageError, add, complaint, read, reproduced

from harness.adoption.defect import Defect


def main() -> None:
    """Reproduce the defects whose function has one of the words, each in a fresh process, and write the page."""
    parser = argparse.ArgumentParser(prog="wild")
    parser.add_argument("words", nargs="*", help="parts of functions or packages; default: all")
    parser.add_argument("--run", action="store_true", help="reproduce the defects of installed packages first")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has the packages")
    options = parser.parse_args()
    complaints = []
    if options.run:
        for defect in DEFECTS:
            if not options.words or any(word in (defect.package, defect.function) for word in options.words):
                complaints += _run(defect, options.python)
    PAGE.write_text(page(read()), encoding="utf-8")
    if complaints:
        sys.exit("\n".join(complaints))


def _run(defect: Defect, python: str) -> list[str]:
    """Reproduce one defect, record it, and return what is not as the entry says."""
    try:
        (found,) = reproduced([defect], python)
    except MissingPackageError as missing:
        sys.stdout.write(f"skipped  {missing}\n")
        return []
    add([found])
    problem = complaint(defect, found)
    sys.stdout.write(f"{'CHANGED' if problem else 'wrong'}  {defect.function} {found.version}: {found.printed}\n")
    return [problem] if problem else []


if __name__ == "__main__":
    main()
