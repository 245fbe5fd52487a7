"""Other contracts under which the ordinary values of a function are right."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.case import Case
from harness.contracts import contracts
from harness.diagnosis.operation import Choice, Operation, Setting
from harness.diagnosis.ordinary import examples
from harness.diagnosis.search import NARROW, TOLERANCES, Diagnosis, Seen, small
from harness.diagnosis.table import OPERATIONS
from harness.floats import FORMATS, Format
from harness.laws.case_error import CaseError
from harness.laws.contract import Contract
from harness.laws.subject import Subject

EXAMPLES = 8
"""Examples on which the values are compared."""


def rival(case: Case, contract: Contract, device: str) -> Diagnosis | None:
    """Return that a case computes another operation with inputs of the same kinds; None if it computes none of them."""
    for other in contracts().values():
        operation = OPERATIONS.get(other.name)
        if operation is None or other.name == contract.name or _kinds(other) != _kinds(contract):
            continue
        for declares in _conventions(other):
            if _is_right(case, other, operation, declares, device):
                return Diagnosis(Setting({"instead": _choice(other, operation, declares)}, {}, {}))
    return None


def _kinds(contract: Contract) -> list[tuple[bool, int]]:
    """Return whether each input is an index, and its number of axes."""
    grouped = contract.grouped
    return [(axes.index_of is not None, len(axes.names) - grouped) for axes in contract.axes.values()]


def _conventions(contract: Contract) -> Iterator[dict[str, Any]]:
    """Yield the default conventions, then those with another reduction."""
    yield {}
    for reduction in contract.conventions.get("reduction", ())[1:]:
        yield {"reduction": reduction}


def _is_right(case: Case, contract: Contract, operation: Operation, declares: Mapping[str, Any], device: str) -> bool:
    """Whether the values of a case agree with a contract on ordinary examples."""
    own = {name: value for name, value in case.declares.items() if name in contract.conventions}
    tried = replace(case, contract=contract.name, declares={**own, **declares}, breaks={})
    formats = [FORMATS[name] for name in ("float64", "float32") if name in contract.dtypes and name in case.dtypes]
    with contextlib.suppress(CaseError, NotApplicable):
        return bool(formats) and _agrees(Subject(tried, contract, formats[0], device=device), operation, formats[0])
    return False


def _agrees(subject: Subject, operation: Operation, format_: Format) -> bool:
    given = examples(subject.contract, dtype=format_.dtype)[:EXAMPLES]
    answers = [answer.detach().to(torch.float64) for answer in small(subject.each(given))]
    is_narrow = all(bool((y.float().double() == y).all()) for y in answers)
    seen = Seen(operation, dict(subject.declares), given, answers, NARROW if is_narrow else TOLERANCES[0])
    return bool(given) and not seen.differs()


def _choice(contract: Contract, operation: Operation, declares: Mapping[str, Any]) -> Choice:
    setting = Setting({}, {}, {**contract.defaults, **declares})
    conventions = "".join(f" --declare {name}={value}" for name, value in declares.items())

    def value(*inputs: Any) -> Tensor:
        return operation.compute(setting, *inputs)

    return Choice(
        contract.name,
        f"{contract.name} is computed",
        "{op} is another operation",
        apply=value,
        contract=f"--contract {contract.name}{conventions}",
    )
