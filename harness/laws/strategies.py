"""Hypothesis strategies that draw *batch recipes*.

Hypothesis draws a size, a magnitude and a seed. Vectorized code expands them to hundreds of rows with different
structures. An example therefore checks hundreds of rows at the speed of the implementation, and Hypothesis still
controls the search: a seed reproduces it, and the census reports it. Normal random numbers are only one structure,
since they are a weak test of numerics.
"""

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.random import Generator
from torch import Tensor

from harness.floats import Array, Format, from_ordinal, lift, portable, to_ordinal, ulp
from harness.floats.oracle import MEBIBYTE, Memory, set_within
from harness.laws.law import Example, Inputs

SEEDS = st.integers(0, 2**32 - 1)

ONE_SEED = st.just(0)
"""For what accompanies long rows: of those there are few, and where nothing else is drawn they are all tried."""

FEW_COLUMNS = 3
"""Number of short rows to try where few shapes are allowed; they have closed forms."""


_few: ContextVar[bool] = ContextVar("few shapes", default=False)


def few_shapes(*, few: bool) -> AbstractContextManager[None]:
    """Draw batches of few shapes in the body, since compilation for one shape takes a tenth of a second.

    The shapes are the smallest ones and others that depend on torch's seed, like the lengths of :func:`long_rows`.
    """
    return set_within(_few, few)


shapes_are_few = _few.get
"""Whether batches have few shapes here."""

_narrow: ContextVar[bool] = ContextVar("narrow batches", default=False)


def narrow_batches() -> AbstractContextManager[None]:
    """Draw no batches with :data:`EDGE_COLUMNS` in the body: a probe needs many ordinary rows."""
    return set_within(_narrow, value=True)


batches_are_narrow = _narrow.get
"""Whether batches have ordinary numbers of columns only."""


def lengths(least: int, greatest: int, *, small: int = 1) -> st.SearchStrategy[int]:
    """Draw a length; with few shapes, a length among the ``small`` smallest or a length that depends on the seed."""
    if not shapes_are_few():
        return st.integers(least, greatest)
    drawn = np.random.default_rng(torch.initial_seed() % 2**32).integers(least, greatest + 1)
    return st.sampled_from(sorted({*range(least, min(least + small, greatest + 1)), int(drawn)}))


class Shape(NamedTuple):
    """Rows and columns of a batch."""

    rows: int
    columns: int


Structure = Callable[[Generator, Shape, Array, Format], Array]
"""``structure(rng, shape, magnitude[rows, 1], format) -> float64[rows, columns]``"""


def normal(rng: Generator, shape: Shape, magnitude: Array, _: Format) -> Array:
    """Independent normal entries."""
    return portable.standard_normal(rng, shape) * magnitude


def spike(rng: Generator, shape: Shape, magnitude: Array, _: Format) -> Array:
    """Zeros with one entry of the magnitude, of either sign."""
    rows = np.zeros(shape)
    rows[np.arange(shape.rows), rng.integers(shape.columns, size=shape.rows)] = 1.0
    return np.asarray(rows * magnitude * rng.choice([-1.0, 1.0], size=(shape.rows, 1)))


def uniform_offset(rng: Generator, shape: Shape, magnitude: Array, _: Format) -> Array:
    """Entries of order one, all shifted by the magnitude."""
    signs = rng.choice(np.array([-1.0, 1.0]), size=(shape.rows, 1))
    return np.asarray(portable.standard_normal(rng, shape) + magnitude * signs)


def ties(rng: Generator, shape: Shape, magnitude: Array, _: Format) -> Array:
    """Two distinct values, so that maxima tie."""
    chosen, offset = rng.integers(0, 2, size=shape), rng.integers(0, 2, size=(shape.rows, 1))
    return np.asarray((chosen - offset) * magnitude)


def ramp(rng: Generator, shape: Shape, magnitude: Array, _: Format) -> Array:
    """Equally spaced entries in random order."""
    return np.asarray(rng.permuted(np.linspace(-1.0, 1.0, shape.columns) * magnitude, axis=1))


def mixed_magnitudes(rng: Generator, shape: Shape, magnitude: Array, format_: Format) -> Array:
    """Entries whose exponents are spread uniformly from subnormal to the magnitude."""
    low = float(portable.log2(format_.smallest))
    high = np.maximum(portable.log2(magnitude), low)
    exponents = low + (high - low) * rng.random(shape)
    return np.asarray(portable.exp2(exponents) * rng.choice([-1.0, 1.0], size=shape))


