"""One declaration of the settings is read by the command, explained in its help, and passed to the suites."""

import pytest
from typer.testing import CliRunner

from harness.bench.option import FULL, SETTINGS, Settings, Shape, numbers_parser, parse_shapes
from harness.cli import app
from harness.error import UsageError

EVERYTHING = Settings(
    contract="softmax",
    batch_sizes=[1, 32],
    workers=[0, 2],
    sizes=[8],
    shapes=[Shape(4, 8), Shape(16, 2)],
    data="synthetic",
    images=5,
    seconds=0.5,
    data_sets=["parquet", "jpeg"],
    split="train",
    dataset="file.py:factory",
    prefetch=[2, 4],
    pin=True,
    persistent=False,
    start_method="spawn",
    timeout=1.5,
)

OF_TESTS = {"sizes", "images"}
"""Settings without an option of the command."""


@pytest.mark.parametrize("settings", [EVERYTHING, Settings()])
def test_what_starts_a_suite_is_what_the_suite_reads(settings: Settings) -> None:
    """Each setting is converted to text and back, and an absent one stays absent."""
    assert SETTINGS.validate_json(SETTINGS.dump_json(settings)) == settings


@pytest.mark.parametrize("text", ["0,-1", "1,,2", "many", ""])
def test_what_is_no_number_is_refused_with_what_would_be(text: str) -> None:
    """The message has the rule and the text."""
    with pytest.raises(UsageError, match="it must be whole numbers from 0 separated by commas, got `"):
        numbers_parser("--workers", 0)(text)


@pytest.mark.parametrize("text", ["256", "4x", "0x3", "4x5x6", ""])
def test_a_text_that_is_no_shape_is_refused_with_an_example(text: str) -> None:
    """Rows, an `x`, and columns."""
    with pytest.raises(UsageError, match="it must be shapes such as `256x10` separated by commas, got `"):
        parse_shapes(text)


def test_a_word_stands_for_the_whole_range() -> None:
    """Other options do not know it."""
    assert numbers_parser("--batch-sizes", 1, {"full": FULL})("full") == FULL
    with pytest.raises(UsageError):
        numbers_parser("--workers", 0)("full")


def test_the_command_has_every_setting() -> None:
    """All but those of tests are options of the command."""
    help_ = CliRunner().invoke(app, ["bench", "--help"], env={"COLUMNS": "200"}).output
    assert {name for name in vars(EVERYTHING) if f"--{name.replace('_', '-')}" not in help_} == OF_TESTS
