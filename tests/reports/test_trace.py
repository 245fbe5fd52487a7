"""The interactive figure: its choices, their order, and its data."""

import json
import math

import pytest
import samples.run

from harness.record import RayTrace, RecordedCall, Stage
from harness.reports.figures import trace as figure
from harness.reports.figures.ray import flat, log_of_zero, number_line
from harness.reports.figures.trace import watch

FIRST = samples.run.traces()[0]


def watched(traces: list[RayTrace]) -> figure.Watch:
    """Return the figure of traces that have one."""
    part = watch(traces)
    assert part is not None
    return part


def test_undeclared_breaks_are_shown_first() -> None:
    """Declared breaks follow, and float32 comes before other dtypes."""
    undeclared = FIRST.model_copy(update={"case": "mine.softmax", "contract": "other", "expected_break": False})
    part = watched([*samples.run.traces(), undeclared])
    assert [view.trace.case for view in part.views[:2]] == ["mine.softmax", "softmax_regression.scratch.softmax"]
    assert [view.trace.dtype for view in part.views] == ["float32"] * 3 + ["float16"] * 2
    assert [view.trace.contract for view in part.views] == ["other"] + ["softmax"] * 4


def test_without_passages_there_is_no_figure() -> None:
    """A trace with an empty result gives none either."""
    empty = [call.model_copy(update={"expected": ()}) for call in FIRST.stations]
    assert watch([]) is None
    assert watch([FIRST.model_copy(update={"stations": tuple(empty)})]) is None


def test_entries_that_are_alike_in_every_call_share_a_column() -> None:
    """An entry that differs once has a separate column."""
    part = watched([FIRST])
    assert part.first.columns == ("entry 1", "entries 2 to 3")
    last = FIRST.stations[-1]
    changed = last.model_copy(update={"actual": (*last.actual[:-1], 0.5)})
    part = watched([FIRST.model_copy(update={"stations": (*FIRST.stations[:-1], changed)})])
    assert part.first.columns == ("entry 1", "entry 2", "entry 3")


def test_operations_that_not_every_call_carries_out_are_left_out() -> None:
    """A branch that depends on the numbers has no row."""
    first = FIRST.stations[0].model_copy(update={"stages": FIRST.stations[0].stages[:1]})
    part = watched([FIRST.model_copy(update={"stations": (first, *FIRST.stations[1:])})])
    assert [lane.name for lane in part.first.lanes] == ["input", "answer", "exact"]


def test_nan_is_a_gap_in_the_drawing() -> None:
    """The exact line continues, and the lower edge marks where the law is broken."""
    part = watched([FIRST])
    view = part.first
    assert view.exact_path.count("L") == len(FIRST.stations) - 1
    assert view.actual_path.count("L") == sum(not call.broken for call in FIRST.stations) - 1
    assert view.broken_path.startswith(f"M{10 * (view.position or 0):.1f} ")


def test_the_plot_shows_the_entry_that_breaks_on_an_axis_that_shows_it() -> None:
    """Sentence, ticks and data name the same entry. A logarithmic axis covers many powers of ten."""
    exact = [(1.0 - small, small) for small in (0.5, 1e-10, 1e-30)]
    calls = [
        call.model_copy(
            update={
                "given": (call.t, 0.0),
                "stages": (),
                "actual": (pair[0], max(pair[1], 1e-20)),
                "expected": pair,
                "deviation": 0.0 if pair[1] > 1e-20 else 9.0,
                "bound": 1.0,
            }
        )
        for call, pair in zip(FIRST.stations, exact, strict=False)
    ]
    part = watched([FIRST.model_copy(update={"stations": tuple(calls), "breaks_at": calls[-1].t})])
    view = part.first
    assert (view.plotted, view.subject, view.column, view.is_logarithmic) == (1, "entry 2", 1, True)
    assert view.ticks == ("1.00e-30", "0.500")
    assert view.shows.startswith("The plot shows entry 2 on a logarithmic axis; ")
    assert "entry 2 is 1e-20; the exact value is 1e-30; the law is broken." in view.says[-1]
    assert "; the error is within its bound." in view.says[0]
    heights = [float(piece.split()[1]) for piece in view.actual_path[1:].split("L")]
    assert heights[0] < heights[1] < heights[2] < float(view.exact_path.split()[-1])
    document = view.document()
    assert (document["subject"], document["column"], document["shows"]) == (view.subject, view.column, view.shows)


