"""The records of benchmarks contain all that the terminal and the report show."""

import json
import statistics
from typing import Any

import pytest
import samples.benchmarks

from harness.bench.run import SUITES
from harness.error import UsageError
from harness.record.bench import BenchRecord, LoaderRecord, Stats, VectorizationRecord, benchmarks

RECORDS = {kind.suite: kind for kind in BenchRecord.__subclasses__()}
"""The record type of each suite."""

ENTRIES = {
    "steps": samples.benchmarks.step_entries(("cpu", "cuda")),
    "agreement": samples.benchmarks.agreement_entries(),
    "loaders": samples.benchmarks.loader_entries(),
    "balance": samples.benchmarks.balance_entries(),
    "operations": samples.benchmarks.operation_entries(),
    "vectorization": samples.benchmarks.vectorization_entries(),
}


def read(suite: str, entries: Any) -> Any:
    """Read entries like the terminal."""
    return benchmarks({"benchmarks": entries}, RECORDS[suite])


def test_every_suite_has_its_record() -> None:
    """There are no further records."""
    assert set(RECORDS) == set(SUITES) == set(ENTRIES)


@pytest.mark.parametrize("suite", SUITES)
def test_a_stored_suite_is_read_back(suite: str) -> None:
    """JSON preserves exactly the fields that the suite filled."""
    for benchmark, entry in zip(read(suite, ENTRIES[suite]), ENTRIES[suite], strict=True):
        kept = json.loads(json.dumps(benchmark.record.extra_info()))
        assert kept == json.loads(json.dumps(entry["extra_info"]))
        assert benchmark.stats.rounds_s == tuple(entry["stats"]["data"])


@pytest.mark.parametrize("kind", [*RECORDS.values(), Stats])
def test_every_column_has_a_meaning(kind: type[BenchRecord]) -> None:
    """The field declares the description for every output."""
    assert all(field.description for field in kind.model_fields.values())


def test_a_row_has_its_record_and_statistics_by_column() -> None:
    """Names of durations end in `_s`."""
    benchmark = read("vectorization", ENTRIES["vectorization"])[0]
    row = benchmark.row()
    assert set(row) == {*VectorizationRecord.model_fields, *Stats.model_fields}
    assert (row["n"], row["median_s"], row["rounds"]) == (1, benchmark.stats.median_s, 40)


def test_a_row_has_the_median_of_a_series() -> None:
    """The value of an empty series is unknown."""
    loader, older = read("loaders", [ENTRIES["loaders"][0], samples.benchmarks.old_loader_entry()])
    assert loader.row()["cpu_us"] == statistics.median(loader.record.cpu_us)
    assert loader.row()["rounds_s"] == statistics.median(loader.stats.rounds_s)
    assert older.row()["limit_wall_us"] is None


def test_rates_and_ratios_are_computed_within_slices_and_rounds() -> None:
    """They have intervals. Without interleaved measurements there is no ratio."""
    loader = read("loaders", ENTRIES["loaders"][:1])[0].record
    assert loader.rate.point == pytest.approx(1e6 / statistics.median(loader.wall_us))
    assert loader.rate.low <= loader.rate.point <= loader.rate.high
    step = read("agreement", ENTRIES["agreement"][:1])[0]
    assert step.over(step.stats.rounds_s).point == 1.0
    assert step.over(tuple(2 * round_s for round_s in step.stats.rounds_s)).point == pytest.approx(0.5)
    assert not step.over(()).is_known


def test_missing_fields_of_an_older_run_are_unknown_and_extra_fields_ignored() -> None:
    """An old loader record without limits is readable."""
    entry = samples.benchmarks.old_loader_entry()
    entry["extra_info"]["colour"] = "green"
    entry["stats"]["data"] = None
    (loader,) = read("loaders", [entry])
    assert loader.record.shutdown_s is None
    assert not loader.record.share.is_known
    assert loader.stats.rounds_s == ()


@pytest.mark.parametrize("document", [None, [], {}, {"benchmarks": {}}])
def test_an_invalid_document_has_no_benchmarks(document: Any) -> None:
    """Other content gives an empty list."""
    assert benchmarks(document, LoaderRecord) == []


@pytest.mark.parametrize(("entry", "field"), [("text", "LoaderRecord"), ({"extra_info": {}}, "case")])
def test_an_invalid_benchmark_is_named_with_its_place(entry: Any, field: str) -> None:
    """The message has the file of the suite, and the number of the entry."""
    with pytest.raises(
        UsageError, match=rf"the suite `loaders` in bench-loaders\.json, benchmark 2: invalid `{field}`"
    ):
        read("loaders", [ENTRIES["loaders"][0], entry])
