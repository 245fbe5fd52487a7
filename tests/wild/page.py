"""The page in ``docs``: a table of all defects, and a section for each."""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.version import Version
from wild.catalog import by_package
from wild.defect import DIGITS

from harness.adoption.defect import RIGHT_ULP, WRONG_ULP, Defect, Reproduction

PAGE = Path(__file__).parents[2] / "docs" / "found-in-the-wild.md"

_HEAD = """# Found in the wild

These are numerical defects of published packages: {defects} in {packages} packages. Each has a line that you can paste
into a terminal. The line does not use this project.

A function is listed if

* its package documents its mathematics, and the input is an ordinary number;
* the result is NaN, infinite, or wrong by more than {wrong:,.0f} units in the last place (ulp);
* a simple form keeps the digits: the result of the fix is within {right:.0f} ulp.

A documented limit of accuracy is no defect here, and neither is the loss of a few digits. Most defects matter rarely,
and the page says when. Well-known packages are listed because many people use them. They are not worse than others.

* *True* is the value that mpmath computes from the definition with {digits} digits.
* *Also in* names other releases that were tried and print a wrong number too.
* *Found by* is `harness check`, whose command is shown below, or the reading of code with the mistakes in mind that the
  harness knows. The harness itself reports some of the latter as lost digits, because it allows more to a formula as
  written. Commands for Keras need `KERAS_BACKEND=torch`.

`harness doctor --packages` runs the lines of the packages that you have installed, and prints for each defect whether
it is present, corrected or not installed, and the way around it; `--fail-if-present` is for CI. `python -m wild --run`
in `tests/` reproduces the defects of installed packages, each in a fresh process, and `python -m wild` writes this
page. A test fails when a release has corrected a defect. Python {python}, {machine}.

| function | prints | true | release | also in | found by |
|---|---:|---:|---|---|---|
{table}
"""

_SECTION = """### {function}

```sh
{line}
```

* It should compute {documented}. {printed}
* It matters when {matters}
* The fix is {fix}, which gives {fixed}.
* {found}
"""


def page(reproductions: Sequence[Reproduction]) -> str:
    """Return the text of the page."""
    of: dict[str, list[Reproduction]] = {}
    for one in reproductions:
        of.setdefault(one.function, []).append(one)
    groups = {
        package: [one for one in defects if one.function in of]
        for package, defects in sorted(by_package().items())
        if any(one.function in of for one in defects)
    }
    shown = [one for defects in groups.values() for one in defects]
    head = _HEAD.format(
        defects=len(shown),
        packages=len(groups),
        wrong=WRONG_ULP,
        right=RIGHT_ULP,
        digits=DIGITS,
        python=platform.python_version(),
        machine=platform.machine(),
        table="\n".join(_row(one, of) for one in shown),
    )
    sections = [
        f"## {package}\n\n" + "\n".join(_section(one, of[one.function]) for one in defects)
        for package, defects in groups.items()
    ]
    return "\n".join([head, *sections])


def _row(defect: Defect, of: Mapping[str, Sequence[Reproduction]]) -> str:
    found = _latest(of[defect.function])
    cells = [f"`{defect.function}`", found.printed, defect.value, f"{defect.package} {found.version}"]
    cells += [_also(defect, of[defect.function]) or "-", "harness" if defect.command else "reading"]
    return f"| {' | '.join(cells)} |"


def _section(defect: Defect, found: Sequence[Reproduction]) -> str:
    latest = _latest(found)
    printed = f"It prints {latest.printed} instead of {defect.value}."
    if defect.mended_in:
        printed += f" Mended in {defect.mended_in}."
    return _SECTION.format(
        function=defect.function,
        documented=defect.documented,
        matters=defect.matters[0].lower() + defect.matters[1:],
        line=shell(defect),
        printed=printed,
        fix=defect.fix,
        fixed=latest.fixed,
        found=f"Found by `harness check {defect.command}`." if defect.command else "Found by reading the code.",
    )


def shell(defect: Defect) -> str:
    """Return the line for a terminal."""
    return f'python -c "{defect.line}"'


def _latest(found: Sequence[Reproduction]) -> Reproduction:
    return max(found, key=lambda one: Version(one.version))


def _also(defect: Defect, found: Sequence[Reproduction]) -> str:
    others = sorted((Version(one.version), one) for one in found if one is not _latest(found) and one.is_wrong(defect))
    return ", ".join(one.version for _, one in others)