def thresholds(rng: Generator, shape: Shape, _: Array, format_: Format) -> Array:
    """One entry within four ulp of a point where exponentials or sums change character; the others near zero."""
    largest, digits = format_.log_max, format_.precision * portable.LN2
    of_sum, smallest = largest - float(portable.log(shape.columns)), float(portable.log(format_.tiny))
    points = np.array([largest, of_sum, largest / 2, format_.log_smallest, smallest, digits, -digits])
    centre = torch.from_numpy(rng.choice(points, size=shape.rows)).to(format_.dtype)
    near = from_ordinal(to_ordinal(centre) + rng.integers(-4, 5, size=shape.rows), format_)
    rows = np.zeros(shape)
    rows[np.arange(shape.rows), rng.integers(shape.columns, size=shape.rows)] = near.double().numpy()
    return rows


STRUCTURES: tuple[Structure, ...] = (normal, spike, uniform_offset, ties, ramp, mixed_magnitudes, thresholds)

BLOCK = 32
"""Entries of a block, for structures that differ from block to block."""


def block_maxima(rng: Generator, shape: Shape, magnitude: Array, _: Format) -> Array:
    """Entries of order one, with one larger entry in each block; any block may have the largest one."""
    rows = portable.standard_normal(rng, shape)
    for first in range(0, shape.columns, BLOCK):
        positions = first + rng.integers(min(BLOCK, shape.columns - first), size=shape.rows)
        rows[np.arange(shape.rows), positions] = magnitude[:, 0] * rng.random(shape.rows)
    return rows


