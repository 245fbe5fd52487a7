"""A named mistake is the first line of a finding, and its consequences are part of the finding."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diagnosis.wrong_losses import softmax_over_columns
from diagnosis.wrong_statistics import layer_norm_unbiased
from torch import Tensor
from torch.nn import functional

import harness
from harness.findings import findings
from harness.record import Mistake, Status, Verdict
from harness.wording.finding import finding_block, format_source, sentence
from harness.wording.verdict import violation_block


def guarded(x: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with an epsilon."""
    p = torch.softmax(x, -1)
    return -torch.log(p[torch.arange(len(labels)), labels] + 1e-8).mean()


def checked(function: Callable[..., Any], contract: str, *laws: str) -> list[Verdict]:
    """Check a few laws in float32."""
    return list(harness.check(function, contract, laws=laws, dtypes=["float32"], examples=3, seconds=0.3))


@pytest.mark.parametrize(("function", "contract", "laws", "first"), [
    (softmax_over_columns, "softmax", ("value", "rows_sum_to_one", "row_alone", "shift_invariant"), "columns (axis 0)"),
    (layer_norm_unbiased, "layer_norm", ("value", "gradient", "mean_square_at_most_one"), "divided by n - 1"),
    (guarded, "cross_entropy", ("value", "gradient", "impossible_label"), "cannot exceed 18.421 = -ln(1e-08)"),
])  # fmt: skip
def test_what_follows_from_a_mistake_is_one_finding(
    function: Callable[..., Any], contract: str, laws: tuple[str, ...], first: str
) -> None:
    """All broken laws are in the first finding, whose sentence is the name of the mistake."""
    verdicts = checked(function, contract, *laws)
    broken = {verdict.law for verdict in verdicts if verdict.status.fails}
    found = [finding for finding in findings(verdicts) if finding.status.fails]
    assert first in sentence(found[0])
    assert broken == set(found[0].laws)
    assert len(found) <= 2


def test_a_floor_in_the_logarithm_of_a_formula_is_one_finding() -> None:
    """The value, its long rows and the gradient break because of one clamp, in a function that is called."""

    def log(t: Tensor, eps: float = 1e-5) -> Tensor:
        return t.clamp(min=eps).log()

    def entropy(prob: Tensor) -> Tensor:
        return (-prob * log(prob)).sum(dim=-1)

    laws = ["value", "value_on_long_rows", "gradient"]
    of = {"formula": "-sum(x * log(x))", "inputs": {"x": "distribution"}, "laws": laws, "dtypes": ["float32"]}
    verdicts = list(harness.check(entropy, **of))  # type: ignore[arg-type]
    (finding,) = [one for one in findings(verdicts) if one.status.fails]
    assert set(finding.laws) == set(laws)
    assert sentence(finding) == "the argument of the logarithm is clamped at 1e-05; -sum(x * log(x)) clamps nothing"
    assert format_source(finding.named)[-1].strip() == "^" * len("log(prob)")


def test_the_block_shows_the_line_with_carets() -> None:
    """The line stands below the sentence."""
    verdicts = checked(layer_norm_unbiased, "layer_norm", "value")
    lines = finding_block(findings(verdicts)[0], verdicts, width=80).splitlines()
    place = next(number for number, line in enumerate(lines) if "wrong_statistics.py:" in line)
    assert lines[place + 1].strip().startswith("return (x - x.mean(-1, keepdim=True))")
    carets = lines[place + 2]
    start = carets.index("^")
    assert lines[place + 1][start : len(carets)] == "x.var(-1, keepdim=True)"


def test_the_block_of_a_law_names_the_mistake() -> None:
    """A failed test prints this block; the usual cause of the law stays below."""
    (verdict,) = checked(layer_norm_unbiased, "layer_norm", "value")
    block = violation_block(verdict)
    assert "mistake    the variance is divided by n - 1; layer_norm divides by n (" in block
    assert "look at    the mean is not subtracted" in block


def test_another_defect_stays_another_finding() -> None:
    """The exponential overflows for every axis."""

    def softmax(x: Tensor) -> Tensor:
        e = torch.exp(x)
        return e / e.sum(0, keepdim=True)

    found = findings(checked(softmax, "softmax", "value", "rows_sum_to_one", "finite_on_extreme_logits"))
    assert "columns of the batch" in sentence(found[0])
    assert any("exp overflows" in sentence(finding) for finding in found[1:])


def test_a_sound_function_has_no_mistake() -> None:
    """Lost digits are not a mistake."""

    def shifted(x: Tensor) -> Tensor:
        e = torch.exp(x - x.amax(-1, keepdim=True))
        return e / e.sum(-1, keepdim=True)

    verdicts = checked(shifted, "softmax", "value", "digits_not_lost", "gradient")
    assert all(verdict.violation is None or verdict.violation.named is None for verdict in verdicts)


