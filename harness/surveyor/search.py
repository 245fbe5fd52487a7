"""Batched search: measure thousands of rows at a time, and change the best of them in ordinal space.

Every mutation returns as many rows as it gets. The encoding moves entries outside the domain back into it.

Islands evolve separately, so that one good row does not dominate. An island without improvement starts again. The
result depends only on the seed and the number of batches, and not on the number of processes. With a time limit, the
number of batches depends on the machine.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from harness.laws.law import Example
from harness.surveyor.encoding import ExampleEncoding, Ordinals
from harness.verdict.job import Job

Mutation = Callable[[Ordinals, ExampleEncoding, Generator], Ordinals]

_FEW = 8
"""Largest number of ulp of a small step."""


def _draw_columns(rows: Ordinals, rng: Generator) -> NDArray[np.intp]:
    """Draw a random column for each row."""
    return rng.integers(rows.shape[1], size=len(rows))


def few_ulps(rows: Ordinals, _: ExampleEncoding, rng: Generator) -> Ordinals:
    """Move about half of the entries by a few ulp."""
    steps = rng.integers(-_FEW, _FEW + 1, size=rows.shape)
    return rows + np.where(rng.random(rows.shape) < 0.5, steps, 0)


def one_entry(rows: Ordinals, _: ExampleEncoding, rng: Generator) -> Ordinals:
    """Move one entry by a few ulp."""
    changed, indices = rows.copy(), np.arange(len(rows))
    changed[indices, _draw_columns(rows, rng)] += rng.integers(-_FEW, _FEW + 1, size=len(rows))
    return changed


def leap(rows: Ordinals, encoding: ExampleEncoding, rng: Generator) -> Ordinals:
    """Move one entry by a step of any size, up to half of the format's numbers."""
    changed, indices = rows.copy(), np.arange(len(rows))
    bits = rng.uniform(0.0, 8 * encoding.job.format.dtype.itemsize - 2, size=len(rows))
    columns = _draw_columns(rows, rng)
    changed[indices, columns] += (np.exp2(bits) * rng.choice([-1.0, 1.0], size=len(rows))).astype(np.int64)
    return changed


def drift(rows: Ordinals, encoding: ExampleEncoding, rng: Generator) -> Ordinals:
    """Move all entries, each by up to a step that the row has in common, up to an eighth of the significand."""
    bits = rng.uniform(1.0, max(2.0, encoding.job.format.precision - 3.0), size=(len(rows), 1))
    return rows + (np.exp2(bits) * rng.uniform(-1.0, 1.0, size=rows.shape)).astype(np.int64)


def copy(rows: Ordinals, _: ExampleEncoding, rng: Generator) -> Ordinals:
    """Set one entry to another one."""
    changed, indices = rows.copy(), np.arange(len(rows))
    changed[indices, _draw_columns(rows, rng)] = rows[indices, _draw_columns(rows, rng)]
    return changed


def swap(rows: Ordinals, _: ExampleEncoding, rng: Generator) -> Ordinals:
    """Exchange two entries, since the order of a sum matters."""
    changed, indices = rows.copy(), np.arange(len(rows))
    first, second = _draw_columns(rows, rng), _draw_columns(rows, rng)
    changed[indices, first], changed[indices, second] = rows[indices, second], rows[indices, first]
    return changed


def flip(rows: Ordinals, _: ExampleEncoding, rng: Generator) -> Ordinals:
    """Change the sign of a random entry or of the whole row."""
    mask = rng.random(rows.shape) < 1.0 / rows.shape[1]
    return np.where(mask | (rng.random((len(rows), 1)) < 0.2), -rows, rows)


def cross(rows: Ordinals, _: ExampleEncoding, rng: Generator) -> Ordinals:
    """Take each entry from the row itself or from another one."""
    return np.where(rng.random(rows.shape) < 0.5, rows, rng.permutation(rows))


