"""The page in ``docs``: one row for each function, and the proofs below."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from sweep.functions import MODULES, NO_CLOSED_FORM, UNASKED, targets
from sweep.proof import Proof
from sweep.result import Found, unmeasured

PAGE = Path(__file__).parents[2] / "docs" / "functions-that-can-be-checked.md"

_HEAD = """# Functions that can be checked

`harness check torch.nn.functional:layer_norm` needs no options: the harness knows which contract or formula the
function claims, and how to call it. `harness.check(F.layer_norm)` does the same in Python. This page lists these
functions, and was written by `python -m sweep --page` in `tests/`.

* *Checked as* is a contract, a name of the catalog of formulas, or a formula.
* *Called by* is the adapter, as `--call` takes it. A dash means that the function takes the inputs of the contract.
* *Seconds* is the time of the check with at most {seconds:g} s for each law, on two processor cores that up to thirty
  other programs used too.
* *Lost digits* does not fail a check. Each *DEFECT* has a proof below.
* *Not run* means that the table of adapters has the function, but no time was left to check it for this page.

To check a function that is not listed, pass `--contract` or `--formula`, and `--call` if it takes other arguments.

Versions: {versions}. Processor features: {features}.
"""

_PACKAGES = ("torch", "numpy", "scipy", "jax", "optax", "keras", "mpmath")


def page(results: Mapping[str, Found], seconds: float) -> str:
    """Return the text of the page."""
    parts = [_HEAD.format(seconds=seconds, versions=_versions(), features=torch.backends.cpu.get_cpu_capability())]
    parts += [_of_module(module, results) for module in MODULES]
    parts.append(_proofs(results))
    return "\n".join(part.rstrip() + "\n" for part in parts if part)


def _versions() -> str:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join([f"Python {platform.python_version()}", *found])


def _of_module(module: str, results: Mapping[str, Found]) -> str:
    every = {target: results.get(target) or unmeasured(target) for target in targets(module)}
    listed = [one for one in every.values() if one.claim]
    judged = [one for one in listed if one.laws]
    defects = sum(one.verdict in {"DEFECT", "ERROR"} for one in judged)
    head = f"{len(every)} functions; {len(judged)} were checked, and {defects} of these have a defect."
    if left := len(every) - len(listed):
        head += f" {left} have no formula."
    lines = [
        f"## {module}",
        "",
        head,
        "",
        "| function | checked as | called by | verdict | seconds |",
        "|---|---|---|---|---|",
    ]
    lines += [_line(one) for one in every.values()]
    reasons: dict[str, list[str]] = {}
    for name, why in UNASKED.get(module, {}).items():
        reasons.setdefault(why, []).append(f"`{name}`")
    if reasons:
        lines += ["", "Not checked:", ""]
        lines += [f"* {', '.join(sorted(names))}: {why}" for why, names in reasons.items()]
    return "\n".join(lines)


def _line(one: Found) -> str:
    name = one.target.partition(":")[2]
    if not one.claim:
        return f"| `{name}` | - | - | {NO_CLOSED_FORM} | - |"
    seconds = f"{one.duration_s:.0f}" if one.laws else "-"
    cells = [f"`{name}`", _code(one.claim), _code(one.call) if one.call else "-", one.verdict, seconds]
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _proofs(results: Mapping[str, Found]) -> str:
    lines = [
        "## Proofs of the defects",
        "",
        "*Exact* is computed by mpmath with 400 digits from the definition, without the harness; a derivative is a",
        "difference quotient with a step of 1e-100. *Returned* is the result of one more call outside of the harness.",
        "The last column says what confirms the defect. If mpmath cannot, it has the reason: for example, a law that",
        "compares two calls of the function has no exact value.",
        "",
        "| function | law | dtype | input | returned | exact | confirmed by |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in results.values():
        for proof in one.proofs:
            cells = [f"`{one.target.replace(':', '.')}`", f"`{proof['law']}`", proof["dtype"], _code(proof["place"])]
            cells += [proof["actual"], proof["exact"], Proof(**proof).witness]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
