"""The options of the suites, each declared once. It imports no torch.

Each field of :class:`Settings` is the option ``--harness-<field>`` of the suites; its :class:`Option` defines parser
and help. The arguments of a suite, the options of its pytest plugin, the defaults and the help of ``harness bench``
follow from it.
"""
# ruff: noqa: RUF009 - a call in a default makes a field here, as dataclasses' own does

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from harness.calling.discovery import SHIPPED

FULL = (1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536)
"""All batch sizes of a training step."""

Split = Literal["train", "test"]
StartMethod = Literal["fork", "spawn", "forkserver"]


# Parsers


@dataclass(frozen=True, eq=False)
class Numbers:
    """Reads whole numbers of at least ``least``, separated by commas; ``words`` are names of several numbers."""

    least: int
    words: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __call__(self, text: str) -> tuple[int, ...]:
        """Return the numbers.

        Raises
        ------
        argparse.ArgumentTypeError
            If the text has another form.
        """
        if text in self.words:
            return self.words[text]
        numbers = [number.strip() for number in text.split(",")]
        if not all(number.isdecimal() and int(number) >= self.least for number in numbers):
            raise argparse.ArgumentTypeError(f"{self}, got `{text}`")
        return tuple(map(int, numbers))

    def __str__(self) -> str:
        """Return the accepted form in words."""
        numbers = f"whole numbers from {self.least} separated by commas"
        return ", or ".join([numbers, *(f"`{word}`" for word in self.words)])


def names(text: str) -> tuple[str, ...]:
    """Split names separated by commas."""
    return tuple(part.strip() for part in text.split(",")) if text else ()


class Shape(NamedTuple):
    """Rows and columns of the input of an operation."""

    rows: int
    columns: int

    def __str__(self) -> str:
        """Return the shape as the option takes it."""
        return f"{self.rows}x{self.columns}"


class Shapes:
    """Reads shapes such as ``256x10``, separated by commas."""

    def __call__(self, text: str) -> tuple[Shape, ...]:
        """Return the shapes.

        Raises
        ------
        argparse.ArgumentTypeError
            If the text has another form.
        """
        sides = [part.strip().split("x") for part in text.split(",")]
        if not all(len(pair) == 2 and all(side.isdecimal() and int(side) > 0 for side in pair) for pair in sides):
            raise argparse.ArgumentTypeError(f"{self}, got `{text}`")
        return tuple(Shape(int(rows), int(columns)) for rows, columns in sides)

    def __str__(self) -> str:
        """Return the accepted form in words."""
        return "shapes such as `256x10` separated by commas"


class Switch(Enum):
    """Form of an option without a value."""

    ON = "given where it is so"
    EITHER = "given where it is so, and with `no-` where it is not"


# Declarations


@dataclass(frozen=True)
class Option:
    """Declaration of an option.

    Parameters
    ----------
    help
        Help text.
    metavar
        Placeholder of the value.
    parse
        Parser of the value.
    choices
        Possible values, if there are few.
    least
        Smallest number.
    switch
        Form of an option without a value.
    default
        Default value.
    of_dataset
        Whether it affects only the loader of a user's data set.
    in_every_session
        Whether the pytest plugin of the harness declares it, which is active in every session.
    """

    help: str
    metavar: str | None = None
    parse: Callable[[str], Any] = str
    choices: Sequence[str] = ()
    least: float | None = None
    switch: Switch | None = None
    default: str | None = None
    of_dataset: bool = False
    in_every_session: bool = False

    @property
    def takes_several(self) -> bool:
        """Whether the value is a list."""
        return self.parse is names or isinstance(self.parse, Numbers | Shapes)

    def keywords(self) -> dict[str, Any]:
        """Return the keywords of ``argparse`` for this option."""
        about: dict[str, Any] = {"help": self.help, "default": self.default}
        if self.switch is Switch.ON:
            return about | {"action": "store_true"}
        if self.switch is Switch.EITHER:
            return about | {"action": argparse.BooleanOptionalAction}
        return about | ({"choices": self.choices} if self.choices else {"metavar": self.metavar, "type": self.parse})


