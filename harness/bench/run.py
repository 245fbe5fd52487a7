"""Running a suite of benchmarks: pytest in a separate process, with its results in the folder of the run.

This module imports no torch. Most suites are forked from a process that has already imported their modules. Suites that
measure memory need a fresh process, because shared pages count half.

The process ignores the pytest configuration, conftest files and plugins of the user, so that results do not depend on
the folder. It writes to a temporary folder; finished results are moved into the run together.
"""

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from harness.bench.option import SETTINGS, Settings
from harness.calling.discovery import SHIPPED
from harness.error import UsageError, printable, require
from harness.isolation.environment import user_environment
from harness.isolation.fork_server import ForkServer, start_interpreter
from harness.isolation.forked_process import ForkedProcess
from harness.isolation.limits import Limits
from harness.isolation.lost_worker import describe_failure
from harness.isolation.unchanged import refuse_changes
from harness.record import RunFolder

DEFAULT_SUITES = ("loaders", "steps", "balance", "operations", "vectorization")
"""The suites that run by default. Forked suites are adjacent, because their fork server waits a minute."""

SUITES = (*DEFAULT_SUITES, "agreement")
"""The suites, by name; the last one compares the harness's clock with torch's, and runs only by name."""

FRESH = ("loaders",)
"""The suites that need a fresh process, because they measure memory and the startup of workers."""

ProgressCallback = Callable[[str, int, int], object]
"""Receives the name of the running item, the number of finished items, and the total."""

LONGEST_S = 3600.0
"""Time limit of a single benchmark, in seconds."""

GOODBYE_S = 30.0
"""Seconds for a stopped suite to save its finished results."""

_INSTALLED = Path(__file__).parents[2]
_SUITES = Path(__file__).parent / "suites"
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_PASSED, _FAILED = 0, 1
_LOOK_S = 0.5


class IdleError(UsageError):
    """A suite for which the target has nothing to time."""


def require_packages(settings: Settings) -> None:
    """Raise an error if an optional package that the suites import is missing."""
    if settings.data_sets:
        require("loaders", "`harness bench --data-sets`")
    require("bench", "`harness bench`")


def run_suite(
    name: str,
    *,
    target: str = SHIPPED,
    run_folder: Path,
    settings: Settings | None = None,
    limit_s: float | None = None,
    limits: Limits | None = None,
    watch: ProgressCallback = lambda *_: None,
) -> int:
    """Run one suite, print its errors, and write ``bench-<name>.json`` into the folder of the run.

    Parameters
    ----------
    name
        One of :data:`SUITES`.
    target
        Cases, as for :func:`harness.calling.target.load`.
    run_folder
        Folder of the run. Nothing else is written, except for the cache of the data set.
    settings
        Deviations from the settings of the suite.
    limit_s
        Time limit of the suite, in seconds.
    limits
        Limits of user code: the time for its import, and its memory. A benchmark has :data:`LONGEST_S`.
    watch
        Callback for progress. The output of pytest is shown only after an error.

    Returns
    -------
    code
        0: everything ran and was right. 1: something failed, or was wrong; its timing is dropped.
        2: nothing was measured, or the suite did not finish.

    Raises
    ------
    UsageError
        If the suite cannot load its target.
    IdleError
        If the target has nothing for this suite.
    KeyboardInterrupt
        After finished results are saved.

    Notes
    -----
    The file holds all finished benchmarks, and under ``harness`` whether they are complete: see
    :class:`harness.bench.suites.benchmark.Account`. If none finished, the file does not change.
    """
    limits = limits or Limits()
    refuse_changes()
    code, kept, interrupted, listener = None, 0, False, _Listener(watch, limits)
    with tempfile.TemporaryDirectory(prefix="harness-bench-") as scratch:
        result, output = Path(scratch, "result.json"), Path(scratch, "output.txt")
        text = SETTINGS.dump_json(settings or Settings()).decode()
        options = [f"--harness-cases={target}", f"--harness-scratch={scratch}", f"--harness-settings={text}"]
        if (memory := limits.memory_bytes) is not None:
            options.append(f"--harness-memory={memory}")
        try:
            words = [*_list_arguments(name, Path(scratch), result), *options]
            code = _run(_SUITE.format(words=words), limit_s, output, listener, fresh=name in FRESH)
        except KeyboardInterrupt:
            interrupted = True
            raise
        finally:
            listener.finish()
            kept = _save(result, run_folder / f"bench-{name}.json")
            if listener.refused is None and not interrupted and not (code == _PASSED and kept):
                sys.stdout.write(printable(output.read_text(encoding="utf-8", errors="replace")))
    if listener.refused is not None:
        raise listener.refused
    if code == _PASSED and kept:
        return 0
    return 1 if code == _FAILED else 2


_FORKING = ForkServer(
    "torch.fx.experimental.symbolic_shapes",
    "pytest",
    "harness.contracts",
    "harness.record.bench",
    "harness.data.images",
    "torchvision",
)
"""Server for forked suites; it imports modules that all suites need."""

_SUITE = """
import gc, os, sys
gc.enable()
progress = os.dup(1)
os.dup2(2, 1)
import pytest
sys.exit(pytest.main([*{words!r}, f"--harness-progress={{progress}}"]))
"""
"""Pytest in a process that writes its progress to standard output, and its own output to standard error."""


