"""Find the duration of a step from which on an audit meets its cost targets, with growing batches of the same models.

``python tests/experiments/audited_lengths.py [KIND ...]`` prints a line for each kind and batch. It has the CPU time of
a step, and its ratios for an empty mode, events and the full audit, as medians over turns. Then it prints the duration
from which on events and full stay within their targets. CPU time in turns depends little on other load.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping

import torch

from harness.bench.suites.audited import SMALL, Audited
from harness.bench.suites.test_audit import EVENTS_LIMIT, FULL_LIMIT, TRANSFORMER_LIMIT, WAYS
from harness.timing.clock import threads, without_garbage_collection

KINDS: Mapping[str, tuple[float, tuple[int, ...]]] = {
    "rnn": (FULL_LIMIT, (1, 2, 4, 8, 16, 32, 64)),
    "gpt": (TRANSFORMER_LIMIT, (1, 2, 4, 8)),
    "softmax regression": (FULL_LIMIT, (1, 2, 4, 8, 16)),
    "mlp": (FULL_LIMIT, (1, 2, 4)),
}
"""The target for the full audit, and multiples of the benchmark's batch."""

TURNS = 7


def lengthened(kind: str, times: int) -> Audited:
    """Return the step of the benchmark on its batch, repeated."""
    torch.manual_seed(0)
    step = SMALL[kind]()
    X, y = (tensor.repeat(times, *[1] * (tensor.dim() - 1)) for tensor in step.batch)
    longer = Audited(step.model, (X, y), step.optimizer)
    longer()
    return longer


def cpu_s(way: Callable[[Audited], object], step: Audited, calls: int) -> float:
    """CPU time of a call."""
    began = time.process_time()
    for _ in range(calls):
        way(step)
    return (time.process_time() - began) / calls


def ratios(step: Audited) -> tuple[float, dict[str, float]]:
    """Return the CPU time of a step, and the median ratio of each mode over turns."""
    calls = {name: max(1, int(0.02 / cpu_s(way, step, 1))) for name, way in WAYS.items()}
    turns = [{name: cpu_s(way, step, calls[name]) for name, way in WAYS.items()} for _ in range(TURNS)]
    over = {name: statistics.median(turn[name] / turn["plain"] for turn in turns) for name in WAYS if name != "plain"}
    return statistics.median(turn["plain"] for turn in turns), over


def main(kinds: list[str]) -> None:
    """Print the curve for each kind."""
    for kind in kinds or KINDS:
        full_limit, batches = KINDS[kind]
        within: dict[str, float | None] = {"events": None, "full": None}
        for times in batches:
            step = lengthened(kind, times)
            with threads(1), without_garbage_collection():
                plain_s, over = ratios(step)
            print(
                f"{kind:20} batch {len(step.batch[0]):5} plain {1e3 * plain_s:7.2f} ms  seen only {over['idle']:5.2f}  "
                f"events {over['events']:5.2f}  full {over['full']:6.2f}",
                flush=True,
            )
            for name, limit in (("events", EVENTS_LIMIT), ("full", full_limit)):
                if over[name] > limit:
                    within[name] = None
                elif within[name] is None:
                    within[name] = plain_s
        for name, limit in (("events", EVENTS_LIMIT), ("full", full_limit)):
            length_s = within[name]
            said = "at none of these" if length_s is None else f"from {1e3 * length_s:.1f} ms on"
            print(f"{kind}: {name} within {limit:g} times {said}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
