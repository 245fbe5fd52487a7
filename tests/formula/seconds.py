"""``python -m formula.seconds`` in tests/: ten operations that no catalogue has, each checked by one command.

A right and a wrong implementation each, chosen before any was run. Of each command it prints the seconds of the
processor in all of its processes, its exit code and what it says; beside it what mpmath says of the same function on
numbers of its own: its largest error in value and slope, relative to the truth or the smallest normal number, in
``eps`` of float32.

On the first run all wrong ones had defects and nine right ones none. The tenth, ``by_largest``, had two that were none:
its gradient at the middle one of three equal largest entries, and beside a value that is infinity over infinity; it has
none since. Checks took 6.8 to 25.3 CPU-seconds, 9.7 in the mean, where the machine had three times its share to do.
"""

import contextlib
import ctypes
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
from formula import newest
from formula.unseen import Unseen
from torch import Tensor

CENTRED = "a = x - mean(x); b = y - mean(y); sum(a * b) / sqrt(sum(a * a) * sum(b * b))"

NEWEST = {
    "logistic_density": Unseen(
        "exp(-x) / (1 + exp(-x)) ** 2",
        newest.logistic_density,
        newest.logistic_density_cancels,
        "it cancels on the right",
        form="sigmoid(x) * sigmoid(-x)",
    ),
    "bump": Unseen("exp(-x * x)", newest.bump, newest.bump_halved, "half of the square"),
    "lisht": Unseen("x * tanh(x)", newest.lisht, newest.lisht_detached, "a gradient without its second factor"),
    "asinh": Unseen(
        "log(x + sqrt(x * x + 1))",
        newest.asinh,
        newest.asinh_cancels,
        "it cancels on the left",
        form="a = abs(x); sign(x) * log1p(a + a * a / (1 + sqrt(a * a + 1)))",
    ),
    "bernoulli_divergence": Unseen(
        "p * log(p / q) + (1 - p) * log((1 - p) / (1 - q))",
        newest.bernoulli_divergence,
        newest.bernoulli_divergence_reversed,
        "the arguments are exchanged",
        ("p=0.01..0.99", "q=0.01..0.99"),
    ),
    "tukey": Unseen(
        "where(abs(x) <= 4.685, (1 - (1 - (x / 4.685) ** 2) ** 3) * 4.685 ** 2 / 6, 4.685 ** 2 / 6)",
        newest.tukey,
        newest.tukey_without_an_end,
        "no end",
    ),
    "participation": Unseen(
        "sum(x ** 2) ** 2 / sum(x ** 4)", newest.participation, newest.participation_of_means, "means for sums"
    ),
    "by_largest": Unseen(
        "x / max(abs(x))", newest.by_largest, newest.by_largest_signed, "the largest number, not magnitude"
    ),
    "correlation": Unseen(CENTRED, newest.correlation, newest.correlation_of_moments, "raw moments cancel"),
    "snake": Unseen("x + sin(x) ** 2", newest.snake, newest.snake_of_a_square, "the number is squared, not its sine"),
}
"""By name."""


def _mean(row: list[Any]) -> Any:
    return mpmath.fsum(row) / len(row)


def _correlation(x: list[Any], y: list[Any]) -> Any:
    a, b = [one - _mean(x) for one in x], [one - _mean(y) for one in y]
    return mpmath.fdot(a, b) / mpmath.sqrt(mpmath.fdot(a, a) * mpmath.fdot(b, b))


def _tukey(x: Any) -> Any:
    c = mpmath.mpf("4.685")
    return (1 - (1 - (x / c) ** 2) ** 3 if abs(x) <= c else mpmath.mpf(1)) * c**2 / 6


TRUTH: dict[str, Callable[..., Any]] = {
    "logistic_density": lambda x: mpmath.exp(-x) / (1 + mpmath.exp(-x)) ** 2,
    "bump": lambda x: mpmath.exp(-(x**2)),
    "lisht": lambda x: x * mpmath.tanh(x),
    "asinh": lambda x: mpmath.asinh(x),
    "bernoulli_divergence": lambda p, q: p * mpmath.log(p / q) + (1 - p) * mpmath.log((1 - p) / (1 - q)),
    "tukey": _tukey,
    "participation": lambda x: mpmath.fsum(t**2 for t in x) ** 2 / mpmath.fsum(t**4 for t in x),
    "by_largest": lambda x: [t / max(abs(s) for s in x) for t in x],
    "correlation": _correlation,
    "snake": lambda x: x + mpmath.sin(x) ** 2,
}
"""The same by mpmath, in 60 digits: nothing of it is the instrument's."""

