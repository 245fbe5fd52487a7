"""The main job: a run of the shipped cases, made part by part, with a page from the first part on.

Each part is a command in a separate process, and no two run at a time, since some of them measure time. The processes
are forks of this one, which has imported torch and computed nothing.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from harness.calling.discovery import find_own_cases
from harness.command.options import run_folder, say
from harness.error import UsageError, require
from harness.execution.interrupt import uninterruptible
from harness.exit_code import ExitCode
from harness.isolation.parent import watch_parent

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess


class Part(NamedTuple):
    """A part of the main job, and its duration in seconds on two cores, by which the remaining time is estimated."""

    title: str
    command: str
    seconds: float


CHAPTER = "cases.softmax_regression"

PARTS = (
    Part("functions of the chapter", f"check {CHAPTER} --jobs 2", 40.0),
    Part("data loaders", "bench loaders --batch-sizes 32,256 --workers 0,2 --seconds 0.1 --quiet", 60.0),
    Part("training steps", "bench steps --batch-sizes 1,256,8192 --quiet", 45.0),
    Part("all other functions", "check cases --without softmax_regression.* --jobs 2", 120.0),
    Part("breaking points", f"survey {CHAPTER} --jobs 2 --batches 10 --quiet", 60.0),
    Part("trainings", "train --quiet", 15.0),
    Part("cases from scratch and concise ones", "same cases --quiet", 45.0),
    Part("audit of a step", f"audit {CHAPTER}.scratch:well_scaled --quiet", 4.0),
    Part("audit of a step that overflows", f"audit {CHAPTER}.scratch:badly_scaled --expect overflow --quiet", 4.0),
    Part(
        "loading while training, operations and loops",
        "bench balance operations vectorization --batch-sizes 256 --shapes 256x10 --quiet",
        60.0,
    ),
)
"""The parts, the most useful for a reader first."""

PAGE_SHARE = 0.1
"""A page is written between two parts if it takes at most this share of the time since the last one."""

PLAIN_S = 30.0
"""Interval in seconds between lines of progress if standard error is no terminal."""

LOOK_S = 1.0
"""Interval in seconds at which a running part is polled."""

GOODBYE_S = 60.0
"""Seconds for an interrupted part to store its finished results."""

EARLY = 0.2
"""Share of a part below which its work is not extrapolated."""

USUAL_S = 60.0
"""Weight in seconds of the durations in :data:`PARTS`, compared with the durations on this machine."""


def reject_misuse(runs: Sequence[str]) -> None:
    """Raise an error if the main job cannot make a single run of the shipped cases with its page."""
    if len(runs) != 1:
        raise UsageError("cannot make several runs", remedy="name one run with `--new`")
    if (package := find_own_cases()) is not None:
        rule = f"`--new` checks the shipped cases, and `{package}` hides them"
        raise UsageError("cannot make a run here", rule=rule, remedy="use another folder")
    for extra in ("report", "bench"):
        require(extra, "`harness report --new`")


def make_run(name: str, options: Sequence[str], *, is_opened: bool = False) -> int:
    """Run all parts, and write the page meanwhile.

    Parameters
    ----------
    name
        Name of the run, which is cleared first, or a path to its folder.
    options
        Options of ``harness report`` for the page.
    is_opened
        Whether to open the first page in the browser.

    Returns
    -------
    int
        The highest exit code of the parts and of the last page; 130 after an interrupt, which leaves a page of the
        finished parts.

    Raises
    ------
    UsageError
        If another command writes to the run.
    """
    from harness.command.session import lock

    folder = run_folder(name)
    folder.path.mkdir(parents=True, exist_ok=True)
    # The forked commands share the lock.
    lock(folder.path)
    job = _Job(name, ["report", name, *options], is_opened=is_opened)
    try:
        job.run()
    except KeyboardInterrupt:
        job.finish(is_interrupted=True)
        return ExitCode.INTERRUPTED
    return max(job.codes)


class _Job:
    """The state of the main job.

    Attributes
    ----------
    codes
        Exit codes of the finished parts, and of the last page.
    """

    def __init__(self, name: str, page: Sequence[str], *, is_opened: bool) -> None:
        self.codes: list[int] = []
        self._name, self._folder = name, run_folder(name)
        self._page, self._is_opened = page, is_opened
        self._durations_s: list[float] = []
        self._began = time.monotonic()
        self._line = ProgressLine()
        self._page_s, self._page_ended = 0.0, float("-inf")

    def run(self) -> None:
        """Run the parts; a part that fails does not stop the others."""
        self._line.show(self._format_progress(), is_new=True)
        if sys.platform == "linux":
            # Otherwise every part would import these modules.
            for module in ("torch", "torch.fx.experimental.symbolic_shapes", "harness.contracts"):
                import_module(module)
        for number, part in enumerate(PARTS):
            self._began = time.monotonic()
            words = [*part.command.split(), "--run", self._name, *([] if number else ["--fresh"])]
            code, output = run_command(words, lambda: self._line.show(self._format_progress()))
            self._line.clear()
            sys.stdout.write(output)
            sys.stdout.flush()
            if not self._folder.is_run:
                self.codes = [code or 2]
                return
            # A process that was killed has another code.
            self.codes.append(code if code in {0, 1, 2} else ExitCode.NO_ANSWER)
            self._durations_s.append(time.monotonic() - self._began)
            self._began = time.monotonic()
            if number + 1 < len(PARTS):
                self._line.show(self._format_progress(), is_new=True)
                self._write_page_if_due()
        self.finish()

    def finish(self, *, is_interrupted: bool = False) -> None:
        """Write the last page, of everything that is finished."""
        with uninterruptible():
            self._line.clear()
            if self._folder.is_run:
                self._write_page(is_interrupted=is_interrupted, is_last=True)

    def _write_page_if_due(self) -> None:
        if self._page_s <= PAGE_SHARE * (time.monotonic() - self._page_ended):
            self._write_page()

    def _write_page(self, *, is_interrupted: bool = False, is_last: bool = False) -> None:
        """Record how far the run is, and write its page; print the address of the first one, and all of the last."""
        from harness.record import Parts

        titles, done = tuple(part.title for part in PARTS), len(self.codes)
        parts = Parts(done=titles[:done], waiting=titles[done:], is_interrupted=is_interrupted)
        self._folder.revise(parts=parts)
        began = time.monotonic()
        is_first = not self._page_s
        words = [*self._page, *(["--open"] if self._is_opened and is_first else [])]
        code, output = run_command(words, lambda: None)
        self._page_ended = time.monotonic()
        self._page_s = self._page_ended - began
        self._line.clear()
        if is_last:
            # The job also fails without its page.
            self.codes.append(code if code in {0, 1, 2} else ExitCode.NO_ANSWER)
        if is_last or code not in {0, 2}:
            sys.stdout.write(output)
        elif is_first:
            say(output.partition("\n")[0])

    def _format_progress(self) -> str:
        """Return which part is running, and about how long the rest takes."""
        done = len(self._durations_s)
        left_s = estimate_remaining_s(self._durations_s, time.monotonic() - self._began, self._compute_share())
        remainder = f"{left_s / 60:.0f} min" if left_s >= 90 else f"{max(10.0, round(left_s, -1)):.0f} s"
        return f"part {done + 1} of {len(PARTS)}, {PARTS[done].title}: about {remainder} left"

    def _compute_share(self) -> float | None:
        """Return the share of the running part that is done, if it counts its work; ``None`` if that is unknown."""
        if PARTS[len(self.codes)].command.startswith("bench"):
            return None  # nothing is read while time is measured
        with suppress(UsageError):
            work = self._folder.head().work[-1]
            if work.ended is None and work.planned:
                return work.done / work.planned
        return None


def estimate_remaining_s(durations_s: Sequence[float], running_s: float, share: float | None) -> float:
    """Return about how many seconds the rest of the job takes.

    Parameters
    ----------
    durations_s
        Seconds that the finished parts took.
    running_s
        Seconds for which the next part runs.
    share
        Share of that part that is done; ``None`` if it is unknown.
    """
    usual_s = [part.seconds for part in PARTS]
    done = len(durations_s)
    spent_s, planned_s = sum(durations_s) + USUAL_S, sum(usual_s[:done]) + USUAL_S
    whole_s = max(usual_s[done] * spent_s / planned_s, 1.1 * running_s)
    if share:
        # At the beginning, a share of the work says little about its time.
        whole_s = running_s + (1 - share) * whole_s if share < EARLY else running_s / share
    slowness = (spent_s + whole_s) / (planned_s + usual_s[done])
    return whole_s - running_s + slowness * sum(usual_s[done + 1 :])


class ProgressLine:
    """A line on standard error: in place on a terminal, and otherwise a new one now and then."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._shown = float("-inf")

    def show(self, text: str, *, is_new: bool = False) -> None:
        """Show the progress; without a terminal, only news and every :data:`PLAIN_S` seconds."""
        if self._is_terminal:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        elif is_new or time.monotonic() - self._shown >= PLAIN_S:
            print(text, file=sys.stderr, flush=True)
            self._shown = time.monotonic()

    def clear(self) -> None:
        """Make room for other output."""
        if self._is_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def run_command(words: Sequence[str], look: Callable[[], object]) -> tuple[int, str]:
    """Run a command of the harness in a process, and call ``look`` meanwhile; return its exit code and its output."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryFile() as output:
        process = context.Process(target=_execute, args=(words, output.fileno()))
        process.start()
        try:
            while process.is_alive():
                process.join(LOOK_S)
                look()
        except KeyboardInterrupt:
            with uninterruptible():
                _stop_process(process)
            raise
        output.seek(0)
        return process.exitcode or 0, output.read().decode(errors="replace")


def _stop_process(process: "BaseProcess") -> None:
    """Interrupt a command, and wait until it has stored its finished results."""
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, signal.SIGINT)
    process.join(GOODBYE_S)
    process.kill()
    process.join()


def _execute(words: Sequence[str], output: int) -> None:
    """Run a command in this process, with its output in a file."""
    from harness.cli import main

    # Ctrl-C in a terminal reaches all processes of a group; the command gets it from its parent, once.
    os.setpgid(0, 0)
    parent = multiprocessing.parent_process()
    assert parent is not None, "a part has a parent"
    threading.Thread(target=watch_parent, args=(parent.pid, None), daemon=True).start()
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())
    sys.argv = ["harness", *words]
    main()
