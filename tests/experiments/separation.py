"""Measure the cost of calling code in one process and judging it in another.

``python tests/experiments/separation.py check`` checks three implementations with ``harness check``, interleaved with a
worker that calls and judges in one process. It prints CPU time, wall time, and the medians of their ratios per turn.
``... screen`` counts the softmax rows in float32 that are screened per second, through the connection and in one
process. It applies the law of the value to a prepared batch, like ``harness bench screening``.

CPU time includes processes that are killed or not waited for.
"""

import argparse
import ctypes
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import judged
import psutil
import torch
from torch import Tensor

from harness.case import Case
from harness.contracts import contract_named
from harness.floats.format import format_of
from harness.isolation.child import Child, setup
from harness.isolation.limits import Limits
from harness.isolation.remote import RemoteHost
from harness.laws.law import Law
from harness.laws.subject import Subject
from harness.verdict.campaign import Campaign

HERE = Path(__file__).parent
CHECKED = {
    "softmax": ("float64", "float32", "bfloat16", "float16"),
    "layer_norm": ("float64", "float32", "bfloat16", "float16"),
    "cross_entropy": ("float32",),
}
"""The checked implementations and their dtypes."""

MAX_RATIO = 1.5
"""Largest accepted ratio."""

_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Beside(Campaign):
    """A campaign whose workers call the code in the judging process, without isolation and re-checks."""

    apart: ClassVar[bool] = False


def check_beside() -> None:
    """Run ``harness check`` with the judge in the process of the code."""
    import harness.verdict.campaign
    from harness.cli import main

    harness.verdict.campaign.Campaign = Beside  # type: ignore[misc]
    sys.exit(main())


WAYS = {
    "apart": "import sys; from harness.cli import main; sys.exit(main())",
    "beside": "import separation; separation.check_beside()",
}


def spent(way: str, name: str) -> tuple[float, float, str]:
    """Return CPU seconds, seconds and the verdict of a check in a separate process."""
    command = [sys.executable, __file__, "one", way, name]
    cpu, wall, verdict = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(maxsplit=2)
    return float(cpu), float(wall), verdict


def one(way: str, name: str) -> None:
    """Check once, and print the cost."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    words = ["check", f"{HERE / 'judged.py'}:{name}", "--seed", "7", "--dtypes", ",".join(CHECKED[name])]
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-P", "-c", WAYS[way], *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
        )
        seconds = time.perf_counter() - began
        # Orphans have become children of this process.
        try:
            while True:
                os.waitpid(-1, 0)
        except ChildProcessError:
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
    verdicts = [line for line in done.stdout.splitlines() if line.startswith("verdict: ")]
    if not verdicts:
        sys.exit(done.stdout + done.stderr)
    print(used.ru_utime + used.ru_stime, seconds, verdicts[-1])


def check(rounds: int, names: list[str]) -> bool:
    """Run the checks in turns, print the results, and return whether the limit was kept."""
    kept = True
    for name in names:
        taken: dict[str, list[tuple[float, float, str]]] = {way: [] for way in WAYS}
        for turn in range(rounds):
            for way in list(WAYS)[:: 1 if turn % 2 else -1]:
                taken[way].append(spent(way, name))
        verdicts = {verdict for each in taken.values() for _, _, verdict in each}
        if len(verdicts) > 1:
            sys.exit(f"{name} is judged otherwise where it is called: {verdicts}")
        pairs = list(zip(taken["apart"], taken["beside"], strict=True))
        cpu_ratio = statistics.median(apart[0] / log_ratio[0] for apart, log_ratio in pairs)
        wall_ratio = statistics.median(apart[1] / log_ratio[1] for apart, log_ratio in pairs)
        print(f"{name:14} {verdicts.pop()}")
        for way, each in taken.items():
            print(f"{name:14} {way:7} CPU-s {' '.join(f'{one[0]:.1f}' for one in each)}", end="")
            print(f"   wall s {' '.join(f'{one[1]:.1f}' for one in each)}")
        print(f"{name:14} ratio   CPU {cpu_ratio:.2f}, wall {wall_ratio:.2f} (at most {MAX_RATIO})", flush=True)
        kept &= cpu_ratio <= MAX_RATIO
    return kept


ROWS, CLASSES = 4096, 10
"""Rows of the screened batch, and logits per row."""

FEWEST = 300_000
"""Required number of screened rows per second."""


def screened(subject: Subject, law: Law, logits: Tensor, child: Child | None, seconds: float) -> tuple[float, float]:
    """Return rows per CPU second and per second, as medians of ten parts."""
    rates = []
    for _ in range(10):
        rows, began, spent_s = 0, time.perf_counter(), _processor_s(child)
        while time.perf_counter() - began < seconds / 10.0:
            if subject.measure(law, {"logits": logits}).broken:
                sys.exit("the law is broken")
            rows += ROWS
        rates.append((rows / (_processor_s(child) - spent_s), rows / (time.perf_counter() - began)))
    return statistics.median(cpu for cpu, _ in rates), statistics.median(wall for _, wall in rates)


def _processor_s(child: Child | None) -> float:
    """Return the CPU seconds of this process and its children."""
    below = psutil.Process().children(recursive=True) if child is not None else []
    return time.process_time() + sum(one.cpu_times().user + one.cpu_times().system for one in below)


def screen(seconds: float) -> bool:
    """Screen and print the rates; return whether the rate suffices on an idle processor."""
    torch.set_num_threads(1)
    contract = contract_named("softmax")
    (law,) = (law for law in contract.laws if law.name == "value")
    logits = 80.0 * (2.0 * torch.rand(ROWS, CLASSES, generator=torch.Generator().manual_seed(0)) - 1.0)
    limits = Limits()
    target = f"{HERE / 'judged.py'}:softmax"
    child = Child(limits, setup(target, None, limits))
    try:
        (apart,) = RemoteHost(child).cases(target, "softmax", {})
        child.begin(60.0, 60.0, 60.0 + seconds)
        here = Case(judged.softmax, "softmax", name="softmax")
        rates = {}
        for way, case in (("beside", here), ("apart", apart)):
            subject = Subject(case, contract, format_of("float32"))
            rates[way] = screened(subject, law, logits, child if case is apart else None, seconds)
            cpu, wall = rates[way]
            print(f"{way:7} {cpu:11,.0f} rows a second of the processors, {wall:11,.0f} a second", flush=True)
    finally:
        child.close()
    return rates["apart"][0] >= FEWEST


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    actions = parser.add_subparsers(dest="action", required=True)
    checking = actions.add_parser("check")
    checking.add_argument("names", nargs="*", default=list(CHECKED), help="of what is checked")
    checking.add_argument("--rounds", type=int, default=3)
    single = actions.add_parser("one")
    single.add_argument("way", choices=WAYS)
    single.add_argument("name", choices=CHECKED)
    screening = actions.add_parser("screen")
    screening.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    if given.action == "one":
        one(given.way, given.name)
    elif given.action == "check":
        sys.exit(not check(given.rounds, given.names))
    else:
        sys.exit(not screen(given.seconds))


if __name__ == "__main__":
    main()
