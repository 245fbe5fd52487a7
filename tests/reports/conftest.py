"""A run with every kind of record, and its report, written once and shared by all tests."""

import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import samples.benchmarks
import samples.run
from samples.attacked import attacked_run
from samples.report import Report, reported, run_of

from harness.record import RunFolder, Status, Verdict


@pytest.fixture
def bare(tmp_path: Path) -> RunFolder:
    """Return a run that has only its head."""
    return run_of(tmp_path / "bare")


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    """Return a run with every kind of record. Tests must not change it."""
    run = samples.run.full_run(tmp_path_factory.mktemp("full"))
    before = _digests(run.path)
    yield run
    after = _digests(run.path)
    assert before == {file: after[file] for file in before}, "a test has written into the run that all tests read"


@pytest.fixture(scope="session")
def report(full: RunFolder) -> Iterator[Report]:
    """Return the report of that run. Tests must not change it."""
    report = reported(full)
    before = _digests(report.page.parent)
    yield report
    assert before == _digests(report.page.parent), "a test has written into the report that all tests read"


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Return the report of a run on the stand-in, with every kind of record, failures and an accelerator."""
    environment = samples.run.environment(accelerator="NVIDIA H100")
    run = samples.run.full_run(tmp_path_factory.mktemp("elsewhere"), genuine=False, environment=environment)
    samples.benchmarks.write_suite(run, "steps", samples.benchmarks.step_entries(("cpu", "cuda")))
    failing = [samples.run.verdict(it, law=f"{it}_law") for it in Status if it.fails]
    run.write(Verdict, [*samples.run.verdicts(), *failing])
    return reported(run)


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Return the report of a run in which every text is an attack, and every unrestricted number is extreme."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(overflow|invalid value) encountered", RuntimeWarning)
        return reported(attacked_run(tmp_path_factory.mktemp("attacked")))


def _digests(folder: Path) -> dict[Path, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
