"""Records on disk can be read back, a damaged record is refused with one plain message, and runs have an order."""

import json
import math
from pathlib import Path

import pytest
import samples.run
from pydantic import ValidationError, field_serializer
from pydantic_core import PydanticSerializationError

from harness.command.session import Session
from harness.error import UsageError
from harness.record import RUNS, Epoch, Record, Run, RunFolder, Status, TensorText, Verdict, sort_by_age
from harness.record.storage import seal_line, write_atomically
from harness.wording.verdict import verdict_line


def verdict(**changes: object) -> Verdict:
    """A verdict that holds."""
    facts = {"case": "a.b.c", "law": "value", "group": "value", "rows": 30, "deviation": 1.5, "bound": 2.0}
    return Verdict.model_validate({**dict(samples.run.verdict()), **facts, **changes})


def test_records_are_read_back(workplace: Path) -> None:
    """Infinity is preserved too."""
    folder = RunFolder(workplace / "run")
    written = [verdict(), verdict(law="gradient", deviation=math.inf, status=Status.BROKEN)]
    folder.write(Verdict, written)
    assert folder.read(Verdict) == written
    assert folder.read(Epoch) == []


def test_an_interrupt_while_a_record_is_written_is_raised() -> None:
    """Other exceptions are raised unchanged too."""

    class Slow(Record):
        fault: type[BaseException]

        @field_serializer("fault")
        def _written(self, fault: type[BaseException]) -> str:
            raise fault

    with pytest.raises(KeyboardInterrupt):
        Slow(fault=KeyboardInterrupt).model_dump_json()
    with pytest.raises(PydanticSerializationError, match="RuntimeError"):
        Slow(fault=RuntimeError).model_dump_json()


def test_verdicts_on_the_same_law_are_replaced_and_others_kept(workplace: Path) -> None:
    """The commands of a job can therefore fill the same run."""
    folder = RunFolder(workplace)
    folder.write(Verdict, [verdict(), verdict(law="gradient"), verdict(status=Status.BROKEN)])
    assert [(v.law, v.status) for v in folder.read(Verdict)] == [("value", Status.BROKEN), ("gradient", Status.HOLDS)]


@pytest.mark.parametrize(
    ("line", "field"),
    [('{"kind": "verdict"}', "case"), ("not json}", "Verdict"), ('{"kind": "verdict", "surprise": 1}', "case")],
)
def test_a_damaged_line_is_named_with_its_number(workplace: Path, line: str, field: str) -> None:
    """There is no traceback, and no partial run."""
    folder = RunFolder(workplace)
    folder.write(Verdict, [verdict()])
    written, _ = seal_line(line, folder.chain(Verdict).sums[-1])
    with (workplace / "verdicts.jsonl").open("ab") as file:
        file.write(written)
    with pytest.raises(UsageError, match=r"verdicts\.jsonl:2") as caught:
        folder.read(Verdict)
    assert field in (caught.value.rule or "")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (("0x1.zp+0", "0x1p+0"), "hexadecimal"),
        (("0x1p+0",), "does not have 1 values"),
        (("0x1p+99999", "0x1p+0"), "not a float64 number"),
    ],
)
def test_a_damaged_tensor_is_refused_when_it_is_read(values: tuple[str, ...], text: str) -> None:
    """It never reaches the output."""
    with pytest.raises(ValidationError, match=text):
        TensorText(dtype="float32", shape=(2,), values=values)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"violation": samples.run.violation()}, "a verdict with status `holds` cannot have a violation"),
        ({"fault": "raised"}, "a verdict with status `holds` cannot have a fault"),
        ({"deviation": -5.0}, "a deviation must not be negative"),
        ({"deviation": 3.0, "bound": 2.0}, "the deviation of a law that holds must be within its bound"),
        ({"bound": math.nan}, "greater than or equal to 0"),
        ({"rows": -3}, "greater than or equal to 0"),
        ({"duration_s": -1.0}, "greater than or equal to 0"),
    ],
    ids=str,
)
def test_a_record_that_contradicts_itself_is_refused(changes: dict[str, object], text: str) -> None:
    """The author does not matter."""
    with pytest.raises(ValidationError, match=text):
        verdict(**changes)


def test_no_control_character_enters_a_record() -> None:
    """They are replaced at creation and on a change, so that no forged verdict can clear the screen."""
    forged = "\x1b[2J\x1b[Hverdict: no defect\n\u202eover"
    for record in (verdict(reason=forged), verdict().model_copy(update={"reason": forged})):
        assert record.reason == "\ufffd[2J\ufffd[Hverdict: no defect\n\ufffdover"


