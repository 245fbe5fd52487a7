"""The truth of the functions in ``blind.toml`` is settled by mpmath."""

from typing import Any

import mpmath as mp
import pytest
import torch
from torch import Tensor
from unseen.blind import read
from unseen.judging import judge, verdict_on
from unseen.specimen import Unseen

import harness
from harness.findings.merging import findings
from harness.record import Status
from harness.wording.finding import sentence

AGAIN = read("blind_again.toml", "wrong")
"""Written after the change for the first ones; on the first run 17 of 20 were named rightly, and 2 falsely."""


def settled(one: Unseen) -> tuple[Tensor, Tensor]:
    """Return the answer in float64, and the exact value by mpmath."""
    given = [
        torch.tensor([x], dtype=torch.bool if name == "keep" else None if isinstance(x, int) else torch.float64)
        for name, x in zip(one.function.__code__.co_varnames, one.row, strict=True)
    ]
    assert one.truth is not None
    with mp.workdps(40):
        exact = [float(x) for x in one.truth(*one.row)]
    return one.function(*given).reshape(-1), torch.tensor(exact, dtype=torch.float64)


@pytest.mark.parametrize(
    "one", [one for one in [*read("blind.toml", "wrong"), *AGAIN] if one.truth], ids=lambda one: one.name
)
def test_a_wrong_function_is_wrong(one: Unseen) -> None:
    """It differs from mpmath on its row."""
    actual, exact = settled(one)
    assert bool(((actual - exact).abs() > 1e-3 * exact.abs()).any())


@pytest.mark.parametrize(
    "one", [*read("blind.toml", "sound"), *read("blind_again.toml", "sound")], ids=lambda one: one.name
)
def test_a_sound_function_is_right(one: Unseen) -> None:
    """It agrees with mpmath on its row."""
    actual, exact = settled(one)
    assert bool(((actual - exact).abs() <= 1e-12 * exact.abs()).all())


@pytest.mark.judged
@pytest.mark.filterwarnings("ignore:var")
@pytest.mark.parametrize("one", [*read("blind.toml", "wrong"), *AGAIN], ids=lambda one: one.name)
def test_the_mistake_is_named(one: Unseen) -> None:
    """The first sentence is right, and nothing false is named."""
    assert verdict_on(one, judge(one), is_wrong=True) == "named rightly"


@pytest.mark.judged
@pytest.mark.filterwarnings("ignore:var")
@pytest.mark.parametrize(
    "one", [*read("blind.toml", "sound"), *read("blind_again.toml", "sound")], ids=lambda one: one.name
)
def test_a_sound_function_is_not_flagged(one: Unseen) -> None:
    """Only the laws break that torch really breaks."""
    assert verdict_on(one, judge(one), is_wrong=False) == "not flagged"


def damped_sine_in_float32(x: Tensor) -> Tensor:
    """Two factors are computed in float32."""
    return torch.sin(x.float()).to(x.dtype) * torch.exp(-0.1 * x.float()).to(x.dtype)


def hard_elish_with_another_exponent(x: Tensor) -> Tensor:
    """The one is subtracted inside of the exponential."""
    return torch.where(x > 0, x, torch.exp(x - 1)) * (x / 2 + 0.5).clamp(0, 1)


@pytest.mark.parametrize(
    ("function", "formula", "dtype", "says"),
    [
        (damped_sine_in_float32, "sin(x) * exp(-0.1 * x)", "float64", "rounded to float32"),
        (
            hard_elish_with_another_exponent,
            "where(x > 0, x, exp(x) - 1) * clip(x / 2 + 0.5, 0, 1)",
            "float32",
            "`1` is subtracted inside of `exp(x)`",
        ),
    ],
)
def test_the_first_of_few_findings_names_the_cause(function: Any, formula: str, dtype: str, says: str) -> None:
    """Value and gradient are one finding."""
    verdicts = harness.check(
        function, formula=formula, inputs={"x": "-10..10"}, dtypes=[dtype], laws=["value", "gradient"], corpora=()
    )
    (finding,) = findings(verdicts, (Status.BROKEN,))
    assert says in sentence(finding)
