"""Patterns of bug reports, judged by a formula alone; ``python -m formula`` judges mutants and controls too."""

from typing import Any

import pytest
import torch
from corpus.catalogue import of
from formula.judging import Trial, judged
from formula.patterns import NOT_SAID, careful, controls, mutants, patterns, without_floor
from formula.spelled import SPELLED

import harness
from harness.record import Status

pytestmark = pytest.mark.judged

PATTERNS = {trial.case.name: trial for trial in patterns()}

MISSED = {"logsumexp.shifted_by_any_maximum": "that a row of which nothing is left has minus infinity is a convention"}

CONTROLS = {trial.case.name: trial for trial in controls()}


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_is_caught(name: str) -> None:
    """Each pattern is a defect, except the pattern that a formula leaves open."""
    outcome = judged(PATTERNS[name], wrong=True)
    assert outcome.as_it_is == (name not in MISSED), outcome.text


@pytest.mark.parametrize("name", ["stable.softmax", "rounded.entropy", "stable.variance"])
def test_a_control_is_not_flagged(name: str) -> None:
    """Value and gradient hold, at infinities and on long rows too."""
    outcome = judged(CONTROLS[name]._replace(dtypes=("float32",)), wrong=False, examples=4)
    assert outcome.as_it_is, outcome.text


@pytest.mark.parametrize("trial", list(without_floor()), ids=lambda trial: trial.says)
def test_sound_forms_without_a_floor_are_not_flagged(trial: Trial) -> None:
    """The drawn probabilities reach below the usual floors, down to the smallest for which a careful form is right."""
    outcome = judged(trial, wrong=False)
    assert outcome.as_it_is, outcome.text


def test_laws_that_no_formula_states_exist() -> None:
    """Each of these laws has a mutant among the judged implementations."""
    assert set(NOT_SAID) <= {trial.says for trial in mutants()}


def test_every_set_can_be_judged() -> None:
    """A new contract or convention in the careful forms, mutants or controls does not end it."""
    judged_of = {trial.says for trial in careful()}
    assert judged_of == {form.contract for form in of("careful")} - {"sgd_with_momentum"}
    assert {trial.says for trial in controls()} == set(SPELLED)


@pytest.mark.parametrize(
    "name", ["kl_of_what_is_normalised", "rms_norm_of_a_floored_norm", "rms_norm_of_a_floored_root"]
)
def test_a_convention_has_its_own_formula(name: str) -> None:
    """The careful form with this convention holds."""
    (trial,) = (trial for trial in careful() if trial.case.name == f"careful.{name}")
    outcome = judged(trial._replace(dtypes=("float32",)), wrong=False, examples=4)
    assert outcome.as_it_is, outcome.text


@pytest.mark.parametrize(
    ("formula", "function"),
    [
        ("log(sum(exp(x)))", lambda x: torch.logsumexp(x, -1)),
        ("log(1 + sum(exp(x)))", lambda x: torch.logsumexp(torch.nn.functional.pad(x, (1, 0)), -1)),
    ],
)
def test_a_logsumexp_that_rounds_away_small_terms_only_loses_digits(formula: str, function: Any) -> None:
    """The severity is the same if one of the terms is a constant."""
    verdicts = harness.check(function, formula=formula, laws=["value", "digits_not_lost"], dtypes=["float32"])
    assert [verdict.status for verdict in verdicts] == [Status.HOLDS, Status.LOST]
