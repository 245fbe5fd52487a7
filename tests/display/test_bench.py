"""The summary that each benchmark suite prints at its end."""

from pathlib import Path
from typing import Any

import pytest
import samples.benchmarks
from rich.console import Console

from harness.bench.command import print_results
from harness.bench.display import print_agreement, print_operations, print_steps, print_vectorization
from harness.bench.run import SUITES
from harness.record import Estimate, Method
from harness.wording.number import duration, rate, times
from harness.wording.table.step import compare_times


def rows(text: str, word: str) -> list[list[str]]:
    """Return the cells of the rows of a printed table that contain a word."""
    lines = (line for line in text.splitlines() if word in line and line.startswith("│"))
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def document(entries: list[dict[str, Any]], **account: Any) -> dict[str, Any]:
    """Return a document in pytest-benchmark's format."""
    return {"benchmarks": entries, "harness": account}


def printed(show: Any, told: dict[str, Any]) -> str:
    """Return the output on a wide plain console."""
    console = Console(width=200, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115
    show(console, told)
    console.file.close()
    return console.export_text()


def summary(suite: str, told: dict[str, Any]) -> str:
    """Return the summary of a suite, with the skipped benchmarks."""
    return printed(lambda console, it: print_results(console, suite, it), told)


def test_steps_are_compared_with_the_chapters_and_the_floor() -> None:
    """Each row has its time, its ratio to both with an interval, its distance to the floor, and its first call."""
    text = printed(print_steps, document(samples.benchmarks.step_entries()))
    row = next(line for line in text.splitlines() if "scratch.closed_form_step" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[1] == "1"
    assert cells[2].endswith("us")
    low, high = cells[4].partition("(")[2].rstrip(")").split(" – ")
    assert float(low) <= 0.25 <= float(high)
    assert len(cells) == 8
    assert "linear_regression_step, cpu: one step" in text


def test_cases_of_several_families_keep_their_whole_names() -> None:
    """Two steps of the same contract may differ only in the family."""
    first, second = samples.benchmarks.step_entries()[:2]
    second["extra_info"] |= {"case": "mine.scratch.closed_form_step", "family": "mine"}
    text = printed(print_steps, document([first, second]))
    assert "linear_regression.scratch.training_step" in text
    assert "mine.scratch.closed_form_step" in text


def test_skipped_benchmarks_are_listed_with_their_reason() -> None:
    """Each reason appears once, with its number of benchmarks."""
    skipped = [{"name": str(number), "reason": "no accelerator on this machine"} for number in range(3)]
    text = summary("steps", document(samples.benchmarks.step_entries(), skipped=skipped))
    assert text.count("skipped: no accelerator on this machine (3 benchmarks)") == 1


def test_one_case_is_compared_with_nothing() -> None:
    """The column of ratios is omitted."""
    entry = samples.benchmarks.step_entries()[0]
    entry["extra_info"]["style"] = "foreign"
    text = printed(print_steps, document([entry]))
    assert "time / first" not in text
    assert "time / floor" in text


def test_agreement_is_decided_by_the_whole_interval() -> None:
    """It is within, beyond, or undecided if the rounds scatter too much."""
    text = printed(print_agreement, document(samples.benchmarks.agreement_entries()))
    verdicts = [line.strip("│ ").split("│")[-1].strip() for line in text.splitlines() if "step_" in line]
    assert verdicts == ["within 3%", "beyond 3%", "undecided"]
    intervals = {"within 3%": (0.971, 1.029), "undecided": (0.969, 1.0), "beyond 3%": (0.89, 0.95)}
    for words, (low, high) in intervals.items():
        assert compare_times(Estimate(low, low, high, Method.BLOCKED), 0.03) == words


def test_operations_are_compared_with_the_fastest_of_their_contract() -> None:
    """Each contract has its fastest call, and a single call is its own reference."""
    text = printed(print_operations, document(samples.benchmarks.operation_entries()))
    assert [(row[2].rpartition(".")[2], row[3], row[5]) for row in rows(text, "softmax_regression")] == [
        ("softmax", "40.0 us", "2.00×"),
        ("shifted_softmax", "60.0 us", "3.00×"),
        ("softmax", "20.0 us", "1.00×"),
    ]
    (alone,) = rows(text, "mse_loss")
    assert (alone[0], alone[1], *alone[4:]) == ("squared_error", "256x10", "29.1 us – 31.8 us", "1.00×", "300 us")


def test_loops_are_compared_with_vectorized_code_of_the_same_size() -> None:
    """A loop that is faster for one element is shown as faster."""
    text = printed(print_vectorization, document(samples.benchmarks.vectorization_entries()))
    found = {(row[1], row[2].split(".")[1]): row[5] for row in rows(text, ".add")}
    assert found["1", "scratch"] == "1.29×"
    assert found["10,000", "scratch"] == "3,281×"
    assert {found[n, "concise"] for n in ("1", "10", "100", "1,000", "10,000")} == {"1.00×"}
    faster = samples.benchmarks.vectorization_entries()[:2]
    faster[0]["stats"]["median"] = faster[1]["stats"]["median"] / 2
    assert [row[5] for row in rows(printed(print_vectorization, document(faster)), ".add")] == ["1.00×", "2.00×"]


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_without_a_finished_benchmark_has_a_summary(suite: str) -> None:
    """The summary lists the skipped benchmarks; every suite has a summary, so that pytest's table is never shown."""
    skipped = [{"name": "one", "reason": "no such thing here"}]
    assert "skipped: no such thing here (1 benchmark)" in summary(suite, document([], skipped=skipped))


def test_numbers_have_three_digits_and_a_unit() -> None:
    """The unit is the largest with a digit before the point."""
    assert [duration(value) for value in (2.0, 0.0618, 6.18e-5, 9.994e-7, 1e-10)] == [
        "2.00 s", "61.8 ms", "61.8 µs", "999 ns", "0.100 ns"
    ]  # fmt: skip
    assert [rate(value) for value in (2.99e6, 338_400.0, 12.0, 4.2e12)] == ["2.99M", "338k", "12.0", "4,200G"]
    assert [times(value) for value in (1.0, 36.44, 2954.2, float("nan"))] == ["1.00×", "36.4×", "2,954×", "–"]
