"""Usage errors, names in messages, and suggestions for misspelt names.

A usage error is a plain message and exit code 2, without a traceback. A missing optional package is one.
"""

import re
import sys
import traceback
from collections.abc import Iterable
from difflib import SequenceMatcher
from importlib.util import find_spec

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Replace the control, bidirectional and surrogate characters of untrusted text; line breaks and tabs stay.

    Such characters could start an escape sequence in a terminal or reorder the text of a document.
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


class UsageError(Exception):
    """A user's request that cannot be carried out.

    The message is one line: the problem, then the rule and the value, then the remedy. An example is ``cannot select
    law `vaule`: `--law` takes a law of `softmax`, got `vaule`; did you mean `value`?``

    Parameters
    ----------
    problem
        What failed, such as ``cannot read the run``; names that the user can type are in backquotes.
    rule
        The rule that was broken.
    value
        The value that broke it.
    place
        File, line, option or argument that has the value.
    remedy
        A way out, in the imperative.
    """

    def __init__(
        self,
        problem: str,
        *,
        rule: str | None = None,
        value: str | None = None,
        place: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.rule = rule
        self.value = value
        self.place = place
        self.remedy = remedy
        super().__init__(problem, rule, value, place, remedy)

    def _render_traceback_(self) -> list[str]:
        """Return the message for IPython, which calls this in place of printing frames that are not the user's."""
        return [f"{type(self).__name__}: {self}"]

    @property
    def parts(self) -> dict[str, str | None]:
        """The arguments by name, so that another process can rebuild the error."""
        return {name: getattr(self, name) for name in ("problem", "rule", "value", "place", "remedy")}

    def __str__(self) -> str:
        """Return the message on one line, without control characters."""
        where = f" in {self.place}" if self.place else ""
        got = f"got {self.value}" if self.value else None
        reason = ", ".join(part for part in (self.rule, got) if part)
        text = ": ".join(part for part in (f"{self.problem}{where}" if self.problem else "", reason) if part)
        if not self.problem:
            text += where
        way_out = f"; {self.remedy}" if self.remedy else ""
        return " ".join(printable(f"{text}{way_out}").split())


def join_names(names: Iterable[object]) -> str:
    """Join names that the user can type, in backquotes and separated by commas."""
    return ", ".join(f"`{name}`" for name in names)


def cell(file: str) -> str:
    """Return ``cell 3`` for the file of the third cell of a notebook; other files are returned unchanged.

    The kernel compiles each cell under the name of a temporary file.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    name = None if shell is None else shell.compile.format_code_name(file)
    return file if name is None else f"cell {name[1].removeprefix('In[').removesuffix(']')}"


_MODULES = {"pillow": "PIL"}
"""Modules whose name does not follow from the name of their package."""

_PACKAGES = {
    "bench": "jaxtyping pytest-benchmark torchvision",
    "cases": "jaxtyping torchvision",
    "dask": "distributed",
    "loaders": "jaxtyping pillow pyarrow pytest-benchmark torchvision",
    "peers": "datasets grain jaxtyping light-dataloader litdata pytest-benchmark spdl tensorloader torchdata "
    "torchvision webdataset",
    "report": "cloudpickle jinja2 matplotlib pandas pillow pyarrow",
}

EXTRAS = {
    extra: {package: _MODULES.get(package, package.replace("-", "_")) for package in packages.split()}
    for extra, packages in _PACKAGES.items()
}
"""The optional packages of each extra, with the module that each provides."""


def absence(extra: str, feature: str) -> UsageError | None:
    """Return the error of a feature whose optional packages are missing; ``None`` if all are installed."""
    missing = [package for package, module in EXTRAS[extra].items() if find_spec(module) is None]
    if not missing:
        return None
    names = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
    return UsageError(f"{feature} needs {names}", remedy=f"install `stability-harness[{extra}]`")


def require(extra: str, feature: str) -> None:
    """Raise the error of a feature whose optional packages are missing.

    Raises
    ------
    UsageError
        Such as ``the report needs matplotlib and pandas; install `stability-harness[report]```.
    """
    if error := absence(extra, feature):
        raise error


def reject_windows(platform: str) -> None:
    """Raise a usage error on Windows, where neither forks nor POSIX signals exist."""
    if platform == "win32":
        raise UsageError(
            "the harness does not run on Windows",
            rule="it needs Linux or macOS",
            remedy="use the Windows Subsystem for Linux (WSL)",
        )


MESSAGE = 240
"""Characters of an exception's text that are kept."""


def shorten_error(error: BaseException) -> str:
    """Return the first line of the text of an exception, cut to a length."""
    text = "".join(traceback.format_exception_only(error)).strip()
    first = text.splitlines()[0] if text else type(error).__name__
    return first if len(first) <= MESSAGE else f"{first[:MESSAGE]}..."


NEAR = 0.6
"""Minimum similarity, from 0 to 1, at which one name may be a misspelling of another."""

SPREAD = 0.1
"""Maximum distance from the best similarity at which another name is also suggested."""


def nearest(name: str, known: Iterable[object]) -> list[str]:
    """Return up to three known names similar to a typed one, best first.

    Case, hyphens, spaces and the suffix of Python files are ignored.
    """
    typed = _normalize(name)
    scores = {text: SequenceMatcher(None, typed, _normalize(text)).ratio() for text in map(str, known)}
    least = max(NEAR, max(scores.values(), default=0.0) - SPREAD)
    near = [candidate for candidate, score in scores.items() if score >= least]
    return sorted(near, key=lambda candidate: -scores[candidate])[:3]


def did_you_mean(name: str, known: Iterable[object], otherwise: str | None = None) -> str | None:
    """Suggest the known names similar to a typed one, or return ``otherwise`` if there are none."""
    near = nearest(name, known)
    return f"did you mean {' or '.join(f'`{candidate}`' for candidate in near)}?" if near else otherwise


def _normalize(name: str) -> str:
    return name.lower().removesuffix(".py").replace("-", "_").replace(" ", "_")
