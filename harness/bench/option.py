"""The settings of the suites, each declared once. It imports no torch.

Each field of :class:`Settings` that is annotated with an option is one of ``harness bench``. The process of a suite
gets all of them as JSON.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import typer
from pydantic import TypeAdapter

from harness.command.options import DataOption, split_names
from harness.command.panels import LOADERS, thorough_option
from harness.error import UsageError

FULL = (1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536)
"""All batch sizes of a training step."""

Split = Literal["train", "test"]
StartMethod = Literal["fork", "spawn", "forkserver"]


class Shape(NamedTuple):
    """Rows and columns of the input of an operation."""

    rows: int
    columns: int

    def __str__(self) -> str:
        """Return the shape as the option takes it."""
        return f"{self.rows}x{self.columns}"


# Parsers


def numbers_parser(
    option: str, least: int, words: Mapping[str, tuple[int, ...]] | None = None
) -> Callable[[str], tuple[int, ...]]:
    """Return a parser of whole numbers from ``least``, separated by commas; ``words`` are names of several numbers."""
    known = words or {}
    rule = ", or ".join([f"whole numbers from {least} separated by commas", *(f"`{word}`" for word in known)])

    def parse(text: str) -> tuple[int, ...]:
        if text in known:
            return known[text]
        numbers = [number.strip() for number in text.split(",")]
        if not all(number.isdecimal() and int(number) >= least for number in numbers):
            raise UsageError(f"cannot read `{option}`", rule=f"it must be {rule}", value=f"`{text}`")
        return tuple(map(int, numbers))

    return parse


def parse_shapes(text: str) -> tuple[Shape, ...]:
    """Return shapes such as ``256x10``, separated by commas.

    Raises
    ------
    UsageError
        If the text has another form.
    """
    sides = [part.strip().split("x") for part in text.split(",")]
    if not all(len(pair) == 2 and all(side.isdecimal() and int(side) > 0 for side in pair) for pair in sides):
        rule = "it must be shapes such as `256x10` separated by commas"
        raise UsageError("cannot read `--shapes`", rule=rule, value=f"`{text}`")
    return tuple(Shape(int(rows), int(columns)) for rows, columns in sides)


# Declarations


def _loader_option(help: str, metavar: str | None = None, **more: Any) -> Any:  # noqa: A002 - typer's word
    return typer.Option(help=help, metavar=metavar, rich_help_panel=LOADERS, **more)


@dataclass(frozen=True)
class Settings:
    """The settings of a suite; absent ones have the default of the suite. The command does not have the last two."""

    contract: Annotated[
        str | None, typer.Option(help="Contract of a single function, or the only contract to time.", metavar="NAME")
    ] = None
    data: DataOption = None
    shapes: Annotated[
        Sequence[Shape] | None,
        typer.Option(
            help="Shapes for operations, comma-separated. [default: 256x10,1024x1024]",
            metavar="ROWSxCOLUMNS,...",
            parser=parse_shapes,
        ),
    ] = None
    dataset: Annotated[
        str | None, _loader_option("Your own data set: module:factory or file.py:factory.", "TARGET")
    ] = None
    split: Annotated[Split | None, _loader_option("Images that loaders load. [default: test]", "train|test")] = None
    batch_sizes: Annotated[
        Sequence[int] | None,
        _loader_option(
            "Batch sizes, comma-separated; `full` is 1 to 65,536.",
            "N,...",
            parser=numbers_parser("--batch-sizes", 1, {"full": FULL}),
        ),
    ] = None
    workers: Annotated[
        Sequence[int] | None,
        _loader_option("Numbers of workers, comma-separated.", "N,...", parser=numbers_parser("--workers", 0)),
    ] = None
    prefetch: Annotated[
        Sequence[int] | None,
        _loader_option(
            "Prefetch factors: batches that each worker prepares in advance, comma-separated.",
            "N,...",
            parser=numbers_parser("--prefetch", 1),
        ),
    ] = None
    pin: Annotated[
        bool, typer.Option("--pin", help="Put batches into page-locked memory.", rich_help_panel=LOADERS)
    ] = False
    persistent: Annotated[bool | None, _loader_option("Keep workers alive between epochs.")] = None
    start_method: Annotated[StartMethod | None, _loader_option("Start method of workers.", "fork|spawn|forkserver")] = (
        None
    )
    data_sets: Annotated[
        Sequence[str] | None,
        _loader_option("File formats of data sets for the loaders, comma-separated.", "NAME,...", parser=split_names),
    ] = None
    timeout: Annotated[
        float | None,
        thorough_option(min=0.0, help="Time limit for a loader in one configuration, in seconds.", metavar="SECONDS"),
    ] = None
    seconds: Annotated[
        float | None,
        thorough_option(min=0.0, help="Measuring time for each benchmark, in seconds.", metavar="SECONDS"),
    ] = None
    sizes: Sequence[int] | None = None
    """Lengths of vectors, or sides of matrices, for the suite ``vectorization``."""
    images: int | None = None
    """Largest number of images in an epoch."""


SETTINGS = TypeAdapter(Settings)
"""Writes the settings as JSON, and reads them."""
