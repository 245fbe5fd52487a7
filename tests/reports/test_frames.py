"""The frames of a report have one schema for all runs."""

import json
import math
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest
import samples.benchmarks
import samples.frames
import samples.run
from pydantic import BaseModel, Field

from harness.error import UsageError
from harness.record import RunFolder, Status, Verdict
from harness.record.bench import BenchRecord, LoaderRecord, StepRecord
from harness.reports.frame import FRAMES, Frames, frames
from harness.reports.frame.declaration import Column, Row, columns_of, frame


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_has_the_columns_and_types_of_its_schema(full: RunFolder, bare: RunFolder, name: str) -> None:
    """Names, types and order agree with the documentation, and keys are unique. A run without records has them too."""
    frame, empty = FRAMES[name](full), FRAMES[name](bare)
    assert len(frame)
    assert empty.empty
    assert list(empty.dtypes.items()) == list(frame.dtypes.items())
    assert not frame.duplicated(list(FRAMES[name].keys)).any()
    assert [(str(column), str(dtype)) for column, dtype in frame.dtypes.items()] == [
        (column.name, column.dtype) for column in FRAMES[name].columns
    ]


def test_the_frames_of_the_sample_are_as_recorded(tmp_path: Path) -> None:
    """The record has the columns of each frame with their order, types and values."""
    made, recorded = samples.frames.contents(tmp_path), samples.frames.recorded()
    assert list(made) == list(recorded)
    for name in recorded:
        assert list(made[name]["types"].items()) == list(recorded[name]["types"].items())
        pd.testing.assert_frame_equal(samples.frames.table(made[name]), samples.frames.table(recorded[name]), rtol=1e-9)


def test_a_frame_is_an_attribute_and_an_item_and_a_misspelt_one_is_neither(bare: RunFolder) -> None:
    """No name of a frame hides a method of the mapping."""
    read = frames(bare)
    assert list(read) == list(FRAMES)
    assert read.loaders is read["loaders"]
    assert not [name for name in FRAMES if hasattr(Frames, name)]
    with pytest.raises(AttributeError, match="loader"):
        _ = read.loader
    assert "loaders, 0 rows: One row for each timed loader configuration" in repr(read)


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_says_what_a_row_is_and_its_keys_are_columns(name: str) -> None:
    """Every column has a meaning, and column names are unique."""
    names = [column.name for column in FRAMES[name].columns]
    assert FRAMES[name].meaning.startswith("One row for each ")
    assert all(column.meaning for column in FRAMES[name].columns)
    assert len(names) == len(set(names))
    assert set(FRAMES[name].keys) < set(names)


class Measured(BaseModel):
    """A record whose fields are columns."""

    case: str = Field(description="what was measured")
    kind: Literal["first", "later"] = Field(description="which of them")
    rounds: int = Field(description="rounds measured")
    prefetch: int | None = Field(default=None, description="batches ahead")
    median_s: float | None = Field(default=None, description="median of the rounds")
    pin: bool | None = Field(default=None, description="whether memory is page-locked")
    cpu_us: tuple[float, ...] = Field(default=(), description="of each slice")
    rates: dict[str, float] = Field(default_factory=dict, description="of each configuration")
    note: str = ""


def test_a_field_of_a_record_is_a_column_with_its_name_type_and_description() -> None:
    """An optional integer is float64, because NaN is, and so is the median of a series.

    The type can be given explicitly.
    """
    assert columns_of(Measured, "case", "kind", "rounds", "prefetch", "median_s", "pin", "cpu_us") == (
        Column("case", "string", "what was measured"),
        Column("kind", "string", "which of them"),
        Column("rounds", "int64", "rounds measured"),
        Column("prefetch", "float64", "batches ahead"),
        Column("median_s", "float64", "median of the rounds"),
        Column("pin", "boolean", "whether memory is page-locked"),
        Column("cpu_us", "float64", "of each slice"),
    )
    assert columns_of(Measured, "pin", dtype="string") == (Column("pin", "string", "whether memory is page-locked"),)


@pytest.mark.parametrize(
    ("name", "reason"), [("rates", "neither text, number, bool nor series"), ("note", "no description")]
)
def test_a_field_that_makes_no_column_is_named(name: str, reason: str) -> None:
    """A table is no column type, and a column needs a meaning."""
    with pytest.raises(TypeError, match=rf"`Measured\.{name}`.*{reason}"):
        columns_of(Measured, name)


