"""Changes of rows in ordinal space: by a few ulp, by leaps, by copying, swapping and crossing entries, by setting gaps.

Every mutation returns as many rows as it gets. The genome moves entries outside the domain back into it.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from harness.surveyor.genome import Genome, Ordinals

Mutation = Callable[[Ordinals, Genome, Generator], Ordinals]

_FEW = 8
"""Largest number of ulp of a small step."""


def _one_each(rows: Ordinals, rng: Generator) -> NDArray[np.intp]:
    """Draw a random column for each row."""
    return rng.integers(rows.shape[1], size=len(rows))


def few_ulps(rows: Ordinals, _: Genome, rng: Generator) -> Ordinals:
    """Move about half of the entries by a few ulp."""
    steps = rng.integers(-_FEW, _FEW + 1, size=rows.shape)
    return rows + np.where(rng.random(rows.shape) < 0.5, steps, 0)


def one_entry(rows: Ordinals, _: Genome, rng: Generator) -> Ordinals:
    """Move one entry by a few ulp."""
    changed, every = rows.copy(), np.arange(len(rows))
    changed[every, _one_each(rows, rng)] += rng.integers(-_FEW, _FEW + 1, size=len(rows))
    return changed


def leap(rows: Ordinals, genome: Genome, rng: Generator) -> Ordinals:
    """Move one entry by a step of any size, up to half of the format's numbers."""
    changed, every = rows.copy(), np.arange(len(rows))
    bits = rng.uniform(0.0, 8 * genome.job.format.dtype.itemsize - 2, size=len(rows))
    changed[every, _one_each(rows, rng)] += (np.exp2(bits) * rng.choice([-1.0, 1.0], size=len(rows))).astype(np.int64)
    return changed


def drift(rows: Ordinals, genome: Genome, rng: Generator) -> Ordinals:
    """Move all entries, each by up to a step that the row has in common, up to an eighth of the significand."""
    bits = rng.uniform(1.0, max(2.0, genome.job.format.precision - 3.0), size=(len(rows), 1))
    return rows + (np.exp2(bits) * rng.uniform(-1.0, 1.0, size=rows.shape)).astype(np.int64)


def copy(rows: Ordinals, _: Genome, rng: Generator) -> Ordinals:
    """Set one entry to another one."""
    changed, every = rows.copy(), np.arange(len(rows))
    changed[every, _one_each(rows, rng)] = rows[every, _one_each(rows, rng)]
    return changed


def swap(rows: Ordinals, _: Genome, rng: Generator) -> Ordinals:
    """Exchange two entries, since the order of a sum matters."""
    changed, every = rows.copy(), np.arange(len(rows))
    first, second = _one_each(rows, rng), _one_each(rows, rng)
    changed[every, first], changed[every, second] = rows[every, second], rows[every, first]
    return changed


def flip(rows: Ordinals, _: Genome, rng: Generator) -> Ordinals:
    """Change the sign of a random entry or of the whole row."""
    some = rng.random(rows.shape) < 1.0 / rows.shape[1]
    return np.where(some | (rng.random((len(rows), 1)) < 0.2), -rows, rows)


def cross(rows: Ordinals, _: Genome, rng: Generator) -> Ordinals:
    """Take each entry from the row itself or from another one."""
    return np.where(rng.random(rows.shape) < 0.5, rows, rng.permutation(rows))


def gap(rows: Ordinals, genome: Genome, rng: Generator) -> Ordinals:
    """Set one entry of the first input to its largest entry minus a gap in the range of exponentials."""
    example = genome.decode(rows)
    first = genome.genes[0]
    values = example[first.name].double().numpy().reshape(len(rows), -1)
    every, column = np.arange(len(rows)), rng.integers(values.shape[1], size=len(rows))
    values[every, column] = values.max(1) - np.exp2(rng.uniform(-4.0, 7.0, size=len(rows)))
    changed = rows.copy()
    changed[:, first.columns] = genome.ordinals_of(values)
    return changed


MUTATIONS: tuple[tuple[Mutation, float], ...] = (
    (few_ulps, 0.28),
    (one_entry, 0.16),
    (drift, 0.14),
    (leap, 0.08),
    (cross, 0.10),
    (copy, 0.08),
    (swap, 0.05),
    (flip, 0.03),
    (gap, 0.08),
)
"""The mutations, and the share of the rows that each gets."""


def mutated(parents: Ordinals, genome: Genome, rng: Generator) -> Ordinals:
    """Change every row by a mutation."""
    shares = np.cumsum([share for _, share in MUTATIONS])
    ends = (shares / shares[-1] * len(parents)).astype(int)
    children = []
    begin = 0
    for (mutate, _), end in zip(MUTATIONS, ends, strict=True):
        if end > begin:
            children.append(mutate(parents[begin:end], genome, rng))
        begin = end
    return genome.within(np.concatenate(children))
