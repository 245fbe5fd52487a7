"""Evidence in the code of a function for the sentence about its mistake: a clamp, a logarithm, a root or `detach`."""

import ast
import inspect
import math
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.case import Case
from harness.compat.torch import tree_leaves
from harness.diagnosis.blame import find_source
from harness.diagnosis.marks import CUTS
from harness.exact.tape import INTEGERS, dtype_name
from harness.laws import CaseError, Subject

_SIGNS: Mapping[str, str] = {
    r"\bclamped\b": "clamp clip max min where relu threshold hardtanh nan_to_num masked_fill normalize similarity If",
    r"\blogarithm\b": "log softplus entropy entr kl_div nll",
    r"\broot\b": "sqrt norm std pow Pow hypot dist similarity",
    r"\b(divided|divisor)\b": "div Div reciprocal sqrt norm mean softmax std var pow Pow sigmoid similarity dist",
}
"""Words of a sentence, each with parts of names; one of them must occur in the code."""


@dataclass(frozen=True)
class Code:
    """Names and numbers in the source of a case and in the operations of its calls."""

    names: set[str]
    numbers: frozenset[float]
    cast: str
    """A clause about a conversion to an integer dtype and back; empty if there is none."""


def read_code(case: Case, subject: Subject, call: Callable[[], Any]) -> Code:
    """Read the source of a case, with helpers in the file, and the operations of a call."""
    nodes = list(_walk_source(case))
    recorder = subject.host.recorder()
    with suppress(CaseError, NotApplicable), recorder.body():
        call()
    steps = recorder.tape().steps
    names = {str(getattr(node, "id", getattr(node, "attr", type(node).__name__))) for node in nodes}
    values = [leaf for step in steps for leaf in tree_leaves(step.arguments)]
    values += [number for step in steps if step.schema.is_constant for x in step.values for number in _list_few(x)]
    values += [node.value for node in nodes if isinstance(node, ast.Constant)]
    numbers = {abs(float(x)) for x in values if type(x) in (int, float) and math.isfinite(x)}
    cast = next((lost for step in steps if (lost := _describe_cast(step))), "")
    return Code(names | {step.schema.name for step in steps}, frozenset(numbers), cast)


_MOST = 8
"""Elements of a constant tensor whose numbers are read."""


def _list_few(x: Tensor) -> list[float]:
    return x.reshape(-1).tolist() if x.numel() <= _MOST else []


def _describe_cast(step: Any) -> str:
    """Say that integers are converted back to floating point; empty for other steps, and for counts, which rise."""
    x = step.arguments[0][0] if step.schema.name == "_to_copy" else None
    if not isinstance(x, Tensor) or x.dtype not in INTEGERS or bool((x.reshape(-1).long().diff() >= 0).all()):
        return ""
    limit = f"{torch.iinfo(x.dtype).max:,}"
    return f"numbers are converted to {dtype_name(x.dtype)}, which drops fractions and wraps around beyond {limit}"


def _walk_source(case: Case) -> Iterator[ast.AST]:
    source = find_source(case)
    tree, root = (ast.parse(source.text), source.node) if source else (_read_cell(case.function),) * 2
    definitions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    pending: list[ast.AST] = [root]
    while pending:
        for node in ast.walk(pending.pop()):
            yield node
            name = getattr(node, "id", getattr(node, "attr", ""))
            if name in definitions:
                pending.append(definitions.pop(name))


def _read_cell(function: Any) -> ast.AST:
    """Return the source of a function of a notebook, which has no file; empty if it is not known."""
    with suppress(OSError, TypeError, SyntaxError):
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    return ast.Module([], [])


def is_shown(sentence: str, names: set[str]) -> bool:
    """Whether the names in the code support a sentence; its parts in backquotes are about the formula."""
    clause = re.sub(r"`[^`]*`| instead of .*", "", sentence.partition("; ")[0])
    if "detached" in clause and not names & CUTS:
        return False
    return "missing" in clause or all(
        any(part in name for part in parts.split() for name in names)
        for word, parts in _SIGNS.items()
        if re.search(word, clause)
    )
