"""Names of runs, folders of runs, and the order of several runs."""

from pathlib import Path

import pytest
import samples.run

from harness.error import UsageError
from harness.record import RUNS, RunFolder, oldest_first


def run(path: Path, *, created: str) -> RunFolder:
    """Return a run with the given creation time."""
    folder = RunFolder(path)
    folder.write_head(samples.run.head().model_copy(update={"created": created}))
    return folder


def test_a_name_is_below_the_runs_and_a_slash_makes_it_a_path() -> None:
    """A run in another folder is named by its path."""
    assert RunFolder.named("mine").path == RUNS / "mine"
    assert RunFolder.named("./mine").path == Path("mine")
    assert RunFolder.named("/elsewhere/mine").path == Path("/elsewhere/mine")


def test_a_folder_is_a_run_or_holds_runs_or_neither(tmp_path: Path) -> None:
    """Runs inside of a run are not searched."""
    inner = run(tmp_path / "runs" / "first", created="2025-01-01T00:00:00+00:00")
    assert [folder.path for folder in RunFolder(tmp_path / "runs").runs()] == [inner.path]
    assert RunFolder(tmp_path).runs() == []
    outer = run(tmp_path / "runs", created="2025-01-01T00:00:00+00:00")
    assert outer.runs() == [outer]


def test_runs_stand_in_the_order_of_their_creation_each_once(tmp_path: Path) -> None:
    """They may be named repeatedly and in any order."""
    later = run(tmp_path / "a", created="2025-02-01T00:00:00+00:00")
    earlier = run(tmp_path / "b", created="2025-01-01T00:00:00+00:00")
    again = RunFolder(tmp_path / "a" / ".." / "a")
    assert [folder.path.resolve() for folder in oldest_first([later, earlier, again])] == [earlier.path, later.path]
    with pytest.raises(UsageError, match=r"a `run\.json`"):
        oldest_first([RunFolder(tmp_path / "nothing")])
