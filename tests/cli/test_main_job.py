"""The main job, ``harness report --new``: its parts, its page while it runs, and what an interrupt leaves."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pytest

from harness.bench.run import DEFAULT_SUITES
from harness.calling.target import load
from harness.cli.main_job import EARLY, PARTS, USUAL_S, ProgressLine, estimate_remaining_s, reject_misuse
from harness.error import UsageError
from harness.record import Ended, Parts, RunFolder, Verdict
from harness.verdict.campaign import Campaign

QUICK = "check cases.vectorization --law value --dtypes float32 --examples 2"
JOB = """
import os, sys
print(os.getpid(), flush=True)
from harness.cli import main, main_job
main_job.PARTS = tuple(main_job.Part(f"part {{number}}", text, 1.0) for number, text in enumerate({commands!r}))
sys.argv = ["harness", "report", "it", "--new"]
main()
"""


class Job:
    """The main job with other parts, in a fork of a process that has imported torch."""

    def __init__(self, python: str, *commands: str) -> None:
        program = JOB.format(commands=commands)
        self.process = subprocess.Popen(
            [python, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.output = self.process.stdout
        self.pid = int(self.output.readline())

    def address(self) -> str:
        """Wait for the first page, and return the line with its address."""
        return next(line for line in self.output if line.startswith("report: "))

    def ended(self, number: signal.Signals | None = None) -> tuple[int, str, str]:
        """Return the exit code and the rest of the output, after a signal if there is one."""
        if number is not None:
            os.kill(self.pid, number)
        output, progress = self.process.communicate(timeout=200)
        return self.process.returncode, output, progress


def page() -> str:
    """Return the text of the page, without tags."""
    return re.sub(r"<[^>]*>", "", Path(".harness/runs/it/report/report.html").read_text(encoding="utf-8"))


# The plan


def test_the_parts_check_every_shipped_case_once() -> None:
    """The chapter's functions come first, and the other check leaves out exactly these."""
    checks = [part.command.split() for part in PARTS if part.command.startswith("check")]
    found = []
    for _, target, *options in checks:
        without = options[options.index("--without") + 1] if "--without" in options else ""
        found.append([case.name for case in Campaign(target, without=tuple(filter(None, [without]))).cases()])
    assert sorted(chain.from_iterable(found)) == sorted(case.name for case in load("cases"))
    assert all(name.startswith("softmax_regression.") for name in found[0])


def test_the_parts_run_every_usual_suite_in_the_order_of_a_reader() -> None:
    """The loaders' throughput and a step's time come before everything but the chapter's functions."""
    words = [word for part in PARTS if part.command.startswith("bench") for word in part.command.split()]
    assert [word for word in words if word in DEFAULT_SUITES] == list(DEFAULT_SUITES)
    assert [part.command.split()[:2] for part in PARTS[1:3]] == [["bench", "loaders"], ["bench", "steps"]]


def test_the_job_makes_one_run_of_the_shipped_cases(workplace: Path) -> None:
    """Several runs, and a folder with its own package of cases, are refused in one line."""
    with pytest.raises(UsageError, match="cannot make several runs; name one run"):
        reject_misuse(["one", "two"])
    (workplace / "cases").mkdir()
    (workplace / "cases" / "__init__.py").write_text("CASES = []")
    with pytest.raises(UsageError, match=r"`--new` checks the shipped cases, and `.*cases` hides them"):
        reject_misuse(["one"])


# The remaining time

USUAL = [part.seconds for part in PARTS]


def test_the_first_estimate_is_the_sum_of_the_usual_durations() -> None:
    """Nothing else is known then."""
    assert estimate_remaining_s([], 0.0, None) == pytest.approx(sum(USUAL))


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_estimate_follows_the_speed_of_the_machine(factor: float) -> None:
    """On a machine that takes ``factor`` times as long, it is between the usual and the true remaining time."""
    done = [factor * seconds for seconds in USUAL[:4]]
    low, high = sorted((sum(USUAL[4:]), factor * sum(USUAL[4:])))
    found = estimate_remaining_s(done, 0.0, None)
    assert low <= found <= high
    assert abs(found - factor * sum(USUAL[4:])) <= abs(factor - 1.0) * sum(USUAL[4:]) * USUAL_S / sum(USUAL[:4])