def test_further_fields_of_a_record_are_columns_without_a_declaration() -> None:
    """They follow the declared columns in order. Named fields and fields without a column type are left out."""

    @frame(*columns_of(Measured, "median_s", "case"), keys=("case",), further=Measured, without=("kind", "note"))
    def measured(run: RunFolder) -> list[Row]:
        """One row for each run."""
        return [{"case": run.head().name, "rounds": 9}]

    names = [column.name for column in measured.columns]
    assert names == ["median_s", "case", "rounds", "prefetch", "pin", "cpu_us", "record"]


@pytest.mark.parametrize(("suite", "kind"), [("loaders", LoaderRecord), ("steps", StepRecord)])
def test_every_field_of_a_loader_and_of_a_step_is_a_column_but_for_a_few(suite: str, kind: type[BenchRecord]) -> None:
    """A new field of a suite becomes a column automatically."""
    absent = set(kind.model_fields) - {column.name for column in FRAMES[suite].columns}
    series = {f"{name}_{kind}_us" for name in ("limit", "reference") for kind in ("wall", "cpu")}
    loaders = {*series, "wall_us", "slice_batches", "remark", "budget"}
    assert absent == {"loaders": loaders, "steps": {"phases_s", "formats", "remarks"}}[suite]


@pytest.mark.parametrize("name", FRAMES)
def test_every_row_names_the_record_it_comes_from(full: RunFolder, name: str) -> None:
    """The named line, or the named benchmark, has a record of the same case."""
    frame = FRAMES[name](full)
    assert frame["record"].notna().all()
    for case, record in zip(frame["case"], frame["record"], strict=True):
        file, _, number = record.partition(":")
        text = (full.path / file).read_text(encoding="utf-8")
        if file.endswith(".jsonl"):
            assert json.loads(text.splitlines()[int(number) - 1])["case"] == case
        else:
            assert json.loads(text)["benchmarks"][int(number) - 1]["extra_info"]["case"] == case


def test_the_ratio_is_zero_where_nothing_deviates_and_infinite_where_everything_does(bare: RunFolder) -> None:
    """An exact law has bound 0, an infinite deviation exceeds any bound, and a skipped law has no ratio."""
    pairs: list[tuple[Any, Any]] = [
        (0.0, 0.0),
        (3.0, 12.0),
        (1.0, 0.0),
        (math.inf, 64.0),
        (math.inf, math.inf),
        (None, None),
    ]
    verdicts = [
        samples.run.verdict(
            Status.HOLDS if deviation is None or deviation <= bound else Status.BROKEN,
            law=f"law {number}",
            deviation=deviation,
            bound=bound,
        )
        for number, (deviation, bound) in enumerate(pairs)
    ]
    bare.write(Verdict, verdicts)
    ratios = FRAMES["verdicts"](bare)["ratio"]
    assert ratios[:5].tolist() == [0.0, 0.25, math.inf, math.inf, math.inf]
    assert math.isnan(ratios[5])


def test_a_counterexample_is_flattened_into_its_row(bare: RunFolder) -> None:
    """Actual, expected and replay are in the row of a broken law, and missing in other rows."""
    bare.write(Verdict, [samples.run.verdict(Status.BROKEN), samples.run.verdict(law="other")])
    broken, holding = (row for _, row in FRAMES["verdicts"](bare).iterrows())
    assert math.isnan(broken["actual"])
    assert broken["expected"] == 1.0
    assert broken["replay"].startswith("harness check")
    assert pd.isna(holding["replay"])


def test_an_error_without_a_standard_error_is_unknown(bare: RunFolder) -> None:
    """With a standard error of 0 the result is unknown, neither 0 nor infinite."""
    estimate = samples.run.estimates()[0]
    bare.write(type(estimate), [estimate, estimate.model_copy(update={"standard_error": 0.0})])
    known, unknown = FRAMES["estimates"](bare)["error"]
    assert known == pytest.approx((estimate.learned - estimate.true) / estimate.standard_error)
    assert math.isnan(unknown)


def test_a_benchmark_of_no_time_is_refused(bare: RunFolder) -> None:
    """A median of 0 would give an infinite rate."""
    samples.benchmarks.write_suite(bare, "steps", [{**samples.benchmarks.step_entries()[0], "stats": {"median": 0.0}}])
    with pytest.raises(UsageError, match="`median`"):
        FRAMES["steps"](bare)


def test_a_suite_of_another_name_is_left_alone(bare: RunFolder) -> None:
    """Measurements of another suite are not loaders, even with the same fields."""
    samples.benchmarks.write_suite(bare, "mine", samples.benchmarks.loader_entries())
    assert FRAMES["loaders"](bare).empty
