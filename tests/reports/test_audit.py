"""A training step on the page: the wrong line, and the distance of the others from their limits."""

from html import unescape
from pathlib import Path
from typing import Any

from samples.report import reported, run_of

from harness.record import Audit, AuditFinding, AuditKind, AuditRun, Headroom, Stretch
from harness.record.audit import Ruin
from harness.reports.figures.audit import errors, headroom
from harness.reports.table import Table, page_table
from harness.reports.tables.run import blind, place
from harness.wording.table.audit import audit_html, audit_table, headroom_table

EVIL = "<img src=x onerror=alert(1)>"
WRONG = AuditFinding(
    kind=AuditKind.OVERFLOW,
    file="/home/somebody/train.py",
    line=7,
    function="step",
    sentence=f"exp overflows at 104.5 {EVIL}",
    remedy="subtract the maximum first",
    operation="exp",
    dtype="float32",
    reaches=("the loss",),
)


def room(factor: float, line: int) -> Headroom:
    """Return an operation at the given distance from its breaking point."""
    at: dict[str, Any] = {"file": "train.py", "line": line, "function": "step", "operation": "exp", "dtype": "float32"}
    return Headroom(
        quantity="input", value=88.72283935546875 / factor, breaks_at=88.72283935546875, factor=factor, **at
    )


def step(*findings: AuditFinding) -> Audit:
    """Return an audit."""
    rooms = (room(1.5, 9), room(64.0, 11))
    looked: dict[str, Any] = {"mode": "full", "operations": 120, "ends": 9, "duration_s": 0.1}
    return Audit(case="train.step", findings=findings, headroom=rooms, **looked)


def test_the_finding_shows_its_source_line_with_carets(tmp_path: Path) -> None:
    """An older run has no source line, and then the tables have no column for it."""
    code = {"code": "    e = torch.exp(x)", "start": 8, "end": 20}
    shown = reported(run_of(tmp_path / "new", step(WRONG.model_copy(update=code))))
    assert "<pre>e = torch.exp(x)\n    ^^^^^^^^^^^^</pre>" in shown.html
    assert "  e = torch.exp(x)\n      ^^^^^^^^^^^^" in shown.markdown
    old = step(WRONG)
    assert "source" not in [column.heading for column in _list_findings(old).columns]
    new = _list_findings(step(WRONG.model_copy(update=code)))
    assert new.rows[0][1] == "e = torch.exp(x)"


def test_without_headroom_the_first_layer_draws_the_error(tmp_path: Path) -> None:
    """A step that is wrong everywhere still has a picture."""
    stretches = [
        Stretch(file="train.py", line=line, function="step", operation="exp", error=error)
        for line, error in ((3, 1e-8), (5, 1e-7), (7, None))
    ]
    audit = step(WRONG).model_copy(update={"headroom": (), "errors": tuple(stretches)})
    assert "train.py:7 step returns the first value that is not finite" in reported(
        run_of(tmp_path, audit)
    ).html.replace("<wbr>", "")


def test_the_first_screen_names_the_line_and_its_remedy(tmp_path: Path) -> None:
    """The headline and the findings have both. The folder of the file is not shown, and markup in names is escaped."""
    html = reported(run_of(tmp_path, step(WRONG))).html.replace("<wbr>", "")
    headline = html[html.index("<h1") : html.index("</h1>")]
    assert 'class="headline bad"' in headline
    assert "train.py:7 step: exp overflows at 104.5" in headline
    assert "subtract the maximum first." in headline
    assert "OVERFLOW</span> <code>train.py:7 step</code>" in html
    assert "/home/somebody" not in html
    assert "<img" not in html


def test_a_step_without_findings_shows_its_headroom(tmp_path: Path) -> None:
    """The headline has a line that is about to break, the caption the nearest line, and the table all lines."""
    html = reported(run_of(tmp_path, step())).html.replace("<wbr>", "")
    calm = "1 training step audited: no defect in 120 operations"
    assert f"{calm}, but train.py:9 step is close to breaking: its exp input has only 1.50× headroom." in unescape(html)
    far = step().model_copy(update={"headroom": (room(64.0, 11),)})
    assert f"{calm}." in reported(run_of(tmp_path / "far", far)).html
    assert 'id="front-headroom"' in html
    assert "breaks at 88.72283935546875 in float32: 1.50× headroom" in html
    assert len(_list_headroom(step()).rows) == 2
    alone = reported(run_of(tmp_path / "far", far)).html
    assert "Headroom in train.step" in alone
    assert "headroom-figure" not in alone


