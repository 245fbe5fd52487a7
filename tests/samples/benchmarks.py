"""Made-up benchmarks in pytest-benchmark's format: steps, agreement, loaders, balance, operations, vectorization."""

import json
from functools import partial
from typing import Any

from samples.recorded import entries

from harness.record import RunFolder

agreement_entries = partial(entries, "agreement")
"""Steps timed by the harness and by torch's timer: one agrees, one disagrees, one is undecided."""
loader_entries = partial(entries, "loaders")
"""Six loaders over three batch sizes and three numbers of workers."""
balance_entries = partial(entries, "balance")
"""Three loaders with and without workers: one starves the step, one keeps ahead, one is undecided."""
operation_entries = partial(entries, "operations")
"""Three softmaxes and a single loss."""
vectorization_entries = partial(entries, "vectorization")
"""Loops and vectorized code of two operations."""


def benchmark(
    median_s: float, *, case: str, data: list[float] | None = None, spread: float = 0.06, **extra: Any
) -> dict[str, Any]:
    """Return one entry of pytest-benchmark's JSON. The name of a shipped case has its family and its style."""
    names = case.split(".")
    stats = {"min": median_s * (1 - spread), "median": median_s, "mean": median_s * 1.01, "rounds": 40, "iterations": 5}
    quartiles = {"q1": median_s * (1 - spread / 2), "q3": median_s * (1 + spread), "iqr": median_s * spread * 1.5}
    about = {"case": case, **({"family": names[0], "style": names[1]} if len(names) == 3 else {})}
    return {
        "name": "test",
        "stats": {**stats, **quartiles, "data": data or [median_s] * 3},
        "extra_info": {**about, **extra},
    }


def write_suite(run: RunFolder, suite: str, listed: list[dict[str, Any]]) -> None:
    """Write the benchmark file of a suite."""
    run.path.mkdir(parents=True, exist_ok=True)
    document = {"machine_info": {}, "benchmarks": listed, "version": "5.1.0"}
    run.write_benchmarks(suite, json.dumps(document))


def step_entries(devices: tuple[str, ...] = ("cpu",)) -> list[dict[str, Any]]:
    """Return interleaved times of three steps of two families over five batch sizes, on the CPU or also on CUDA."""
    return [entry for entry in entries("steps") if entry["extra_info"]["device"] in devices]


def old_step_entries() -> list[dict[str, Any]]:
    """Return step times in the format of an older version, timed one after the other."""
    known = ("case", "family", "style", "device", "batch_size", "dtype", "threads", "cold_s")
    listed = step_entries()
    for entry in listed:
        entry["extra_info"] = {name: entry["extra_info"][name] for name in known}
        del entry["stats"]["data"]
    return listed


def old_loader_entry() -> dict[str, Any]:
    """Return a loader in the format of an older version, which timed whole epochs only."""
    known = ("case", "family", "style", "batch_size", "workers", "samples", "batches", "first_batch_s", "data")
    entry = loader_entries()[0]
    return entry | {"extra_info": {name: entry["extra_info"][name] for name in known} | {"cold_s": 0.5}}
