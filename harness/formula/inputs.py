"""The inputs of a formula: the structures used for every operation, and numbers near the formula's own thresholds."""

import math
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.random import Generator
from torch import Tensor

from harness.floats import Array, Format, from_ordinal, portable, to_array, to_ordinal
from harness.formula.grammar import Formula
from harness.formula.node import ENTRY, Node, order
from harness.formula.spelling import Domain
from harness.formula.threshold import switching_points, thresholds
from harness.laws.contract import Axes, normalize_sum
from harness.laws.law import Example
from harness.laws.strategies import (
    EDGE_COLUMNS,
    EDGE_ENTRIES,
    SEEDS,
    Shape,
    batches,
    columns_and_edges,
    list_special_numbers,
    long_rows,
    normal,
    ramp,
    spike,
    ties,
    uniform_offset,
)
from harness.laws.strategies import thresholds as usual_thresholds

COTANGENT = "cotangent"

ROWS, COLUMNS = (16, 192), (1, 12)

_EXPONENTIAL = {"exp", "expm1", "tanh", "erf", "erfc"}


def reach(formula: Formula, format_: Format) -> float:
    """Largest magnitude of ordinary inputs: four times the range of exponentials, or more in formulas without them.

    Beyond it are the extreme numbers, which are a law of their own. Another form does not make the range smaller.
    """
    exponential = any(node.operation in _EXPONENTIAL for node in order(formula.definition))
    far = 4.0 * format_.log_max
    return far if exponential else max(far, math.ldexp(1.0, format_.emax // 8))


def least(format_: Format) -> float:
    """Smallest magnitude of ordinary inputs, whose square and cube are normal numbers."""
    return math.ldexp(1.0, -(-format_.emin // 3))


# Domains


def map_into_domain(
    x: Array, domain: Domain, format_: Format, *, width: int = 1, by_rows: bool = True, varied: bool = False
) -> Tensor:
    """Map arbitrary numbers ``[rows, columns]`` into a domain; indices are below ``width``.

    With ``varied``, the rows of a wide range alternate between the three ways of :func:`_spread_over_range`.
    """
    if domain.kind == "mask":
        return _mask(x, nonempty=by_rows and not domain.per_row)
    if domain.kind == "index":
        return _place(x, width)
    numbers = _spread_over_range(x, domain, format_) if varied and _is_wide(domain, format_) else None
    numbers = _REAL[domain.kind](x, domain, format_) if numbers is None else numbers
    return _round_into_domain(np.floor(numbers) if domain.whole else numbers, domain, format_)


def _mask(x: Array, *, nonempty: bool) -> Tensor:
    """Return where numbers are positive; with ``nonempty``, each row keeps at least one entry."""
    keep = x > 0.0
    if nonempty:
        keep[np.arange(len(keep)), np.abs(x).argmax(-1)] = True
    return torch.from_numpy(keep)


def _place(x: Array, width: int) -> Tensor:
    """Return indices that differ from row to row, even for equal numbers."""
    return torch.from_numpy(((np.ascontiguousarray(x).view(np.int64) >> 40) + np.arange(len(x))[:, None]) % width)


def _unit(x: Array, _: Domain, format_: Format) -> Array:
    """Map numbers into (0, 1), with usual magnitudes spread over all binades near zero and near one."""
    size = np.abs(x)
    above_zero, below_one = _tail(size, least(format_), format_), _tail(size, format_.u, format_)
    with np.errstate(invalid="ignore"):
        inside = np.where(size > 1.0, 1.0 - below_one, size / (1.0 + size))
    return np.where(x < 0.0, inside, above_zero)


def _tail(size: Array, end: float, format_: Format) -> Array:
    """Map sizes to a decreasing share: 1 at zero, 1/2 at one, then down to ``end`` at the range of exponentials."""
    plain = 1.0 / (1.0 + size)
    power = portable.log2(0.5 / end) / portable.log2(4.0 * format_.log_max)
    steep = np.maximum(0.5 * portable.exp2(-power * portable.log2(np.maximum(size, 1.0))), end)
    return np.asarray(np.where(size > 1.0, np.minimum(steep, plain), plain))


def _distribution(x: Array, _: Domain, __: Format) -> Array:
    """Normalize magnitudes to shares that sum to one; every second row is a softmax instead."""
    size = np.minimum(np.abs(x), 1e300)
    size[1::2] = portable.exp(np.clip(x[1::2], -1e300, 1e300) - np.clip(x[1::2], -1e300, 1e300).max(-1, keepdims=True))
    size = np.where((size > 0.0).any(-1, keepdims=True), size, 1.0)
    return np.asarray(size / size.max(-1, keepdims=True) / (size / size.max(-1, keepdims=True)).sum(-1, keepdims=True))


def _is_wide(domain: Domain, format_: Format) -> bool:
    """Return whether a range has numbers of very different magnitudes."""
    if domain.kind != "range":
        return False
    small, large = sorted((abs(domain.low), abs(domain.high)))
    return domain.low < 0.0 < domain.high or large > _WIDE * max(small, least(format_))


_WIDE = 16.0


def _spread_over_range(x: Array, domain: Domain, format_: Format) -> Array:
    """Spread the rows of a batch over a range: in turns evenly, unchanged where they are inside, and logarithmically.

    An evenly spread batch has no numbers near zero if the range is wide.
    """
    low, high = domain.low, domain.high
    numbers = np.array(_REAL["range"](x, domain, format_))
    same = x[1::3]
    numbers[1::3] = np.where((low <= same) & (same <= high), same, numbers[1::3])
    numbers[2::3] = _logarithmic(x[2::3], low, high, 1.0 if domain.whole else least(format_))
    return numbers


def _logarithmic(x: Array, low: float, high: float, smallest: float) -> Array:
    """Spread magnitudes over the binades of a range; the sign follows the numbers if the range has both signs."""
    size = np.minimum(np.abs(x), 1e300)
    share = size / (1.0 + size)
    side = np.where(x < 0.0, -1.0, 1.0) if low < 0.0 < high else -1.0 if high <= 0.0 else 1.0
    end = np.where(side < 0.0, -low, high)
    begin = max(low, -high) if low > 0.0 or high < 0.0 else min(smallest, max(-low, high))
    first, last = portable.log2(begin), portable.log2(end)
    magnitude = portable.exp2(first + share * np.maximum(last - first, 0.0))
    return np.clip(np.where((size == 0.0) & (low <= 0.0 <= high), 0.0, side * magnitude), low, high)


_REAL: Mapping[str, Callable[[Array, Domain, Format], Array]] = {
    "real": lambda x, _, __: x,
    "positive": lambda x, _, format_: np.maximum(np.abs(x), least(format_)),
    "unit": _unit,
    "range": lambda x, domain, format_: domain.low + (domain.high - domain.low) * _unit(x, domain, format_),
    "distribution": _distribution,
}


def _round_into_domain(x: Array, domain: Domain, format_: Format) -> Tensor:
    rounded = torch.from_numpy(np.array(x)).to(format_.dtype)
    if domain.kind == "range":
        inside = rounded.double().clamp(domain.low, domain.high)
        rounded = torch.where(rounded.double() == inside, rounded, inside.to(format_.dtype))
    return rounded.nan_to_num() if domain.kind != "real" else rounded


def axes_of(formula: Formula, name: str, format_axes: tuple[str, ...]) -> Axes:
    """Return how an input shrinks, and how far a survey goes."""
    domain = formula.domains[name]

    def ordinary(x: Tensor, format_: Format) -> Tensor | None:
        size, far = x.abs(), reach(formula, format_)
        if domain.kind == "positive":
            return x.clamp(least(format_), far)
        return torch.where(size < least(format_), torch.zeros_like(x), x.clamp(-far, far))

    if domain.kind in {"real", "positive"}:
        is_positive = domain.kind == "positive"
        largest = partial(reach, formula)
        return Axes(format_axes, largest=largest, positive=is_positive, restore=ordinary, domain=domain.kind)
    if domain.kind == "mask":
        return Axes(format_axes)
    if domain.kind == "index":
        return Axes(format_axes, index_of="k")
    if domain.kind == "distribution":
        return Axes(format_axes, restore=normalize_sum, domain=domain.kind)
    kind = "unit" if domain.ends == (0.0, 1.0) and not domain.whole else domain.kind
    farthest, inside = max(1.0, *map(abs, domain.ends)), partial(_inside, domain)
    return Axes(format_axes, largest=lambda _: farthest, is_bounded=True, restore=inside, domain=kind)


def cotangent_axes(names: tuple[str, ...]) -> Axes:
    """Return how weights of the outputs shrink; none becomes zero, which would hide an undefined gradient."""
    return Axes(names, restore=lambda x, _: torch.where(x == 0.0, torch.ones_like(x), x))


def _inside(domain: Domain, x: Tensor, format_: Format) -> Tensor:
    # Torch refuses a limit beyond the range of the dtype.
    limits = (min(max(end, -format_.max), format_.max) for end in domain.ends)
    return (x.floor() if domain.whole else x).clamp(*limits)


# Strategies


def draw_inputs(
    formula: Formula, format_: Format, *, cotangent: bool, extreme: bool = False
) -> st.SearchStrategy[Example]:
    """Draw all inputs together, so that ties, offsets and spikes extend across inputs.

    With ``cotangent``, weights of the outputs are included; with ``extreme``, the numbers are the largest and smallest,
    and of similar magnitude in a row if there are weights: a gradient has few digits if it is small beside another.
    """
    edges = [k for k in EDGE_COLUMNS if reach(formula, format_) * COLUMNS[1] / k >= 1.0]
    widths = columns_and_edges(*COLUMNS, edges=edges) if edges and not extreme else st.integers(*COLUMNS)
    return (
        (widths if formula.by_rows else st.just(1))
        .flatmap(lambda k: _draw_columns(formula, format_, k, extreme=extreme, similar=cotangent))
        .map(lambda example: _add_cotangent(formula, format_, example) if cotangent else example)
    )


def _draw_columns(
    formula: Formula, format_: Format, k: int, *, extreme: bool, similar: bool
) -> st.SearchStrategy[Example]:
    columns = _width(formula, k)
    if extreme:
        draw = _similar if similar else _extreme
        rows = st.builds(lambda n, seed: draw(format_, n, columns, seed), st.integers(16, 96), SEEDS)
    else:
        near = _structure_near(thresholds(formula, format_.name))
        structures = (normal, spike, uniform_offset, ties, ramp, usual_thresholds, near, near)
        limit = max(4, EDGE_ENTRIES // columns)
        rows = batches(
            format_,
            structures=structures,
            largest=max(1.0, reach(formula, format_) * min(1.0, COLUMNS[1] / k)),
            rows=(min(ROWS[0], limit), min(ROWS[1], limit)),
            columns=(columns, columns),
        ).map(lambda x: _no_tiny(to_array(x), format_))
    return rows.map(lambda x: _split(formula, format_, x, k, extreme=extreme))


def _width(formula: Formula, k: int) -> int:
    """Return the number of columns of all inputs together, for rows of ``k`` entries."""
    return sum(1 if domain.per_row else k for domain in formula.domains.values())


def draw_at_switches(formula: Formula, conditions: tuple[Node, ...], format_: Format) -> st.SearchStrategy[Example]:
    """Draw few rows with an entry at a number where a condition changes, and weights of the outputs."""
    columns = st.integers(1, 4) if formula.by_rows else st.just(1)
    return st.builds(partial(switching_rows, formula, conditions, format_), st.integers(12, 24), columns, SEEDS)


def switching_rows(
    formula: Formula, conditions: tuple[Node, ...], format_: Format, rows: int, columns: int, seed: int
) -> Example:
    """Return rows for :func:`draw_at_switches`."""
    points = switching_points(formula, conditions, format_.name)
    near = _structure_near(points[np.abs(points) <= reach(formula, format_)], steps=1)
    x = near(np.random.default_rng(seed), Shape(rows, _width(formula, columns)), np.ones((rows, 1)), format_)
    example = _split(formula, format_, _no_tiny(x, format_), columns, extreme=False, clipped=True)
    return _add_cotangent(formula, format_, example)


def infinite_names(formula: Formula) -> list[str]:
    """Return the names of the inputs that may be infinite."""
    return [name for name, domain in formula.domains.items() if domain.kind == "real"]


def infinite(formula: Formula, format_: Format, *, cotangent: bool) -> st.SearchStrategy[Example]:
    """Draw ordinary numbers and make a third of them infinite, more often negative because masked logits are."""

    def some(example: Example, seed: int) -> Example:
        rng = np.random.default_rng(seed)
        far = {name: example[name].clone() for name in infinite_names(formula)}
        for x in far.values():
            chosen = torch.from_numpy(rng.random(tuple(x.shape)))
            x[chosen < 1 / 4] = -math.inf
            x[chosen > 11 / 12] = math.inf
        return {**example, **far}

    def rows(k: int) -> st.SearchStrategy[Example]:
        columns = _width(formula, k)
        numbers = batches(format_, structures=(normal, ties), largest=8.0, rows=(8, 64), columns=(columns, columns))
        return numbers.map(lambda x: _split(formula, format_, _no_tiny(to_array(x), format_), k, extreme=False))

    drawn_rows = st.builds(some, st.integers(*(COLUMNS if formula.by_rows else (1, 1))).flatmap(rows), SEEDS)
    return drawn_rows.map(lambda example: _add_cotangent(formula, format_, example) if cotangent else example)


def _structure_near(points: Array, steps: int = 4) -> Callable[[Generator, Shape, Array, Format], Array]:
    """Put one entry within some steps of a threshold; the others are zero, of order one, or equal to it."""

    def near(rng: Generator, shape: Shape, _: Array, format_: Format) -> Array:
        centre = torch.from_numpy(rng.choice(points, size=shape.rows)).to(format_.dtype)
        numbers = to_array(from_ordinal(to_ordinal(centre) + rng.integers(-steps, steps + 1, size=shape.rows), format_))
        kinds = rng.integers(3, size=(shape.rows, 1))
        rows = np.where(kinds == 0, 0.0, np.where(kinds == 1, portable.standard_normal(rng, shape), numbers[:, None]))
        rows[np.arange(shape.rows), rng.integers(shape.columns, size=shape.rows)] = numbers
        return np.nan_to_num(rows)

    return near


def _no_tiny(x: Array, format_: Format) -> Array:
    return np.where(np.abs(x) < least(format_), 0.0, x)


def _extreme(format_: Format, rows: int, columns: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    special = rng.choice(list_special_numbers(format_), size=(rows, columns))
    exponents = rng.uniform(format_.emin - format_.precision + 1, format_.emax + 1, size=(rows, columns))
    anywhere = np.minimum(portable.exp2(exponents), format_.max) * rng.choice([-1.0, 1.0], size=(rows, columns))
    return np.where(rng.random((rows, 1)) < 0.5, special, anywhere)


def _similar(format_: Format, rows: int, columns: int, seed: int) -> Array:
    """Draw rows of any magnitude, with at most four binades within a row."""
    rng = np.random.default_rng(seed)
    magnitude = rng.uniform(format_.emin, format_.emax - 3.0, size=(rows, 1))
    exponents = magnitude + rng.uniform(0.0, 3.0, size=(rows, columns))
    return np.asarray(portable.exp2(exponents) * rng.choice([-1.0, 1.0], size=(rows, 1)))


def _split(formula: Formula, format_: Format, x: Array, k: int, *, extreme: bool, clipped: bool = False) -> Example:
    """Split columns into the inputs. With ``clipped``, numbers inside a range stay unchanged."""
    example, start = {}, 0
    for name, domain in formula.domains.items():
        part = x[:, start : start + (1 if domain.per_row else k)]
        start += part.shape[1]
        ready = map_into_domain(np.array(part), domain, format_, width=k, by_rows=formula.by_rows, varied=not extreme)
        if clipped and domain.kind == "range":
            ready = _round_into_domain(np.floor(part) if domain.whole else part, domain, format_)
        if extreme and domain.kind == "positive":
            ready = torch.from_numpy(np.maximum(np.abs(part), format_.smallest)).to(format_.dtype)
        flat = domain.per_row or not formula.by_rows
        example[name] = ready[:, 0] if flat else ready
    return example


def _add_cotangent(formula: Formula, format_: Format, example: Example) -> Example:
    """Add weights of the outputs, none of them zero."""
    entry = next(x for name, x in example.items() if not formula.domains[name].per_row)
    reduced = formula.by_rows and formula.form.extent < ENTRY
    shape = tuple(entry.shape[:-1]) if reduced else tuple(entry.shape)
    rng = np.random.default_rng(int(to_ordinal(entry.flatten()[:8].float()).sum()) % 2**32)
    weights = portable.standard_normal(rng, shape)
    return {**example, COTANGENT: torch.from_numpy(np.where(np.abs(weights) < 0.01, 1.0, weights)).to(format_.dtype)}


_BATCHES, _BATCH_SIZES = 16, (2, 3, 1, 5, 8)
"""Largest number of batches in an example, and their numbers of rows, in turns."""


def make_batches(example: Example) -> Example:
    """Divide the rows of an example into batches of equal size; it has the first weights."""
    rows = len(next(iter(example.values())))
    n = min(_BATCH_SIZES[rows % len(_BATCH_SIZES)], rows)
    used = min(rows // n, _BATCHES) * n
    batches = {name: x[:used].reshape(-1, n, *x.shape[1:]) for name, x in example.items() if name != COTANGENT}
    return batches | {name: x[: used // n] for name, x in example.items() if name == COTANGENT}


def long(formula: Formula, format_: Format) -> st.SearchStrategy[Example]:
    """Draw long rows of nearly equal entries; further inputs have nearly equal entries in every second row."""

    def complete(rows: Tensor) -> Example:
        rng = np.random.default_rng(rows.shape[-1])
        example = {}
        for index, (name, domain) in enumerate(formula.domains.items()):
            shape = (len(rows), 1 if domain.per_row else rows.shape[-1])
            x = to_array(rows) if index == 0 and not domain.per_row else portable.standard_normal(rng, shape)
            if index:
                x[1::2] = 1.0 + x[1::2] / 64.0
            ready = map_into_domain(np.array(x), domain, format_, width=rows.shape[-1])
            example[name] = ready[:, 0] if domain.per_row else ready
        return example

    return long_rows(format_, few=True).map(complete)
