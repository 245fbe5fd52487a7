"""``python -m experiments.kernels`` in tests/: score forty kernels, one line each, and count the right judgments."""

import importlib
import subprocess
import sys
from pathlib import Path

import typer

from harness.record import Score

REFERENCES = {
    "softmax": ("torch.nn.functional:softmax", "lambda f, x: f(x, dim=-1)"),
    "layer_norm": ("torch.nn.functional:layer_norm", "lambda f, x: f(x, x.shape[-1:])"),
    "cross_entropy": ("torch.nn.functional:cross_entropy", "lambda f, x, y: f(x, y)"),
}
"""The reference for the timing of each problem's kernels."""


def kernels(problem: str) -> list[str]:
    """Return the names of a problem's kernels."""
    names = vars(importlib.import_module(f"experiments.kernels.{problem}"))
    return [name for name in names if name.lower().startswith(("right", "wrong"))]


def scored(problem: str, name: str, *words: str) -> Score:
    """Score a kernel like the command."""
    file = Path(__file__).parent / f"{problem}.py"
    reference, call = REFERENCES[problem]
    command = [sys.executable, "-m", "harness", "score", f"{file}:{name}", "--contract", problem]
    options = ["--reference", reference, "--reference-call", call, "--dtypes", "float32", *words]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    return Score.model_validate_json(done.stdout)


if __name__ == "__main__":
    say, apart = typer.echo, 0
    for problem in REFERENCES:
        for name in kernels(problem):
            said = scored(problem, name, "--seconds", "1")
            apart += said.correct == name.lower().startswith("right")
            speed = (said.reason or "") if said.speed is None else f"{said.speed.ratio:.2f} times as fast"
            what = next(iter(said.findings), speed)
            say(f"{problem:14} {name:28} {said.tier:16} {what}")
    say(f"{apart} of {sum(map(len, map(kernels, REFERENCES)))} told apart")
