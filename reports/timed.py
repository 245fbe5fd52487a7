"""Rows of training steps: what is computed from the rounds that were measured in turns."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from harness.record import RunFolder, ratio
from reports import benchmark

Row = Mapping[str, Any]

_GROUP = ("contract", "device", "batch_size", "dtype", "threads")
"""What steps have in common that were measured in turns."""


def steps(run: RunFolder) -> list[dict[str, Any]]:
    """Return one row for each step, with its distance to the floor round by round."""
    return [_step(row) for row in benchmark.rows(run, "steps")]


def _step(row: dict[str, Any]) -> dict[str, Any]:
    over = ratio(row["rounds_s"], row["floor_s"])
    distance = {"over_floor": over.ratio, "over_floor_low": over.low, "over_floor_high": over.high}
    return {**row, **{name: _median(row[name]) for name in ("floor_s", "bytes_per_s", "operations_per_s")}, **distance}


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def ratios(run: RunFolder) -> Iterator[dict[str, Any]]:
    """Yield one row for each step and reference; steps of older runs were not measured in turns and have none."""
    rows = [row for row in benchmark.rows(run, "steps") if row["floor_s"]]
    for _, group in groupby(rows, key=lambda row: tuple(row[name] for name in _GROUP)):
        together = list(group)
        for reference in references(together):
            for row in together:
                yield {**row, **ratio(row["rounds_s"], reference["rounds_s"])._asdict(), "reference": reference["case"]}


def references(rows: Sequence[Row]) -> list[Row]:
    """Return the first step from scratch and the first concise one, of those there are."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row["style"], row)
    return [first[style] for style in ("scratch", "concise") if style in first]


def phases(run: RunFolder) -> Iterator[dict[str, Any]]:
    """Yield one row for each phase of each step that tells its phases."""
    for row in benchmark.rows(run, "steps"):
        for phase, rounds_s in row["phases_s"].items():
            quartiles = dict(zip(("q1_s", "median_s", "q3_s"), np.quantile(rounds_s, (0.25, 0.5, 0.75)), strict=True))
            yield {**row, "phase": phase, **quartiles}


def agreement(run: RunFolder) -> Iterator[dict[str, Any]]:
    """Yield one row for each step that was timed by us and by torch's own timer."""
    for row in benchmark.rows(run, "agreement"):
        yield {**row, **ratio(row["rounds_s"], row["timer_s"])._asdict(), "timer_s": _median(row["timer_s"])}
