"""Contracts of formulas, from Python and from the command line, and the remarks before a formula is judged."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import harness
from harness import cli
from harness.api import Check, checks
from harness.contracts import contract_named
from harness.floats import FORMATS
from harness.formula.grammar import parse
from harness.formula.law import larger_bound, measure_deviation
from harness.formula.model import Model
from harness.formula.spelling import written
from harness.laws import list_rays
from harness.record import Property, Status
from harness.record.property import OPERATION
from harness.surveyor.explore import survey

QUICK: dict[str, Any] = {"dtypes": ["float32"], "examples": 4}


def test_a_remark_names_the_cancellation_of_a_formula() -> None:
    """The remark names the input at which digits are lost, and the digits that the problem itself loses."""
    said = contract_named("formula: x * (1 + erf(x / sqrt(2))) / 2").remark
    assert said is not None
    assert "loses all digits as written from x = -5.2" in str(said(None))
    assert "the problem itself loses 4 bits" in str(said(None))
    one = contract_named("formula: log(x + sqrt(1 + x ** 2))").remark
    assert one is not None
    assert "the problem itself loses 1 bit: " in str(one(None))
    leaves = contract_named("formula: exp(x) / sum(exp(x))").remark
    assert leaves is not None
    assert "leaves the range as written from x = " in str(leaves(None))
    stable = contract_named("formula: x * erfc(-x / sqrt(2)) / 2").remark
    assert stable is not None
    assert stable(None) is None


def test_a_remark_about_a_formula_fails_nothing() -> None:
    """The remark is not a property of the implementation."""
    one = Property(case="a", name=OPERATION, dtype="", value="", sentence="said")
    assert not one.fails(strict=True)


def test_a_gradient_in_every_input_is_judged() -> None:
    """The gradient in a constant is not judged."""
    laws = ["gradient", "gradient_in_y"]
    detached = harness.check(lambda x, y: x * y.detach(), formula="x * y", laws=laws, **QUICK)
    assert {verdict.law for verdict in detached.failing} >= {"gradient_in_y"}
    asked = harness.check(
        lambda x, y: x * y.detach(), formula="x * y", inputs={"y": "constant"}, laws=laws[:1], **QUICK
    )
    assert asked.failing == []


def test_a_branch_that_is_not_taken_has_no_part_in_the_gradient() -> None:
    """The NaN of a single ``where`` is found."""
    formula = "where(x < 0.001, 0, sqrt(max(x, 0.001)))"

    def naive(x: Tensor) -> Tensor:
        return torch.where(x < 0.001, torch.zeros_like(x), x.sqrt())

    def careful(x: Tensor) -> Tensor:
        return torch.where(x < 0.001, torch.zeros_like(x), x.clamp(min=0.001).sqrt())

    facts: dict[str, Any] = {"formula": formula, "laws": ["value", "gradient", "gradient_finite"], **QUICK}
    assert "gradient_finite" in [verdict.law for verdict in harness.check(naive, **facts).failing]
    assert harness.check(careful, **facts).failing == []


def test_a_loss_over_all_is_called_on_each_group() -> None:
    """A loss without the division is found."""
    laws = ["value", "gradient", "calls_agree", "any_layout"]
    facts: dict[str, Any] = {"formula": "mean((x - y) ** 2)", "over": "all", "laws": laws, **QUICK}
    assert harness.check(lambda x, y: ((x - y) ** 2).mean(), **facts).failing == []
    assert harness.check(lambda x, y: ((x - y) ** 2).sum(), **{**facts, "laws": laws[:1]}).failing != []


def test_two_runs_may_differ_where_the_formula_has_no_value() -> None:
    """The correlation with a constant row is an infinity whose sign depends on the rounding of the mean."""

    def correlation(x: Tensor, y: Tensor) -> Tensor:
        a, b = (rows - rows.mean(-1, keepdim=True) for rows in (x, y))
        return (a * b).sum(-1) / (x.shape[-1] - 1) / (x.std(-1) * y.std(-1))

    def leaking(x: Tensor, y: Tensor) -> Tensor:
        return correlation(x, y) + 1e-3 * (len(x) > 1)

    formula = "a = x - mean(x); b = y - mean(y); sum(a * b) / (sqrt(sum(a * a)) * sqrt(sum(b * b)))"
    laws = ["any_layout", "any_position", "row_alone"]
    found, others = (
        harness.check(function, formula=formula, laws=laws, dtypes=["float64"]) for function in (correlation, leaking)
    )
    assert {verdict.status for verdict in found} == {Status.HOLDS}
    assert "row_alone" in {verdict.law for verdict in others.failing}


@pytest.mark.parametrize("formula", ["mean((input - target) ** 2)", "(input - target) ** 2"])
def test_a_hint_explains_how_to_check_one_number_for_all_rows(formula: str) -> None:
    """With the option that it names, the function is judged."""

    def mean_of_all(input: Tensor, target: Tensor) -> Tensor:  # noqa: A002 - as torch calls it
        return functional.mse_loss(input, target)

    (verdict,) = harness.check(mean_of_all, formula=formula, laws=["value"], **QUICK)
    assert "returns shape []" in str(verdict.reason)
    assert "; to check their mean or sum, pass `--over mean` or `--over sum`" in str(verdict.reason)
    (verdict,) = harness.check(mean_of_all, formula=formula, over="mean", laws=["value"], **QUICK)
    assert verdict.status is Status.HOLDS


def test_a_mask_and_one_number_a_row_are_inputs_too() -> None:
    """Both belong to rows."""

    def scaled(x: Tensor, keep: Tensor, t: Tensor) -> Tensor:
        return torch.where(keep, x, torch.zeros_like(x)).sum(-1) / t

    facts: dict[str, Any] = {
        "formula": "sum(where(keep, x, 0)) / t",
        "inputs": {"keep": "mask", "t": "positive per_row"},
        "laws": ["value", "gradient", "gradient_in_t"],
        **QUICK,
    }
    assert harness.check(scaled, **facts).failing == []
    assert harness.check(lambda x, keep, t: x.sum(-1) / t + 0 * keep.sum(), **facts).failing != []


def test_a_kink_is_left_open() -> None:
    """Either one-sided derivative is accepted, and so is their mean."""
    for function in (torch.abs, lambda x: torch.where(x > 0, x, -x)):
        assert harness.check(function, formula="abs(x)", laws=["gradient"], **QUICK).failing == []


def test_in_float64_special_functions_are_decided_by_balls() -> None:
    """Double-double arithmetic has no enclosure of special functions."""
    facts: dict[str, Any] = {"dtypes": ["float64"], "examples": 2, "laws": ["value", "digits_not_lost"]}
    assert [v.status for v in harness.check(torch.erfc, formula="erfc(x)", **facts)] == [Status.HOLDS] * 2
    wrong = harness.check(lambda x: 1 - torch.erf(x), formula="1 - erf(x)", form="erfc(x)", **facts)
    assert wrong[0].status is Status.BROKEN


def test_the_thresholds_of_a_formula_are_among_its_inputs() -> None:
    """A bug in a few numbers around a threshold is found."""

    def shifted(x: Tensor) -> Tensor:
        return torch.where((x - 123.456).abs() < 1e-4, x + 1, functional.relu(x - 123.456))

    found = harness.check(shifted, formula="max(x - 123.456, 0)", dtypes=["float32"], laws=["value"])
    assert found.failing != []


def test_another_form_keeps_the_range_and_the_thresholds_of_the_definition() -> None:
    """The sigmoid underflows at -887, which the form of the error bounds never shows."""

    def loss(x: Tensor) -> Tensor:
        return -torch.log(torch.sigmoid(0.1 * x))

    definition, form = "-log(sigmoid(0.1 * x))", "softplus(-0.1 * x)"
    found = harness.check(loss, formula=definition, form=form, dtypes=["float32"], laws=["value", "finite"])
    assert [verdict.status for verdict in found] == [Status.BROKEN] * 2


def test_a_survey_finds_where_a_formula_breaks() -> None:
    """The number is exact, for each input."""
    contract = "formula(x, y): exp(x) / (exp(x) + exp(y))"
    assert [ray.name for ray in list_rays(contract_named(contract))] == ["x = t", "x = -t", "y = t", "y = -t"]
    found = survey(lambda x, y: x.exp() / (x.exp() + y.exp()), contract, dtypes=["float32"], batches=0)
    points = [one.value for one in found.breakings if (one.law, one.ray) == ("finite", "x = t")]
    assert points == [pytest.approx(FORMATS["float32"].log_max, rel=1e-6)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--form", "tanh(x)"], "cannot use `--form` without `--formula`"),
        (["--formula", "x", "--over", "columns"], "choose from `rows`, `all`, `mean`, `sum`, got `columns`"),
        (["--formula", "x", "--input", "x"], "NAME=DOMAIN"),
        (["--formula", "x", "--over", "all"], "the formula must reduce all its inputs"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(
    options: list[str], said: str, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command exits with code 2 before it starts a process."""
    (workplace / "mine.py").write_text("def f(x):\n    return x\n")
    monkeypatch.setattr(sys, "argv", ["harness", "check", "mine.py:f", *options])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