def test_the_data_ends_no_script_and_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a case is escaped, and infinities are strings."""
    hostile = FIRST.model_copy(update={"case": "</script><script>alert(1)</script>"})
    part = watched([hostile])
    assert "<" not in part.data
    (view,) = json.loads(part.data)
    assert view["case"] == hostile.case
    assert "inf" in json.dumps(view["lanes"])
    monkeypatch.setattr(figure, "MAX_CHARACTERS", len(part.data) + 10)
    part = watched([hostile, *samples.run.traces()])
    assert len(part.views) == 1


def test_a_passage_describes_each_call() -> None:
    """The text shows recorded values exactly."""
    part = watched([RayTrace.model_validate_json(FIRST.model_dump_json())])
    assert part.first.says[part.first.at] == (
        "t = 88.72283935546875: entry 1 is NaN; the exact value is 1; the law is broken."
    )


def test_exp_ends_on_each_number_line_where_a_call_says_so() -> None:
    """The chapter's exp(50) is marked if a call recorded it. A softmax that never overflows has no picture."""
    known = samples.run.traces()
    exponential = Stage(operation="exp", values=(math.exp(50.0), 1.0))
    book = known[0].stations[1].model_copy(update={"t": 50.0, "given": (50.0,), "stages": (exponential,)})
    plain = number_line(known)
    assert plain is not None
    assert "float32 at 88.72283935546875; float16 at 11.09375" in plain.caption
    assert "exp(50)" not in plain.panels[0].svg
    marked = number_line([known[0].model_copy(update={"stations": (book, *known[0].stations)})])
    assert marked is not None
    assert "exp(50) is 5.18e+21, within the range of every format" in marked.caption
    assert ">exp(50) = 5.18e+21</text>" in marked.panels[0].svg
    assert number_line([trace for trace in known if "concise" in trace.case]) is None


def call(t: float, answer: float, exact: float, *stages: Stage) -> RecordedCall:
    """Return a call with one entry."""
    return RecordedCall(
        t=t,
        t_hex=t.hex(),
        given=(t,),
        stages=stages,
        actual=(answer,),
        expected=(exact,),
        deviation=abs(answer - exact),
        bound=1.0,
    )


def loss(answers: list[float], *stages: Stage) -> RayTrace:
    """Return a loss that should be t, and differs from some t on."""
    calls = [call(10.0 * at, answer, 10.0 * at, *stages) for at, answer in enumerate(answers)]
    return FIRST.model_copy(update={"stations": tuple(calls)})


def test_a_logarithm_of_zero_is_found_and_described() -> None:
    """The answer is the logarithm or its negative. An infinity from another operation does not count."""
    zero = Stage(operation="div", values=(0.0,))
    turned = [zero, Stage(operation="log", values=(-math.inf,)), Stage(operation="neg", values=(math.inf,))]
    figure = log_of_zero([loss([0.0, 10.0, 20.0, math.inf, math.inf], *turned)])
    assert figure is not None
    assert "at t = 30.0 div is 0, its logarithm is -inf, and the answer is inf instead of 30.0000" in figure.caption
    assert ">inf</text>" in figure.panels[0].svg
    overflow = Stage(operation="exp", values=(math.inf,))
    assert log_of_zero([loss([0.0, 10.0, 20.0, math.inf, math.inf], overflow)]) is None
    assert log_of_zero(samples.run.traces()) is None


def test_a_flat_answer_is_found_and_described() -> None:
    """The caption names the clamp, if there is one. A correct saturation does not count."""
    clamp = Stage(operation="clamp_min", values=(1e-12,))
    figure = flat([loss([0.0, 10.0, 20.0, 27.6, 27.6, 27.6, 27.6], clamp)])
    assert figure is not None
    assert figure.title == "Clamping makes the answer flat and silently wrong from t = 30.00 on"
    assert "from t = 30.0 on, the answer stays at 27.6, because of clamp_min" in figure.caption
    assert flat([loss([0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0], clamp)]) is None
    assert flat([loss([0.0, 10.0, 20.0, 30.0, 40.0, 27.6, 27.6], clamp)]) is None


def test_numbers_that_differ_do_not_look_equal() -> None:
    """An answer that is off by one float has all of its digits, and so has the exact value; others have eight."""
    calls = [
        call.model_copy(update={"actual": (1.0000000000000002, 0.25), "expected": (1.0, 0.25)})
        for call in FIRST.stations
    ]
    part = watched([FIRST.model_copy(update={"stations": tuple(calls)})])
    view = part.first
    assert "is 1.0000000000000002; the exact value is 1.0;" in view.says[view.at]
    answers = next(lane for lane in view.lanes if lane.kind == "actual")
    assert [text for text, _ in answers.cells[view.at]] == ["1.0000000000000002", "0.25"]
