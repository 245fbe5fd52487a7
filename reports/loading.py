"""Rows of loaders: what is computed from slices that were measured in turns with the limit of memory."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from harness.record import RunFolder, ratio
from reports import benchmark


def loaders(run: RunFolder) -> Iterator[dict[str, Any]]:
    """Yield one row for each loader and configuration; what older runs did not measure is unknown."""
    rows = benchmark.rows(run, "loaders")
    alone = {_key(row): row for row in rows if row["workers"] == 0}
    for row in rows:
        yield {
            **row,
            "cpu_us": _median(row["cpu_us"]),
            "limit_us": _median(row["limit_wall_us"]),
            **_interval("share", row["limit_wall_us"], row["wall_us"]),
            **_interval("cpu_share", row["limit_cpu_us"], row["cpu_us"]),
            **_rate(row["wall_us"]),
            "efficiency": _efficiency(row, alone.get(_key(row))),
        }


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return (row["case"], row["batch_size"])


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def _interval(name: str, numerator: Sequence[float], denominator: Sequence[float]) -> dict[str, float]:
    found = ratio(numerator, denominator)
    return {name: found.ratio, f"{name}_low": found.low, f"{name}_high": found.high}


def _rate(wall_us: Sequence[float]) -> dict[str, float]:
    """The interval of the samples a second; unknown where whole epochs were timed."""
    found = ratio([1e6] * len(wall_us), wall_us)
    return {"samples_per_s_low": found.low, "samples_per_s_high": found.high}


def _efficiency(row: dict[str, Any], alone: dict[str, Any] | None) -> float | None:
    """What each worker adds, as a share of what the loader does without any."""
    if alone is None or not row["workers"]:
        return None
    speedup = (alone["median_s"] / alone["samples"]) / (row["median_s"] / row["samples"])
    return float(speedup / row["workers"])
