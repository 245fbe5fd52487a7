"""Evidence in the code of a function for the sentence about its mistake: a clamp, a logarithm, a root or `detach`."""

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from harness.calling.adapter import NotApplicable
from harness.case import Case
from harness.diagnosis.blame import find_source
from harness.diagnosis.marks import CUTS
from harness.laws.case_error import CaseError
from harness.laws.subject import Subject

_SIGNS: Mapping[str, str] = {
    r"\bclamped\b": "clamp clip max min where relu threshold hardtanh nan_to_num masked_fill normalize similarity If",
    r"\blogarithm\b": "log softplus entropy entr kl_div nll",
    r"\broot\b": "sqrt norm std pow Pow hypot dist similarity",
    r"\b(divided|divisor)\b": "div Div reciprocal sqrt norm mean softmax std var pow Pow sigmoid similarity dist",
}
"""Words of a sentence, each with parts of names; one of them must occur in the code."""


def collect_names(case: Case, subject: Subject, call: Callable[[], Any]) -> set[str]:
    """Return the names in the source of a case and of its helpers in the file, and the operations of a call."""
    names = set(_collect_source_names(case))
    recorder = subject.host.recorder()
    with suppress(CaseError, NotApplicable), recorder.body():
        call()
    return names | {step.schema.name for step in recorder.tape().steps}


def _collect_source_names(case: Case) -> Iterable[str]:
    source = find_source(case)
    if source is None:
        return
    tree = ast.parse(source.text)
    definitions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    pending: list[ast.AST] = [source.node]
    while pending:
        for node in ast.walk(pending.pop()):
            name = getattr(node, "id", getattr(node, "attr", type(node).__name__))
            yield str(name)
            if name in definitions:
                pending.append(definitions.pop(name))


def is_shown(sentence: str, names: set[str]) -> bool:
    """Whether the names in the code support a sentence; its parts in backquotes are about the formula."""
    clause = re.sub(r"`[^`]*`", "", sentence.partition("; ")[0])
    if "detached" in clause and not names & CUTS:
        return False
    return "missing" in clause or all(
        any(part in name for part in parts.split() for name in names)
        for word, parts in _SIGNS.items()
        if re.search(word, clause)
    )
