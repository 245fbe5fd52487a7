"""The command `harness bench`: the settings that it passes to the suites, and how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest
import samples.benchmarks
from typer.testing import CliRunner

from harness.bench import run as benchmark
from harness.bench.option import FULL, Settings
from harness.bench.run import DEFAULT_SUITES, IdleError
from harness.cli import app
from harness.error import UsageError


class Suites:
    """Substitute for the suites that records its settings and writes a document."""

    def __init__(self, end: BaseException | int = 0) -> None:
        self.end = end
        self.settings: list[Settings] = []

    def __call__(self, name: str, *, run_folder: Path, settings: Settings, watch: Any = None, **_: Any) -> int:
        """Record the settings, report progress, write the document, and end as configured."""
        self.settings.append(settings)
        if watch is not None:
            watch("test_training_step[it]", 1, 2)
        made = {"steps": samples.benchmarks.step_entries}
        entries = made.get(name, samples.benchmarks.agreement_entries)()
        (run_folder / f"bench-{name}.json").write_text(json.dumps({"benchmarks": entries, "harness": {}}))
        if isinstance(self.end, BaseException):
            raise self.end
        return self.end


def bench(monkeypatch: pytest.MonkeyPatch, folder: Path, suites: Suites, *options: str) -> Any:
    """Run the command in a folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(benchmark, "run_suite", suites)
    return CliRunner().invoke(app, ["bench", *options, "--run", str(folder / "run")])


@pytest.mark.parametrize(("given", "meant"), [("1,32", (1, 32)), ("full", FULL), (None, None)])
def test_batch_sizes_are_handed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str | None, meant: tuple[int, ...] | None
) -> None:
    """They are numbers, the full range to 65,536, or the default of the suite."""
    suites = Suites()
    options = () if given is None else ("--batch-sizes", given)
    assert bench(monkeypatch, tmp_path, suites, "steps", *options).exit_code == 0
    assert suites.settings[0].batch_sizes == meant
    assert FULL[0] == 1
    assert FULL[-1] == 65_536


@pytest.mark.parametrize("given", ["0", "1,,2", "-4", "many", ""])
def test_other_batch_sizes_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str) -> None:
    """The message is one line, before any measurement."""
    suites = Suites()
    ended = bench(monkeypatch, tmp_path, suites, "steps", "--batch-sizes", given)
    assert isinstance(ended.exception, UsageError)
    assert "cannot read `--batch-sizes`: it must be whole numbers from 1 separated by commas, or `full`" in str(
        ended.exception
    )
    assert suites.settings == []


@pytest.mark.parametrize("suite", ["steps", "agreement"])
def test_a_suite_with_a_summary_prints_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, suite: str) -> None:
    """The exit code is that returned by the suite."""
    ended = bench(monkeypatch, tmp_path, Suites(1), suite)
    assert ended.exit_code == 1
    assert "scratch." in ended.output


def test_an_interrupt_shows_what_was_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The output has the table of finished benchmarks, and the command fails."""
    ended = bench(monkeypatch, tmp_path, Suites(KeyboardInterrupt()), "steps")
    assert ended.exit_code != 0
    assert "scratch.closed_form_step" in ended.output


def test_a_suite_that_measured_nothing_shows_no_older_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The run still has older results, which are not printed."""
    bench(monkeypatch, tmp_path, Suites(), "steps")
    ended = bench(monkeypatch, tmp_path, Suites(2), "steps")
    assert ended.exit_code == 2
    assert "closed_form_step" not in ended.output


class SomeIdle(Suites):
    """Suites, some without anything to time."""

    def __init__(self, idle: tuple[str, ...]) -> None:
        super().__init__()
        self.idle = idle

    def __call__(self, name: str, **told: Any) -> int:
        """Refuse some suites, and run the others as usual."""
        if name in self.idle:
            raise IdleError(f"{name} has nothing to time")
        return super().__call__("steps", **told)


def test_usual_suites_without_work_are_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each has a message; the others run and decide the exit code."""
    suites = SomeIdle(("steps", "loaders", "operations"))
    ended = bench(monkeypatch, tmp_path, suites)
    assert ended.exit_code == 0
    assert len(suites.settings) == len(DEFAULT_SUITES) - 3
    for name in suites.idle:
        assert f"{name}: {name} has nothing to time\n" in ended.output


@pytest.mark.parametrize(("named", "idle"), [((), DEFAULT_SUITES), (("loaders", "steps"), ("loaders",))])
def test_a_named_suite_must_have_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: tuple[str, ...], idle: tuple[str, ...]
) -> None:
    """Otherwise the command fails."""
    ended = bench(monkeypatch, tmp_path, SomeIdle(idle), *named)
    assert isinstance(ended.exception, IdleError)
