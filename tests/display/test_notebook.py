"""Output in a notebook: cards, drawings, progress, and a cell that is checked."""

import html
import math
import re
import sys
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import samples.audit
import samples.run
import torch
from matplotlib.figure import Figure

import harness
from harness.display.notebook import Verdicts
from harness.error import UsageError
from harness.execution import progress
from harness.record import Estimate, Method, Status
from harness.reports.notebook import rates_drawing
from harness.surveyor.discovery import Discoveries
from harness.tuner.loader_choice import Choice
from harness.tuner.notebook import Tuned
from harness.tuner.search import Reason, SearchState
from harness.tuner.search_space import SearchSpace
from harness.tuner.tuning import Tuning
from harness.wording.table.audit import audit_html


@pytest.fixture(scope="module")
def found() -> Discoveries:
    """Return a survey."""
    found = Discoveries()
    known = (samples.run.breakings(), samples.run.worst(), samples.run.profiles(), samples.run.traces())
    found.add([record for records in known for record in records])
    return found


def test_a_survey_is_a_card_with_the_figure_that_moves(found: Discoveries) -> None:
    """The card contains a page in a frame, with the first breaking point and the interactive figure."""
    card = found._repr_html_()
    (document,) = re.findall('srcdoc="([^"]*)"', card)
    page = html.unescape(document)
    assert "88.72283935546875" in page[page.index("<h1") : page.index("</h1>")]
    assert 'id="watch-figure"' in page
    assert '<script type="application/json">' in page
    assert ">lost</text>" in page


def test_the_name_of_a_case_is_escaped_in_the_card() -> None:
    """The name of a case is escaped in the frame and in its title."""
    evil, found = '"><script>alert(1)</script>', Discoveries()
    found.add([breaking.model_copy(update={"case": evil}) for breaking in samples.run.breakings()])
    card = found._repr_html_()
    assert "<script>alert" not in card
    assert "<script>alert" not in html.unescape(re.findall('srcdoc="([^"]*)"', card)[0])


def test_a_survey_and_verdicts_are_drawn_and_kept(found: Discoveries, tmp_path: Any) -> None:
    """Drawings are SVG in the colors of paper. Without measurements there is no drawing."""
    for drawing in (found.plot(), Verdicts(samples.run.verdicts()).plot()):
        assert drawing is not None
        root = ElementTree.fromstring(drawing._repr_svg_())  # noqa: S314 - our own
        assert root.attrib["style"].startswith("--ink:#1f2328;")
        assert "max-width:" in root.attrib["style"]
        assert drawing.save(tmp_path / "drawing.svg").read_text(encoding="utf-8") == drawing.svg
    assert Discoveries().plot() is None


def test_verdicts_have_a_bar_for_each_dtype() -> None:
    """The number of laws that hold is in words, and the edge has the color of the worst."""
    statuses = [Status.HOLDS, Status.HOLDS, Status.BROKEN]
    card = Verdicts(samples.run.verdict(it, law=f"law-{at}") for at, it in enumerate(statuses))._repr_html_()
    assert "2 holds, 1 broken" in card
    assert "border-left:5px solid #b3261e" in card


def shell() -> Any:
    """Return a substitute for IPython's shell that executes a cell."""
    own: Any = SimpleNamespace(magics={}, user_ns={"__name__": "__main__"})
    own.register_magic_function = lambda function, _kind, name: own.magics.update({name: function})

    def run_cell(cell: str) -> Any:
        exec(cell, own.user_ns)  # noqa: S102 - the cell of the test
        return SimpleNamespace(raise_error=lambda: None)

    own.run_cell = run_cell
    return own


def test_a_cell_that_defines_a_function_is_checked() -> None:
    """The line of the magic gives contract and dtypes. The last function of the cell is checked under its name."""
    own = shell()
    extension: Any = harness
    extension.load_ipython_extension(own)
    cell = "def helper(x): return x\ndef mine(x): return x.exp() / x.exp().sum(-1, keepdim=True)"
    verdicts = own.magics["check"]("softmax --dtypes float32", cell)
    assert {(verdict.case, verdict.dtype) for verdict in verdicts} == {("mine", "float32")}
    (overflow,) = (
        finding.violation
        for finding in verdicts.findings
        if finding.violation is not None and "exp overflows" in finding.violation.cause
    )
    # No command can import a function from a cell, so that the replay is a call.
    assert overflow.replay == "harness.check(mine, 'softmax', laws=['value'], dtypes=['float32'])"
    (again,) = eval(overflow.replay, {**own.user_ns, "harness": harness})  # noqa: S307 - what is pasted
    assert again.status is Status.BROKEN


def test_a_cell_that_defines_nothing_is_refused() -> None:
    """The message has the rule and the remedy."""
    own = shell()
    extension: Any = harness
    extension.load_ipython_extension(own)
    with pytest.raises(UsageError, match="define a function"):
        own.magics["check"]("", "x = 1")