def far_blocks(rng: Generator, shape: Shape, magnitude: Array, _: Format) -> Array:
    """Blocks of entries of order one, each shifted by another share of the magnitude."""
    blocks = -(-shape.columns // BLOCK)
    offsets = np.repeat(rng.uniform(-1.0, 1.0, (shape.rows, blocks)) * magnitude, BLOCK, axis=1)
    return np.asarray(portable.standard_normal(rng, shape) + offsets[:, : shape.columns])


def lopsided_ramp(rng: Generator, shape: Shape, magnitude: Array, _: Format) -> Array:
    """Equally spaced entries in random order whose sum is not zero, since an ulp of zero is no unit for errors."""
    return np.asarray(rng.permuted(np.linspace(-0.5, 1.0, shape.columns) * magnitude, axis=1))


LONG_STRUCTURES: tuple[Structure, ...] = (
    *(lopsided_ramp if structure is ramp else structure for structure in STRUCTURES),
    block_maxima,
    far_blocks,
)

ORDINARY_COLUMNS = 32
"""Most columns of an ordinary batch."""

EDGE_COLUMNS = (31, 32, 33, 63, 64, 65, 127, 128, 129, 1_023, 1_024, 1_025)
"""Columns around the ends of the blocks in which kernels read a row."""

EDGE_ENTRIES = 4_096
"""Most entries of an ordinary batch with as many columns."""


def columns_and_edges(least: int, greatest: int, *, edges: Sequence[int] = EDGE_COLUMNS) -> st.SearchStrategy[int]:
    """Draw an ordinary number of columns; in a quarter of the draws, one at which blocks end or begin."""
    return st.integers(least, greatest) if batches_are_narrow() else _columns_and_edges(least, greatest, tuple(edges))


@cache
def _columns_and_edges(least: int, greatest: int, edges: tuple[int, ...]) -> st.SearchStrategy[int]:
    """Return one strategy for equal arguments, because Hypothesis validates each new one."""
    ordinary = st.integers(least, greatest)
    return st.one_of(ordinary, ordinary, ordinary, st.sampled_from(edges))


@st.composite
def batches(
    draw: st.DrawFn,
    format_: Format,
    *,
    structures: tuple[Structure, ...] = STRUCTURES,
    largest: float,
    rows: tuple[int, int] = (16, 512),
    columns: tuple[int, int] = (1, 32),
    narrow: int = 4,
) -> Tensor:
    """Draw a recipe and expand it into a tensor ``[rows, columns]``.

    Parameters
    ----------
    format_
        Format of the entries.
    structures
        Structures of the rows.
    largest
        Bound on the absolute value of an entry.
    rows, columns
        Smallest and largest numbers of rows and columns.
    narrow
        Largest number of columns of a narrow batch. Half of the batches are narrow, because closed forms have two
        classes. Also, the other entries of a long row often hide the effect of a single entry.

    Notes
    -----
    Each row has another structure and magnitude. Half of the rows are ordinary (at most 1). The magnitudes of the other
    rows are logarithmically uniform between 1 and the drawn limit. A third of the rows lie on a grid, for laws that
    shift a row exactly.

    An eighth of the batches with up to :data:`ORDINARY_COLUMNS` columns have a length in :data:`EDGE_COLUMNS` instead.
    These batches have few rows, as many as columns if possible. Their largest entry is smaller in proportion, so the
    bound on the sum of a row is unchanged.
    """
    is_narrow = draw(st.booleans(), label="narrow")
    greatest = max(columns[0], min(columns[1], narrow)) if is_narrow else columns[1]
    widths = lengths(columns[0], greatest, small=FEW_COLUMNS)
    edges = [width for width in EDGE_COLUMNS if largest * ORDINARY_COLUMNS / width >= 1.0]
    if edges and not is_narrow and columns[1] == ORDINARY_COLUMNS and not shapes_are_few():
        widths = columns_and_edges(columns[0], greatest, edges=edges)
    width = draw(widths, label="columns")
    height = draw(lengths(*rows), label="rows")
    if width in edges and columns[1] == ORDINARY_COLUMNS:
        height = max(rows[0], min(rows[1], EDGE_ENTRIES // width, width))
        largest *= min(1.0, ORDINARY_COLUMNS / width)
    shape = Shape(height, width)
    exponent = draw(st.floats(0.0, float(portable.log2(largest))), label="log2 of the largest magnitude")
    seed = draw(SEEDS, label="seed")
    recipe = structures, shape, exponent, largest, seed
    return _reuse_expansion(("batch", format_, *recipe), lambda: _make_batch(format_, *recipe))


def _make_batch(
    format_: Format, structures: Sequence[Structure], shape: Shape, exponent: float, largest: float, seed: int
) -> Tensor:
    """Return the rows of a recipe; they do not depend on anything else."""
    rng = np.random.default_rng(seed)
    exponents = exponent * rng.random((shape.rows, 1))
    magnitude = np.where(
        rng.random((shape.rows, 1)) < 0.25, rng.random((shape.rows, 1)) + 1e-3, portable.exp2(exponents)
    )
    values = np.clip(_mix_structures(structures, rng, shape, magnitude, format_), -largest, largest)
    values = np.where(rng.random((shape.rows, 1)) < 1 / 3, round_to_grid(values, format_), values)
    return torch.from_numpy(values).to(format_.dtype)


_expansions: Memory[Tensor] = Memory(32 * MEBIBYTE)
"""Tensors by their recipes, which different laws and contracts draw again."""


def _reuse_expansion(recipe: tuple[Hashable, ...], expand: Callable[[], Tensor]) -> Tensor:
    """Return a new copy of the tensor of a recipe."""
    expansion = _expansions.get(recipe)
    if expansion is None:
        expansion = expand()
        _expansions.keep(recipe, expansion, expansion.nbytes)
    return expansion.clone()


def _mix_structures(
    structures: Sequence[Structure], rng: Generator, shape: Shape, magnitude: Array, format_: Format
) -> Array:
    """Give each row a structure."""
    chosen = rng.integers(len(structures), size=shape.rows)
    values = np.empty(shape)
    for number, structure in enumerate(structures):
        rows = chosen == number
        if rows.any():
            values[rows] = structure(rng, Shape(int(rows.sum()), shape.columns), magnitude[rows], format_)
    return values


def round_to_grid(rows: Array, format_: Format) -> Array:
    """Round each row toward zero to multiples of two ulp of its largest entry: differences of entries are exact."""
    unit = 2.0 * ulp(lift(np.abs(rows).max(-1, keepdims=True)), format_)
    return np.asarray(np.trunc(rows / unit) * unit)


def list_special_numbers(format_: Format) -> Array:
    """Return both zeros, the smallest and the largest numbers of either sign, and one with its neighbors."""
    near_one = (1.0 - format_.u, 1.0, 1.0 + 2.0 * format_.u)
    positive = [format_.smallest, format_.tiny, *near_one, format_.max / 2, format_.max]
    return np.array([0.0, -0.0, *positive, *(-number for number in positive)])


def extremes(format_: Format, *, columns: tuple[int, int] = (1, 8)) -> st.SearchStrategy[Tensor]:
    """Draw a tensor ``[rows, columns]`` of special numbers: finite, but such that most differences overflow."""

    def expand(rows: int, width: int, seed: int) -> Tensor:
        drawn = np.random.default_rng(seed).choice(list_special_numbers(format_), size=(rows, width))
        return torch.from_numpy(drawn).to(format_.dtype)

    return st.builds(expand, lengths(16, 128), lengths(*columns, small=FEW_COLUMNS), SEEDS)


LENGTHS = (257, 2_049, 65_536)
"""One more than the integers that bfloat16 and float16 count to, and one more than float16 can hold at all."""

EDGES = (31, 33, 63, 65, 100, 127, 129, 255, 511, 513, 1_000, 1_023, 1_025)
"""Lengths at which blocks of a power of two end, or are not full."""


def choose_swept_lengths(seed: int) -> tuple[int, ...]:
    """Return a length in each quarter modulo 128, below 1,024, and one up to 4,096; they depend on the seed."""
    rng = np.random.default_rng(seed)
    quarters = [128 * rng.integers(0, 8) + rng.integers(first, first + 32) for first in (1, 33, 65, 97)]
    return *map(int, quarters), int(rng.integers(1_026, 4_097))


LONG_EXAMPLES = 2 * len(LENGTHS) + len(EDGES) + len(choose_swept_lengths(0)) + len(EDGE_COLUMNS)
"""Number of batches of long rows in a run that tries all."""

FEW_LONG_EXAMPLES = 2 * len(LENGTHS) + 2 + 4
"""Number of batches of long rows in a run that tries few."""


class LongBatch(NamedTuple):
    """A batch of long rows: nearly equal entries with a spread, or rows of every structure."""

    length: int
    spread: float | None
    """``None`` for structured rows."""


def long_rows(format_: Format, *, few: bool = False) -> st.SearchStrategy[Tensor]:
    """Draw long rows: near-equal entries where sums stall, and rows of every structure where blocks end.

    Near-equal entries are around 0, 1, -1 and 4, so that only the length of the row can break an implementation. Rows
    of every structure are at :data:`EDGE_COLUMNS`, with magnitudes up to where exponentials overflow.

    There are :data:`LONG_EXAMPLES` such batches, so this number of examples covers all of them. The lengths between the
    edges follow from torch's seed, which the seed of a run sets. With ``few`` there are :data:`FEW_LONG_EXAMPLES`, of
    other lengths for each seed: two of near-equal entries besides those at which sums stall, and four structured ones,
    one around each power of two.
    """
    seed = torch.initial_seed() % 2**32
    rng = np.random.default_rng(seed)
    rest = [*EDGES, *choose_swept_lengths(seed)]
    structured = [*EDGE_COLUMNS]
    if shapes_are_few():
        rest, structured = [int(rng.choice(rest))], [33, int(rng.choice(EDGE_COLUMNS[4:]))]
    elif few:
        rest = [int(k) for k in rng.choice(rest, 2, replace=False)]
        structured = [int(rng.choice(EDGE_COLUMNS[first : first + 3])) for first in range(0, len(EDGE_COLUMNS), 3)]
    all_of = [LongBatch(length, spread) for length in LENGTHS for spread in (0.0, 0.25)]
    all_of += [LongBatch(length, 0.25) for length in rest]
    all_of += [LongBatch(length, None) for length in structured]
    return st.sampled_from(all_of).map(
        lambda batch: _reuse_expansion(("long", format_, seed, batch), lambda: _make_long_rows(batch, format_, seed))
    )


def _make_long_rows(batch: LongBatch, format_: Format, seed: int) -> Tensor:
    length, spread = batch
    if spread is None:
        return torch.from_numpy(_make_structured_rows(length, format_, seed)).to(format_.dtype)
    # The longest rows are costly in float64's double-double, and no accumulator stalls there: one will do.
    rows = 1 if (format_.name, length) == ("float64", LENGTHS[-1]) else 4 if length in LENGTHS else 2
    centres = np.array([[0.0], [1.0], [-1.0], [4.0]])[:rows]
    noise = portable.standard_normal(np.random.default_rng(length), (len(centres), length))
    return torch.from_numpy(centres + spread * noise).to(format_.dtype)


_SQUARE = (31, 32, 33, 64)
"""Lengths with as many rows as columns: an axis that is taken for the other one shows."""

_FEW_STRUCTURES = 4
"""Number of structures at each of the three longest edges; together they cover every structure."""


def _make_structured_rows(length: int, format_: Format, seed: int) -> Array:
    """Return rows of every structure, with magnitudes up to slightly beyond the overflow of the exponential."""
    rng = np.random.default_rng((seed, length))
    chosen = list(LONG_STRUCTURES)
    if length > EDGE_ENTRIES // len(chosen):
        first = _FEW_STRUCTURES * (length % 3)
        chosen = [chosen[number % len(chosen)] for number in range(first, first + _FEW_STRUCTURES)]
    count = length if length in _SQUARE else len(chosen)
    exponents = float(portable.log2(1.25 * format_.log_max)) * rng.permutation(np.linspace(0.25, 1.0, count))
    rows = [
        chosen[number % len(chosen)](
            rng, Shape(1, length), portable.exp2(exponents[number : number + 1, None]), format_
        )
        for number in range(count)
    ]
    # The entry after the last whole block is the largest of its row, and overflows where it is not shifted.
    last = portable.standard_normal(rng, (1, length))
    last[:, -1] = 1.25 * format_.log_max
    return np.concatenate([*(rows[:-1] if length in _SQUARE else rows), last])


def mask_entries(values: Tensor, rng: Generator) -> Tensor:
    """Set about a third of the entries to minus infinity, but never a whole row; at least one if a row has two."""
    k = values.shape[-1]
    drop = rng.random(tuple(values.shape)) < 0.35
    keep = rng.integers(k, size=(*values.shape[:-1], 1))
    np.put_along_axis(drop, (keep + rng.integers(1, max(k, 2), size=keep.shape)) % k, values=True, axis=-1)
    np.put_along_axis(drop, keep, values=False, axis=-1)
    return values.masked_fill(torch.from_numpy(drop), -torch.inf)


def draw_companions(like: Tensor, rng: Generator) -> Tensor:
    """Return a tensor of the same shape and dtype with entries of order one, zeros and exact ones among them."""
    values = portable.standard_normal(rng, tuple(like.shape))
    values = np.where(rng.random(values.shape) < 0.1, rng.integers(-1, 2, size=values.shape), values)
    return torch.from_numpy(values).to(like.dtype)


def draw_labels(logits: Tensor, rng: Generator) -> Tensor:
    """Draw a class for each row of ``[..., k]``: the largest, the smallest, or any, a third of the rows each."""
    values = logits.double()
    anywhere = torch.from_numpy(rng.integers(0, logits.shape[-1], size=tuple(logits.shape[:-1])))
    choice = torch.from_numpy(rng.integers(0, 3, size=tuple(logits.shape[:-1])))
    return torch.where(choice == 0, values.argmax(-1), torch.where(choice == 1, values.argmin(-1), anywhere))


# Inputs of laws: functions of the format


def make_inputs(*draws: st.SearchStrategy[Any] | Callable[[Format], st.SearchStrategy[Any]]) -> Callable[..., Inputs]:
    """Make inputs of ``expand(format, *drawn, rng)``, from values to draw, or from functions of the format for them."""

    def decorate(expand: Callable[..., Example]) -> Inputs:
        def inputs(format_: Format) -> st.SearchStrategy[Example]:
            strategies = (draw if isinstance(draw, st.SearchStrategy) else draw(format_) for draw in draws)
            return st.builds(
                lambda *drawn: expand(format_, *drawn[:-1], np.random.default_rng(drawn[-1])), *strategies, SEEDS
            )

        return inputs

    return decorate


def change_inputs(inputs: Inputs, change: Callable[[Example], Example]) -> Inputs:
    """Return inputs whose examples are changed."""
    return lambda format_: inputs(format_).map(change)


def alter_inputs(
    inputs: Inputs, change: Callable[[Example, np.random.Generator], Example], seeds: st.SearchStrategy[int] = SEEDS
) -> Inputs:
    """Return inputs whose examples are changed at random."""
    return lambda format_: st.builds(
        lambda example, seed: change(example, np.random.default_rng(seed)), inputs(format_), seeds
    )


def add_cotangent(
    drawn: st.SearchStrategy[Tensor], name: str, output: Callable[[Tensor], Tensor] = lambda x: x
) -> st.SearchStrategy[Example]:
    """Draw an input, and weights of the outputs for the law of the gradient; ``output`` gives them their shape."""

    def expand(x: Tensor, seed: int) -> Example:
        return {name: x, "cotangent": draw_companions(output(x), np.random.default_rng(seed))}

    return st.builds(expand, drawn, SEEDS)


def make_tensors(format_: Format, **arrays: Array) -> Example:
    """Return an example of arrays, rounded to the format."""
    return {name: torch.from_numpy(values).to(format_.dtype) for name, values in arrays.items()}
