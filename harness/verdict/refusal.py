"""Refusals: an implementation raises for NaN or infinity, and returns a result otherwise.

The probe looks for them only after an exception in a law. A call on NaN may hang instead, and this must be a verdict
of the law.
"""

import math
import re
from typing import Any

import torch
from torch import Tensor

from harness.laws.case_error import CaseError
from harness.laws.law import Law
from harness.laws.traits import REFUSED
from harness.record import Fault, Property
from harness.record.property import REFUSES
from harness.verdict.job import Job
from harness.verdict.ordinary import examples

SENTENCE = (
    "{case} refuses %s in {dtypes} (%s): laws about such inputs are not judged (accept it with `--declare refuses=%s`)"
)
"""Sentence shown to users, with the refused inputs, the exception and the value to declare."""

_OF_A_CALL = re.compile(r"[\d({\[]")
"""Start of the part of an exception message that belongs to one call: a shape, a number, a tensor."""


def refusals(job: Job, value: Law) -> list[Property]:
    """Return the refused inputs as properties.

    Parameters
    ----------
    job
        The job of a case in a dtype.
    value
        The law of its value, with ordinary inputs.

    Raises
    ------
    CaseError, NotApplicable
        If it returns no result for ordinary numbers.
    """
    example = examples(value.inputs or job.contract.inputs, job.format)[-1]
    read = [example[name] for name in value.reads]
    call = [x[0] if job.contract.grouped and isinstance(x, Tensor) else x for x in read]
    subject = job.subject
    subject.once(*(_begun_with(x, None) for x in call))
    words: dict[str, str] = {}
    for kind, number in (("nan", math.nan), ("inf", math.inf)):
        try:
            subject.once(*(_begun_with(x, number) for x in call))
        except CaseError as error:
            if error.fault is Fault.RAISED:
                words[kind] = error.raised
    if not words:
        return []
    kind = "non_finite" if len(words) > 1 else next(iter(words))
    sentence = SENTENCE % (REFUSED[kind], _general(next(iter(words.values()))), kind)
    case, dtype = job.case.name, job.format.name
    return [Property(case=case, name=REFUSES, dtype=dtype, device=job.device, value=kind, sentence=sentence)]


def _begun_with(x: Any, number: float | None) -> Any:
    """Copy an argument; if a number is given, it replaces the first floating-point entry."""
    if not isinstance(x, Tensor):
        return x
    copy = x.clone(memory_format=torch.contiguous_format)
    if number is not None and x.is_floating_point() and x.numel():
        copy.reshape(-1)[0] = number
    return copy


def _general(words: str) -> str:
    """Return the text of the exception without details of the call."""
    general = _OF_A_CALL.split(words, maxsplit=1)[0].rstrip(" ,;:.")
    return general if general == words.rstrip(".") else f"{general} ..."