def test_a_message_is_one_line_without_control_characters() -> None:
    """The value and the place may contain any text."""
    message = str(UsageError("a file can be read", value="\x1b[2J\ngreen", place="a\tb"))
    assert message == "a file can be read in a b: got \ufffd[2J green"


def test_a_run_of_another_schema_is_refused_by_its_version(workplace: Path) -> None:
    """Unknown fields do not matter."""
    (workplace / "run.json").write_text(json.dumps({"schema_version": 99, "wings": 2}), encoding="utf-8")
    with pytest.raises(UsageError, match="schema 99"):
        RunFolder(workplace).head()


def test_a_folder_without_a_head_is_no_run(workplace: Path) -> None:
    """The message names the file that makes a folder a run."""
    with pytest.raises(UsageError, match=r"run\.json"):
        RunFolder(workplace).head()


def test_a_file_that_cannot_be_written_leaves_the_old_one(workplace: Path) -> None:
    """No temporary file remains."""
    file = workplace / "kept.txt"
    write_atomically(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(file, "\ud800")
    assert file.read_text(encoding="utf-8") == "old"
    assert list(workplace.iterdir()) == [file]


def test_a_session_adds_to_a_run_and_clears_it_when_asked(workplace: Path) -> None:
    """The head lists the commands that filled it."""
    Session("one").keep(verdict())
    again = Session("one")
    assert len(again.head.commands) == 2
    assert again.folder.read(Verdict) == [verdict()]
    assert isinstance(RunFolder.latest(Path(".harness/runs")).head(), Run)
    fresh = Session("one", fresh=True)
    assert len(fresh.head.commands) == 1
    assert fresh.folder.read(Verdict) == []


def test_a_run_that_has_its_report_starts_afresh(workplace: Path) -> None:
    """The main job may therefore run twice."""
    session = Session("one")
    session.keep(verdict())
    (session.folder.path / "report").mkdir()
    assert Session("one", fresh=True).folder.read(Verdict) == []


@pytest.mark.parametrize(
    ("verdicts", "line"),
    [
        ([], "verdict: none, no law was checked"),
        ([verdict()], "verdict: no defect in 1 law (1 holds)"),
        ([verdict(status=Status.SKIPPED)], "verdict: none, every law was skipped (1 skipped)"),
        (
            [verdict(), verdict(status=Status.BROKEN, law="b")],
            "verdict: 1 defect in a.b.c breaks 1 of 2 laws (1 holds, 1 broken)",
        ),
        (
            [verdict(), verdict(status=Status.EXPECTED, law="b")],
            "verdict: no undeclared defect in 2 laws (1 holds, 1 expected failure)",
        ),
        (
            [verdict(status=Status.UNEXPECTED), verdict(status=Status.ERROR, law="b")],
            "verdict: 1 declared failure in a.b.c is not found with 1 of 2 laws; 1 error in a.b.c affects 1 of 2 laws "
            "(0 hold, 1 not found, 1 with an error)",
        ),
        (
            [verdict(), verdict(dtype="float64", status=Status.BROKEN), verdict(law="b")],
            "verdict: 1 defect in a.b.c breaks 1 of 2 laws (3 verdicts: 2 hold, 1 broken)",
        ),
        (
            [verdict(status=Status.LOST), verdict(status=Status.LOST, law="any_rank", group="implementation")],
            "verdict: no defect in 2 laws (0 hold, 1 loses digits, 1 not required)",
        ),
    ],
)
def test_the_verdict_line_is_one_plain_sentence(verdicts: list[Verdict], line: str) -> None:
    """All combinations of statuses are tested."""
    assert verdict_line(verdicts) == line


# Folders of runs


def run(path: Path, *, created: str) -> RunFolder:
    """Return a run with the given creation time."""
    folder = RunFolder(path)
    folder.write_head(samples.run.head().model_copy(update={"created": created}))
    return folder


def test_a_name_is_below_the_runs_and_a_slash_makes_it_a_path() -> None:
    """A run in another folder is named by its path."""
    assert RunFolder.find("mine").path == RUNS / "mine"
    assert RunFolder.find("./mine").path == Path("mine")
    assert RunFolder.find("/elsewhere/mine").path == Path("/elsewhere/mine")


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
    assert [folder.path.resolve() for folder in sort_by_age([later, earlier, again])] == [earlier.path, later.path]
    with pytest.raises(UsageError, match=r"a `run\.json`"):
        sort_by_age([RunFolder(tmp_path / "nothing")])
