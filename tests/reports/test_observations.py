"""Observations: the numbers of several runs in one tidy frame."""

from pathlib import Path

import pandas as pd
import pytest
import samples.run

from harness import reports
from harness.error import UsageError
from harness.record import RunFolder, Verdict
from harness.reports.frame import frames


def test_the_columns_are_those_that_are_documented(full: RunFolder) -> None:
    """Names, types, order and meanings agree."""
    observations = reports.load(full.path)
    assert [(str(name), str(dtype)) for name, dtype in observations.dtypes.items()] == [
        (column.name, column.dtype) for column in reports.OBSERVATIONS
    ]
    assert all(column.meaning for column in reports.OBSERVATIONS)


def test_every_number_of_the_frames_is_one_row(full: RunFolder) -> None:
    """A rate is found by its keys, with its unit and its record."""
    rate = frames(full).loaders.iloc[0]
    observations = reports.load(full.path).query("frame == 'loaders' and measure == 'samples_per_s'")
    same = observations[
        (observations["case"] == rate["case"])
        & (observations["batch_size"] == rate["batch_size"])
        & (observations["workers"] == rate["workers"])
    ]
    assert len(observations) == len(frames(full).loaders)
    assert same[["value", "unit", "record"]].to_numpy().tolist() == [[rate["samples_per_s"], "1/s", rate["record"]]]


def test_an_unknown_value_has_no_row(full: RunFolder) -> None:
    """A missing number has no row. Each row has a value and names its record."""
    observations = reports.load(full.path)
    assert observations[["value", "unit", "record", "measure", "run"]].notna().all().all()
    assert (
        len(observations.query("frame == 'verdicts' and measure == 'actual'"))
        == frames(full).verdicts["actual"].count()
    )


def test_a_deviation_has_the_unit_of_its_law(full: RunFolder) -> None:
    """A unit column of the frame takes precedence over a unit in the name."""
    verdicts = frames(full).verdicts
    observations = reports.load(full.path).query("frame == 'verdicts' and measure == 'deviation'")
    assert set(observations["unit"]) == set(verdicts.loc[verdicts["deviation"].notna(), "unit"])
    assert set(reports.load(full.path).query("measure == 'median_s'")["unit"]) == {"s"}


def test_a_folder_of_runs_is_read_whole_and_in_order_of_creation(tmp_path: Path) -> None:
    """The oldest comes first, and each run occurs once."""
    run = samples.run.full_run(tmp_path / "runs" / "later")
    earlier = RunFolder(run.path.with_name("zzz"))
    earlier.write_head(
        run.head().model_copy(update={"name": "earlier", "created": "2001-01-01T00:00:00+00:00", "files": {}})
    )
    earlier.write(Verdict, [samples.run.verdict()])
    observations = reports.load(run.path.parent, run.path)
    assert observations["run"].unique().tolist() == ["earlier", run.head().name]
    assert observations["created"].is_monotonic_increasing
    assert len(observations) == len(reports.load(run.path)) + len(reports.load(earlier.path))


def test_an_empty_run_gives_an_empty_frame_with_all_columns(bare: RunFolder) -> None:
    """A run without measurements is no error."""
    observations = reports.load(bare.path)
    assert observations.empty
    assert [str(dtype) for dtype in observations.dtypes] == [column.dtype for column in reports.OBSERVATIONS]


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    """The message explains what a run is."""
    with pytest.raises(UsageError, match="folder of such folders"):
        reports.load(tmp_path)


def test_observations_survive_parquet(full: RunFolder, tmp_path: Path) -> None:
    """Reading restores the columns and types."""
    observations = reports.load(full.path)
    observations.to_parquet(tmp_path / "observations.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "observations.parquet"), observations)
