"""Shared parts of the commands: consoles, progress bars, common options, and the run that they write to.

The commands import torch only when they run, so that ``--help`` is quick.
"""

import contextvars
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, TextIO, cast

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment

from harness.calling.discovery import SHIPPED, declares_cases, find_own_package
from harness.calling.target import entry
from harness.case import FLOATS, Break
from harness.command.panels import output_option
from harness.error import UsageError, did_you_mean, join_names, printable

if TYPE_CHECKING:
    from harness.command.session import Session
    from harness.record import RunFolder

PLAIN_WIDTH = 160
LEAST_WIDTH = 20
"""Smaller values of ``COLUMNS`` are ignored."""


class PlainConsole(Console):
    """A console that never prints an escape code contained in a text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments to print, with the control characters of texts replaced."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))

    def on_broken_pipe(self) -> None:
        """Continue without output instead of exiting, as rich would."""
        discard_output()


def say(*lines: str) -> None:
    """Print lines on standard output, without control characters."""
    try:
        for line in lines:
            print(printable(line), flush=True)
    except BrokenPipeError:
        discard_output()


def discard_output(stream: TextIO | None = None) -> None:
    """Discard further output after its reader has gone, as with ``| head -1``; the exit code stays meaningful.

    Otherwise Python repeats the error at exit. The stream is standard output by default.
    """
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, (stream or sys.stdout).fileno())
    os.close(devnull)


def console(*, stderr: bool = False) -> Console:
    """Return a console of the terminal's width; for a pipe or a file, a plain one of ``COLUMNS`` or 160 columns."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() and int(columns) >= LEAST_WIDTH else PLAIN_WIDTH
    return PlainConsole(stderr=stderr, width=None if terminal else width, soft_wrap=not terminal, highlight=False)


TargetArgument = Annotated[
    str,
    typer.Argument(help="file.py:function, module:function, a package of cases, or an entry point.", metavar="TARGET"),
]


def complete_contract(incomplete: str) -> list[str]:
    """Return the contracts that start with a text, for shell completion."""
    from harness.contracts import contracts

    return [name for name in contracts() if name.startswith(incomplete)]


def complete_law(context: typer.Context, incomplete: str) -> list[str]:
    """Return the laws that start with a text, of the given contract if there is one, for shell completion."""
    from harness.contracts import contracts
    from harness.laws.transformation import laws_on_request

    owners = [contract for contract in contracts().values() if context.params.get("contract") in {None, contract.name}]
    laws = {law.name for contract in owners for law in (*contract.laws, *laws_on_request(contract))}
    return sorted(name for name in laws if name.startswith(incomplete))


CasesArgument = Annotated[
    str | None,
    typer.Argument(
        help="Cases, as for `harness check`.", metavar="TARGET", show_default="from pyproject.toml, else cases"
    ),
]
ContractOption = Annotated[
    str | None, typer.Option(help="Contract of a single function.", metavar="NAME", autocompletion=complete_contract)
]
RunOption = Annotated[
    str | None, output_option("--run", help="Run to write to: a name below .harness/runs, or a path.", metavar="RUN")
]
FreshOption = Annotated[bool, output_option("--fresh", help="Delete the run's earlier records first.")]


def reject_nothing(target: str, command: str) -> None:
    """Raise an error if the user names no target, and the user's own package ``cases`` declares no ``CASES``."""
    package = find_own_package() if target == SHIPPED else None
    if package is None or declares_cases(package):
        return
    reason = f"the package `{SHIPPED}` in this folder declares no `CASES`"
    remedy = f"name a function, as in `harness {command} homework.py:softmax`"
    raise UsageError(f"nothing to {command}", rule=reason, remedy=remedy)


def reject_unknown(names: Iterable[str], known: Iterable[object], what: str, *, option: str = "") -> None:
    """Raise an error for the first name that is not known, and suggest similar ones."""
    choices = list(map(str, known))
    for name in names:
        if name not in choices:
            rule = f"{f'`{option}` must be one of' if option else 'choose from'} {join_names(choices)}"
            raise UsageError(f"unknown {what} `{name}`", rule=rule, remedy=did_you_mean(name, choices))


QuietOption = Annotated[
    bool, output_option("--quiet", "-q", help="Print no tables; the run and its report contain them.")
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Folder with the Fashion-MNIST files, or `synthetic`.",
        show_default="$FASHION_MNIST",
        metavar="FOLDER",
    ),
]
JsonOption = Annotated[Path | None, output_option("--json", help="Write the results as JSON.", metavar="FILE")]
JunitOption = Annotated[Path | None, output_option("--junit", help="Write the results as JUnit XML.", metavar="FILE")]
MarkdownOption = Annotated[
    Path | None, output_option("--markdown", help="Write the results as Markdown.", metavar="FILE")
]


class OutputFormat(StrEnum):
    """Formats of the findings on standard output."""

    FULL = "full"
    CONCISE = "concise"
    GITHUB = "github"
    SARIF = "sarif"


OutputFormatOption = Annotated[
    OutputFormat,
    output_option(
        "--output-format",
        help="Format of the findings; concise has a line each, github annotations, sarif version 2.1.0.",
        metavar="|".join(OutputFormat),
    ),
]


