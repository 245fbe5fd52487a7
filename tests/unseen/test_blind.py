"""The truth of the functions in ``blind.toml`` is settled by mpmath."""

import mpmath as mp
import pytest
import torch
from torch import Tensor
from unseen.blind import read
from unseen.judging import judge, verdict_on
from unseen.specimen import Unseen

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
