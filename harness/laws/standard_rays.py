"""The rays of rows and vectors, along which a search looks for the first number at which a law fails.

A contract whose first input is a row or a vector has the rays of this shape by default. Other contracts declare rays.
The parameter is a number of the format, or an integer.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.floats import Format, portable
from harness.laws.contract import Axes, Contract
from harness.laws.ray import Limit, Ray

COLUMNS = 8
"""Entries of a row on a ray, unless its shape says how many."""

LONGEST = 66_000
"""Largest number of entries or of rows: a little more than what float16 can hold."""


def _compute_reach(largest: Limit) -> Limit:
    """Return the end of a ray: beyond the drawn numbers, while the difference of two numbers stays finite."""
    return lambda format_: min(8.0 * largest(format_), format_.max / 2.0)


def list_rays(contract: Contract) -> tuple[Ray, ...]:
    """Return the rays of a contract: the rays for the shape of its first input, and the declared ones.

    Parameters
    ----------
    contract
        A contract; without ``largest`` in the axes of its first input, it has only its declared rays.

    Returns
    -------
    tuple of Ray
        The rays that a survey searches.
    """
    return (*_make_standard_rays(contract.axes), *contract.rays)


def _make_standard_rays(axes: Mapping[str, Axes]) -> tuple[Ray, ...]:
    """Return the rays of rows or of a vector; none if there are inputs other than weights and labels."""
    name, first = next(iter(axes.items()), ("", None))
    rest = {other_name: axis for other_name, axis in axes.items() if other_name != name}
    if first is None or first.largest is None or first.is_bounded or not all(_follows(*pair) for pair in rest.items()):
        return ()

    def complete(rows: Tensor) -> dict[str, Any]:
        lengths = dict(zip(first.names, rows.shape, strict=True))
        return {name: rows, **{other_name: _make_companion(axis, lengths, rows) for other_name, axis in rest.items()}}

    if first.names == ("n",):
        reach = _compute_reach(first.largest)
        positive = Ray("positive", "t", lambda t, _: complete(t), reach)
        return positive, Ray("negative", "-t", lambda t, _: complete(-t), reach)
    if first.names in {("n", "k"), ("n", "d"), ("g", "n", "k")}:
        return _make_row_rays(complete, first.largest, grouped=len(first.names) == 3)
    return ()


def _follows(name: str, axes: Axes) -> bool:
    """Whether an input follows from the first one: the weights of the outputs, or labels."""
    return name == "cotangent" or axes.index_of is not None


def _make_companion(axes: Axes, lengths: Mapping[str, int], rows: Tensor) -> Tensor:
    """Return labels of the first class, or weights that are one at the first output of a row and zero elsewhere."""
    shape = [lengths[name] for name in axes.names]
    if axes.index_of is not None:
        return torch.zeros(shape, dtype=torch.int64)
    weights = torch.ones(shape, dtype=rows.dtype)
    if len(shape) > 1:
        weights[..., 1:] = 0.0
    return weights


RayShape = Callable[[Tensor], Tensor]
"""``shape(t[n]) -> rows[n, k]``"""

_STEPS = torch.linspace(-1.0, 1.0, COLUMNS, dtype=torch.float64)


def _make_direction() -> Tensor:
    drawn = portable.standard_normal(np.random.default_rng(0), COLUMNS)
    return torch.from_numpy(drawn / np.abs(drawn).max())


def _make_spike(t: Tensor) -> Tensor:
    return torch.nn.functional.pad(t[:, None], (0, COLUMNS - 1))


def _along(direction: Tensor) -> RayShape:
    return lambda t: (t.double()[:, None] * direction).to(t.dtype)


SHAPES: tuple[tuple[str, str, int, RayShape], ...] = (
    ("spike", "(t, 0, ..., 0)", COLUMNS, _make_spike),
    ("negative spike", "(-t, 0, ..., 0)", COLUMNS, lambda t: _make_spike(-t)),
    ("uniform offset", "(t, t, ..., t)", COLUMNS, lambda t: t[:, None].repeat(1, COLUMNS)),
    ("negative offset", "(-t, -t, ..., -t)", COLUMNS, lambda t: -t[:, None].repeat(1, COLUMNS)),
    ("two-point gap", "(0, -t)", 2, lambda t: torch.stack([torch.zeros_like(t), -t], 1)),
    ("reversed gap", "(-t, 0)", 2, lambda t: torch.stack([-t, torch.zeros_like(t)], 1)),
    ("symmetric pair", "(t, -t)", 2, lambda t: torch.stack([t, -t], 1)),
    ("ramp", "t (-1, ..., 1), equally spaced", COLUMNS, _along(_STEPS)),
    ("random direction", "t z with a fixed z, max |z| = 1", COLUMNS, _along(_make_direction())),
)
"""Name, formula, columns and rows of the rays whose parameter grows from zero."""


def _make_row_rays(complete: Callable[[Tensor], dict[str, Any]], largest: Limit, *, grouped: bool) -> tuple[Ray, ...]:
    """Return the rays of rows; an implementation that reduces over all inputs gets each row as a batch."""

    def place(rows: Tensor) -> dict[str, Any]:
        return complete(rows[:, None, :] if grouped else rows)

    def along(shape: RayShape) -> Callable[[Tensor, Format], dict[str, Any]]:
        return lambda t, _: place(shape(t))

    def scale_logits(t: Tensor, format_: Format) -> dict[str, Any]:
        return place((_make_direction() / t.double()[:, None]).to(format_.dtype))

    def long(t: Tensor, format_: Format) -> dict[str, Any]:
        return place(torch.zeros(1, int(t), dtype=format_.dtype))

    def many(t: Tensor, format_: Format) -> dict[str, Any]:
        return complete(torch.zeros(1, int(t), 2, dtype=format_.dtype))

    def coldest(format_: Format) -> float:
        return max(1.0 / largest(format_), format_.tiny)

    lengths: dict[str, Any] = {"start": lambda _: 1.0, "end": lambda _: float(LONGEST), "whole": True}
    rays = [
        Ray(name, text, along(shape), _compute_reach(largest), columns=columns) for name, text, columns, shape in SHAPES
    ]
    rays.append(
        Ray("temperature", "z / t with a fixed z", scale_logits, start=lambda _: 1.0, end=coldest, columns=COLUMNS)
    )
    rays.append(Ray("length", "t zeros", long, **lengths))
    if grouped:
        rays.append(Ray("rows", "t rows of two zeros", many, columns=2, **lengths))
    return tuple(rays)
