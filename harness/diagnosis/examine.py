"""The examination of a case: its answers on ordinary inputs, and the mistake that they show."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.case import Case
from harness.diagnosis.operation import Operation, Setting
from harness.diagnosis.ordinary import Example, examples
from harness.diagnosis.search import Diagnosis, diagnose
from harness.diagnosis.table import operation_of
from harness.floats import FORMATS, Format
from harness.laws.case_error import CaseError
from harness.laws.contract import Contract
from harness.laws.subject import Subject

NARROW = ("float16", "bfloat16")
"""Formats without a search for mistakes: their roundings are larger than most mistakes."""


def examined(case: Case, contract: Contract, device: str) -> Diagnosis | None:
    """Return the mistake of a case that one of the known variants explains; None if there is none.

    Ordinary examples are computed in float64. Answers that have float32 accuracy only, or a case that does not accept
    float64, are compared with the tolerance of float32.
    """
    operation = operation_of(contract)
    if operation is None:
        return None
    for name in ("float64", "float32"):
        if name not in contract.dtypes or (name not in case.dtypes):
            continue
        format_ = FORMATS[name]
        subject = Subject(case, contract, format_, device=device)
        call = _calling(subject)
        ordinary = examples(contract, dtype=format_.dtype)
        far = examples(contract, dtype=format_.dtype, far=True)
        if not ordinary:
            return None
        with contextlib.suppress(CaseError, NotApplicable):
            found = diagnose(operation, dict(subject.declares), call, ordinary, far, narrow=name != "float64")
            if found is not None:
                return found
            if name == "float64" and _is_narrow(call(ordinary[:4])):
                return diagnose(operation, dict(subject.declares), call, ordinary, (), narrow=True)
            return None
    return None


def _calling(subject: Subject) -> Callable[[Sequence[Example]], Sequence[Tensor]]:
    """Return what calls the case on examples, each with its own copies."""

    def call(given: Sequence[Example]) -> Sequence[Tensor]:
        return subject.each([tuple(x.clone() if isinstance(x, Tensor) else x for x in one) for one in given])

    return call


def _is_narrow(answers: Sequence[Tensor]) -> bool:
    """Whether all answers are float32 numbers."""
    return all(bool((y.float().double() == y.double()).all()) for y in answers)


def imitations(contract: Contract, setting: Setting, format_: Format) -> list[Callable[..., Tensor]]:
    """Return the variant as implementations: computed in float64, and in the format if it does not overflow there."""
    operation = operation_of(contract)
    assert operation is not None, "only contracts with known variants are diagnosed"
    exact = _imitation(operation, setting, torch.float64, format_)
    return [exact, _imitation(operation, setting, format_.dtype, format_)] if operation.is_stable else [exact]


def _imitation(operation: Operation, setting: Setting, work: torch.dtype, format_: Format) -> Callable[..., Tensor]:
    """Return the variant computed in one format and rounded to another."""

    def function(*inputs: Any) -> Tensor:
        wide = [x.to(work) if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs]
        return operation.value(setting, *wide).to(format_.dtype)

    return function