def _list_arguments(name: str, scratch: Path, result: Path) -> list[str]:
    """Return the arguments of pytest for a suite."""
    settings = scratch / "pytest.ini"
    # Torch's compiler uses deprecated parts of torch.
    settings.write_text("[pytest]\nfilterwarnings =\n    ignore:.*torch.jit:DeprecationWarning\n", encoding="utf-8")
    return [
        # Without a limit upwards, pytest would take the packages above the suites for test packages.
        *(str(_SUITES / f"test_{name}.py"), f"--confcutdir={_SUITES}"),
        *("-c", str(settings), f"--rootdir={_INSTALLED}", f"--basetemp={scratch / 'tmp'}"),
        *("--noconftest", "-p", "harness.bench.suites.benchmark"),
        *("-p", "pytest_benchmark.plugin", "-p", "no:cacheprovider"),
        *("--import-mode=importlib", "--no-header", "-rfEs"),
        *(f"--benchmark-json={result}", f"--benchmark-storage=file://{scratch / 'storage'}", "--benchmark-warmup=off"),
        *("--benchmark-columns=median,iqr,min,rounds,iterations", "--benchmark-group-by=group"),
    ]


def _build_environment() -> dict[str, str]:
    """Return the environment without secrets and variables for pytest, and with one thread for every library."""
    kept = {name: value for name, value in user_environment().items() if not name.startswith(("PYTEST_", "COV_CORE_"))}
    return kept | _ONE_THREAD | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


class _Listener:
    """Reads the progress of a suite, or the error in ``refused`` for which it measures nothing."""

    def __init__(self, watch: ProgressCallback, limits: Limits) -> None:
        self._watch, self._limits = watch, limits
        self._thread: threading.Thread | None = None
        self._importing: str | None = None
        self._told_at = time.monotonic()
        self.refused: UsageError | None = None

    def loses_import(self, code: int | None) -> bool:
        """Whether the suite ended with a code, or has no more time, during the import of user code: ``refused``."""
        limits = replace(self._limits, law_s=self._limits.load_s)
        has_time = code is None and time.monotonic() - self._told_at < limits.load_s
        if self._importing is None or has_time or self.refused is not None:
            return False
        module, reason = self._importing.partition(":")[0], describe_failure(code, "", limits).sentence
        self.refused = UsageError(f"cannot import `{module}`", rule=f"the import {reason}")
        return True

    @property
    def is_overdue(self) -> bool:
        """Whether a benchmark has had its time."""
        return time.monotonic() - self._told_at > LONGEST_S

    def begin(self, source: IO[bytes]) -> None:
        """Read the output of the suite to its end."""
        self._thread = threading.Thread(target=self._listen, args=(source,), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Read the rest of the pipe."""
        if self._thread is not None:
            self._thread.join(1.0)

    def _listen(self, source: IO[bytes]) -> None:
        total, done, running = 0, 0, ""
        with source as lines:
            for line in lines:
                message, self._told_at = json.loads(line), time.monotonic()
                self._importing = message.get("importing", self._importing)
                if refused := message.get("refused"):
                    kind = IdleError if refused.pop("idle") else UsageError
                    self.refused = kind(**refused)
                    continue
                total, running = message.get("total", total), message.get("running", running)
                done += message.get("done", 0)
                self._watch(running, done, total)


def _run(text: str, limit_s: float | None, output: Path, listener: _Listener, *, fresh: bool = True) -> int:
    """Run Python until the end, the time limit or an interrupt; the process can save its results in each case."""
    with output.open("wb") as written:
        process = _start(text, written, fresh=fresh)
    assert process.stdout is not None
    listener.begin(process.stdout)
    until = math.inf if limit_s is None else time.monotonic() + limit_s
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(min(_LOOK_S, max(0.0, until - time.monotonic())))
                listener.finish()
                listener.loses_import(code)
                return code
            if listener.loses_import(None):
                os.killpg(process.pid, signal.SIGKILL)
                return process.wait()
            if time.monotonic() >= until or listener.is_overdue:
                process.send_signal(signal.SIGINT)
                sys.stderr.write(f"stopped at the time limit of {LONGEST_S if limit_s is None else limit_s:g} s\n")
                return _read_last_words(process)
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        _read_last_words(process)
        raise
    finally:
        if isinstance(process, ForkedProcess):
            process.close()


def _start(text: str, written: IO[bytes], *, fresh: bool) -> ForkedProcess | subprocess.Popen[bytes]:
    """Start a process that leads a group, so that Ctrl-C in the terminal reaches it once, from here."""
    forked = None if fresh else _FORKING.fork(text, written, environment=_build_environment())
    if forked is not None:
        forked.stdin.close()
        return forked
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": written}
    return start_interpreter(text, env=_build_environment(), **streams)


def _read_last_words(process: ForkedProcess | subprocess.Popen[bytes]) -> int:
    for _ in range(2):
        try:
            return process.wait(GOODBYE_S / 2)
        except subprocess.TimeoutExpired:  # an interrupt within a destructor is lost
            process.send_signal(signal.SIGINT)
    process.kill()
    sys.stderr.write(f"killed: the suite did not stop within {GOODBYE_S:g} s; its measurements are lost\n")
    return process.wait()


def _save(result: Path, file: Path) -> int:
    """Move the document into the run unless it is empty, and return the number of benchmarks."""
    if not result.is_file():
        return 0
    text = result.read_text(encoding="utf-8")
    try:
        kept = len(json.loads(text)["benchmarks"])
    except json.JSONDecodeError:  # killed while writing
        return 0
    if kept:
        RunFolder(file.parent, synced=True).write_benchmarks(file.stem.removeprefix("bench-"), text)
    return kept
