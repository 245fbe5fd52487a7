"""Measure the reliability of the time gate: runs of identical code and of code with 10 % more work.

Each run is interleaved with pytest-benchmark. ``python tests/programs/believe.py measure FOLDER`` makes the runs
that FOLDER lacks; it can be interrupted and continued. ``... table FOLDER`` prints the results.
``... record FOLDER FILE`` writes the slices in the compact form that the tests of the gate read. It takes 35 to 50
minutes on an idle machine.

Both trees are clones of the last commit. In the slower tree each case does more work (``injected.py``), which is
calibrated once. The table has the slowdown that the gate measured.
"""

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SAME, SLOWER = "same", "slower"
SHARE = 0.10
"""The additional share of work."""

LIMIT_PERCENT = 10.0
BENCHMARK = (
    "--benchmark-warmup=on",
    "--benchmark-disable-gc",
    "--benchmark-columns=min",
    "-q",
    "-p",
    "no:cacheprovider",
)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("action", choices=("measure", "table", "record"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path, nargs="?", help="where `record` writes")
    parser.add_argument("--budget", type=float, default=110.0, help="seconds of a run of the gate")
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds of a case in pytest-benchmark")
    parser.add_argument(
        "--rounds", type=int, default=5, help="each is two runs of the same code and one of slower code"
    )
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if arguments.action == "measure":
        measure(folder, arguments.rounds, budget_s=arguments.budget, seconds=arguments.seconds)
    if arguments.action in {"measure", "table"}:
        table(folder)
    elif arguments.action == "record":
        record(folder, arguments.file)


# Measuring


def measure(folder: Path, rounds: int, *, budget_s: float, seconds: float) -> None:
    """Make the missing runs; the folder of a run appears when it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    trees = {kind: _clone(folder, kind) for kind in ("base", SAME, SLOWER)}
    _inject(trees[SLOWER], folder / "injected.json")
    for kind, number in _order(rounds):
        done = folder / f"{kind}-{number}"
        if done.is_dir():
            continue
        partial = folder / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        facts = _one(partial, trees["base"], trees[kind], seed=number, budget_s=budget_s, seconds=seconds)
        (partial / "facts.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
        partial.rename(done)
        print(f"{done.name}: {facts}", flush=True)


def _order(rounds: int) -> Iterator[tuple[str, int]]:
    for number in range(rounds):
        yield from ((SAME, 2 * number), (SLOWER, number), (SAME, 2 * number + 1))


def _clone(folder: Path, name: str) -> Path:
    tree = folder / name
    if not tree.is_dir():
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(tree)], check=True)
    return tree


def _inject(tree: Path, calibrated: Path) -> None:
    """Slow down each case of a tree by a tenth of its call."""
    if not calibrated.is_file():
        calibrated.write_text(json.dumps(_calibrated(tree), indent=2), encoding="utf-8")
    shutil.copy(HERE / "injected.py", tree / "cases" / "injected.py")
    shutil.copy(calibrated, tree / "cases" / "injected.json")
    line = "\nfrom cases.injected import slowed\n\nCASES = [slowed(case) for case in CASES]\n"
    for file in tree.glob("cases/*/__init__.py"):
        text = file.read_text(encoding="utf-8")
        if line not in text:
            file.write_text(text + line, encoding="utf-8")


def _calibrated(tree: Path) -> dict[str, int]:
    code = "import sys; from calibration import calibrate; calibrate(sys.argv[1])"
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": f"{tree}{os.pathsep}{HERE}"}
    command = [sys.executable, "-c", code, str(SHARE)]
    done = subprocess.run(command, cwd=tree, env=environment, check=True, capture_output=True, text=True)
    counts: dict[str, int] = json.loads(done.stdout)
    return counts


def _one(partial: Path, base: Path, here: Path, *, seed: int, budget_s: float, seconds: float) -> dict[str, Any]:
    """Run the gate, and pytest-benchmark for both trees."""
    load = os.getloadavg()[0]
    command = ["harness", "gate", "--against", "HEAD", "--budget", f"{budget_s}", "--seed", f"{seed}"]
    command += ["--into", str(partial / "gate"), "--json", str(partial / "gate.json")]
    started = time.perf_counter()
    gate = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    gate_s = time.perf_counter() - started
    (partial / "gate.txt").write_text(gate.stdout + gate.stderr, encoding="utf-8")
    settings = f"--benchmark-max-time={seconds}"
    _benchmark(base, partial, "base", settings)
    started = time.perf_counter()
    compare = (f"--benchmark-compare={partial / 'base.json'}", f"--benchmark-compare-fail=min:{LIMIT_PERCENT:g}%")
    code = _benchmark(here, partial, "here", settings, *compare)
    return {
        "load": load,
        "gate_s": round(gate_s, 1),
        "gate_code": gate.returncode,
        "benchmark_s": round(2 * (time.perf_counter() - started), 1),
        "benchmark_code": code,
    }


def _benchmark(tree: Path, partial: Path, name: str, *settings: str) -> int:
    command = [sys.executable, "-m", "pytest", str(HERE / "timed_cases.py"), f"--rootdir={HERE}", "-c", os.devnull]
    command += [*BENCHMARK, f"--benchmark-json={partial / name}.json", *settings]
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    (partial / f"{name}.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    return done.returncode


# Results


def table(folder: Path) -> None:
    """Print the results of both tools for every case, for identical and for slower code."""
    print("| code | runs | cases | flagged by the gate | no verdict | flagged by min:10% | longest run | measured |")
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    for kind, what in ((SAME, "identical"), (SLOWER, f"{SHARE:.0%} more work")):
        runs = sorted(folder.glob(f"{kind}-*"))
        if runs:
            print(f"| {what} | {_row(runs)} |")


def _row(runs: list[Path]) -> str:
    findings = [one for run in runs for one in _json(run / "gate.json")["findings"]]
    cases = {one["case"] for one in findings if one["case"]}
    judged = [one for one in _comparisons(runs) if one["arm"] == "candidate"]
    flagged = sum(one["outcome"] == "regressed" for one in findings)
    none = sum(one["outcome"] in {"no verdict", "inconclusive"} for one in findings)
    ratios = sorted(one["ratio"] for one in judged)
    alarms = [ratio for run in runs for ratio in _benchmark_ratios(run)]
    slow = sum(100.0 * (ratio - 1.0) > LIMIT_PERCENT for ratio in alarms)
    longest = max(_json(run / "facts.json")["gate_s"] for run in runs)
    spread = f"{ratios[0]:.3f} to {ratios[-1]:.3f}" if ratios else "nothing"
    return (
        f"{len(runs)} | {len(cases)} | {flagged} of {len(judged)} | {none} | {slow} of {len(alarms)} "
        f"| {longest:.0f} s | {spread}"
    )


def _comparisons(runs: list[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for run in runs for line in (run / "gate" / "comparisons.jsonl").read_text().splitlines()]


def _benchmark_ratios(run: Path) -> list[float]:
    base, here = (
        {one["name"]: one["stats"]["min"] for one in _json(run / f"{name}.json")["benchmarks"]}
        for name in ("base", "here")
    )
    return [here[name] / base[name] for name in base if name in here]


def _json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def record(folder: Path, file: Path) -> None:
    """Write the fastest round of every slice in units of 10 ns: a line for each run and case.

    All rounds of a case have the same number of calls, so that ratios are preserved.
    """
    lines = []
    for run in sorted(folder.glob("*-*")):
        arms: dict[str, dict[str, list[list[int]]]] = {}
        plans: dict[str, int] = {}
        for line in (run / "gate" / "slices.jsonl").read_text(encoding="utf-8").splitlines():
            one = json.loads(line)
            # Omit the slices of the control and their counterparts of the base, which follow another plan.
            if one["iterations"] == plans.setdefault(one["case"], one["iterations"]):
                minima = [round(1e8 * minimum) for minimum in one["minima_s"]]
                arms.setdefault(one["case"], {}).setdefault(one["arm"], []).append(minima)
        lines += [json.dumps([run.name, case, found], separators=(",", ":")) for case, found in sorted(arms.items())]
    # Without a time stamp, the same slices give the same bytes.
    file.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))
    print(f"{file}: {len(lines):,} lines, {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
