"""The derivatives that releases of torch choose at kinks, and their table in the documentation.

``python tests/programs/kinks.py PYTHON ...`` computes them with each interpreter, whose environment needs torch and
nothing else, keeps them by release, and writes the table. Without an interpreter, it only writes the table again.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

PAGE = Path(__file__).parents[2] / "docs" / "compare-releases-of-torch.md"
KEPT = Path(__file__).parents[1] / "recorded" / "kinks.json"
BEGIN, END = "<!-- kinks -->\n", "<!-- end of kinks -->\n"
HERE = "--here"

Function = Callable[[Any], Any]

ZERO, ONE = torch.zeros(()), torch.ones(())

KINKS: dict[str, tuple[float, str, Function]] = {
    "clamp(min=0)": (0.0, "0, 1", lambda x: x.clamp(min=0)),
    "clamp(max=0)": (0.0, "1, 0", lambda x: x.clamp(max=0)),
    "clamp(min=0, max=1), min": (0.0, "0, 1", lambda x: x.clamp(min=0, max=1)),
    "clamp(min=0, max=1), max": (1.0, "1, 0", lambda x: x.clamp(min=0, max=1)),
    "clamp with a tensor, min=0": (0.0, "0, 1", lambda x: x.clamp(min=ZERO)),
    "clamp_min(0)": (0.0, "0, 1", lambda x: x.clamp_min(0)),
    "clamp_max(0)": (0.0, "1, 0", lambda x: x.clamp_max(0)),
    "relu": (0.0, "0, 1", torch.relu),
    "relu6, 0": (0.0, "0, 1", functional.relu6),
    "relu6, 6": (6.0, "1, 0", functional.relu6),
    "leaky_relu(0.01)": (0.0, "0.01, 1", functional.leaky_relu),
    "prelu(0.25)": (0.0, "0.25, 1", lambda x: functional.prelu(x.reshape(1, 1), torch.tensor([0.25])).sum()),
    "threshold(0, 0)": (0.0, "0, 1", lambda x: functional.threshold(x, 0.0, 0.0)),
    "abs": (0.0, "-1, 1", torch.abs),
    "hardtanh, -1": (-1.0, "0, 1", functional.hardtanh),
    "hardtanh, 1": (1.0, "1, 0", functional.hardtanh),
    "hardsigmoid, -3": (-3.0, "0, 1/6", functional.hardsigmoid),
    "hardsigmoid, 3": (3.0, "1/6, 0", functional.hardsigmoid),
    "hardswish, -3": (-3.0, "0, -1/2", functional.hardswish),
    "hardswish, 3": (3.0, "3/2, 1", functional.hardswish),
    "hardshrink(0.5), a jump": (0.5, "0, 1", functional.hardshrink),
    "softshrink(0.5)": (0.5, "0, 1", functional.softshrink),
    "maximum(x, 0), first": (0.0, "0, 1", lambda x: torch.maximum(x, ZERO)),
    "maximum(0, x), second": (0.0, "0, 1", lambda x: torch.maximum(ZERO, x)),
    "minimum(x, 0), first": (0.0, "1, 0", lambda x: torch.minimum(x, ZERO)),
    "max of [x, 0]": (0.0, "0, 1", lambda x: torch.stack([x, ZERO]).max()),
    "max of [x, 0] along an axis": (0.0, "0, 1", lambda x: torch.stack([x, ZERO]).max(0).values),
    "amax of [x, 0]": (0.0, "0, 1", lambda x: torch.stack([x, ZERO]).amax()),
    "amin of [x, 0]": (0.0, "1, 0", lambda x: torch.stack([x, ZERO]).amin()),
    "where(x > 0, x, 0)": (0.0, "0, 1", lambda x: torch.where(x > 0, x, ZERO)),
    "where(x >= 0, x, 0)": (0.0, "0, 1", lambda x: torch.where(x >= 0, x, ZERO)),
    "sign, a jump": (0.0, "0, 0", torch.sign),
    "round, a jump": (0.5, "0, 0", torch.round),
    "sqrt": (0.0, "none, inf", torch.sqrt),
    "linalg.vector_norm of [x]": (0.0, "-1, 1", lambda x: torch.linalg.vector_norm(x.reshape(1))),
    "norm(p=1) of [x]": (0.0, "-1, 1", lambda x: torch.norm(x.reshape(1), p=1)),
    "l1_loss(x, 0)": (0.0, "-1, 1", lambda x: functional.l1_loss(x, ZERO)),
    "smooth_l1_loss(x, 0), beta 1": (1.0, "1, 1", lambda x: functional.smooth_l1_loss(x, ZERO)),
    "smooth_l1_loss(x, 0), beta 0": (0.0, "-1, 1", lambda x: functional.smooth_l1_loss(x, ZERO, beta=0.0)),
    "huber_loss(x, 0), delta 1": (1.0, "1, 1", lambda x: functional.huber_loss(x, ZERO)),
    "margin_ranking_loss(x, 0, 1)": (0.0, "-1, 0", lambda x: functional.margin_ranking_loss(x, ZERO, ONE)),
    "hinge_embedding_loss(x, -1)": (1.0, "-1, 0", lambda x: functional.hinge_embedding_loss(x, -ONE)),
}
"""The point, the derivatives on the left and on the right, and the function, by the name in the table."""


def derivatives() -> dict[str, str]:
    """Return the derivative of each function at its point, with the torch of this process."""
    return {name: _derivative(point, function) for name, (point, _, function) in KINKS.items()}


def _derivative(point: float, function: Function) -> str:
    x = torch.tensor(point, requires_grad=True)
    (gradient,) = torch.autograd.grad(function(x), x)
    return f"{float(gradient) + 0.0:.4g}"


def release() -> str:
    """Return the release of torch in this process, without its build."""
    return str(torch.__version__).partition("+")[0]


def kept() -> dict[str, dict[str, str]]:
    """Return the kept derivatives by release."""
    content: dict[str, dict[str, str]] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
    return content


def table(by_release: dict[str, dict[str, str]]) -> str:
    """Return the derivatives as Markdown; a derivative that differs between releases is bold."""
    releases = sorted(by_release, key=lambda name: [int(part) for part in name.split(".")])
    lines = [["function", "at", "left, right", *releases], ["---", *["---:"] * (2 + len(releases))]]
    for name, (point, sides, _) in KINKS.items():
        chosen = [by_release[one].get(name, "–") for one in releases]
        bold = "**" if len(set(chosen)) > 1 else ""
        lines.append([f"`{name}`", f"{point:g}", sides, *(f"{bold}{value}{bold}" for value in chosen)])
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def main() -> None:
    """Read the command line."""
    if sys.argv[1:] == [HERE]:
        print(json.dumps({release(): derivatives()}))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("interpreters", nargs="*", help="interpreters whose environments have torch")
    known = kept()
    for interpreter in parser.parse_args().interpreters:
        done = subprocess.run([interpreter, __file__, HERE], stdout=subprocess.PIPE, text=True, check=True)
        known |= json.loads(done.stdout)
    KEPT.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + table(known) + END + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    main()