@dataclass(frozen=True)
class Output:
    """The options for output: the run to write to, the files to write, and the format on standard output."""

    run: RunOption = None
    fresh: FreshOption = False
    json: JsonOption = None
    junit: JunitOption = None
    markdown: MarkdownOption = None
    output_format: OutputFormatOption = OutputFormat.FULL

    @property
    def is_full(self) -> bool:
        """Whether standard output is for a reader, and not for a program."""
        return self.output_format is OutputFormat.FULL

    def written(self, text_of: Callable[[str], str]) -> AbstractContextManager[list[str]]:
        """Write the files as :func:`write_files`."""
        return write_files({"json": self.json, "junit": self.junit, "markdown": self.markdown}, text_of)


def progress() -> Progress:
    """Return a progress bar on standard error; it is disabled if that is not a terminal."""
    remaining_time = TimeRemainingColumn(compact=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), remaining_time, TextColumn("{task.description}"))
    screen = console(stderr=True)
    # The bar keeps this stream while the output of an implementation is redirected.
    screen.file = sys.stderr
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)


collected: contextvars.ContextVar[dict[str, list[str]] | None] = contextvars.ContextVar("collected", default=None)
"""Texts by kind, which the check of several targets joins and writes; ``None`` if a file is written at once."""


@contextmanager
def write_files(files: Mapping[str, Path | None], text_of: Callable[[str], str]) -> Iterator[list[str]]:
    """Write files before the body prints the results, and yield the lines that name the files.

    Raises
    ------
    UsageError
        If a file cannot be written; the body runs first.
    """
    from harness.record import write_atomically

    failure: UsageError | None = None
    written = []
    for kind, file in files.items():
        if file is None:
            continue
        if (texts := collected.get()) is not None:
            texts.setdefault(kind, []).append(text_of(kind))
            continue
        try:
            write_atomically(file, text_of(kind))
            written.append(f"{kind}: {file}")
        except UsageError as error:
            failure = failure or error
    yield written
    if failure is not None:
        raise failure


class Unrecorded:
    """Stands for the session of a command without a run, and stores nothing."""

    def __init__(self) -> None:
        self.done = 0
        self.remarks: list[str] = []

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def _ignore(self, *_: object, **__: object) -> None:
        """Do nothing."""

    plan = expect = keep = discard = end = note_data = __exit__ = _ignore


def session(run: str | None, seed: int | None = None, *, fresh: bool = False) -> "Session":
    """Open the run that ``--run`` names; without a name, return a session that stores nothing."""
    if run is None:
        return cast("Session", Unrecorded())
    from harness.command.session import Session
    from harness.record import SEED

    return Session(run, seed=SEED if seed is None else seed, fresh=fresh)


def run_folder(name: str) -> "RunFolder":
    """Return the run with a name below ``.harness/runs``, or at a path."""
    from harness.record import RunFolder

    return RunFolder.find(name)


def read_conventions(declared: list[str]) -> dict[str, Any]:
    """Read the values of ``--declare``."""
    conventions: dict[str, Any] = {}
    for text in declared:
        name, separator, value = text.partition("=")
        if not separator:
            raise UsageError("cannot read `--declare`", rule="it must be NAME=VALUE", value=f"`{text}`")
        try:
            conventions[name] = float(value)
        except ValueError:
            conventions[name] = value
    return conventions


def say_claim(target: str, contract: str | None, contracts: Iterable[str], decided_by: str = "its name") -> None:
    """Print the contract of a function if the user did not name one, and the adapter of a known function."""
    claimed, library_entry = next(iter(contracts), None), entry(target)
    if ":" not in target or claimed is None:
        return
    if library_entry is not None and contract in {None, library_entry.claim}:
        called = f", called by `{library_entry.call}`" if library_entry.call and not library_entry.why else ""
        why = f"called {library_entry.why}" if library_entry.why else "known for this function"
        say(f"checked as {claimed}{called} ({why}; use `--contract` or `--formula` to change it)")
    elif contract is None:
        say(f"checked as {claimed} (from {decided_by}; use `--contract` to change it)")


def read_breaks(declared: list[str]) -> dict[str, Break]:
    """Read the values of ``--breaks``, each ``LAW[:DTYPE,...][=REASON]``.

    Raises
    ------
    UsageError
        If a dtype does not exist.
    """
    read = {}
    for text in declared:
        claim, _, reason = text.partition("=")
        law, _, dtypes = claim.partition(":")
        broken_in = split_names(dtypes) or FLOATS
        for name in broken_in:
            if name not in FLOATS:
                rule = f"it must be LAW[:DTYPE,...][=REASON] with a dtype of {join_names(FLOATS)}"
                near = did_you_mean(name, FLOATS)
                raise UsageError("cannot read `--breaks`", rule=rule, value=f"`{text}`", remedy=near)
        read[law] = Break(reason or "declared on the command line", broken_in)
    return read


def split_names(text: str | None) -> tuple[str, ...]:
    """Split comma-separated names."""
    return tuple(name.strip() for name in text.split(",")) if text else ()