def centred(x: Tensor) -> Tensor:
    """Layer normalization as its formula says."""
    c = x - x.mean(-1, keepdim=True)
    return c / torch.sqrt((c * c).mean(-1, keepdim=True) + 1e-5)


def narrowed(x: Tensor) -> Tensor:
    """A tangent in float32; its gradient loses digits there, too, as that of torch's does."""
    return torch.tanh(x.float()).to(x.dtype)


@pytest.mark.parametrize(("function", "target", "dtype"), [
    (centred, {"formula": "(x - mean(x)) / sqrt(mean((x - mean(x)) ** 2) + 1e-5)"}, "float64"),
    (narrowed, {"contract": "tanh"}, "float32"),
])  # fmt: skip
def test_lost_digits_of_the_right_function_have_no_mistake(
    function: Callable[..., Any], target: dict[str, Any], dtype: str
) -> None:
    """It computes no other operation, and a cast to float32 explains nothing in float32."""
    verdicts = list(harness.check(function, **target, laws=["gradient_digits_not_lost"], dtypes=[dtype]))
    assert [verdict.status for verdict in verdicts] == [Status.LOST]
    assert all(verdict.violation is not None and verdict.violation.named is None for verdict in verdicts)


def test_a_mistake_survives_a_record() -> None:
    """The record returns the same mistake."""
    mistake = Mistake(names=("n - 1",), sentence="a; b", place="own.py:3", line="    y = x.var()", start=8, end=15)
    assert Mistake.model_validate_json(mistake.model_dump_json()) == mistake
    assert format_source(mistake) == ["  own.py:3", "    y = x.var()", "        ^^^^^^^"]


def test_a_line_without_an_expression_has_no_carets() -> None:
    """Only the place and the line are known."""
    assert format_source(Mistake(names=("a",), sentence="b", place="own.py:3", line="return x")) == [
        "  own.py:3",
        "    return x",
    ]
    assert format_source(None) == []


# Errors


def kept(x: Tensor) -> Tensor:
    """The reduced axis stays."""
    return torch.logsumexp(x, -1, keepdim=True)


def constant(x: Tensor) -> Tensor:
    """No gradient reaches the logits."""
    return torch.softmax(x.detach(), -1)


def unkept(x: Tensor) -> Tensor:
    """The sum of each row divides a column, or does not fit."""
    e = torch.exp(x - x.amax(-1, keepdim=True))
    return e / e.sum(-1)


@pytest.mark.parametrize(("function", "contract", "law", "name", "reason"), [
    (kept, "logsumexp", "value", "keepdim", "returns shape [1, 1]"),
    (constant, "softmax", "gradient", "detached", "autograd cannot follow"),
    (unkept, "softmax", "value", "no keepdim", ""),
])  # fmt: skip
def test_the_mistake_behind_an_error_is_named(
    function: Callable[..., Any], contract: str, law: str, name: str, reason: str
) -> None:
    """The sentence is the name of the mistake, the line is shown, and the error stands below."""
    verdicts = checked(function, contract, law)
    (finding,) = [one for one in findings(verdicts) if one.status.fails]
    assert finding.named is not None
    assert finding.named.names == (name,)
    block = finding_block(finding, verdicts)
    assert "test_findings.py:" in block
    assert "^" in block
    assert reason in block


def test_an_error_of_another_kind_has_no_mistake() -> None:
    """A gradient that raises is not a detached one."""

    class Raises(torch.autograd.Function):
        @staticmethod
        def forward(_: Any, x: Tensor) -> Tensor:
            return torch.softmax(x, -1)

        @staticmethod
        def backward(_: Any, *__: Tensor) -> Tensor:
            raise ValueError

    verdicts = checked(lambda x: Raises.apply(x), "softmax", "gradient")
    assert [verdict.named for verdict in verdicts] == [None]


def cross_entropy_of_logits(y_hat: Tensor, y: Tensor) -> Tensor:
    """It takes logits, although its parameter has the name of probabilities."""
    return torch.nn.functional.cross_entropy(y_hat, y)


@pytest.mark.parametrize(("function", "contract", "proposed"), [
    (cross_entropy_of_logits, "nll_of_probabilities", "--contract cross_entropy"),
    (lambda x: torch.log_softmax(x, -1), "softmax", "--contract log_softmax"),
    (lambda x: functional.layer_norm(x, x.shape[-1:]), "rms_norm", "--contract layer_norm"),
])  # fmt: skip
def test_the_contract_under_which_it_is_right_is_proposed(
    function: Callable[..., Any], contract: str, proposed: str
) -> None:
    """Ordinary values are wrong under one contract and right under another."""
    verdicts = checked(function, contract, "value")
    found = findings(verdicts)[0]
    assert found.named is not None
    assert found.named.declare == proposed
    assert f"check it with `{proposed}`" in finding_block(found, verdicts)
