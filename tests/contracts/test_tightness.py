"""The record of tightness is complete, and each bound that no control comes near has a reason."""

import tomllib
from pathlib import Path

import pytest
from controls.catalogue import CONTROLS
from samples.run import verdict
from tightness.reasons import LAWS, WHY
from tightness.record import DTYPES, FILE, Tightness, differing, moved, read

RECORDED = read()


def test_every_law_of_a_control_is_recorded() -> None:
    """The record has exactly these laws: a law without a line could be loosened unnoticed."""
    laws = {(job.contract.name, job.law.name, job.format.name) for control in CONTROLS for job in control.jobs(DTYPES)}
    assert set(RECORDED) == laws


def test_a_bound_that_no_control_comes_near_has_a_reason() -> None:
    """Each such bound has a reason, and each reason has a bound."""
    low = {law for (_, law, _), line in RECORDED.items() if line.is_low}
    assert low == set(LAWS)
    assert set(LAWS.values()) == set(WHY)


def test_the_record_names_the_version_of_hypothesis() -> None:
    """Other versions draw other examples, on which the bounds depend: the jobs install the version of the record."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    (pin,) = project["dependency-groups"]["draws"]
    assert f"Hypothesis {pin.removeprefix('hypothesis==')}," in FILE.read_text()


@pytest.mark.parametrize(("bound", "factor"), [(12.0, "2 times"), (6.02, "1 times"), (3.0, "0.5 times")])
def test_a_moved_bound_is_reported(bound: float, factor: str) -> None:
    """It may be looser or tighter."""
    now = verdict(case="rounded.softmax", law="value", typical_bound=bound, deviation=0.5, bound=1.0)
    assert factor in moved(now, Tightness(6.0, rounded=0.5))


def test_a_law_that_is_as_tight_as_recorded_is_not_mentioned() -> None:
    """Only the recorded digits are compared."""
    now = verdict(case="rounded.softmax", law="value", typical_bound=6.005, deviation=0.5, bound=1.0)
    assert moved(now, Tightness(6.0, rounded=0.5)) == ""


def test_a_moved_share_of_the_rounded_control_is_reported() -> None:
    """The mean of a bound may be unchanged although it is larger where it is tight."""
    now = verdict(case="rounded.softmax", law="value", typical_bound=6.0, deviation=0.5, bound=2.0)
    assert "reached to 0.25" in moved(now, Tightness(6.0, rounded=0.5))


def test_a_changed_bound_and_a_missing_line_are_reported() -> None:
    """An unchanged bound, and a law in a dtype that is not recorded, give no sentence."""
    line = RECORDED["softmax", "value", "float32"]
    as_recorded = verdict(
        case="rounded.softmax",
        law="value",
        dtype="float32",
        typical_bound=line.bound,
        deviation=line.rounded,
        bound=1.0,
    )
    assert differing([as_recorded, as_recorded.model_copy(update={"dtype": "float64"})]) == []
    looser = as_recorded.model_copy(update={"typical_bound": 2 * line.bound})
    new = as_recorded.model_copy(update={"law": "new"})
    assert [sentence[:40] for sentence in differing([looser, new])] == [
        "the bound of softmax value float32 is " + f"{2 * line.bound:.4g}"[:2],
        "softmax new float32 is not recorded. If "[:40],
    ]
