"""The process of a suite: its arguments, its limit, its end, its progress, and its stored results."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.bench import run as benchmark
from harness.bench.run import IdleError, run_suite
from harness.bench.suites.benchmark import Progress
from harness.error import UsageError
from harness.isolation.limits import Limits


def ran(child: str, folder: Path, limit_s: float | None = None) -> int:
    """Run a program in place of a suite, and return its code."""
    listener = benchmark._Listener(lambda *_: None, Limits())
    return benchmark._run(f"import os; os.dup2(2, 1)\n{child}", limit_s, folder / "output.txt", listener)


def test_a_suite_beyond_its_limit_is_stopped_gently(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It is interrupted, has time to write its results, and its exit code is returned."""
    child = (
        "import time\nprint('started', flush=True)\ntry: time.sleep(60)\nexcept KeyboardInterrupt: raise SystemExit(7)"
    )
    assert ran(child, tmp_path, 2.0) == 7
    assert (tmp_path / "output.txt").read_text() == "started\n"
    assert "stopped at the time limit of 2 s" in capfd.readouterr().err


def test_a_suite_that_does_not_let_go_is_killed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A suite that ignores the interrupt loses its results, with a message."""
    monkeypatch.setattr(benchmark, "GOODBYE_S", 0.2)
    child = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)"
    assert ran(child, tmp_path, 2.0) < 0
    assert "its measurements are lost" in capfd.readouterr().err


def test_a_suite_whose_command_was_killed_ends(tmp_path: Path) -> None:
    """It ends at once with its child processes and its folder, because its results have no receiver."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    suite = (
        "import subprocess, sys, threading\n"
        "from harness.bench.suites.benchmark import end_with_reader\n"
        "sink, scratch = int(sys.argv[1]), sys.argv[2]\n"
        "threading.Thread(target=end_with_reader, args=(sink, scratch), daemon=True).start()\n"
        "print(subprocess.Popen(['sleep', '1000']).pid, flush=True)\n"
        "threading.Event().wait(1000)"
    )
    source, sink = os.pipe()
    words = [sys.executable, "-c", suite, str(sink), str(scratch)]
    with subprocess.Popen(words, pass_fds=(sink,), stdout=subprocess.PIPE, text=True) as process:
        os.close(sink)
        assert process.stdout is not None
        started = psutil.Process(int(process.stdout.readline()))
        assert scratch.exists()
        os.close(source)
        assert process.wait(20.0) == 1
    assert not scratch.exists()
    psutil.wait_procs([started], 20.0)
    assert not started.is_running()


