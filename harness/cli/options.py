"""What the commands share: consoles and progress bars, the options that recur, the run they write into.

What needs torch is imported inside the commands, so that ``--help`` is quick.
"""

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment

from harness.case import FLOATS, Break
from harness.error import UsageError, did_you_mean, printable

if TYPE_CHECKING:
    from harness.cli.session import Session
    from harness.record import RunFolder

PLAIN_WIDTH = 160
LEAST_WIDTH = 20
"""What ``COLUMNS`` asks for is at least as wide."""


class PlainConsole(Console):
    """A console on which no text of somebody else's, wherever it stands, is an escape code."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is to be printed, with the control characters of texts replaced; those of ours are no text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def say(text: str) -> None:
    """Print a line on standard output, without control characters."""
    print(printable(text), flush=True)


def console(*, stderr: bool = False) -> Console:
    """A console of the terminal's width; in a pipe or a file a plain one, as wide as ``COLUMNS`` says or widely."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    asked = os.environ.get("COLUMNS", "")
    width = int(asked) if asked.isdecimal() and int(asked) >= LEAST_WIDTH else PLAIN_WIDTH
    return PlainConsole(stderr=stderr, width=None if terminal else width, soft_wrap=not terminal, highlight=False)


TargetArgument = Annotated[
    str,
    typer.Argument(help="A package of cases, file.py:function, module:function, or an entry point.", metavar="TARGET"),
]


def complete_contract(incomplete: str) -> list[str]:
    """Name the contracts that begin so, for the shell."""
    from harness.contracts import contracts

    return [name for name in contracts() if name.startswith(incomplete)]


def complete_law(context: typer.Context, incomplete: str) -> list[str]:
    """Name the laws that begin so, of the contract where one is given already, for the shell."""
    from harness.contracts import contracts

    owners = [contract for contract in contracts().values() if context.params.get("contract") in {None, contract.name}]
    return sorted({law.name for contract in owners for law in contract.laws if law.name.startswith(incomplete)})


RunOption = Annotated[
    str | None, typer.Option("--run", help="Run to write into: a name below .harness/runs, or a path.")
]
FormulaOption = Annotated[
    str | None,
    typer.Option("--formula", help="Mathematics that it computes, such as 'x * tanh(x)'; or file.py:function."),
]
FormOption = Annotated[
    str | None, typer.Option("--form", help="How one computes that formula; it is judged against this form.")
]
InputOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input", help="What an input of the formula may be: x=positive, p=distribution, t=-1..1, keep=mask."
    ),
]
OverOption = Annotated[
    str, typer.Option("--over", help="What the formula is reduced over: rows, or all that the function is given.")
]


def claimed_contract(
    contract: str | None, formula: str | None, form: str | None, inputs: list[str] | None, over: str
) -> str | None:
    """Return the contract that the options say: by its name, or a formula's.

    Raises
    ------
    UsageError
        If they say two, or the formula is none.
    """
    if formula is None:
        for name, given in (("--form", form), ("--input", inputs)):
            if given:
                raise UsageError(rule=f"`{name}` goes with `--formula`", value="none")
        return contract
    if contract is not None:
        raise UsageError(rule="a function is checked against a contract or a formula", value="both")
    from harness.formula.grammar import parsed
    from harness.formula.spelling import stated_inputs, written

    spelled = written(formula, form, stated_inputs(inputs or []), over=over)
    parsed(spelled)
    return spelled.text


CallOption = Annotated[
    str | None,
    typer.Option(
        "--call",
        help="How to call what has another signature: numpy or jax(axis=-1), file.py:adapter, or an expression.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print no tables: the run and its report have them.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of the draws.")]
DataOption = Annotated[
    str | None,
    typer.Option("--data", help="Folder with the Fashion-MNIST files, or `synthetic`; else $FASHION_MNIST."),
]


def progress() -> Progress:
    """Return a progress bar on standard error; none where that is no terminal."""
    left = TimeRemainingColumn(compact=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), left, TextColumn("{task.description}"))
    screen = console(stderr=True)
    # It stays there while what an implementation prints is sent elsewhere.
    screen.file = sys.stderr
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)


def session(run: str | None, seed: int | None = None, *, fresh: bool = False) -> "Session":
    """Open the run that ``--run`` names; where it names none, what takes records and keeps them nowhere."""
    from harness.cli.session import Session, Unrecorded
    from harness.record import SEED

    return Unrecorded() if run is None else Session(run, seed=SEED if seed is None else seed, fresh=fresh)


def run_folder(name: str) -> "RunFolder":
    """Return the run of a name below ``.harness/runs``, or of a path."""
    from harness.record import RunFolder

    return RunFolder.named(name)


def conventions(declared: list[str]) -> dict[str, Any]:
    """Read what ``--declare`` says."""
    conventions: dict[str, Any] = {}
    for text in declared:
        name, separator, value = text.partition("=")
        if not separator:
            raise UsageError(rule="`--declare` takes NAME=VALUE", value=f"`{text}`")
        try:
            conventions[name] = float(value)
        except ValueError:
            conventions[name] = value
    return conventions


def say_claim(target: str, contract: str | None, contracts: Iterable[str]) -> None:
    """Say what a function was checked as, where only its name said so.

    Parameters
    ----------
    target, contract
        As the user named them.
    contracts
        Those of the records.
    """
    claimed = next(iter(contracts), None)
    if contract is None and ":" in target and claimed is not None:
        say(f"checked as {claimed} (from its name; `--contract` says otherwise)")


def declared_breaks(declared: list[str]) -> dict[str, Break]:
    """Read ``LAW[:DTYPE,...][=REASON]``.

    Raises
    ------
    UsageError
        If a dtype is none.
    """
    read = {}
    for text in declared:
        claim, _, reason = text.partition("=")
        law, _, dtypes = claim.partition(":")
        broken_in = names(dtypes) or FLOATS
        for name in broken_in:
            if name not in FLOATS:
                raise UsageError(
                    rule=f"`--breaks` takes LAW[:DTYPE,...][=REASON], a dtype being {', '.join(FLOATS)}",
                    value=f"`{text}`",
                    remedy=did_you_mean(name, FLOATS),
                )
        read[law] = Break(reason or "declared on the command line", broken_in)
    return read


def names(text: str | None) -> tuple[str, ...]:
    """Read names separated by commas."""
    return tuple(name.strip() for name in text.split(",")) if text else ()
