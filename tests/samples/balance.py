"""Made-up benchmarks of balance, in pytest-benchmark's format."""

from typing import Any

from samples.benchmarks import benchmark

STEP = "softmax_regression.concise.training_step"
LOADS = {"concise.torchvision": 23.0, "concise.batched_getitems": 0.21, "scratch.slices": 0.16}
"""Time of a batch relative to a step."""


def balance_entries(*, data: str = "Fashion-MNIST") -> list[dict[str, Any]]:
    """Return three loaders with and without workers: one starves the step, one keeps ahead, one is undecided."""
    entries = []
    for name, load in LOADS.items():
        for workers in (0, 2):
            share = load / (1.0 + load)
            wide = 0.3 if name.endswith("getitems") else 0.05
            settings: dict[str, Any] = {"batch_size": 256, "workers": workers, "step": STEP, "batches": 200}
            times: dict[str, Any] = {"load_s": load * 5e-4, "step_s": 5e-4, "loop_s": (1 + load) * 5e-4}
            entry = benchmark(
                0.1,
                case=f"fashion_mnist.{name}",
                load_to_step=load,
                load_to_step_low=load * (1 - wide),
                load_to_step_high=load * (1 + wide),
                wait_share=share,
                wait_share_low=share * (1 - wide),
                wait_share_high=min(share * (1 + wide), 1.0),
                most_waiting=0.2,
                **settings,
                **times,
            )
            entry["extra_info"]["data"] = data
            entries.append(entry)
    return entries
