"""What the command prints of step times, and its options."""

import json
from pathlib import Path
from typing import Any

import pytest
import sample_benchmarks
from rich.console import Console
from typer.testing import CliRunner

from harness import benchmark
from harness.benchmark import FULL, Settings
from harness.cli import app
from harness.error import UsageError
from harness.record import Ratio
from harness.step_summary import agreement, print_agreement, print_steps


def document(entries: list[dict[str, Any]], **account: Any) -> dict[str, Any]:
    """A document as pytest-benchmark writes it."""
    return {"benchmarks": entries, "harness": account}


def printed(show: Any, told: dict[str, Any]) -> str:
    """What is printed on a wide plain console."""
    console = Console(width=200, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115
    show(console, told)
    console.file.close()
    return console.export_text()


def test_steps_stand_beside_the_chapters_and_the_floor() -> None:
    """Each row has its time, its ratio to both with an interval, its distance to the floor, and its first call."""
    text = printed(print_steps, document(sample_benchmarks.step_entries()))
    row = next(line for line in text.splitlines() if "scratch.closed_form_step" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[0] == "1"
    assert cells[2].endswith("us")
    low, high = cells[4].partition("[")[2].rstrip("]").split(", ")
    assert float(low) <= 0.25 <= float(high)
    assert len(cells) == 8
    assert "linear_regression_step, cpu: one step" in text


def test_cases_of_several_families_keep_their_whole_names() -> None:
    """Two steps of one contract may differ by the family alone."""
    first, second = sample_benchmarks.step_entries()[:2]
    second["extra_info"] |= {"case": "mine.scratch.closed_form_step", "family": "mine"}
    text = printed(print_steps, document([first, second]))
    assert "linear_regression.scratch.training_step" in text
    assert "mine.scratch.closed_form_step" in text


def test_what_was_skipped_is_said_with_its_reason() -> None:
    """Once a reason, with the number."""
    skipped = [{"name": str(number), "reason": "no accelerator on this machine"} for number in range(3)]
    text = printed(print_steps, document(sample_benchmarks.step_entries(), skipped=skipped))
    assert text.count("skipped: no accelerator on this machine (3 benchmarks)") == 1


def test_one_case_is_compared_with_nothing() -> None:
    """There is no column of ones."""
    entry = sample_benchmarks.step_entries()[0]
    entry["extra_info"]["style"] = "foreign"
    text = printed(print_steps, document([entry]))
    assert "/ first" not in text
    assert "/ floor" in text


def test_agreement_is_decided_by_the_whole_interval() -> None:
    """Within, beyond, or undecided where the rounds scatter too much."""
    text = printed(print_agreement, document(sample_benchmarks.agreement_entries()))
    verdicts = [line.strip("│ ").split("│")[-1].strip() for line in text.splitlines() if "step_" in line]
    assert verdicts == ["within 3%", "beyond 3%", "undecided"]
    assert agreement(Ratio(1.0, 0.971, 1.029), 0.03) == "within 3%"
    assert agreement(Ratio(1.0, 0.969, 1.0), 0.03) == "undecided"
    assert agreement(Ratio(0.9, 0.89, 0.95), 0.03) == "beyond 3%"


class Suites:
    """Stands in for the runs of the suites: notes what they are told, and leaves a document."""

    def __init__(self, end: BaseException | int = 0) -> None:
        self.end = end
        self.settings: list[Settings] = []

    def __call__(self, name: str, *, run_folder: Path, settings: Settings, watch: Any = None, **_: Any) -> int:
        """Note, report progress, write, and end as told."""
        self.settings.append(settings)
        if watch is not None:
            watch("test_training_step[it]", 1, 2)
        entries = sample_benchmarks.step_entries() if name == "steps" else sample_benchmarks.agreement_entries()
        (run_folder / f"bench-{name}.json").write_text(json.dumps(document(entries)))
        if isinstance(self.end, BaseException):
            raise self.end
        return self.end


def bench(monkeypatch: pytest.MonkeyPatch, folder: Path, suites: Suites, *options: str) -> Any:
    """Run the command in a folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(benchmark, "run_suite", suites)
    return CliRunner().invoke(app, ["bench", *options, "--run", str(folder / "run")])


@pytest.mark.parametrize(("given", "meant"), [("1,32", (1, 32)), ("full", FULL), (None, ())])
def test_batch_sizes_are_handed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str | None, meant: tuple[int, ...]
) -> None:
    """Numbers, the whole range to 65,536, or the suite's own."""
    suites = Suites()
    options = () if given is None else ("--batch-sizes", given)
    assert bench(monkeypatch, tmp_path, suites, "steps", *options).exit_code == 0
    assert suites.settings[0].batch_sizes == meant
    assert FULL[0] == 1
    assert FULL[-1] == 65_536


@pytest.mark.parametrize("given", ["0", "1,,2", "-4", "many", ""])
def test_other_batch_sizes_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str) -> None:
    """By one plain message, before anything is timed."""
    suites = Suites()
    ended = bench(monkeypatch, tmp_path, suites, "steps", "--batch-sizes", given)
    assert isinstance(ended.exception, UsageError)
    assert "`--batch-sizes` takes whole numbers from 1 separated by commas, or `full`" in str(ended.exception)
    assert suites.settings == []


@pytest.mark.parametrize("suite", ["steps", "agreement"])
def test_a_suite_with_a_summary_prints_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, suite: str) -> None:
    """And ends with the code of the suite."""
    ended = bench(monkeypatch, tmp_path, Suites(1), suite)
    assert ended.exit_code == 1
    assert "scratch." in ended.output


def test_an_interrupt_shows_what_was_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The table of what is finished, and the interrupt."""
    ended = bench(monkeypatch, tmp_path, Suites(KeyboardInterrupt()), "steps")
    assert ended.exit_code != 0
    assert "scratch.closed_form_step" in ended.output


def test_a_suite_that_measured_nothing_shows_no_older_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is in the run from before is not this suite's."""
    bench(monkeypatch, tmp_path, Suites(), "steps")
    ended = bench(monkeypatch, tmp_path, Suites(2), "steps")
    assert ended.exit_code == 2
    assert "closed_form_step" not in ended.output