def gap(rows: Ordinals, encoding: ExampleEncoding, rng: Generator) -> Ordinals:
    """Set one entry of the first input to its largest entry minus a gap in the range of exponentials."""
    example = encoding.decode(rows)
    first = encoding.genes[0]
    values = example[first.name].double().numpy().reshape(len(rows), -1)
    indices, column = np.arange(len(rows)), rng.integers(values.shape[1], size=len(rows))
    values[indices, column] = values.max(1) - np.exp2(rng.uniform(-4.0, 7.0, size=len(rows)))
    changed = rows.copy()
    changed[:, first.columns] = encoding.ordinals_of(values)
    return changed


MUTATIONS: tuple[tuple[Mutation, float], ...] = (
    (few_ulps, 0.28), (one_entry, 0.16), (drift, 0.14), (leap, 0.08), (cross, 0.10), (copy, 0.08), (swap, 0.05),
    (flip, 0.03), (gap, 0.08),
)  # fmt: skip
"""The mutations, and the share of the rows that each gets."""


def mutate_rows(parents: Ordinals, encoding: ExampleEncoding, rng: Generator) -> Ordinals:
    """Change every row by a mutation."""
    shares = np.cumsum([share for _, share in MUTATIONS])
    ends = (shares / shares[-1] * len(parents)).astype(int)
    children = []
    begin = 0
    for (mutate, _), end in zip(MUTATIONS, ends, strict=True):
        if end > begin:
            children.append(mutate(parents[begin:end], encoding, rng))
        begin = end
    return encoding.clip_to_domain(np.concatenate(children))


Objective = Literal["deviation", "ratio"]
"""Objective to maximize: the deviation in the law's unit, or its share of the bound."""

Scores = NDArray[np.float64]

ROWS = 4096
"""Rows a batch: with eight entries each, what stays in the processor's second cache."""

_GROUPED_ROWS = 512
"""Number of rows if each row needs a separate call."""

_ELITE = 64
"""Rows that an island keeps."""

_FRESH = 0.1
"""Share of newly drawn rows on an island."""

_PATIENCE = 40
"""Batches without progress after which an island starts afresh."""


@dataclass(frozen=True)
class Budget:
    """Length and objectives of a search.

    Parameters
    ----------
    batches
        Batches to measure.
    seconds
        Time to search instead, in seconds.
    objectives
        Quantities to maximize; the islands take turns.
    thresholds
        Whether rows next to known thresholds are among the seeds.
    seed
        Random seed.
    """

    batches: int = 100
    seconds: float | None = None
    objectives: tuple[Objective, ...] = ("deviation", "ratio")
    thresholds: bool = True
    seed: int = 0


@dataclass
class Best:
    """The best row for one objective.

    Parameters
    ----------
    objective
        The maximized quantity.
    score
        Its value on the screen.
    row
        The row as integers; ``None`` if nothing was measured.
    """

    objective: Objective
    score: float = -1.0
    row: Ordinals | None = None


@dataclass
class SearchResult:
    """Result of a search.

    Parameters
    ----------
    best
        The best row for each objective.
    rows
        Number of measured rows.
    encoding
        The encoding of the rows.
    """

    encoding: ExampleEncoding
    best: tuple[Best, ...]
    rows: int = 0

    def example(self, objective: Objective) -> Example:
        """Return the best row as inputs."""
        (best,) = (best for best in self.best if best.objective == objective)
        assert best.row is not None
        return self.encoding.decode(best.row[None])


class _Seeds:
    """Rows drawn from the rays, many at a time, and returned in portions."""

    def __init__(self, encoding: ExampleEncoding, rng: Generator, *, near_thresholds: bool) -> None:
        self.encoding, self.rng, self.near_thresholds = encoding, rng, near_thresholds
        self.left = np.empty((0, encoding.width), dtype=np.int64)

    def take(self, rows: int) -> Ordinals:
        """Return the next rows."""
        if len(self.left) < rows:
            self.left = self.encoding.seeds(max(rows, ROWS), self.rng, near_thresholds=self.near_thresholds)
        batch, self.left = self.left[:rows], self.left[rows:]
        return batch


