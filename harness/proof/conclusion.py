"""Convert a tally to a proof record."""

from collections.abc import Iterator
from typing import Protocol

import torch

from harness.case import Case
from harness.laws.law import Law
from harness.proof.tally import LIMITS, Tally, spelled
from harness.record import LawOutcome, Proof, Status, Violation
from harness.verdict.job import status_if_broken


class Named(Protocol):
    """Has a name."""

    @property
    def name(self) -> str:
        """The name."""


class Layout(Named, Protocol):
    """A memory layout of the inputs."""

    @property
    def kernel(self) -> str:
        """Description of the kernel that it selects."""


class Task(Protocol):
    """One proof: a case in a format, on one kernel, in independent shards."""

    @property
    def case(self) -> Case:
        """The case."""

    @property
    def contract(self) -> Named:
        """Its contract."""

    @property
    def format_(self) -> Named:
        """The format."""

    @property
    def layout(self) -> Layout:
        """Memory layout of the inputs."""

    @property
    def quantity(self) -> str:
        """``value`` or ``gradient``."""

    @property
    def space(self) -> str:
        """Description of the inputs."""

    @property
    def shards(self) -> int:
        """Number of shards."""

    @property
    def expected_moments(self) -> tuple[int, ...]:
        """Moments of the whole space, in closed form."""

    @property
    def reference(self) -> str:
        """Name of the layout whose output bits are the reference."""

    @property
    def laws(self) -> tuple[Law, ...]:
        """The measured laws."""

    @property
    def following(self) -> tuple[Law, ...]:
        """The laws that follow from the law of the value on every input."""


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
        checksum=spelled(tally.moments),
        expected_checksum=spelled(task.expected_moments),
        witness=tally.witness,
        not_correctly_rounded=tally.not_correctly_rounded,
        beyond={str(limit): number for limit, number in zip(LIMITS, tally.beyond, strict=True)},
        not_finite=tally.not_finite,
        reference=None if task.reference == task.layout.name else task.reference,
        differing=tally.differing,
        laws=tuple(_outcomes(task, tally)) if tally.error is None and tally.skipped is None else (),
        threads=torch.get_num_threads(),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        torch=torch.__version__,
        duration_s=tally.duration_s,
        floor_s=tally.floor_s,
        histogram=tally.histogram,
        departures=dict(tally.departures),
        compared=dict(tally.compared),
        error=tally.error,
        skipped=tally.skipped,
    )


def _outcomes(task: Task, tally: Tally) -> Iterator[LawOutcome]:
    for law in task.laws:
        yield _outcome(task, law, tally.broken.get(law.name))
    if "value" not in tally.broken:
        for law in task.following:
            yield LawOutcome(law=law.name, status=Status.HOLDS, statement=law.statement, follows=True)


def _outcome(task: Task, law: Law, violation: Violation | None) -> LawOutcome:
    if violation is None:
        return LawOutcome(law=law.name, status=Status.HOLDS, statement=law.statement)
    status, reason = status_if_broken(law, task.case, task.format_.name)
    return LawOutcome(law=law.name, status=status, statement=law.statement, reason=reason, violation=violation)
