"""Tables on screens that are too narrow for them."""

from io import StringIO

import pytest
import samples.benchmarks
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from harness.bench.command import print_results
from harness.display.table import is_whole, list_rows, print_sentence


def shown(table: Table, width: int) -> str:
    """Return a table as a plain screen of the given width shows it: whole, or as a list."""
    stream = StringIO()
    console = Console(file=stream, width=width, highlight=False)
    for line in (table,) if is_whole(console, table) else list_rows(table, width):
        console.print(line, markup=False, soft_wrap=not isinstance(line, Table))
    return stream.getvalue()


def wide() -> Table:
    """A table of 97 characters."""
    table = Table(Column("n", justify="right"), Column("case", overflow="fold"), title="Calls", title_justify="left")
    for heading in ("call", "quartiles", "to the fastest", "first call"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row("10", "vectorization.scratch.add", "47.2 us", "47.0 us to 47.5 us", "34.9", "524 us")
    table.add_row("10", Text("a[0].concise"), "1.35 us", "", "1", "–")
    return table


def test_a_table_is_a_list_where_it_does_not_fit() -> None:
    """The name begins a row, each number follows its heading, and an empty or unknown cell is omitted."""
    assert shown(wide(), 80) == (
        "Calls\n"
        "vectorization.scratch.add: n 10; call 47.2 us; quartiles 47.0 us to 47.5 us; to\n"
        "    the fastest 34.9; first call 524 us\n"
        "a[0].concise: n 10; call 1.35 us; to the fastest 1\n"
    )


@pytest.mark.parametrize("width", [100, 120, 160])
def test_a_table_is_a_table_where_there_is_room(width: int) -> None:
    """On a wide screen it may have folded columns."""
    assert "┃" in shown(wide(), width)


def test_a_wide_screen_gets_a_list_where_words_would_be_torn() -> None:
    """A long name does not fit next to numbers that cannot be folded."""
    table = wide()
    table.add_row("10", "vectorization.scratch." + "a_name_of_many_words" * 2, *["47.0 us to 47.5 us"] * 4)
    assert "┃" not in shown(table, 120)
    assert "a_name_of_many_words" * 2 in shown(table, 120)
    assert "┃" in shown(table, 200)


@pytest.mark.parametrize("suite", ["steps", "vectorization"])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_of_a_suite_is_wider_than_the_screen(suite: str, width: int) -> None:
    """No name is split: each case is whole on some line."""
    entries = {"steps": samples.benchmarks.step_entries(), "vectorization": samples.benchmarks.vectorization_entries()}
    document = {"benchmarks": entries[suite], "harness": {"skipped": []}}
    stream = StringIO()
    print_results(Console(file=stream, width=width, highlight=False, soft_wrap=True), suite, document)  # like a pipe
    rows = [line for line in stream.getvalue().splitlines() if "┃" in line or "│" in line]
    lines = rows if width == 120 else stream.getvalue().splitlines()  # there, a sentence is one line
    assert lines
    assert max(map(len, lines)) <= width
    assert any("training_step" in line or "vectorization." in line for line in lines)


def test_a_sentence_is_broken_between_words_on_a_narrow_screen_alone() -> None:
    """Continuation lines are indented.

    A wide output, such as a pipe, has the sentence on one line, which can be searched for.
    """
    text = "note: " + " ".join(["the kind of loader is the problem"] * 4)
    for width, lines in ((80, 2), (160, 1)):
        stream = StringIO()
        print_sentence(Console(file=stream, width=width, highlight=False), text)
        shown_lines = stream.getvalue().splitlines()
        assert len(shown_lines) == lines
        assert " ".join(stream.getvalue().split()) == text
        assert max(map(len, shown_lines)) <= width


def test_a_word_that_is_wider_than_the_screen_is_whole() -> None:
    """A path, for example, can still be copied."""
    table = Table("file")
    table.add_row("/" + 90 * "x")
    assert list(list_rows(table, 80)) == [f"/{90 * 'x'}:"]
