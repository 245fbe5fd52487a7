"""How often the time gate passes, fails or gives no verdict, for slowdowns, machine loads and budgets that are known.

``python tests/programs/gate_repetitions.py`` repeats the gate on a simulated clock with the noise of recorded pairs:
about 2,000 repetitions in a minute.

A simulated run has four cases, of which one has become slower. Its start-up, its processes and its slices take as much
longer as they did in the recorded runs at the same load, and each slice has the noise of a recorded slice.
"""

import argparse
import gzip
import json
import math
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from samples.simulated_gate import Machine, Noise, ran  # noqa: E402 - found through the line above

from harness.gate import paired_timing  # noqa: E402
from harness.gate.arm import BASE, CANDIDATE, CONTROL, NULL  # noqa: E402
from harness.gate.finding import comparisons, exit_code, time_findings  # noqa: E402
from harness.gate.policy import Policy  # noqa: E402

RECORDED = HERE.parent / "recorded"
QUIET, LOADED = RECORDED / "slices.jsonl.gz", RECORDED / "slices_under_load.jsonl.gz"
CASES = {"kernels.softmax": 5.5e-5, "kernels.log_softmax": 5.2e-5, "kernels.entropy": 7.2e-5, "kernels.many": 2.8e-4}
"""Seconds of a call of each case."""

SLOWDOWNS, LOADS, BUDGETS_S = (0.0, 0.03, 0.05, 0.1, 0.44), (0, 4, 10), (60.0, 100.0, 250.0)
CORES = 2
STARTUP_S, BEGIN_S, PREPARE_S = 9.0, 0.12, 0.03
"""Seconds on a quiet machine: until the first pair, for a process to begin, and to make a case ready."""

RECORDED_SLICES = 10
"""Most slices of an arm in a simulated pair: as many as were recorded, since more would be the same ones again."""

RESULTS = {0: "pass", 1: "fail", 2: "none"}

Recorded = Mapping[str, Sequence[float]]
"""One recorded pair of identical code: the noise of the slices of each arm, in turns."""


def recorded(load: int) -> list[Recorded]:
    """Return the recorded pairs of identical code at about a load, each slice as a multiple of the pair's median.

    A load without recorded pairs has those of the quiet machine and of the largest load, equally many.
    """
    rows: list[Recorded] = []
    if load:
        with gzip.open(LOADED, "rt", encoding="utf-8") as lines:
            rows = [arms for near, arms in map(json.loads, lines) if near == load]
        if not rows:
            loaded = recorded(LOADS[-1])
            return [*loaded, *recorded(0)[: len(loaded)]]
    else:
        with gzip.open(QUIET, "rt", encoding="utf-8") as lines:
            for run, _, arms in map(json.loads, lines):
                if run.startswith("same"):
                    several = zip(*arms.values(), strict=True)
                    rows += [dict(zip(arms, slices, strict=True)) for slices in several]
    return [{arm: _relative(slices, row) for arm, slices in row.items()} for row in rows]


def _relative(slices: Sequence[float], row: Recorded) -> list[float]:
    every = sorted(time for times in row.values() for time in times)
    return [time / every[len(every) // 2] for time in slices]


@dataclass
class RecordedNoise:
    """Makes the noise of simulated pairs from recorded ones: each case of a pair has that of one recorded pair."""

    rows: Sequence[Recorded]
    draw: random.Random

    def __call__(self) -> Noise:
        """Return the noise of the next pair."""
        taken: dict[str, tuple[dict[str, Sequence[float]], int]] = {}

        def noise(case: str, arm: str, turn: int) -> float:
            if case not in taken:
                slices = list(self.draw.choice(self.rows).values())
                # Arms of identical code are alike, so that any of them can stand for any other.
                own = [slices[at] for at in self.draw.sample(range(len(slices)), len(slices))]
                own += [self.draw.choice(own)] * (3 - len(own))
                parts = dict(zip((BASE, CANDIDATE, NULL), own, strict=True))
                taken[case] = {**parts, CONTROL: parts[NULL]}, self.draw.randrange(len(own[0]))
            parts, start = taken[case]
            return parts[arm][(start + turn) % len(parts[arm])]

        return noise


def simulated(slowdown: float, load: int, budget_s: float, rows: Sequence[Recorded], draw: random.Random) -> int:
    """Run the gate once on a simulated machine; return the exit code."""
    stretch, uneven = (load + CORES) / CORES if load else 1.0, 0.15 * draw.random()
    machine = Machine(
        lambda now: stretch * (1.0 + uneven * math.sin(now / 7.0)),
        slowdown={draw.choice(list(CASES)): 1.0 + slowdown},
        begin_s=BEGIN_S,
        prepare_s=PREPARE_S,
        cases=CASES,
        noise=RecordedNoise(rows, draw),
    )
    machine.pass_s(STARTUP_S * draw.uniform(0.8, 1.3))
    evidence = ran(machine, budget_s, seed=draw.randrange(2**31))
    return exit_code(time_findings(evidence, comparisons(evidence, Policy())))


def simulate(runs: int, cells: Sequence[tuple[float, int, float]]) -> int:
    """Print the counts of each cell; return 1 if identical code fails, or a slowdown of 10 % or more passes."""
    wrong = 0
    paired_timing.MAX_SLICES = RECORDED_SLICES
    print("slowdown  load  budget  pass  fail  no verdict")
    for slowdown, load, budget_s in cells:
        draw = random.Random(f"{slowdown} {load} {budget_s}")
        rows = recorded(load)
        counts = Counter(RESULTS[simulated(slowdown, load, budget_s, rows, draw)] for _ in range(runs))
        wrong += _print(slowdown, load, budget_s, counts)
    print(f"wrong verdicts: {wrong} of {runs * len(cells)}")
    return int(wrong > 0)


def _print(slowdown: float, load: int, budget_s: float, counts: Counter[str]) -> int:
    """Print one cell; return how many verdicts are wrong: identical code that fails, much slower code that passes."""
    shown = "  ".join(f"{counts[name]:>4}" for name in RESULTS.values())
    print(f"{slowdown:>+8.0%}  {load:>4}  {budget_s:>4.0f} s  {shown}", flush=True)
    return counts["fail"] if not slowdown else counts["pass"] if slowdown >= MUCH else 0


MUCH = 0.1
"""The slowdown from which on the gate may not pass."""


def main() -> int:
    """Simulate the cells that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1000, help="repetitions of each cell (default: 1000)")
    parser.add_argument("--slowdowns", type=float, nargs="*", default=SLOWDOWNS)
    parser.add_argument("--loads", type=int, nargs="*", default=LOADS)
    parser.add_argument("--budgets", type=float, nargs="*", default=BUDGETS_S)
    given = parser.parse_args()
    return simulate(
        given.runs, [(s, load, budget) for load in given.loads for budget in given.budgets for s in given.slowdowns]
    )


if __name__ == "__main__":
    sys.exit(main())
