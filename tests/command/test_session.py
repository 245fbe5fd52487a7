"""A run reports its plan and how it ended, and an altered file is refused with the line number."""

import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import samples.run

from harness import reports
from harness.cli.gate import _reject_unfinished
from harness.command.options import session as opened_session
from harness.command.session import Session
from harness.error import UsageError
from harness.execution.interrupt import Ending
from harness.record import Ended, Outcome, Property, RunFolder, Status, Verdict, Work, early
from harness.record.storage import FILES
from harness.reports.page import write_report
from harness.reports.reading import read as read_run
from harness.reports.sections.law import laws
from harness.reports.table import Table


def verdicts(number: int, case: str = "m.f") -> list[Verdict]:
    """Return passing verdicts on different laws."""
    return [samples.run.verdict(case=case, law=f"law_{i}", group="value") for i in range(number)]


def kept(session: Session, number: int, planned: int, how: BaseException | None = None) -> RunFolder:
    """Run a command that finishes part of its plan and ends in the given way."""
    with Ending(found := []) as ending, session:
        session.expect(planned, "law", plan="the plan")
        for verdict in verdicts(number):
            session.keep(verdict)
            found.append(verdict)
            session.done += 1
        if how is not None:
            raise how
    session.end(ending)
    return session.folder


def tables(run: RunFolder) -> set[str]:
    """Return the names of the tables on the page about the laws of a run."""
    section = laws(read_run(run))
    assert section is not None
    return {part.name for part in section.parts if isinstance(part, Table)}


@pytest.fixture(autouse=True)
def check(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as the command ``check``."""
    monkeypatch.setattr(sys, "argv", ["harness", "check", "m.py:f"])


def test_a_run_that_was_interrupted_says_so_wherever_it_is_read() -> None:
    """The message has the counts of finished and planned laws. It disappears when the same command finishes."""
    run = kept(Session("it"), 7, 44, KeyboardInterrupt())
    assert early(run.head().work, "check") == "interrupted after 7 of 44 laws"
    _, lines = write_report(run)
    assert lines[0].startswith("verdict: interrupted after 7 of 44 laws, the rest was not checked; no defect in 7 laws")
    assert "`harness check` was interrupted after 7 of 44 laws: its results are incomplete." in lines
    assert "grades" not in tables(run)
    with pytest.warns(UserWarning, match="it: interrupted after 7 of 44 laws"):
        reports.load("it")
    kept(Session("it"), 44, 44)
    assert early(run.head().work) == ""
    assert "grades" in tables(run)
    assert len(run.read(Verdict)) == 44
    assert len(run.chain(Verdict).lines) == 44
    assert [work.ended for work in run.head().work] == [Ended.INTERRUPTED, Ended.FINISHED]


def test_a_command_interrupted_before_its_plan_is_completed_by_the_same_command() -> None:
    """Another command does not complete it."""
    begun = Work(name="check", plan="a", ended=Ended.INTERRUPTED)
    done = Work(name="check", plan="b", planned=4, done=4, ended=Ended.FINISHED)
    assert early([begun]) == "interrupted before its work was planned"
    assert early([begun, done.model_copy(update={"name": "survey"})]) != ""
    assert early([begun, done]) == ""


def test_a_command_without_a_run_stores_nothing(workplace: Path) -> None:
    """It uses the session like one that stores its results."""
    with opened_session(None) as session:
        session.expect(7, "law", plan="the plan")
        for verdict in verdicts(7):
            session.keep(verdict)
            session.done += 1
    assert session.done == 7
    assert list(workplace.iterdir()) == []


def test_the_gate_has_no_verdict_on_a_run_that_was_interrupted() -> None:
    """It cannot become the baseline. A complete run has no such finding."""
    kept(Session("it"), 7, 44, KeyboardInterrupt())
    (finding,) = _reject_unfinished("it", update=False)
    assert finding.outcome is Outcome.NO_VERDICT
    assert finding.sentence.startswith("The run was interrupted after 7 of 44 laws; ")
    with pytest.raises(UsageError, match=r"cannot make `.*` the baseline: the run was interrupted"):
        _reject_unfinished("it", update=True)
    kept(Session("it"), 44, 44)
    assert _reject_unfinished("it", update=True) == []


KILLED = """
import os, signal
from harness.command.session import Session
from harness.record import Verdict
from command.test_session import verdicts
session = Session("it")
session.expect(44, "law", plan="the plan")
for verdict in verdicts(7):
    session.keep(verdict)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_that_was_killed_keeps_what_was_found_and_says_so(python: str) -> None:
    """An incomplete last line is distinguished from an altered line, and dropped when the run continues."""
    assert subprocess.run([python, "-c", KILLED, "check"], check=False, timeout=120).returncode == -signal.SIGKILL
    run = RunFolder.find("it")
    file = run.path / FILES[Verdict]
    file.write_bytes(file.read_bytes()[:-9])
    assert len(run.read(Verdict)) == 6
    assert "(killed or still running)" in early(run.head().work)
    altered = file.read_bytes()
    file.write_bytes(altered.replace(b"law_2", b"law_9"))
    with pytest.raises(UsageError, match=r"verdicts\.jsonl:3: the line was altered"):
        run.read(Verdict)
    file.write_bytes(altered)
    with Session("it") as session:
        assert session.head.work[0].sentence == "interrupted after 6 of 44 laws"
        session.keep(samples.run.verdict(case="m.f", law="another"))
    assert [verdict.law for verdict in run.read(Verdict)] == [*(f"law_{i}" for i in range(6)), "another"]


def _lines(change: Callable[[list[bytes]], object]) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        lines = file.read_bytes().splitlines(keepends=True)
        change(lines)
        file.write_bytes(b"".join(lines))

    return damage


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_lines(lambda lines: lines.pop(3)), r"verdicts\.jsonl:4: .*does not follow"),
        (_lines(lambda lines: lines.pop()), r"verdicts\.jsonl:10: expected 10 records, got 9;"),
        (_lines(lambda lines: lines.insert(5, lines[4])), r"verdicts\.jsonl:6: .*does not follow"),
        (_lines(lambda lines: lines.reverse()), r"verdicts\.jsonl:1: .*does not follow"),
        (_lines(lambda lines: lines.append(b'{"kind":"verdict"}\n')), r"verdicts\.jsonl:11: the line has no checksum"),
        (_lines(lambda lines: lines.append(b"{")), r"verdicts\.jsonl:11: the last line is cut off"),
        (Path.unlink, r"verdicts\.jsonl:1: expected 10 records, got 0;"),
    ],
    ids=["deleted", "the last deleted", "duplicated", "reordered", "forged", "torn", "gone"],
)
def test_an_altered_record_is_refused_with_its_line(damage: Callable[[Path], None], text: str) -> None:
    """Every reader of the run refuses it."""
    run = kept(Session("it"), 10, 10)
    damage(run.path / FILES[Verdict])
    for read in (lambda: run.read(Verdict), lambda: write_report(run), lambda: reports.load("it")):
        with pytest.raises(UsageError, match=text):
            read()


