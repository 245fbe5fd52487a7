"""Made-up benchmarks in pytest-benchmark's format: steps, agreement, loaders, vectorization."""

import json
import math
import random
from typing import Any

from harness.record import RunFolder


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


def write_suite(run: RunFolder, suite: str, entries: list[dict[str, Any]]) -> None:
    """Write the benchmark file of a suite."""
    run.path.mkdir(parents=True, exist_ok=True)
    document = {"machine_info": {}, "benchmarks": entries, "version": "5.1.0"}
    run.write_benchmarks(suite, json.dumps(document))


def rounds(median_s: float, *, seed: int, number: int = 21, spread: float = 0.04) -> list[float]:
    """Return made-up rounds of a step: a drift that all steps share, and independent scatter."""
    own = random.Random(seed)
    return [median_s * (1 + 0.2 * math.sin(place / 3)) * own.uniform(1 - spread, 1 + spread) for place in range(number)]


STEPS = (
    ("scratch", "training_step", 1.0),
    ("scratch", "closed_form_step", 0.25),
    ("concise", "training_step", 0.62),
)
"""Style, function, and time as a multiple of the first."""

_WORK_S, _FLOOR_SEED = 1e-9, 99


def step_entries(devices: tuple[str, ...] = ("cpu",)) -> list[dict[str, Any]]:
    """Return interleaved step times of two families over five batch sizes."""
    entries: list[dict[str, Any]] = []
    for family, base_s, sample_s in [("linear_regression", 1.1e-4, 4e-8), ("softmax_regression", 2.4e-4, 3e-6)]:
        for device in devices:
            for batch_size in (1, 16, 64, 256, 1024):
                floor_s = rounds(1e-7 + _WORK_S * batch_size, seed=_FLOOR_SEED)
                for style, name, factor in STEPS:
                    on_device = 1.0 if device == "cpu" else 2.0 / (1 + batch_size / 40)
                    time_s = (base_s + sample_s * batch_size) * factor * on_device
                    entry = benchmark(
                        time_s,
                        case=f"{family}.{style}.{name}",
                        data=rounds(time_s, seed=len(entries)),
                        contract=f"{family}_step",
                        device=device,
                        batch_size=batch_size,
                        cold_s=18 * time_s,
                        phases_s={
                            phase: rounds(time_s * share, seed=place)
                            for place, (phase, share) in enumerate(PHASES.items())
                        },
                        bytes=4000 * batch_size,
                        operations=30_000 * batch_size,
                        bytes_per_s=[1e11] * 21,
                        operations_per_s=[1e11] * 21,
                        floor_s=floor_s,
                        **STEP,
                        **(device_facts(time_s) if device != "cpu" else {}),
                    )
                    entries.append(entry)
    return entries


PHASES = {"forward": 0.3, "loss": 0.1, "backward": 0.5, "update": 0.1}
STEP: dict[str, Any] = {"dtype": "float32", "threads": 1, "steps_compared": 64, "deviation": 1e-7, "bound": 1e-4}
"""The facts that all steps share."""


def device_facts(time_s: float) -> dict[str, Any]:
    """Return the measurements of a step that exist only on an accelerator."""
    times = {"launch_s": 0.5, "device_s": 0.8, "graph_s": 0.7, "graph_device_s": 0.6}
    return {name: share * time_s for name, share in times.items()} | {"transfer_s": [0.2 * time_s] * 21}


def old_step_entries() -> list[dict[str, Any]]:
    """Return step times in the format of an older version, timed one after the other."""
    known = ("case", "family", "style", "device", "batch_size", "dtype", "threads", "cold_s")
    entries = step_entries()
    for entry in entries:
        entry["extra_info"] = {name: entry["extra_info"][name] for name in known}
        del entry["stats"]["data"]
    return entries


def agreement_entries() -> list[dict[str, Any]]:
    """Return steps timed by the harness and by torch's timer: one agrees, one disagrees, one is undecided."""
    about: dict[str, Any] = {"contract": "softmax_regression_step", "batch_size": 256, "dtype": "float32"}
    return [
        benchmark(
            1e-4,
            case=f"softmax_regression.scratch.step_{number}",
            data=rounds(1e-4, seed=number + 10, spread=spread),
            cold_s=1e-3,
            timer_s=rounds(1e-4 / factor, seed=number, spread=spread),
            tolerance=0.03,
            **about,
        )
        for number, (factor, spread) in enumerate([(1.0, 0.005), (1.2, 0.005), (1.02, 0.2)])
    ]


