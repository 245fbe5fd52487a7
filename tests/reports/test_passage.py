"""The figure that moves: what it offers, in which order, and what is on it."""

import json

import pytest
import samples.survey

from harness.record import Passage
from reports.figures import passage as figure
from reports.figures.passage import watch

FIRST = samples.survey.passages()[0]


def test_what_breaks_without_being_declared_is_shown_first() -> None:
    """Then what is declared to; float32 before the others."""
    undeclared = FIRST.model_copy(update={"case": "mine.softmax", "contract": "other", "expected_break": False})
    part = watch([*samples.survey.passages(), undeclared])
    assert part is not None
    assert [view.passage.case for view in part.views[:2]] == ["mine.softmax", "softmax_regression.scratch.softmax"]
    assert [view.passage.dtype for view in part.views] == ["float32"] * 3 + ["float16"] * 2
    assert [view.passage.contract for view in part.views] == ["other"] + ["softmax"] * 4


def test_without_passages_there_is_no_figure() -> None:
    """Nor where a call answered nothing."""
    empty = [station.model_copy(update={"expected": ()}) for station in FIRST.stations]
    assert watch([]) is None
    assert watch([FIRST.model_copy(update={"stations": tuple(empty)})]) is None


def test_entries_that_are_alike_in_every_call_share_a_column() -> None:
    """An entry that is another one once has its own."""
    part = watch([FIRST])
    assert part is not None
    assert part.first.columns == ("entry 1", "entries 2 to 3")
    last = FIRST.stations[-1]
    changed = last.model_copy(update={"actual": (*last.actual[:-1], 0.5)})
    part = watch([FIRST.model_copy(update={"stations": (*FIRST.stations[:-1], changed)})])
    assert part is not None
    assert part.first.columns == ("entry 1", "entry 2", "entry 3")


def test_operations_that_not_every_call_carries_out_are_left_out() -> None:
    """A branch that depends on the numbers has no row."""
    first = FIRST.stations[0].model_copy(update={"stages": FIRST.stations[0].stages[:1]})
    part = watch([FIRST.model_copy(update={"stations": (first, *FIRST.stations[1:])})])
    assert part is not None
    assert [lane.name for lane in part.first.lanes] == ["input", "answer", "exact"]


def test_a_gap_in_the_drawing_is_what_is_no_number() -> None:
    """The exact line goes on, and the lower edge says where the law is broken."""
    part = watch([FIRST])
    assert part is not None
    view = part.first
    assert view.exact_path.count("L") == len(FIRST.stations) - 1
    assert view.actual_path.count("L") == sum(not station.broken for station in FIRST.stations) - 1
    assert view.broken_path.startswith(f"M{10 * (view.position or 0):.1f} ")


def test_the_data_ends_no_script_and_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a case is called; infinities are texts."""
    hostile = FIRST.model_copy(update={"case": "</script><script>alert(1)</script>"})
    part = watch([hostile])
    assert part is not None
    assert "<" not in part.data
    (view,) = json.loads(part.data)
    assert view["case"] == hostile.case
    assert "inf" in json.dumps(view["lanes"])
    monkeypatch.setattr(figure, "MOST_CHARACTERS", len(part.data) + 10)
    part = watch([hostile, *samples.survey.passages()])
    assert part is not None
    assert len(part.views) == 1


def test_a_passage_says_of_each_call_what_came() -> None:
    """Exactly as it was recorded."""
    part = watch([Passage.model_validate_json(FIRST.model_dump_json())])
    assert part is not None
    assert part.first.says[part.first.at] == (
        "t = 88.72283935546875: the answer's first entry is nan, exactly 1: broken."
    )
