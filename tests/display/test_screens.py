"""The output of ``train``, ``prove`` and ``survey`` fits screens of 80 and 120 columns."""

from collections.abc import Callable
from io import StringIO

import pytest
import samples.run
import samples.screens
from rich.console import Console

from harness.display.verdict import print_training


def test_the_screens_are_as_recorded() -> None:
    """They are equal line by line."""
    assert samples.screens.screens() == samples.screens.RECORDED.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", samples.screens.WIDTHS)
@pytest.mark.parametrize("command", ["train", "prove", "survey"])
def test_no_line_is_wider_than_the_screen_and_no_name_is_torn(command: str, width: int) -> None:
    """The name of each case is whole on some line, and a replay is not wrapped."""
    lines = samples.screens.screen(command, width).splitlines()
    assert [line for line in lines if len(line) > width and not line.startswith("  replay")] == []
    assert any(".scratch." in line or ".concise.softmax" in line for line in lines)


@pytest.mark.parametrize(
    ("rows", "title"), [(samples.run.epochs, "Where training ended"), (samples.run.estimates, "Learned")]
)
def test_a_training_without_something_has_no_empty_table_of_it(rows: Callable[[], list[object]], title: str) -> None:
    """With curves alone, or parameters alone, there is a single table with its title."""
    stream = StringIO()
    print_training(Console(file=stream, width=160, highlight=False), rows())
    titles = [line for line in stream.getvalue().splitlines() if line.startswith(("Where training ended", "Learned"))]
    assert [line.startswith(title) for line in titles] == [True]
