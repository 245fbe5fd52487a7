"""A survey in the terminal is complete at 80 and at 180 columns, with each number on one line."""

import io

import pytest
import samples.run
from rich.console import Console

from harness.command import options
from harness.record import Breaking, Worst
from harness.surveyor.discovery import Discoveries
from harness.surveyor.display import print_survey


def breakings(*, single: bool) -> list[Breaking]:
    """Return the breaking points of a survey, or only those of its first function."""
    known = samples.run.breakings()
    return [breaking for breaking in known if not single or breaking.case == known[0].case]


def printed(width: int, *, single: bool) -> list[str]:
    """Return the lines of a survey on a screen of some columns."""
    stream, found = io.StringIO(), Discoveries()
    found.add([*breakings(single=single), *samples.run.worst(), *samples.run.accumulators()])
    console = Console(file=stream, width=width, soft_wrap=True, highlight=False)
    print_survey(console, found, single=single)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120, 180])
@pytest.mark.parametrize("single", [True, False])
def test_nothing_is_wider_than_the_screen_but_what_is_copied(width: int, *, single: bool) -> None:
    """A replay and each breaking point stay in one piece at any width."""
    lines = printed(width, single=single)
    assert [line for line in lines if len(line) > width and not line.startswith("  replay")] == []
    points = [breaking for breaking in breakings(single=single) if breaking.value is not None and breaking.declared]
    assert points
    for point in points:
        number = f"{point.value:g}" if point.value == int(point.value or 0) else repr(point.value)
        assert any(number in line for line in lines)


def test_a_narrow_screen_gets_a_list_and_a_wide_one_a_table() -> None:
    """The list has the dtype and its number on the same line."""
    assert any("float32 88.72283935546875" in line for line in printed(80, single=True))
    assert not any("│" in line for line in printed(80, single=True))
    assert any("│" in line for line in printed(180, single=True))


@pytest.mark.parametrize(
    ("width", "row"), [(80, "largest deviation and share of its"), (180, "deviation and share of its bound")]
)
def test_two_searches_that_end_at_the_same_numbers_are_one_row(width: int, row: str) -> None:
    """A result with a different share of the bound has a separate row with this share."""
    known = next(record for record in samples.run.worst() if record.dtype == "float32")
    again = known.model_copy(update={"objective": "ratio"})
    lines = worst_lines([known, again], width)
    assert sum("float32" in line for line in lines) == 1
    assert any(row in line for line in lines)
    apart = worst_lines([known, again.model_copy(update={"bound": known.bound / 2})], width)
    assert sum("float32" in line for line in apart) == 2
    assert sum("share of its bound" in line for line in apart) == 1


def worst_lines(records: list[Worst], width: int) -> list[str]:
    """Return the lines about worst inputs in a survey of a single function."""
    stream, found = io.StringIO(), Discoveries()
    found.add(records)
    print_survey(Console(file=stream, width=width, soft_wrap=True, highlight=False), found, single=True)
    lines = [line.strip() for line in stream.getvalue().splitlines()]
    return [line for line in lines[lines.index("Worst found") :] if " breaks " not in line]


@pytest.mark.parametrize(("columns", "width"), [("80", 80), ("200", 200), ("7", 160), ("many", 160), ("", 160)])
def test_a_pipe_is_as_wide_as_columns_says(monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    """Without a valid width, the output is wide, because a program reads it."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert options.console().width == width