def loader_entries(*, data: str = "Fashion-MNIST", limit: bool = True) -> list[dict[str, Any]]:
    """Return the throughput of six loaders over three batch sizes and three numbers of workers.

    ``data`` is the label of the data. Without ``limit``, there are only whole epochs, as in older runs.
    """
    speed = {
        "scratch.item_by_item": 2.0e4,
        "concise.torchvision": 1.0e4,
        "concise.tensor_dataset": 2.3e5,
        "concise.batched_getitems": 1.4e6,
        "concise.batch_sampler": 1.45e6,
        "scratch.slices": 2.8e6,
    }
    entries = []
    for name, rate in speed.items():
        for batch_size in (32, 256, 1024):
            for workers in (0, 2, 4) if name != "scratch.slices" else (0,):
                scale = (batch_size / 256) ** 0.3 * (1 if not workers else 1.6 if rate < 3e4 else 0.2 / workers**0.2)
                budget: dict[str, Any] = (
                    {"budget": loader_budget(1e-6 + 256 / rate, workers)} if batch_size == 256 else {}
                )
                entry = benchmark(
                    10_000 / (rate * scale),
                    case=f"fashion_mnist.{name}",
                    batch_size=batch_size,
                    workers=workers,
                    samples=10_000,
                    batches=math.ceil(10_000 / batch_size),
                    first_batch_s=0.002 + 0.04 * workers,
                    cold_s=None if limit else 0.02 + 10_000 / (rate * scale),
                    **(loader_slices(1e6 / (rate * scale), workers) if limit else {}),
                    **budget,
                )
                entry["extra_info"]["data"] = data
                entries.append(entry)
    return entries


def loader_slices(wall_us: float, workers: int) -> dict[str, Any]:
    """Return the fields of a loader in newer runs: nine interleaved slices, start, end and memory."""
    scatter = [1 + (turn % 5 - 2) / 50 for turn in range(9)]
    settings = {"prefetch": 2, "persistent": True, "pin": False, "start_method": None}
    ends = {"made_s": 0.001, "iterator_s": 0.03 * workers, "start_cpu_s": 0.05 * workers + 0.002}
    memory = {"pss_bytes": (300 + 40 * workers) * 2**20, "shared_bytes": workers * 2**20}
    return {
        "loader": "torch.utils.data.dataloader.DataLoader",
        "wall_us": [wall_us * factor for factor in scatter],
        "cpu_us": [wall_us * max(1, workers) * factor for factor in scatter],
        "limit_wall_us": [0.31 * factor for factor in reversed(scatter)],
        "limit_cpu_us": [0.31] * 9,
        "reference": "fashion_mnist.scratch.item_by_item with no workers",
        "reference_wall_us": [50.0 * factor for factor in reversed(scatter)],
        "reference_cpu_us": [50.0] * 9,
        "other_load": 0.3,
        "shutdown_s": 0.02 * workers,
        **settings,
        **ends,
        **memory,
    }


def loader_budget(loading_s: float, workers: int) -> dict[str, Any]:
    """Return the shares of the time of a batch in three rounds, where a hundredth is not attributed."""
    shares = {"read": 0.2, "decode": 0.5, "transform": 0.2, "collate": 0.1}
    parts = {part: share * loading_s / max(1, workers) for part, share in shares.items()}
    parts |= {"step": 5e-4} | ({"hand-over": 3e-4} if workers else {})
    return {
        "batch_size": 256,
        "workers": workers,
        "cores": 4.0,
        "batches": 30,
        "loop_s": [sum(parts.values()) / 0.99] * 3,
        "parts_s": {part: [seconds] * 3 for part, seconds in parts.items()},
        "made_s": loading_s,
        "busy": 0.9,
        "hop_s": 3e-4,
        "lines": [{"part": "decode", "file": "/home/me/photos.py", "line": 12, "call": "decode(data)", "share": 0.5}],
    }


def vectorization_entries() -> list[dict[str, Any]]:
    """Return loop and vectorised times of two operations."""
    return [
        benchmark(time_s, case=f"vectorization.{style}.{contract}", contract=contract, n=n, cold_s=3 * time_s)
        for contract, item_s, fast_s in [("add", 2.1e-6, 4e-10), ("matmul", 6e-6, 9e-10)]
        for n in (1, 10, 100, 1000, 10_000)
        for style, time_s in [("scratch", 1e-6 + item_s * n), ("concise", 2.4e-6 + fast_s * n)]
    ]


def operation_entries() -> list[dict[str, Any]]:
    """Return the times of three softmaxes and of a single loss."""
    return [
        benchmark(time_s, case=name, contract=contract, cold_s=10 * time_s)
        for name, contract, time_s in [
            ("softmax_regression.scratch.softmax", "softmax", 4e-5),
            ("softmax_regression.scratch.shifted_softmax", "softmax", 6e-5),
            ("softmax_regression.concise.softmax", "softmax", 2e-5),
            ("linear_regression.concise.mse_loss", "squared_error", 3e-5),
        ]
    ]
