"""Propose the tolerance of a vacuous or loose comparison, from what its results differed by on several processors.

A proposal is never wider than the tolerance that it replaces: a wider one needs a reason that no run of a suite gives.
"""

import ast
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.record import Tolerance
from harness.tolerances.output import list_findings
from harness.tolerances.place import Place, Suite
from harness.tolerances.processors import AGAIN, HERE, group_by_place
from harness.wording.fix import make_diff

MARGIN = 10.0
"""Times that a proposed tolerance is as wide as the largest difference."""

ROUNDINGS = 16
"""The narrowest proposal in units roundoff, for results that are equal by chance."""

RELATIVE, ABSOLUTE = {"rtol", "rel", "rel_tol"}, {"atol", "abs", "abs_tol", "delta"}
DIGITS = {"decimal", "places"}

NUMBER = r"[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?"

Edit = tuple[ast.Constant, str]


def propose(suites: Mapping[str, Suite], judged: Suite) -> Iterator[str]:
    """Yield the lines of a unified diff for each file, and a sentence for each finding without a proposal."""
    root, runs_of = Path(suites[HERE].root), group_by_place(suites)
    edits: dict[str, list[Edit]] = {}
    for place in list_findings(judged):
        if place.answer is Tolerance.TIGHT:
            continue
        runs = runs_of[place.key]
        chosen: list[Edit] | str = "two equal runs differ"
        if len(runs) < len(suites):
            chosen = "not every run has reached the line"
        elif math.isclose(runs[AGAIN].difference, place.difference):
            chosen = list(_choose(root / place.file, place, _find_needs(tuple(runs.values()))))
        if not chosen:
            chosen = "the line has no number that could be smaller"
        if isinstance(chosen, str):
            yield f"{place.file}:{place.line}: no proposal, because {chosen}"
        else:
            edits.setdefault(place.file, []).extend(chosen)
    for file, changes in edits.items():
        before = (root / file).read_text(encoding="utf-8")
        yield from make_diff(Path(file), before, _replace(before, changes))


def _find_needs(runs: Sequence[Place]) -> Mapping[str, float]:
    """Return the tolerance that all comparisons of a place need, with its margin, for each kind of tolerance."""
    compared = [one for run in runs for one in run.comparisons]
    relative = max(max(MARGIN * one.difference, ROUNDINGS * one.roundoff) for one in compared)
    elementwise = max(max(MARGIN * one.relative, ROUNDINGS * one.roundoff) for one in compared)
    absolute = max(max(MARGIN * one.difference, ROUNDINGS * one.roundoff) * one.scale for one in compared)
    return {"relative": relative, "elementwise": elementwise, "absolute": absolute}


def _choose(file: Path, place: Place, needs: Mapping[str, float]) -> Iterator[Edit]:
    """Yield the numbers of the call that can be smaller."""
    function, _, given = place.function.partition(", ")
    names = dict(re.findall(rf"(\w+) = ({NUMBER})(?=, |$)", given))
    call = _find_call(file, place.line, function.rpartition(".")[2])
    if call is None:
        return
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    free = [argument for argument in call.args if isinstance(argument, ast.Constant)]
    # An absolute tolerance that suffices for the small elements leaves the size of the large ones to the relative one.
    absolute = next((float(text) for name, text in names.items() if name in ABSOLUTE), 0.0)
    is_enough = absolute >= needs["absolute"]
    for name, text in names.items():
        node = named.get(name) or next((one for one in free if str(one.value) == text), None)
        if not isinstance(node, ast.Constant) or not isinstance(node.value, int | float):
            continue
        if name in DIGITS:
            digits = math.floor(-math.log10(2.0 * needs["absolute"]))
            if digits > node.value:
                yield node, str(digits)
        elif name in RELATIVE | ABSOLUTE:
            need = needs["absolute" if name in ABSOLUTE else "relative" if is_enough else "elementwise"]
            rounded = f"1e{math.ceil(math.log10(need))}" if 0.0 < need < math.inf else "inf"
            if float(rounded) < node.value:
                yield node, rounded


def _find_call(file: Path, line: int, name: str) -> ast.Call | None:
    """Return the innermost call of a function on a line."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and node.lineno <= line <= (node.end_lineno or node.lineno)
        and ast.unparse(node.func).rpartition(".")[2] == name
    ]
    return min(calls, key=lambda call: (call.end_lineno or 0) - call.lineno, default=None)


def _replace(text: str, edits: Sequence[Edit]) -> str:
    """Return a source with other numbers."""
    lines = text.encode().splitlines(keepends=True)
    unique = {(node.lineno, node.col_offset): (node, new) for node, new in edits}
    for _, (node, new) in sorted(unique.items(), reverse=True):
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = line[: node.col_offset] + new.encode() + line[node.end_col_offset :]
    return b"".join(lines).decode()