def test_a_correctly_rounded_value_loses_no_digits_where_float64_cancels() -> None:
    """No bound is derived from a value that cancelled in float64."""
    of = Model(parse(written("l = log_softmax(x); -sum(exp(l) * l)"))).gradients["x"]
    row, one = torch.tensor([[41.121, 0.0]]), torch.ones(1)
    exact = of.oracle(row, one)
    given = [row.double().numpy(), one.double().numpy()]
    assert (of.attainable(given, FORMATS["float32"], exact.hi) >= 8.0 * FORMATS["float32"].u * abs(exact.hi)).all()


def test_complete_cancellation_in_float64_is_measured_absolutely() -> None:
    """In ulp of zero, the error and the bound would be NaN."""
    rows = torch.tensor([[0.0, 1.5e24, -1.1e24, -1.5e24, 1.1e24, 0.3e24, -0.3e24]], dtype=torch.float64)
    of = Model(parse(written("mean(x)"))).value
    off = torch.full((1,), 1e7, dtype=torch.float64)
    assert not measure_deviation(of, larger_bound, off, (rows,), FORMATS["float64"]).broken
    assert measure_deviation(of, larger_bound, off * 1e3, (rows,), FORMATS["float64"]).broken


def test_a_deviation_beyond_float64_is_measured() -> None:
    """The result is the largest number with the wrong sign, and NumPy does not warn."""
    x = torch.full((1,), torch.finfo(torch.float64).max * 0.9, dtype=torch.float64)
    of = Model(parse(written("x * 1"))).value
    assert measure_deviation(of, larger_bound, -x, (x,), FORMATS["float64"]).broken


def test_a_users_test_is_parametrized_by_a_formula() -> None:
    """`parametrize_laws` accepts a formula like a contract."""

    @harness.parametrize_laws(formula="x * y", inputs={"y": "constant"}, dtypes=["float32"], laws=["value", "gradient"])
    def test_product(check: Check) -> None:
        check(lambda x, y: x * y)

    (mark,) = test_product.pytestmark  # type: ignore[attr-defined]
    listed = checks(*mark.args, **mark.kwargs)
    assert {check.campaign.contract for check in listed} == {"formula(y: constant, ...): x * y"}
    assert [check.id for check in listed] == ["value-in-float32", "gradient-in-float32"]
    assert [check(lambda x, y: x * y).status for check in listed] == [Status.HOLDS] * 2