def test_work_that_is_counted_decides_how_long_its_part_takes() -> None:
    """Half of the work in 500 seconds: another 500 seconds for this part, and a slow machine for the others."""
    usual = estimate_remaining_s([], 500.0, None)
    assert estimate_remaining_s([], 500.0, 0.5) > 500.0 + sum(USUAL[1:])
    assert estimate_remaining_s([], 500.0, 0.99) < usual
    assert estimate_remaining_s([], 500.0, EARLY / 2) < estimate_remaining_s([], 500.0, EARLY)


@pytest.mark.parametrize("share", [None, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("number", range(len(PARTS)))
def test_the_estimate_is_never_negative(share: float | None, number: int) -> None:
    """A part may take any number of seconds."""
    for running_s in (0.0, 1.0, 1e4):
        assert estimate_remaining_s(USUAL[:number], running_s, share) >= 0.0


def test_progress_is_a_plain_line_now_and_then_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """News appear at once, and the same part again after half a minute. A terminal has one line in place."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    line = ProgressLine()
    for now[0] in (0.0, 1.0, 29.0, 31.0, 32.0):
        line.show(f"at {now[0]:g}")
    line.show("news", is_new=True)
    line.clear()
    assert capsys.readouterr().err.splitlines() == ["at 0", "at 31", "news"]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    line = ProgressLine()
    line.show("first")
    line.show("second")
    assert capsys.readouterr().err == "\r\x1b[Kfirst\r\x1b[Ksecond"


# The page


def test_the_page_says_in_one_line_what_is_still_running() -> None:
    """Also what comes next; after an interrupt, where it came. A finished run says nothing."""
    waiting = ("steps", "laws", "audits")
    assert Parts(done=("loaders",), waiting=waiting).sentence == (
        "Still running: steps (part 2 of 4); then laws and 1 more. Reload this page to see the rest."
    )
    assert Parts(done=("loaders",), waiting=waiting, is_interrupted=True).sentence == (
        "Interrupted in part 2 of 4, steps; 2 later parts are missing."
    )
    assert Parts(done=("loaders",), waiting=("steps",)).sentence.startswith("Still running: steps (part 2 of 2). ")
    assert Parts(done=("loaders",)).sentence == ""


def words_of(run: RunFolder) -> Sequence[str]:
    """Return the names of the commands of a run."""
    return [work.name for work in run.head().work]


def test_a_part_that_fails_stops_no_other(workplace: Path, python: str) -> None:
    """The highest exit code is that of the job, and the last page has the results of all other parts."""
    wrong = "check cases.vectorization --law no_such_law"
    code, output, progress = Job(python, QUICK, wrong, f"{QUICK} --strict").ended()
    assert code == 2, progress
    assert output.count("report: .harness/runs/it/report/report.html") == 2
    assert output.index("report: ") < output.index("no_such_law")
    assert "verdict: no defect in " in output.rpartition("report: ")[2]
    assert re.match(r"part 1 of 3, part 0: about \d+ s left\n", progress)
    run = RunFolder.find("it")
    assert words_of(run) == ["check", "check", "check"]
    assert run.read(Verdict)
    assert run.head().parts == Parts(done=("part 0", "part 1", "part 2"))
    assert "Still running" not in page()


def test_an_interrupted_job_leaves_a_page_of_the_finished_parts(workplace: Path, python: str) -> None:
    """The address is printed when the first page exists, which names the running part."""
    job = Job(python, QUICK, "check cases --jobs 1", QUICK)
    assert job.address() == "report: .harness/runs/it/report/report.html\n"
    assert "Still running: part 1 (part 2 of 3); then part 2." in page()
    code, rest, _ = job.ended(signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert "report: .harness/runs/it/report/report.html\n" in rest
    assert "Interrupted in part 2 of 3, part 1; 1 later part is missing." in page()
    run = RunFolder.find("it")
    assert run.head().work[0].ended is Ended.FINISHED
    assert all(work.ended is not None for work in run.head().work)
    assert {verdict.law for verdict in run.read(Verdict)} >= {"value"}


def test_only_one_job_writes_to_a_run(workplace: Path, python: str) -> None:
    """Another command is refused between two parts, too."""
    job = Job(python, QUICK, "check cases --jobs 1")
    job.address()
    code, _, refusal = Job(python, QUICK).ended()
    assert (code, refusal.partition(" `")[0]) == (2, "harness: another command is already writing to the run")
    assert job.ended(signal.SIGINT)[0] == 128 + signal.SIGINT