def test_an_interrupt_that_is_lost_is_said_once_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Python prints and drops an interrupt in a destructor. The suite still has time to end."""
    monkeypatch.setattr(benchmark, "GOODBYE_S", 2.0)
    child = (
        "import time\n"
        "for code in (None, 7):\n"
        "    try: time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        if code: raise SystemExit(code)"
    )
    assert ran(child, tmp_path, 2.0) == 7


def test_a_suite_is_told_at_once_of_an_interrupt_that_its_command_alone_hears(tmp_path: Path) -> None:
    """`kill` or a CI system may send it. The command waits for the results of the suite."""
    reported = tmp_path / "told"
    child = (
        "import os, pathlib, signal, time\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "try: time.sleep(60)\n"
        f"except KeyboardInterrupt: pathlib.Path({str(reported)!r}).touch()"
    )
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ran(child, tmp_path, 60.0)
    assert reported.exists()
    assert time.monotonic() - began < benchmark.GOODBYE_S / 2


@pytest.mark.parametrize("end", ["interrupted", "failed"])
def test_pytests_words_are_shown_where_something_went_wrong(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: str
) -> None:
    """They are not shown after an interrupt."""

    def run(_: object, __: object, output: Path, ___: object, *, fresh: bool) -> int:
        output.write_text("!!!!! the words of pytest !!!!!", encoding="utf-8")
        if end == "interrupted":
            raise KeyboardInterrupt
        return 1

    monkeypatch.setattr(benchmark, "_run", run)
    if end == "interrupted":
        with pytest.raises(KeyboardInterrupt):
            run_suite("steps", run_folder=tmp_path)
    else:
        assert run_suite("steps", run_folder=tmp_path) == 1
    assert ("words of pytest" in capfd.readouterr().out) == (end == "failed")


def test_how_far_a_suite_is_reaches_whoever_started_it() -> None:
    """The progress has the running benchmark, the number done and the total, until the suite closes its end."""
    seen: list[tuple[str, int, int]] = []
    listener = benchmark._Listener(lambda *reported: seen.append(reported), Limits())
    source, sink = os.pipe()
    telling = Progress(sink)
    listener.begin(os.fdopen(source, "rb"))
    telling._tell(total=2)
    for nodeid in ("suite.py::test_it[a]", "suite.py::test_it[b]"):
        telling.pytest_runtest_logstart(nodeid)
        telling.pytest_runtest_logfinish()
    telling._stream.close()
    listener.finish()
    assert listener.refused is None
    assert seen == [("", 0, 2), ("test_it[a]", 0, 2), ("test_it[a]", 1, 2), ("test_it[b]", 1, 2), ("test_it[b]", 2, 2)]


@pytest.mark.parametrize("idle", [False, True])
def test_why_nothing_is_measured_reaches_whoever_started_it(idle: bool) -> None:
    """The whole error arrives, and a suite without work is distinguished."""
    listener = benchmark._Listener(lambda *_: None, Limits())
    source, sink = os.pipe()
    telling = Progress(sink)
    listener.begin(os.fdopen(source, "rb"))
    error = UsageError("a problem", rule="a rule", value="a value", place="a place", remedy="a way out")
    telling.refuse(error, idle=idle)
    telling._stream.close()
    listener.finish()
    assert str(listener.refused) == str(error)
    assert isinstance(listener.refused, IdleError) is idle


@pytest.mark.parametrize(("code", "kept", "shown"), [(0, True, False), (0, False, True), (1, True, True)])
def test_what_pytest_writes_is_shown_unless_all_went_well(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    code: int,
    kept: bool,
    shown: bool,
) -> None:
    """It also contains the reason if nothing was measured. The end of the suite does not wait for its progress."""
    document = json.dumps({"benchmarks": [{}] * kept})

    def run(_: object, __: object, output: Path, ___: object, *, fresh: bool) -> int:
        output.write_text("a long story", encoding="utf-8")
        (output.parent / "result.json").write_text(document, encoding="utf-8")
        return code

    monkeypatch.setattr(benchmark, "_run", run)
    assert run_suite("steps", run_folder=tmp_path) == (code if kept else 2)
    assert ("a long story" in capfd.readouterr().out) is shown


def test_a_document_cut_short_is_not_kept(tmp_path: Path) -> None:
    """The file of the run stays unchanged."""
    result, file = tmp_path / "result.json", tmp_path / "bench-steps.json"
    result.write_text('{"benchmarks": [')
    file.write_text("before")
    assert benchmark._save(result, file) == 0
    assert file.read_text() == "before"


@pytest.mark.parametrize("fresh", [False, True])
def test_a_suite_is_forked_unless_it_measures_memory(tmp_path: Path, fresh: bool) -> None:
    """Output and exit code are the same. A forked suite has already imported the modules."""
    output, listener = tmp_path / "output.txt", benchmark._Listener(lambda *_: None, Limits())
    child = "import os, sys; os.dup2(2, 1); print('harness.contracts' in sys.modules, flush=True); sys.exit(3)"
    assert benchmark._run(child, 60.0, output, listener, fresh=fresh) == 3
    listener.finish()
    assert output.read_text() == f"{not fresh}\n"


def test_starting_a_suite_imports_no_torch() -> None:
    """The starting process stays small."""
    code = "import sys, harness.bench.run; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False, timeout=60).returncode == 0
