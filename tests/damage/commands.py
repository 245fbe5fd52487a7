"""Kill real commands at random moments: the remains can be read and continued, and no process survives.

All commands that write files are killed, except ``harness same`` for two releases, which writes none.
"""

import json
import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from harness.error import UsageError
from harness.record import RunFolder, early
from harness.record.storage import FILES

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

AFTER_S = 5.0
"""Seconds after a kill within which all processes of the command end."""

MARK = "SCRATCH_OF"
"""Variable that all processes of a command inherit, which identifies surviving processes."""

MINE = """
import torch

def softmax(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)

def stable(x):
    return torch.softmax(x, -1)

def step():
    x = torch.linspace(1.0, 120.0, 64).reshape(8, 8).requires_grad_()
    softmax(x).square().sum().backward()

class Numbers:
    def __len__(self):
        return 256

    def __getitem__(self, index):
        return torch.ones(8), index
"""

_FOREIGN = ("--contract", "softmax", "--law", "value", "--law", "rows_sum_to_one", "--dtypes", "float32,float64")

COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("check", "cases.binary", "--law", "value", "--dtypes", "float32,float64", "--run", "run"),
    "foreign check": ("check", "mine.py:softmax", *_FOREIGN, "--seed", "5", "--run", "run"),
    "survey": ("survey", "mine.py:softmax", "--law", "value", "--dtypes", "float32", "--batches", "1", "--run", "run"),
    "prove": (
        *("prove", "torch.nn.functional:softplus", "--contract", "softplus"),
        *("--dtypes", "float16", "--layouts", "contiguous", "--run", "run"),
    ),
    "bench": ("bench", "operations", "--cases", "mine.py:stable", "--contract", "softmax", "--run", "run"),
    "report": ("report", "before", "--output", "page"),
    "gate": ("gate", "mine.py:softmax", "--contract", "softmax", "--run", "before", "--into", "run"),
    "audit": ("audit", "mine.py:step", "--steps", "3", "--run", "run"),
    "train": ("train", "cases.linear_regression", "--data", "synthetic", "--run", "run"),
    "tune": ("tune", "mine.py:Numbers", "--seconds", "4", "--workers", "0", "--json", "tuned.json"),
    "gate update": ("gate", "mine.py:softmax", "--contract", "softmax", "--run", "before", "--update"),
    "freeze": ("freeze", "before", "corpus"),
    "init": ("init", "--yes"),
    "learn": ("learn", "softmax"),
    "fix": ("check", "mine.py:softmax", *_FOREIGN, "--fix", "--write"),
    "documents": (
        *("check", "mine.py:stable", *_FOREIGN, "--seed", "5"),
        *("--json", "laws.json", "--junit", "laws.xml", "--markdown", "laws.md"),
    ),
}
"""The commands to kill, in a folder with functions, and with a run ``before`` of the foreign check and its baseline."""

MEASURED = {"bench", "tune", "documents", "report"}
"""Commands whose records or files contain times, which differ from run to run."""

CHANGING = {"fix", "learn"}
"""Commands that do another thing the second time; each of their runs begins from the state before the first."""


@dataclass
class Killed:
    """Result of many kills.

    ``wrong`` describes the failures. ``ends`` counts for each command the signals that ended it, and the runs that
    ended before the signal. ``slowest_s`` is the longest time from signal to end. ``reruns`` counts the complete runs
    after kills whose results were compared with an undisturbed run.
    """

    wrong: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    reruns: int = 0

    def __str__(self) -> str:
        """Return it as lines."""
        ends = ", ".join(f"{number} {what}" for what, number in sorted(self.ends.items()))
        head = f"{self.ends.total()} kills, {self.reruns} reruns, the slowest end {self.slowest_s:.1f} s: {ends}"
        return "\n".join([head, *self.wrong])


def kill(times: int, seed: int, folder: Path, names: Sequence[str] = tuple(COMMANDS), every: int = 4) -> Killed:
    """Kill each command in turn at random moments, check the remains, and complete it after every few kills.

    ``times`` is the number of kills over all commands, and ``seed`` draws moments and signals. ``every`` is the number
    of kills before a command runs to its end; its last run is also complete.
    """
    draw, killed = random.Random(seed), Killed()
    shares = {name: len(range(at, times, len(names))) for at, name in enumerate(names)}
    for name, share in shares.items():
        if share:
            _one(name, share, draw, _Place(folder / name.replace(" ", "-")), killed, every)
    return killed