def _option(help: str, *texts: Any, absent: Any = None, **options: Any) -> Any:  # noqa: A002 - argparse's word
    """Return a field that is an option, with the value ``absent`` as default."""
    return field(default=absent, metadata={Option: Option(help, *texts, **options)})


@dataclass(frozen=True)
class Settings:
    """The options of a suite; absent ones have the default of the suite."""

    contract: str | None = _option("Contract of a single function, or the only contract to time.", "NAME")
    batch_sizes: Sequence[int] = _option(
        "Batch sizes, comma-separated; `full` is 1 to 65,536.", "N,...", Numbers(1, {"full": FULL}), absent=()
    )
    workers: Sequence[int] = _option("Numbers of workers, comma-separated.", "N,...", Numbers(0), absent=())
    sizes: Sequence[int] = _option(
        "Lengths of vectors or sides of matrices for vectorization, comma-separated.", "N,...", Numbers(1), absent=()
    )
    shapes: Sequence[Shape] = _option(
        "Shapes for operations, comma-separated. [default: 256x10,1024x1024]", "ROWSxCOLUMNS,...", Shapes(), absent=()
    )
    data: Path | str | None = _option("Folder with the Fashion-MNIST files, or `synthetic`.", "FOLDER")
    images: int | None = _option("Maximum number of images in an epoch.", "N", int)
    seconds: float | None = _option(
        "Measuring time for each benchmark, in seconds.", "SECONDS", float, least=0.0, in_every_session=True
    )
    data_sets: Sequence[str] = _option(
        "File formats of data sets for the loaders, comma-separated.", "NAME,...", names, absent=()
    )
    split: Split | None = _option("Images that loaders load. [default: test]", choices=get_args(Split))
    dataset: str | None = _option("Your own data set: module:factory or file.py:factory.", "TARGET")
    prefetch: Sequence[int] = _option(
        "Prefetch factors: batches that each worker prepares in advance, comma-separated.",
        "N,...",
        Numbers(1),
        absent=(),
        of_dataset=True,
    )
    pin: bool = _option("Put batches into page-locked memory.", absent=False, switch=Switch.ON, of_dataset=True)
    persistent: bool | None = _option("Keep workers alive between epochs.", switch=Switch.EITHER, of_dataset=True)
    start_method: StartMethod | None = _option(
        "Start method of workers.", choices=get_args(StartMethod), of_dataset=True
    )
    timeout: float | None = _option(
        "Time limit for a loader in one configuration, in seconds.", "SECONDS", float, least=0.0
    )

    def arguments(self) -> list[str]:
        """Return the arguments for pytest."""
        return [argument for name in self.given() for argument in arguments(name, getattr(self, name))]

    def given(self) -> list[str]:
        """Return the names of the options with a value."""
        return [option.name for option in fields(self) if getattr(self, option.name) not in (option.default, [])]


OPTIONS: Mapping[str, Option] = {
    "cases": Option("Package of cases, file.py:function or module:function.", "TARGET", default=SHIPPED),
    **{option.name: option.metadata[Option] for option in fields(Settings)},
    "progress": Option("File descriptor for progress. The suite ends when its reader closes it.", "FD", int),
    "scratch": Option("Folder to remove when the suite ends.", "FOLDER"),
    "memory": Option("Growth of memory that user code is allowed.", "BYTES", int),
}
"""All options of the suites, by name."""


def flag(name: str) -> str:
    """Return the flag of an option for pytest."""
    return f"--harness-{name.replace('_', '-')}"


def arguments(name: str, value: object) -> list[str]:
    """Return the arguments for pytest that give an option this value."""
    if OPTIONS[name].switch is not None:
        return [flag(name) if value else flag(name).replace("--", "--no-", 1)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = ",".join(map(str, value))
    return [f"{flag(name)}={value}"]
