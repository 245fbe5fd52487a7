"""Ordinary inputs for a diagnosis: small batches of many shapes, and rows far out that show a cap."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from harness.floats import FORMATS
from harness.laws.contract import Contract

Example = tuple[Any, ...]
"""The arguments of one call."""

SHAPES = (
    *((3, 5), (4, 3), (2, 6), (5, 4), (7, 2), (3, 3), (6, 8), (2, 9), (4, 7), (1, 4), (5, 2), (8, 3)),
    *((3, 5), (2, 3), (6, 4), (5, 5), (3, 8), (4, 6), (1, 6), (9, 4), (2, 5), (7, 3), (3, 4), (5, 6)),
)
"""Rows and columns; few batches are square, and few have one row, because these hide mistakes."""

CLEAR = 40.0
"""Logit of the unlikely label in the clearest example; -ln of its probability is as large."""

STEP = 16.0
"""Numbers are multiples of one sixteenth, which all formats have and which are short to read."""

SCALES = (1.0, 2.0, 0.5, 1.5, 3.0)

FAR = (25.0, 14.0, 18.0, 9.0, 21.0)
"""Distances of logits in the rows that show a cap; several, because a clamp and a sum differ near the cap."""

_PROBABILITIES = {"p", "q", "probabilities"}


SQUARE = tuple((n, n) for n in (3, 4, 2, 5, 6, 7, 8))
"""Rows and columns of square batches, in which rows and columns fit to each other."""


def examples(
    contract: Contract, *, dtype: torch.dtype, far: bool = False, shapes: Sequence[tuple[int, int]] = SHAPES
) -> list[Example]:
    """Return the examples of a contract, the same ones each time; none if an input has an unknown kind."""
    numbers = range(4 if far else len(shapes))
    chosen = [_example(contract, number, shapes[number], far=far) for number in numbers]
    return [tuple(_typed(x, dtype) for x in one) for one in chosen if one is not None]


def _typed(x: Any, dtype: torch.dtype) -> Any:
    return x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x


def _example(contract: Contract, number: int, shape: tuple[int, int], *, far: bool) -> Example | None:
    """Draw the inputs of one call in the order of the signature."""
    generator = torch.Generator().manual_seed(1 + number)
    clear = far and number == 0
    n, k = (1, 2) if clear else shape
    sizes = {"n": n, "k": k, "d": k, "m": 2 + number % 3, "t": 1}
    scale = SCALES[number % len(SCALES)]
    drawn = [_input(contract, name, sizes, scale, generator, far=far) for name in _names(contract)]
    if any(x is None for x in drawn):
        return None
    return tuple(map(_clear, _names(contract), drawn)) if clear else tuple(drawn)


def _clear(name: str, x: Any) -> Any:
    """Make the inputs of the clearest example: one row in which the label is very unlikely."""
    if name in {"labels", "targets"}:
        return torch.ones_like(x)
    if name in {"logits", "x"}:
        is_last = torch.arange(x.numel()).reshape(x.shape) == x.numel() - 1
        return torch.where(is_last, torch.tensor(-CLEAR, dtype=x.dtype), torch.zeros_like(x))
    return torch.softmax(_clear("logits", x), -1) if name in _PROBABILITIES else x


def _names(contract: Contract) -> Sequence[str]:
    """Return the names of the inputs."""
    value = next((law for law in contract.laws if law.group in {"value", "data"}), contract.laws[0])
    return value.reads


def _input(
    contract: Contract, name: str, sizes: Mapping[str, int], scale: float, generator: Generator, *, far: bool
) -> Any:
    """Draw one input by its name and its axes."""
    if name == "lr":
        return 0.1
    if name == "k":
        return sizes["k"]
    axes = contract.axes.get(name)
    if axes is None:
        return None
    names = axes.names[1:] if contract.grouped else axes.names
    if not set(names) <= sizes.keys():
        return None
    shape = [sizes[axis] for axis in names]
    if axes.index_of is not None:
        return torch.randint(sizes[axes.index_of], shape, generator=generator)
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
    if name == "keep":
        mask = drawn > -0.3
        mask[..., 0] = True
        return mask
    value = _in_domain(name, drawn, scale, far=far, positive=axes.positive)
    # The inputs of a formula have their own domains, such as an interval.
    restored = axes.restore(value, FORMATS["float64"]) if axes.restore is not None and not far else value
    return value if restored is None else restored


def _in_domain(name: str, drawn: Tensor, scale: float, *, far: bool, positive: bool) -> Tensor:
    """Make numbers of the kind that the input is to have."""
    if name in _PROBABILITIES or name == "log_q":
        logs = torch.log_softmax(_spread(drawn * scale, far=far and name != "p"), -1)
        return logs if name == "log_q" else logs.exp()
    if name == "variance":
        return (drawn * 0.5).exp()
    if name == "targets":
        return torch.where(drawn > 0.5, 1.0, torch.where(drawn < -0.5, 0.0, torch.sigmoid(drawn)))
    if positive:
        return (drawn * 0.5).exp() * scale
    return _spread(drawn * scale, far=far)


def _spread(x: Tensor, *, far: bool) -> Tensor:
    """Move one entry in three far out."""
    x = (x * STEP).round() / STEP
    if not far:
        return x
    position = torch.arange(x.numel()).reshape(x.shape)
    distance = torch.tensor(FAR, dtype=x.dtype)[position % len(FAR)]
    signed = torch.where(position % 2 == 0, distance, -distance)
    return torch.where(position % 3 == 0, x + signed, x)


def numbers(low: float, high: float, count: int = 31) -> tuple[float, ...]:
    """Return numbers spaced evenly in their logarithm."""
    step = (math.log(high) - math.log(low)) / (count - 1)
    return tuple(math.exp(math.log(low) + step * i) for i in range(count))