def test_the_page_counts_audited_steps_and_fails_for_an_unaudited_failure(tmp_path: Path) -> None:
    """Steps audited in a second run give usual findings. A step that cannot be repeated is a separate finding."""
    calm = AuditRun(steps=100, audited=12, within=3.0, cpu_s=0.54, step_s=0.0018, audited_s=0.01422)
    html = unescape(reported(run_of(tmp_path / "calm", step().model_copy(update={"run": calm}))).html)
    assert "audited 12 of 100 steps: an audited step takes 7.9 times as long as a plain one (1.80 ms)" in html
    assert 'class="headline bad"' not in html
    ruined = calm.model_copy(update={"ruins": (Ruin(step=57, what="the loss"),), "again": "another", "differs_at": 3})
    html = unescape(reported(run_of(tmp_path / "open", step().model_copy(update={"run": ruined}))).html)
    headline = html[html.index("<h1") : html.index("</h1>")]
    assert "the loss is not finite after step 57, which the audit skipped" in headline
    assert 'class="headline bad"' in headline
    assert "`" not in headline
    assert "Nothing: no defect was found" not in html


def test_the_table_names_the_evidence_for_lost_digits() -> None:
    """An overflow is evident from the step itself. A breaking input has all its digits, and the largest number five."""
    lost = WRONG.model_copy(update={"kind": AuditKind.CANCELLATION, "oracle": "ball arithmetic"})
    table = _list_findings(step(WRONG, lost))
    at = [header.heading for header in table.columns].index("evidence")
    assert [row[at] for row in table.rows] == ["the step itself", "ball arithmetic"]
    result = room(2.0, 9).model_copy(update={"quantity": "result", "breaks_at": 3.4028234663852886e38})
    shown = _list_headroom(step().model_copy(update={"headroom": (room(2.0, 9), result)}))
    assert [row[4] for row in shown.rows] == ["88.72283935546875", "3.4028e+38"]


def test_page_and_notebook_list_untracked_operations(tmp_path: Path) -> None:
    """They say so even without a finding, because such operations are assumed exact.

    The card of lost digits names its evidence.
    """
    unseen = step().model_copy(update={"blind": {"sort at /home/somebody/train.py:16": 2}})
    html = reported(run_of(tmp_path / "unseen", unseen)).html.replace("<wbr>", "")
    assert "Operations in train.step that were not tracked (assumed exact)" in html
    assert blind(unseen).rows == (("train.py:16", "sort", "2"),)
    assert "not tracked, assumed exact: sort at" in audit_html(unseen)
    lost = WRONG.model_copy(update={"kind": AuditKind.CANCELLATION, "oracle": "ball arithmetic"})
    html = reported(run_of(tmp_path / "lost", step(lost))).html
    assert "ball arithmetic" in html[html.index("1 finding needs attention") :]
    assert "not tracked" not in html
    assert "not tracked" not in audit_html(step(lost))


def test_without_headroom_there_is_no_picture() -> None:
    """Operations that break already, or that are far from breaking, give no picture either."""
    assert headroom(step().model_copy(update={"headroom": ()})) is None
    assert headroom(step().model_copy(update={"headroom": (room(0.25, 9), room(2.0**40, 11))})) is None


def test_a_declared_finding_of_a_step_is_no_alarm(tmp_path: Path) -> None:
    """It is not in the headline. If it does not occur, the page states that."""
    expected = {"expected": (AuditKind.OVERFLOW,)}
    html = reported(run_of(tmp_path / "shown", step(WRONG).model_copy(update=expected))).html
    assert 'class="headline bad"' not in html
    assert "1 known failure occurred as declared" in html
    missing = reported(run_of(tmp_path / "missing", step().model_copy(update=expected))).html
    assert "but no overflow, which was expected," in missing


def test_the_error_grows_along_the_step(tmp_path: Path) -> None:
    """The figure names the first line with a non-finite value, or with the largest error. Two lines give no figure.

    Each row has the code of its line.
    """
    at: dict[str, Any] = {"file": "train.py", "function": "step", "operation": "exp"}
    along = tuple(Stretch(line=line, error=10.0**-line, **at) for line in (7, 6, 5))
    calm = errors(step().model_copy(update={"errors": along}))
    assert calm is not None
    assert "The largest relative error is 1.00e-05, at train.py:5 step (exp)." in calm.caption
    broken = errors(step().model_copy(update={"errors": (*along, Stretch(line=9, error=None, **at))}))
    assert broken is not None
    assert "train.py:9 step is the first line with a non-finite result that should be finite (exp);" in broken.caption
    assert errors(step().model_copy(update={"errors": along[:2]})) is None
    last = Stretch(line=9, error=None, code=" e = x.exp()", **at)
    coded = errors(step().model_copy(update={"errors": (*along, last)}))
    assert coded is not None
    assert "9: e = x.exp()</text>" in coded.panels[0].svg
    html = reported(run_of(tmp_path, step().model_copy(update={"errors": along}))).html
    assert "The relative error grows to 1.00e-05" in html


def _list_findings(audit: Audit) -> Table:
    return page_table(audit_table(audit, place))


def _list_headroom(audit: Audit) -> Table:
    return page_table(headroom_table(audit, audit.headroom, place))