class _Place:
    """The working folder of a command, with a separate temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.scratch = folder, folder / "scratch"
        self.scratch.mkdir(parents=True)
        (folder / "mine.py").write_text(MINE, encoding="utf-8")
        self.mark = secrets.token_hex(8)
        self._before: dict[str, bytes] = {}

    def start(self, words: Sequence[str]) -> "subprocess.Popen[bytes]":
        tests = str(Path(__file__).parents[1])
        environment = {**os.environ, "TMPDIR": str(self.scratch), MARK: self.mark, "COLUMNS": "120"}
        program = f"import sys; sys.path.append({tests!r}); from harness.__main__ import main; sys.exit(main())"
        with (self.folder / "said").open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-c", program, *words],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text(encoding="utf-8", errors="replace")

    def left(self) -> list[str]:
        """Return the living processes of the command."""
        lines = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    lines.append(" ".join(process.cmdline())[:80])
            except psutil.Error:
                continue
        return lines

    def files(self) -> dict[str, bytes]:
        """Return the files with their contents, except for those of runs, caches and temporary files."""
        paths = {path: path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file()}
        return {
            str(name): path.read_bytes()
            for path, name in paths.items()
            if not {"__pycache__", "scratch", "said", ".hypothesis"} & set(name.parts)
            and name.parts[:2] not in {(".harness", "runs"), (".harness", "data")}
        }

    def remember(self) -> None:
        """Keep the state to which :meth:`begin_anew` returns."""
        self._before = self.files()

    def begin_anew(self) -> None:
        """Restore the state before the command, so that the next kills leave a partial result."""
        shutil.rmtree(self.folder / ".harness" / "runs" / "run", ignore_errors=True)
        for name in self.files().keys() - self._before.keys():
            (self.folder / name).unlink()
        for name, content in self._before.items():
            (self.folder / name).write_bytes(content)

    def partial(self, whole: dict[str, bytes], *, by_content: bool) -> list[str]:
        """Return the files that are neither as before the command nor as after it."""
        return [
            name
            for name, content in self.files().items()
            if content != self._before.get(name)
            and (name not in whole or (by_content and content != whole[name]) or not content)
        ]

    def says_finished(self) -> bool:
        """Return whether the run has a command that was not ended early."""
        run = RunFolder(self.folder / ".harness" / "runs" / "run")
        return run.is_run and not early(run.head().work[-1:])

    def records(self) -> dict[str, list[str]]:
        """Return the sorted records of the run without durations, and check that the run before it can be read."""
        if (before := RunFolder(self.folder / ".harness" / "runs" / "before")).is_run:
            before.head()
        run = RunFolder(self.folder / ".harness" / "runs" / "run")
        if not run.is_run:
            return {}
        kinds: Any = FILES
        found = {name: sorted(map(_timeless, run.read(kind))) for kind, name in kinds.items()}
        list(run.benchmarks())
        run.head()
        return {name: lines for name, lines in found.items() if lines}


def _timeless(record: Any) -> str:
    fields = {name: value for name, value in record.model_dump(mode="json").items() if not name.endswith("_s")}
    return json.dumps(fields, sort_keys=True)


def _one(name: str, times: int, draw: random.Random, place: _Place, killed: Killed, every: int) -> None:
    words = COMMANDS[name]
    if "before" in words:
        place.start((*COMMANDS["foreign check"][:-1], "before")).wait()
    if name == "gate":
        place.start((*words[:-2], "--update")).wait()
    place.remember()
    process = place.start(words)
    _wait_for_handlers(process)
    began = time.monotonic()
    code = process.wait()
    usual_s = time.monotonic() - began
    if code not in {0, 1, 3}:
        killed.wrong.append(f"{name}: exit code {code} without a kill: {place.said[-300:]}")
        return
    whole, files, written = place.records(), _names(place), place.files()
    place.begin_anew()
    for number in range(1, times + 1):
        before = place.records()
        number_of_signal = _kill(name, words, draw, draw.uniform(0.0, 1.1 * usual_s), place, killed, code)
        partial = place.partial(written, by_content=name not in MEASURED)
        # After SIGKILL, no process removes the hidden file that was to replace another.
        kept = [file for file in partial if number_of_signal != signal.SIGKILL or not Path(file).name.startswith(".")]
        killed.wrong += [f"{name}, kill {number}: {file} is neither as before nor as after" for file in kept]
        try:
            after = place.records()
        except UsageError as error:
            killed.wrong.append(f"{name}, kill {number}: {error}")
            return
        if place.says_finished() and name not in MEASURED and after != whole:
            killed.wrong.append(f"{name}, kill {number}: the run says that it was finished, and has not all")
        lost = [
            file for file, lines in before.items() if name not in MEASURED and set(lines) - set(after.get(file, []))
        ]
        killed.wrong += [f"{name}, kill {number}: a record of {file} that was there before is lost" for file in lost]
        if name in CHANGING:
            place.begin_anew()
        if number % every == 0 or number == times:
            killed.reruns += 1
            if place.start(words).wait() != code:
                killed.wrong.append(f"{name}, rerun after kill {number}: another exit code: {place.said[-300:]}")
            if name not in MEASURED and place.records() != whole:
                killed.wrong.append(f"{name}, rerun after kill {number}: other records than at once")
            more = _names(place) - files
            killed.wrong += [f"{name}, rerun after kill {number}: {file} is left" for file in sorted(more)]
            place.begin_anew()


def _wait_for_handlers(process: "subprocess.Popen[bytes]") -> None:
    """Wait until the command handles SIGTERM; before that, Python itself is starting."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        found = re.search(r"^SigCgt:\s*(\w+)", status.read_text(encoding="ascii"), re.M)
        if found and int(found[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.005)


def _kill(
    name: str,
    words: Sequence[str],
    draw: random.Random,
    after_s: float,
    place: _Place,
    killed: Killed,
    code: int,
) -> signal.Signals | None:
    """Kill the command, and return the signal; ``None`` if it ended before."""
    # Ignore the files that an earlier SIGKILL has left.
    known = {path.name for path in place.scratch.iterdir()}
    process = place.start(words)
    _wait_for_handlers(process)
    try:
        process.wait(after_s)
        killed.ends[f"{name} before a signal"] += 1
        return None
    except subprocess.TimeoutExpired:
        number = draw.choice(SIGNALS)
    began = time.monotonic()
    process.send_signal(number)
    killed.ends[f"{name} by {number.name}"] += 1
    try:
        process.wait(10 * AFTER_S)
    except subprocess.TimeoutExpired:
        killed.wrong.append(f"{name}, {number.name}: the command lives on")
        process.kill()
        process.wait()
    killed.slowest_s = max(killed.slowest_s, time.monotonic() - began)
    expected = {-number} if number == signal.SIGKILL else {128 + number}
    if process.returncode not in {*expected, code}:
        killed.wrong.append(f"{name}, {number.name} after {after_s:.1f} s: exit code {process.returncode}")
    time.sleep(max(0.0, began + AFTER_S - time.monotonic()))
    killed.wrong += [f"{name}, {number.name} after {after_s:.1f} s: left running: {line}" for line in place.left()]
    # Torch's compiler keeps its results for later processes, and after SIGKILL no process removes files.
    now = {path.name for path in place.scratch.iterdir()}
    left = sorted(name for name in now - known if not name.startswith("torchinductor_"))
    left = left if number != signal.SIGKILL else []
    killed.wrong += [f"{name}, {number.name} after {after_s:.1f} s: the temporary {path} is left" for path in left]
    if "Traceback" in place.said:
        killed.wrong.append(f"{name}, {number.name} after {after_s:.1f} s: {place.said.strip().splitlines()[-1]}")
    return number


def _names(place: _Place) -> set[str]:
    """Return the files except caches, and except the hidden files that SIGKILL leaves in place of a replacement."""
    found = (path.relative_to(place.folder) for path in place.folder.rglob("*"))
    names = (str(path) for path in found if not {"__pycache__", "scratch", ".hypothesis"} & set(path.parts))
    return {name for name in names if not re.search(r"(^|/)\.[^/]+\.\w{8}$", name)}
