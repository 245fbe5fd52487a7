"""``python -m formula.seconds`` in tests/: check ten operations with one command each, and measure its CPU time.

For the right and the wrong implementation it prints the CPU seconds of all processes, the exit code and the last line.
It also prints the largest error of value and slope on independent numbers according to mpmath. The error is relative to
the exact value or the smallest normal number, in ``eps`` of float32.

On the first run the wrong implementations had defects, and nine right ones had none. Checks took 6.8 to 25.3 seconds of
CPU time, 9.7 on average, on a machine with three times its capacity to do.
"""

import contextlib
import ctypes
import inspect
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import torch
import typer
from formula.operations.catalogue import OPERATIONS
from sweep.proof import evaluated
from torch import Tensor

TEN = (
    *("logistic_density", "bump", "lisht", "asinh", "bernoulli_divergence"),
    *("tukey", "participation", "by_largest", "correlation", "snake"),
)
_PR_SET_CHILD_SUBREAPER = 36

BY_ROWS = {"participation", "by_largest", "correlation"}


def misses(name: str, function: Callable[..., Tensor], rows: int = 40) -> tuple[float, float]:
    """Return the largest error of value and slope on ordinary numbers in float32, in its ``eps``.

    Rows have five numbers around an offset. A slope is the derivative along the first number.
    """
    names = list(inspect.signature(function).parameters)
    rng = np.random.default_rng(7)
    worst = [0.0, 0.0]
    for _ in range(rows):
        drawn = rng.standard_normal((len(names), 5)) * 4.0 + rng.choice([0.0, -12.0, 12.0])
        if name == "bernoulli_divergence":
            drawn = rng.uniform(0.02, 0.98, size=(len(names), 1))
        elif name not in BY_ROWS:
            drawn = drawn[:, :1]
        given = [torch.tensor(x[None], dtype=torch.float32).requires_grad_() for x in drawn]
        result = function(*given)
        (slopes,) = torch.autograd.grad(result.flatten()[0], given[:1])
        with mpmath.workdps(60):
            at = dict(zip(names, ([mpmath.mpf(t) for t in x[0].tolist()] for x in given), strict=True))
            worst[0] = max(worst[0], _missed(result.flatten()[0], _true(name, at, mpmath.mpf(0))))
            slope = mpmath.diff(lambda t, at=at: _true(name, at, t), 0)
            worst[1] = max(worst[1], _missed(slopes.flatten()[0], slope))
    return worst[0], worst[1]


def _true(name: str, at: dict[str, list[Any]], t: Any) -> Any:
    """Return the first number of the result after a shift of the first input: by mpmath, without the harness."""
    moved = {own: np.array([row[0] + (0 if at_ else t), *row[1:]]) for at_, (own, row) in enumerate(at.items())}
    return np.ravel(evaluated(OPERATIONS[name].formula, moved))[0]


def _missed(own: Tensor, true: Any) -> float:
    off = abs(mpmath.mpf(own.item()) - true) if torch.isfinite(own) else mpmath.inf
    return float(off / max(abs(true), mpmath.mpf(2) ** -126) / mpmath.mpf(2) ** -23)


def checked(name: str, which: str) -> tuple[float, int, str]:
    """Return the CPU seconds of all processes, the exit code, and the last line of a check."""
    operation = OPERATIONS[name]
    function = getattr(operation, which)
    options = [word for text in operation.inputs for word in ("--input", text)]
    options += ["--form", operation.form] if operation.form else []
    command = [
        sys.executable,
        "-m",
        "harness",
        "check",
        f"{inspect.getsourcefile(function)}:{function.__name__}",
        "--formula",
        operation.formula,
    ]
    before = _children()
    ended = subprocess.run([*command, *options, "--dtypes", "float32,bfloat16"], capture_output=True, text=True)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()  # orphans of the command
    said = [line for line in ended.stdout.splitlines() if line.strip()]
    return _children() - before, ended.returncode, said[-1] if said else ended.stderr


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(*names: str) -> None:
    """Check the named operations, by default ten."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    seconds = []
    for name in names or TEN:
        for which in ("right", "wrong"):
            cpu, code, said = checked(name, which)
            value, slope = misses(name, getattr(OPERATIONS[name], which))
            seconds.append(cpu)
            typer.echo(f"{name:20} {which:5} {cpu:5.1f} CPU-s  exit {code}  {value:8.3g} {slope:8.3g} eps  {said}")
    typer.echo(f"CPU seconds: {min(seconds):.1f} to {max(seconds):.1f}, {sum(seconds) / len(seconds):.1f} in the mean")


if __name__ == "__main__":
    main(*sys.argv[1:])