_PR_SET_CHILD_SUBREAPER = 36

BY_ROWS = {"participation", "by_largest", "correlation"}


def misses(name: str, function: Callable[..., Tensor], rows: int = 40) -> tuple[float, float]:
    """Largest error of value and slope on ordinary numbers in float32, relative to the truth, in its ``eps``.

    Rows are of five numbers around an offset; a slope is the derivative along the first number, by mpmath too.
    """
    inputs = 2 if name in {"bernoulli_divergence", "correlation"} else 1
    rng = np.random.default_rng(7)
    worst = [0.0, 0.0]
    for _ in range(rows):
        drawn = rng.standard_normal((inputs, 5)) * 4.0 + rng.choice([0.0, -12.0, 12.0])
        if name == "bernoulli_divergence":
            drawn = rng.uniform(0.02, 0.98, size=(inputs, 1))
        elif name not in BY_ROWS:
            drawn = drawn[:, :1]
        given = [torch.tensor(x[None], dtype=torch.float32).requires_grad_() for x in drawn]
        result = function(*given)
        (slopes,) = torch.autograd.grad(result.flatten()[0], given[:1])
        with mpmath.workdps(60):
            at = [[mpmath.mpf(t) for t in x[0].tolist()] for x in given]
            worst[0] = max(worst[0], _missed(result.flatten()[0], _true(name, at, mpmath.mpf(0))))
            slope = mpmath.diff(lambda t, at=at: _true(name, at, t), 0)
            worst[1] = max(worst[1], _missed(slopes.flatten()[0], slope))
    return worst[0], worst[1]


def _true(name: str, at: list[list[Any]], t: Any) -> Any:
    """The first number of the result, where the first of all is moved."""
    moved = [[at[0][0] + t, *at[0][1:]], *at[1:]]
    result = TRUTH[name](*(moved if name in BY_ROWS else (x[0] for x in moved)))
    return result[0] if isinstance(result, list) else result


def _missed(own: Tensor, true: Any) -> float:
    off = abs(mpmath.mpf(own.item()) - true) if torch.isfinite(own) else mpmath.inf
    return float(off / max(abs(true), mpmath.mpf(2) ** -126) / mpmath.mpf(2) ** -23)


def checked(name: str, which: str) -> tuple[float, int, str]:
    """CPU seconds of all processes, the exit code, and the last line of one command."""
    operation = NEWEST[name]
    function = getattr(operation, which).__name__
    options = [word for text in operation.inputs for word in ("--input", text)]
    options += ["--form", operation.form] if operation.form else []
    command = [
        sys.executable,
        "-m",
        "harness",
        "check",
        f"{newest.__file__}:{function}",
        "--formula",
        operation.formula,
    ]
    before = _children()
    ended = subprocess.run([*command, *options, "--dtypes", "float32,bfloat16"], capture_output=True, text=True)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()  # What the command left to us.
    said = [line for line in ended.stdout.splitlines() if line.strip()]
    return _children() - before, ended.returncode, said[-1] if said else ended.stderr


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(*names: str) -> None:
    """Check those, or all."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    seconds = []
    for name in names or NEWEST:
        for which in ("right", "wrong"):
            cpu, code, said = checked(name, which)
            value, slope = misses(name, getattr(NEWEST[name], which))
            seconds.append(cpu)
            typer.echo(f"{name:20} {which:5} {cpu:5.1f} CPU-s  exit {code}  {value:8.3g} {slope:8.3g} eps  {said}")
    typer.echo(f"CPU seconds: {min(seconds):.1f} to {max(seconds):.1f}, {sum(seconds) / len(seconds):.1f} in the mean")


if __name__ == "__main__":
    main(*sys.argv[1:])
