"""Convert tallies to proof records."""

from collections.abc import Callable, Iterator
from functools import reduce
from operator import add

import torch
from torch import Tensor

from harness.case import Case
from harness.laws.law import Law
from harness.proof.every_value import Values
from harness.proof.float32.casts import CastSweep, Encoding
from harness.proof.float32.kernel import Layout
from harness.proof.float32.task import EVERY, SHARDS, Float32
from harness.proof.pairs import Pairs
from harness.proof.tally import LIMITS, Tally, spell_moments
from harness.record import LawOutcome, Proof, Status, Violation
from harness.verdict.job import get_status_if_broken

Task = Values | Pairs | Float32
"""One proof: a case in a format, on one kernel, in independent shards."""

_FINDINGS = (Tally.model_fields.keys() & Proof.model_fields.keys()) - {"beyond"}
"""Fields that a proof copies from a tally."""


def conclude(task: Task, tally: Tally) -> Proof:
    """Return the proof record of a task from its tally."""
    return Proof(
        case=task.case.name,
        family=task.case.family,
        style=task.case.style,
        contract=task.contract.name,
        quantity=task.quantity,
        dtype=task.format_.name,
        device="cpu",
        layout=task.layout.name,
        kernel=task.layout.kernel,
        space=task.space,
        inputs=task.expected_moments[0],
        visited=tally.visited,
        checksum=spell_moments(tally.moments),
        expected_checksum=spell_moments(task.expected_moments),
        beyond={str(limit): number for limit, number in zip(LIMITS, tally.beyond, strict=True)},
        reference=None if task.reference == task.layout.name else task.reference,
        laws=tuple(_list_outcomes(task, tally)) if tally.error is None and tally.skipped is None else (),
        threads=torch.get_num_threads(),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        torch=torch.__version__,
        **{name: getattr(tally, name) for name in _FINDINGS},
    )


def _list_outcomes(task: Task, tally: Tally) -> Iterator[LawOutcome]:
    for law in task.laws:
        yield _build_outcome(task, law, tally.broken.get(law.name))
    if "value" not in tally.broken:
        for law in task.following:
            yield LawOutcome(law=law.name, status=Status.HOLDS, statement=law.statement, follows=True)


def _build_outcome(task: Task, law: Law, violation: Violation | None) -> LawOutcome:
    if violation is None:
        return LawOutcome(law=law.name, status=Status.HOLDS, statement=law.statement)
    status, reason = get_status_if_broken(law, task.case, task.format_.name)
    return LawOutcome(law=law.name, status=status, statement=law.statement, reason=reason, violation=violation)


def prove_cast(
    encoding: Encoding, layout: Layout, cast: Callable[[Tensor], Tensor] | None = None, *, codes: range = EVERY
) -> Proof:
    """Cast the numbers of some magnitudes, of either sign, and all numbers of the encoding back.

    By default, the cast is the one of torch. The number of codes is a power of two.
    """
    case = Case(cast or (lambda x: x.to(encoding.dtype)), "cast", style="foreign", name=f"torch.{encoding.name}")
    shards = max(1, len(codes) * SHARDS // len(EVERY))
    task = Float32(case, encoding, encoding, layout, "value", codes, shards, encoding)
    tally = reduce(add, map(task.tally, range(shards)))
    if tally.error is None:
        tally += CastSweep(case, encoding, layout.name, codes).cast_back().tally()
    return conclude(task, tally).model_copy(update={"contract": encoding.policies})
