"""Refusals: what raises where one number is NaN or infinite, and answers where all are numbers.

It is looked for where a law met an exception, and not before any law as other properties are: a call on NaN may do
worse than raise, such as never return, and then that is a verdict of the law that made it.
"""

import math
import re
from typing import Any

import torch
from torch import Tensor

from harness.laws.law import Law
from harness.laws.nature import REFUSED
from harness.laws.subject import CaseError
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
    """Return what an implementation refuses, as a property or none.

    Parameters
    ----------
    job
        Of a case in a dtype.
    value
        The law of its value, whose ordinary inputs are tried.

    Raises
    ------
    CaseError, NotApplicable
        If it does not answer ordinary numbers.
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
    """A copy of an argument; of floating-point numbers the first is another one, if any is given."""
    if not isinstance(x, Tensor):
        return x
    copy = x.clone(memory_format=torch.contiguous_format)
    if number is not None and x.is_floating_point() and x.numel():
        copy.reshape(-1)[0] = number
    return copy


def _general(words: str) -> str:
    """What was raised, up to where it speaks of this call."""
    general = _OF_A_CALL.split(words, maxsplit=1)[0].rstrip(" ,;:.")
    return general if general == words.rstrip(".") else f"{general} ..."