def test_a_head_that_was_altered_is_refused() -> None:
    """An edit cannot turn an interrupted run into a finished one."""
    run = kept(Session("it"), 7, 44, KeyboardInterrupt())
    file = run.path / "run.json"
    file.write_text(file.read_text().replace('"interrupted"', '"finished"'), encoding="utf-8")
    with pytest.raises(UsageError, match=r"cannot read the run in .*run\.json: the checksum does not match"):
        run.head()


def test_a_full_disk_is_one_sentence_and_what_was_finished_is_kept() -> None:
    """No partial line remains."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    session = Session("it")
    session.expect(44, "law")
    for verdict in verdicts(7):
        session.keep(verdict)
        session.done += 1
    full = (session.folder.path / FILES[Verdict]).stat().st_size + 9
    resource.setrlimit(resource.RLIMIT_FSIZE, (full, before[1]))
    try:
        with pytest.raises(UsageError, match=r"cannot write `.*verdicts\.jsonl`: file too large"), session:
            session.keep(samples.run.verdict(Status.SKIPPED))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert session.folder.read(Verdict) == verdicts(7)
    assert "after 7 of 44 laws" in early(session.head.work)


def test_a_place_that_cannot_be_written_to_is_one_sentence(workplace: Path) -> None:
    """A file is in the place of a folder."""
    (workplace / "taken").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match=r"cannot write `.*`: "):
        Session(str(workplace / "taken" / "it"))


def test_one_command_at_a_time_writes_into_a_run() -> None:
    """A second command exits with a message, because two would break the chain of checksums."""
    other = "from harness.command.session import Session; Session('it')"
    with Session("it"):
        done = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=False, timeout=120)
    assert "another command is already writing to the run" in done.stderr


def test_subjects_of_the_same_name_are_distinguished(workplace: Path) -> None:
    """Subjects of equal name and different paths keep separate results. After an edit, the old results are reported."""
    for folder, body in (("a", "return x"), ("b", "return -x")):
        (workplace / folder).mkdir()
        (workplace / folder / "m.py").write_text(f"def f(x):\n    {body}\n", encoding="utf-8")
    run = None
    said = []
    for target in ("a/m.py:f", "b/m.py:f", "a/m.py:f"):
        with Session("it") as session:
            session.about(target)
            session.keep(samples.run.verdict(case="m.f", law=target[0]))
        said.append(session.remarks)
        run = session.folder
        (workplace / "a" / "m.py").write_text("def f(x):\n    return 2 * x\n", encoding="utf-8")
    assert run is not None
    assert [(verdict.case, verdict.law) for verdict in run.read(Verdict)] == [("m.f", "a"), ("b/m.f", "b")]
    assert said[0] == []
    assert "another subject named m.f, from" in said[1][0]
    assert "recorded as b/m.f" in said[1][0]
    assert "m.f has changed since" in said[2][0]


def test_records_without_a_case_of_their_own_are_kept_as_they_are() -> None:
    """A property found twice is stored once."""
    found = Property(case="m.f", name="repeatable", dtype="float16", value="no", sentence="{case} varies.")
    with Session("it") as session:
        session.keep(found)
        session.keep(found)
    assert session.folder.read(Property) == [found]