def test_progress_is_shown_in_a_notebook_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows the count and the remaining time. Outside a notebook it shows nothing."""
    assert list(progress.show_progress([1, 2], "checking")) == [1, 2]
    shown: list[str] = []
    handle = SimpleNamespace(update=lambda data, **_: shown.append(data["text/html"]))
    monkeypatch.setattr(progress, "_display", lambda: lambda *_, **__: handle)
    monkeypatch.setattr(progress, "EVERY_S", -1.0)
    assert list(progress.show_progress([1, 2], "checking <b>")) == [1, 2]
    assert "checking &lt;b&gt;" in shown[0]
    assert "1 of 2" in shown[1]
    assert shown[-1] == ""


class Items:
    """A data set of numbers."""

    def __len__(self) -> int:
        """Return the number of samples."""
        return 64

    def __getitem__(self, index: int) -> int:
        """Return the index itself."""
        return index


def test_a_tuning_is_a_card_with_the_line_to_paste_and_a_figure() -> None:
    """Each configuration has a bar, with the reason for the choice; the choice makes the loader."""
    items = Items()
    found = harness.tune(items, batch_size=16, workers=(0,), seconds=0.4)
    card = found._repr_html_()
    assert "DataLoader(dataset, batch_size=16, shuffle=True)" in card
    assert card.count("<svg ") == 1
    assert len(found.rates) == 1
    assert f"{found.choice}: " in str(found)
    assert found.plot().svg in card
    assert sorted(int(item) for batch in found.choice.load(items) for item in batch) == [*range(64)]


def test_whiskers_stay_inside_the_axes_and_labels_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interval that goes beyond the axes ends at an arrow; a long label has several lines."""
    axes = Figure().add_subplot()

    def drawn(draw: Any, **_: Any) -> str:
        draw(axes)
        return ""

    monkeypatch.setattr("harness.reports.notebook.draw_svg", drawn)
    long = "batch 256, workers 2, prefetch 4, forkserver, pinned, fetched at once"
    rates_drawing([("batch 256", 100.0, 90.0, 150.0), (long, 80.0, 1.0, 900.0), ("alone", 50.0, 0.0, math.inf)], long)
    edge = axes.get_xlim()[1]
    ends = [float(np.max(line.get_xdata())) for line in axes.lines]
    assert max(ends) <= edge
    assert edge >= 150.0
    assert [line.get_marker() for line in axes.lines].count(">") == 1
    assert [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()] == ["batch 256", long, "alone"]


def test_the_headline_compares_with_torchs_defaults() -> None:
    """Not with the slowest configuration, which would flatter the choice."""
    default, choice = Choice(64), Choice(64, 2)
    rates = {one: Estimate(rate, rate, rate, Method.STUDENT) for one, rate in ((choice, 300.0), (default, 100.0))}
    state = SearchState(choice, rates[choice], default, None, Reason.PARTED, rates, 1.0, 6)
    tuning = Tuning([], SearchSpace((64,), (0, 2)), cores=2, seconds=1.0)
    assert str(Tuned(tuning, state)).startswith(f"{choice}: 300 samples/s, 3.0 times the rate of torch's defaults\n")
    alone = SearchState(default, rates[default], choice, None, Reason.PARTED, rates, 1.0, 6)
    assert str(Tuned(tuning, alone)).startswith(f"{default}: 100 samples/s\n")


def test_a_data_set_that_does_not_deliver_is_one_sentence() -> None:
    """The error is the same as in the terminal."""

    class Broken(Items):
        def __getitem__(self, index: int) -> int:
            raise OSError("no such picture")

    with pytest.raises(UsageError, match="cannot load the data set: loading raises: OSError: no such picture"):
        harness.tune(Broken(), batch_size=16, workers=(0,), seconds=0.4)


def test_an_audit_is_a_card_with_its_headroom_as_a_figure() -> None:
    """The color of its edge shows whether the audit has findings."""
    with harness.audit() as found:
        logits = torch.full((2, 3), 30.0, requires_grad=True)
        total = logits.exp().sum()
        (total + (2.0 * logits).exp().sum()).log().backward()
    drawing = found.plot()
    assert drawing is not None
    assert found._repr_html_().endswith(drawing.svg)
    assert "exp" in drawing.svg
    healthy = samples.audit.audit().model_copy(update={"findings": ()})
    assert "border-left:5px solid #1a7f37" in audit_html(healthy)
    assert "border-left:5px solid #b3261e" in audit_html(samples.audit.audit("train.step", samples.audit.finding()))


def test_a_progress_display_shows_its_state_and_disappears(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its text is escaped. Outside a notebook nothing is shown."""
    with progress.Sign("tuning") as sign:
        sign.show("nobody sees it")
    shown: list[str] = []
    handle = SimpleNamespace(update=lambda data, **_: shown.append(data["text/html"]))
    monkeypatch.setattr(progress, "_display", lambda: lambda *_, **__: handle)
    with progress.Sign("tuning") as sign:
        sign.show("best <b>")
    assert shown == ["tuning: best &lt;b&gt;", ""]


def test_a_line_of_a_cell_is_one_of_the_cell(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The place names the cell, not the temporary file that the kernel compiles. A real file keeps its name."""
    file = str(tmp_path / "2557337985.py")
    text = "def softmax(X):\n    return X.exp() / X.exp().sum(-1, keepdim=True)\n"
    names: dict[str, Any] = {}
    exec(compile(text, file, "exec"), names)  # noqa: S102 - the cell of the test
    cells = SimpleNamespace(format_code_name=lambda name: ("Cell", "In[3]") if name == file else None)
    places = {}
    for known in (False, True):
        if known:
            kernel = SimpleNamespace(get_ipython=lambda: SimpleNamespace(compile=cells), version_info=(9, 0))
            monkeypatch.setitem(sys.modules, "IPython", kernel)
        with harness.audit() as found:
            names["softmax"](torch.full((2, 3), 100.0, requires_grad=True)).sum().backward()
        verdicts = harness.check(names["softmax"], "softmax", laws=["value"], dtypes=["float32"], examples=1)
        (finding,) = verdicts.findings
        places[known] = (found.findings[0].file, finding.event and finding.event.place)
    assert places == {False: (file, "2557337985.py:2"), True: ("cell 3", "cell 3:2")}
    assert "cell 3:2 softmax: exp(100) overflows" in found._repr_html_()
