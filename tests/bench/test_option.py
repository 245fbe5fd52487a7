"""One declaration of a suite's options defines the settings, pytest's options and the command's help."""

import argparse
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.bench.option import FULL, OPTIONS, Settings, Shape, flag
from harness.cli import app

EVERYTHING = Settings(
    contract="softmax",
    batch_sizes=(1, 32),
    workers=(0, 2),
    sizes=(8,),
    shapes=(Shape(4, 8), Shape(16, 2)),
    data="synthetic",
    images=5,
    seconds=0.5,
    data_sets=("parquet", "jpeg"),
    split="train",
    dataset="file.py:factory",
    prefetch=(2, 4),
    pin=True,
    persistent=False,
    start_method="spawn",
    timeout=1.5,
)


def read(*arguments: str) -> dict[str, Any]:
    """Read arguments as pytest does."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    for name, option in OPTIONS.items():
        parser.add_argument(flag(name), **option.keywords())
    return {name.removeprefix("harness_"): value for name, value in vars(parser.parse_args(arguments)).items()}


def test_what_starts_a_suite_is_what_the_suite_reads() -> None:
    """Each option is converted to text and back."""
    assert set(EVERYTHING.given()) == set(vars(EVERYTHING))
    absent = dict.fromkeys(("progress", "scratch", "memory"))
    assert read(*EVERYTHING.arguments()) == {**vars(EVERYTHING), "cases": "cases", **absent}


def test_what_is_absent_is_as_the_suite_has_it() -> None:
    """An absent option or an empty list is neither passed on nor read."""
    assert Settings(workers=[]).arguments() == []
    assert {value for name, value in read().items() if name != "cases"} == {None}


@pytest.mark.parametrize("text", ["0,-1", "1,,2", "many", ""])
def test_what_is_no_number_is_refused_with_what_would_be(text: str) -> None:
    """The message has the rule and the text."""
    with pytest.raises(argparse.ArgumentTypeError, match="whole numbers from 0 separated by commas, got `"):
        OPTIONS["workers"].parse(text)


@pytest.mark.parametrize("text", ["256", "4x", "0x3", "4x5x6", ""])
def test_a_text_that_is_no_shape_is_refused_with_an_example(text: str) -> None:
    """Rows, an `x`, and columns."""
    with pytest.raises(argparse.ArgumentTypeError, match="shapes such as `256x10` separated by commas, got `"):
        OPTIONS["shapes"].parse(text)


def test_a_word_stands_for_the_whole_range() -> None:
    """The command and pytest accept it."""
    assert read("--harness-batch-sizes=full")["batch_sizes"] == FULL


def test_the_command_says_of_an_option_what_is_declared() -> None:
    """The help is the same word for word."""
    said = " ".join(CliRunner().invoke(app, ["bench", "--help"], env={"COLUMNS": "200"}).output.split())
    own = {"sizes", "images", "data"}  # the first two are for tests, and other commands have the third too
    for name in set(vars(EVERYTHING)) - own:
        assert flag(name).replace("harness-", "") in said
        assert OPTIONS[name].help in said
