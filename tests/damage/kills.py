"""Kill a command that fills a run at random moments: the run can be read, reports its state, and continues."""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import samples.run

from harness.cli import session as sessions
from harness.cli.session import Session
from harness.error import UsageError
from harness.execution.interrupt import Ending, interruptible
from harness.record import GateFinding, RunFolder, Verdict, early
from harness.record.folder import FILES

PLANNED = 40
"""Number of laws that the command checks."""

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def fill(path: Path) -> None:
    """Fill a run like a command: append, sync at every record, replace a file, and record the end."""
    with Session(str(path)) as opened:
        found: list[Verdict] = []
        with Ending(found) as ending:
            opened.expect(PLANNED, "law", plan="the plan")
            opened.folder.write(GateFinding, samples.gate.findings())
            for verdict in verdicts():
                opened.keep(verdict)
                found.append(verdict)
                opened.done += 1
        opened.end(ending)


def verdicts() -> list[Verdict]:
    """Return the verdicts that the command finds."""
    return [samples.run.verdict(law=f"law_{number}") for number in range(PLANNED)]


@dataclass
class Killed:
    """Result of many kills.

    ``wrong`` describes the failures. ``whole`` and ``part`` count finished and unfinished runs. ``most`` is the largest
    number of records in an unfinished run.
    """

    wrong: list[str] = field(default_factory=list)
    whole: int = 0
    part: int = 0
    most: int = 0


def kill(times: int, seed: int, path: Path) -> Killed:
    """Kill a command at random moments, check the remains, and continue it.

    ``seed`` draws moments and signals, and ``path`` is the folder of the run.
    """
    draw, killed = random.Random(seed), Killed()
    argv, sync_s = sys.argv[1:], sessions.SYNC_S
    sys.argv[1:], sessions.SYNC_S = ["check"], 0.0
    try:
        return _killed(times, draw, path, killed)
    finally:
        sys.argv[1:], sessions.SYNC_S = argv, sync_s


def _killed(times: int, draw: random.Random, path: Path, killed: Killed) -> Killed:
    fill(path)
    began = time.monotonic()
    fill(path)
    usual_s = time.monotonic() - began
    for number in range(times):
        before = len(RunFolder(path).head().work)
        child = _apart(lambda: fill(path))
        time.sleep(draw.uniform(0.0, 1.2 * usual_s))
        os.kill(child, draw.choice(SIGNALS))
        os.waitpid(child, 0)
        try:
            _look(path, killed, before)
            if number % 5 == 4:
                fill(path)
                if early(RunFolder(path).head().work) or RunFolder(path).read(Verdict) != verdicts():
                    killed.wrong.append(f"{number}: not as at once")
                if any(path.glob(".*")):
                    killed.wrong.append(f"{number}: a temporary file is left")
        except UsageError as error:
            killed.wrong.append(f"{number}: {error}")
            RunFolder(path).clear()
            fill(path)
    return killed


def _look(path: Path, killed: Killed, before: int) -> None:
    run = RunFolder(path)
    found, work = run.read(Verdict), run.head().work
    run.read(GateFinding)
    if found != verdicts():
        killed.wrong.append("a record of before is lost")
    if len(work) == before or not early(work[-1:]):
        killed.whole += 1
        return
    killed.part += 1
    killed.most = max(killed.most, len(run.chain(Verdict).lines) - PLANNED)
    # A temporary file may remain from an interrupted write; the next command removes it.
    killed.wrong += [f"{file.name} is left" for file in path.iterdir() if _is_foreign(file.name)]


def _is_foreign(name: str) -> bool:
    return not name.startswith(".") and name not in {"run.json", *FILES.values()}


def _apart(work: Callable[[], None]) -> int:
    """Run a function in a forked process, which computes nothing itself."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with interruptible():
            work()
        code = 0
    except KeyboardInterrupt:
        code = 130
    finally:
        os._exit(code)
