"""The settled pairs of computations are what their names say, as far as a fixed tolerance shows."""

import importlib.util
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

FILE = Path(__file__).with_name("pairs.py")
STEPS = 3
TOLERANCE = 1e-4
"""Rounding of these sizes stays below it."""

SMALL = {"different_constant"}
"""Pairs that differ by less: by one in 10 to the power of 8."""


def load() -> ModuleType:
    """Return the pairs with models and random numbers in their initial state."""
    spec = importlib.util.spec_from_file_location("sameness_pairs", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def list_names(module: ModuleType) -> list[str]:
    """Return the names of the pairs of a module."""
    names = [name for name in vars(module) if name.endswith("_a") and not name.startswith("_")]
    return sorted(name.removesuffix("_a") for name in names)


MODULE = load()
NAMES = list_names(MODULE)


def call(name: str) -> list[Tensor]:
    """Return the results of a side: of a function on two batches, or the losses of a step."""
    side: Any = getattr(load(), name)
    parameters = [p for p in inspect.signature(side).parameters if p != "state"]
    if not parameters:
        return [side().detach() for _ in range(STEPS)]
    generator = torch.Generator().manual_seed(0)
    return [side(*(torch.randn(32, 64, generator=generator) for _ in parameters)) for _ in range(2)]


def test_there_are_forty_pairs_and_half_of_them_differ_by_rounding_only() -> None:
    """The other half is different, and one of these trains nothing."""
    answers = [name.split("_")[0] for name in NAMES]
    assert {word: answers.count(word) for word in answers} == {"different": 19, "nothing": 1, "rounding": 20}
    assert all(hasattr(MODULE, f"{name}_b") for name in NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "rounding_compiled"])
def test_a_pair_is_far_apart_only_if_it_is_called_different(name: str) -> None:
    """A fixed tolerance finds most of the differences; the compiled function is left to the compiler's own tests."""
    torch.manual_seed(0)
    sides = [call(f"{name}_{side}") for side in "ab"]
    is_close = all(torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE) for a, b in zip(*sides, strict=True))
    assert is_close == (not name.startswith("different") or name in SMALL)
    if name in SMALL:
        assert any(not torch.equal(a, b) for a, b in zip(*sides, strict=True))


def test_dead_models_do_not_change() -> None:
    """Their losses are equal, and equally zero."""
    assert [float(loss) for loss in call("nothing_dead_models_a")] == [0.0] * STEPS