@dataclass
class _Island:
    objective: Objective
    rng: Generator
    seeds: _Seeds
    rows: Ordinals
    scores: Scores
    stale: int = 0
    best: float = -1.0


def search(job: Job, budget: Budget, *, clock: Callable[[], float] = time.perf_counter) -> SearchResult:
    """Search for the rows on which a law deviates most.

    Raises
    ------
    CaseError
        If the implementation raises.
    """
    encoding = ExampleEncoding(job)
    result = SearchResult(encoding, tuple(map(Best, budget.objectives)))
    rows = _GROUPED_ROWS if job.contract.grouped else ROWS
    islands = [_make_island(encoding, budget, number) for number in range(4)]
    until = None if budget.seconds is None else clock() + budget.seconds
    batch = 0
    while batch < budget.batches if until is None else clock() < until:
        if batch and all(np.isposinf(best.score) for best in result.best):
            break
        children = [_make_children(island, encoding, rows // len(islands)) for island in islands]
        _measure(job, result, islands, children)
        batch += 1
    return result


def _make_island(encoding: ExampleEncoding, budget: Budget, number: int) -> _Island:
    rng = np.random.default_rng([budget.seed, number])
    objective = budget.objectives[number % len(budget.objectives)]
    seeds = _Seeds(encoding, rng, near_thresholds=budget.thresholds)
    return _Island(objective, rng, seeds, np.empty((0, encoding.width), dtype=np.int64), np.empty(0))


def _make_children(island: _Island, encoding: ExampleEncoding, rows: int) -> Ordinals:
    """Return the next rows to measure: changed copies of the best rows, and some new draws."""
    if not len(island.rows):
        return island.seeds.take(rows)
    fresh = int(rows * _FRESH)
    # The better a row is, the more children it has.
    parents = (len(island.rows) * island.rng.random(rows - fresh) ** 2).astype(np.intp)
    return np.concatenate([mutate_rows(island.rows[parents], encoding, island.rng), island.seeds.take(fresh)])


def _measure(job: Job, result: SearchResult, islands: list[_Island], children: list[Ordinals]) -> None:
    """Measure the rows of the islands as a single batch, and keep the best."""
    everything = np.concatenate(children)
    measurement = job.subject.measure(job.law, result.encoding.decode(everything))
    sizes = {"deviation": measurement.deviation, "ratio": measurement.ratio}
    scores = {objective: _list_largest(values, everything) for objective, values in sizes.items()}
    result.rows += len(everything)
    for best in result.best:
        index = int(scores[best.objective].argmax())
        if scores[best.objective][index] > best.score:
            best.score, best.row = float(scores[best.objective][index]), everything[index].copy()
    begin = 0
    for island, offspring in zip(islands, children, strict=True):
        _select(island, offspring, scores[island.objective][begin : begin + len(offspring)])
        begin += len(offspring)


def _list_largest(values: Any, rows: Ordinals) -> Scores:
    """Return the largest value per row."""
    return np.asarray(np.reshape(values, (len(rows), -1)).max(1, initial=0.0), dtype=np.float64)


def _select(island: _Island, rows: Ordinals, scores: Scores) -> None:
    """Keep the best rows, one for each score; start again if nothing improves."""
    candidates = np.argpartition(-scores, min(_ELITE, len(scores) - 1))[:_ELITE]
    rows, scores = np.concatenate([island.rows, rows[candidates]]), np.concatenate([island.scores, scores[candidates]])
    _, first = np.unique(-scores, return_index=True)
    elite = first[:_ELITE]
    island.rows, island.scores = rows[elite], scores[elite]
    if island.scores[0] > island.best:
        island.best, island.stale = float(island.scores[0]), 0
    else:
        island.stale += 1
    if island.stale > _PATIENCE:
        island.rows, island.scores = island.rows[:0], island.scores[:0]
        island.best, island.stale = -1.0, 0
