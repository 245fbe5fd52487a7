"""The process a suite runs in: what it is told, its limit, its end, its progress, and what is kept of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import benchmark
from harness.benchmark import Settings
from harness.suites.progress import Progress


def test_only_what_is_set_is_handed_on() -> None:
    """An absent setting leaves the suite's own."""
    assert Settings().arguments() == []
    assert Settings(workers=(0, 2), images=5).arguments() == ["--harness-workers=0,2", "--harness-images=5"]


def test_a_suite_beyond_its_limit_is_stopped_gently(capfd: pytest.CaptureFixture[str]) -> None:
    """It is interrupted, has time to write down what it finished, and its own code is returned."""
    child = (
        "import time\nprint('started', flush=True)\ntry: time.sleep(60)\nexcept KeyboardInterrupt: raise SystemExit(7)"
    )
    assert benchmark._run([sys.executable, "-S", "-c", child], 2.0) == 7
    said = capfd.readouterr()
    assert "started" in said.out
    assert "stopped after 2 s, as limited" in said.err


def test_a_suite_that_does_not_let_go_is_killed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever ignores the interrupt loses what it has, and that is said."""
    monkeypatch.setattr(benchmark, "GOODBYE_S", 0.2)
    child = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)"
    assert benchmark._run([sys.executable, "-S", "-c", child], 2.0) < 0
    assert "nothing it measured is kept" in capfd.readouterr().err


def test_an_interrupt_that_is_lost_is_said_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that meets a destructor is printed and forgotten by Python; the suite then has time all the same."""
    monkeypatch.setattr(benchmark, "GOODBYE_S", 2.0)
    child = (
        "import time\n"
        "for code in (None, 7):\n"
        "    try: time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        if code: raise SystemExit(code)"
    )
    assert benchmark._run([sys.executable, "-S", "-c", child], 2.0) == 7


def test_how_far_a_suite_is_reaches_whoever_started_it() -> None:
    """What runs, how many are done, and how many there are, until the suite closes its end."""
    source, sink = os.pipe()
    telling = Progress(sink)
    telling._tell(total=2)
    for nodeid in ("suite.py::test_it[a]", "suite.py::test_it[b]"):
        telling.pytest_runtest_logstart(nodeid)
        telling.pytest_runtest_logfinish()
    telling._stream.close()
    seen: list[tuple[str, int, int]] = []
    benchmark._listen(source, lambda *told: seen.append(told))
    assert seen == [
        ("", 0, 2),
        ("test_it[a]", 0, 2),
        ("test_it[a]", 1, 2),
        ("test_it[b]", 1, 2),
        ("test_it[b]", 2, 2),
    ]


@pytest.mark.parametrize(("code", "shown"), [(0, False), (1, True)])
def test_what_pytest_writes_is_shown_where_something_went_wrong(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, code: int, shown: bool
) -> None:
    """And held back where all is well; the end of the suite does not wait for its progress."""
    child = f"print('a long story'); raise SystemExit({code})"
    assert benchmark._watched([sys.executable, "-S", "-c", child], None, lambda *_: None, tmp_path) == code
    assert ("a long story" in capfd.readouterr().out) is shown


def test_a_document_cut_short_is_not_kept(tmp_path: Path) -> None:
    """The run's file stays as it was."""
    result, file = tmp_path / "result.json", tmp_path / "bench-steps.json"
    result.write_text('{"benchmarks": [')
    file.write_text("before")
    assert benchmark._keep(result, file) == 0
    assert file.read_text() == "before"


def test_starting_a_suite_imports_no_torch() -> None:
    """The process that starts it is light."""
    code = "import sys, harness.benchmark; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False, timeout=60).returncode == 0
