"""Examples as integers: the inputs of thousands of rows as one matrix of ordinals, which a search can change.

Ordinals number the floats of a format: the next ordinal is the next representable number of any size. Inputs without a
declared largest value stay as in the ray. Labels are plain integers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from harness.floats.format import Format, from_ordinal, to_ordinal
from harness.laws import COLUMNS, Example, Ray, list_rays
from harness.laws.strategies import Shape, thresholds
from harness.verdict.job import Job

Ordinals = NDArray[np.int64]

_TINY, _HUGE = -8.0, 12.0
"""Powers of two between which half of the seeds have their parameter: where exponentials live."""


@dataclass(frozen=True)
class Gene:
    """The columns of an input in the matrix.

    Parameters
    ----------
    name
        Name of the input.
    shape
        Shape of a row.
    columns
        Its columns in the matrix.
    limit
        Largest absolute ordinal, or number of labels.
    lowest
        Smallest ordinal.
    label
        Whether it holds labels.
    """

    name: str
    shape: tuple[int, ...]
    columns: slice
    limit: int
    lowest: int
    label: bool


def is_searchable(job: Job) -> bool:
    """Whether rays have the inputs of the law, and some input may be changed."""
    return bool(_choose_rays(job)) and any(axes.largest is not None for axes in job.axes.values())


class ExampleEncoding:
    """The encoding of the examples of a job as integers; :func:`is_searchable` returns whether it exists."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.rays = _choose_rays(job)
        self.template = self.rays[0].example(_make_parameters(self.rays[0], job, np.array([1.0])), job.format)
        self.genes = _make_genes(job, self.template)

    @property
    def width(self) -> int:
        """Number of columns of the matrix."""
        return int(self.genes[-1].columns.stop)

    def encode(self, example: Example) -> Ordinals:
        """Write rows as integers."""
        parts = [example[gene.name].numpy() if gene.label else to_ordinal(example[gene.name]) for gene in self.genes]
        return np.concatenate([part.reshape(len(part), -1) for part in parts], 1)

    def decode(self, ordinals: Ordinals) -> Example:
        """Read rows from integers."""
        rows = len(ordinals)
        example: dict[str, Any] = {name: _repeat_first_row(value, rows) for name, value in self.template.items()}
        for gene in self.genes:
            part = ordinals[:, gene.columns].reshape(rows, *gene.shape)
            example[gene.name] = torch.from_numpy(part) if gene.label else self._read_numbers(gene, part)
        return example

    def _read_numbers(self, gene: Gene, ordinals: Ordinals) -> Tensor:
        """Read the numbers of an input, restored to its domain."""
        x, restore = from_ordinal(ordinals, self.job.format), self.job.axes[gene.name].restore
        restored = x if restore is None else restore(x, self.job.format)
        return x if restored is None else restored

    def seeds(self, rows: int, rng: Generator, *, near_thresholds: bool) -> Ordinals:
        """Draw rows from the rays, their parameters spread over all magnitudes."""
        share = -(-rows // (len(self.rays) + near_thresholds))
        drawn = [self._draw_along_ray(ray, share, rng) for ray in self.rays]
        if near_thresholds:
            drawn.append(self._draw_near_thresholds(drawn[0], rng))
        seeds = self.clip_to_domain(np.concatenate(drawn))
        for gene in self.genes[1:]:
            if not gene.label:
                self._weigh(seeds, gene, rng)
        return rng.permutation(seeds)[:rows]

    def _draw_along_ray(self, ray: Ray, rows: int, rng: Generator) -> Ordinals:
        first, last = sorted([max(ray.start(self.job.format), self.job.format.tiny), ray.end(self.job.format)])
        low, high = np.log2(first), np.log2(last)
        anywhere = rng.uniform(low, high, size=rows)
        nearby = rng.uniform(max(low, min(_TINY, high)), min(high, _HUGE), size=rows)
        values = np.exp2(np.where(rng.random(rows) < 0.5, anywhere, nearby))
        return self.encode(ray.example(_make_parameters(ray, self.job, values), self.job.format))

    def _draw_near_thresholds(self, like: Ordinals, rng: Generator) -> Ordinals:
        first = self.genes[0]
        width = first.columns.stop - first.columns.start
        rows = thresholds(rng, Shape(len(like), width), np.ones((len(like), 1)), self.job.format)
        genes = like.copy()
        genes[:, first.columns] = self.ordinals_of(rows)
        return genes

    def _weigh(self, seeds: Ordinals, gene: Gene, rng: Generator) -> None:
        """Give half of the rows weights of order one instead of a single one."""
        rows = rng.random(len(seeds)) < 0.5
        width = gene.columns.stop - gene.columns.start
        seeds[rows, gene.columns] = self.ordinals_of(rng.uniform(-1.0, 1.0, size=(int(rows.sum()), width)))

    def ordinals_of(self, values: NDArray[np.float64]) -> Ordinals:
        """Return the nearest numbers of the format, as integers."""
        return to_ordinal(round_to_format(values, self.job.format))

    def clip_to_domain(self, ordinals: Ordinals) -> Ordinals:
        """Keep every number inside the contract's domain."""
        for gene in self.genes:
            np.clip(ordinals[:, gene.columns], gene.lowest, gene.limit, out=ordinals[:, gene.columns])
        return ordinals


def round_to_format(values: NDArray[np.float64], format_: Format) -> Tensor:
    """Return the nearest numbers of a format."""
    return torch.from_numpy(values).to(format_.dtype)


def _make_parameters(ray: Ray, job: Job, values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values).to(torch.int64 if ray.whole else job.format.dtype)


def _choose_rays(job: Job) -> list[Ray]:
    """Return the rays with the inputs of the law and the shape of the first ray with the usual number of columns."""
    rays = [ray for ray in list_rays(job.contract) if not ray.whole and ray.columns != 2]
    example = {ray.name: ray.example(_make_parameters(ray, job, np.array([1.0])), job.format) for ray in rays}
    usable = [ray for ray in rays if set(job.law.reads) <= set(example[ray.name])]
    if not usable:
        return []
    first = _get_shapes(example[usable[0].name])
    return [ray for ray in usable if _get_shapes(example[ray.name]) == first]


def _get_shapes(example: Example) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in example.items() if isinstance(value, Tensor)}


def _make_genes(job: Job, template: Example) -> tuple[Gene, ...]:
    genes: list[Gene] = []
    start = 0
    for name, axes in job.axes.items():
        if axes.largest is None and axes.index_of is None:
            continue
        value: Tensor = template[name]
        width = value[0].numel()
        columns = slice(start, start + width)
        limit, lowest = COLUMNS - 1, 0
        if axes.largest is not None:
            limit = int(to_ordinal(torch.tensor(axes.largest(job.format), dtype=job.format.dtype)))
            lowest = 1 if axes.positive else -limit
        genes.append(Gene(name, tuple(value.shape[1:]), columns, limit, lowest, label=axes.largest is None))
        start += width
    return tuple(genes)


def _repeat_first_row(value: Any, rows: int) -> Any:
    """Repeat the first row of the template; return plain numbers unchanged."""
    return value if not isinstance(value, Tensor) else value[:1].expand(rows, *value.shape[1:]).contiguous()
