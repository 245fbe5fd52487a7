"""The shards of an exhaustion, in a computing process, and the proof records of their sums.

Each finished shard is stored in a file.
"""

import hashlib
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import cached_property, partial, reduce
from operator import add
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError

from harness.calling.adapter import Bridge, unwrap_bridge
from harness.calling.discovery import is_shipped
from harness.calling.source import subject_of
from harness.execution.plan import Document
from harness.laws.law import Law
from harness.proof import every_value
from harness.proof.every_value import Values
from harness.proof.float32.task import Float32
from harness.proof.pairs import Pairs
from harness.proof.sweep import ROW_BY_ROW, Sweep
from harness.proof.tally import LIMITS, Tally, spell_moments
from harness.record import LawOutcome, Proof, Record, Status, Violation, write_atomically
from harness.record.storage import is_there, read_bytes
from harness.timing.clock import threads
from harness.verdict.job import Job, get_status_if_broken
from harness.verdict.probe import Probe

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


_VERSION = 4
"""Version of the shard files; files of other versions are computed again."""


class Shard(NamedTuple):
    """One part of one task."""

    task: int
    number: int


class _Stored(Record):
    """The file of a shard: its tally and the fingerprint of its task."""

    fingerprint: str
    tally: Tally
    checksum: str
    """Checksum of both; altered files are computed again."""

    @classmethod
    def of(cls, fingerprint: str, tally: Tally) -> "_Stored":
        """Build the file's content from a tally."""
        text = f"{fingerprint} {tally.model_dump_json()}"
        return cls(fingerprint=fingerprint, tally=tally, checksum=hashlib.sha256(text.encode()).hexdigest())


class Shards:
    """The shards of some proofs, one per piece of work.

    ``probe`` examines the cases first, as before a check; without it, the declarations are trusted.
    """

    def __init__(self, tasks: Sequence[Task], folder: Path, probe: Probe | None = None) -> None:
        self.tasks, self.folder, self.probe = tasks, folder, probe
        self.every = [Shard(i, number) for i, task in enumerate(tasks) for number in range(task.shards)]
        self._known: dict[Shard, Tally] = {}

    def about(self) -> list[Document]:
        """Describe each shard: its task, whether it is stored already, and the current state of the proof."""
        blank = [conclude(task, Tally()).model_dump(mode="json") for task in self.tasks]
        so_far = [self._build_document(i) for i in range(len(self.tasks))]
        return [
            {
                "case": self.tasks[shard.task].case.name,
                "title": self._format_title(shard),
                "task": shard.task,
                "kept": shard in self._known,
                **({"blank": blank[shard.task], "proof": so_far[shard.task]} if shard.number == 0 else {}),
            }
            for shard in self.every
        ]

    def do(self, index: int) -> Document:
        """Run one shard, and return the state of its proof."""
        # An implementation that prints would fill files with hundreds of thousands of lines.
        with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
            self.finish(self.every[index])
        document = self._build_document(self.every[index].task)
        assert document is not None
        return document

    def _build_document(self, index: int) -> Document | None:
        """Return the current state of a task's proof, with the properties of its case."""
        tally = self._sum_tallies(index)
        if tally is None:
            return None
        properties = [record.model_dump(mode="json") for record in tally.properties]
        return {**self._conclude(index, tally).model_dump(mode="json"), "properties": properties}

    def finish(self, shard: Shard) -> None:
        """Run one shard, and store its tally."""
        task = self.tasks[shard.task]
        stored = _Stored.of(self._fingerprints[shard.task], _visit(task, shard.number, self.probe))
        write_atomically(self._get_file(shard), stored.model_dump_json())
        self._known[shard] = stored.tally

    def read_stored(self, shard: Shard) -> Tally | None:
        """Return the tally of a stored shard, or ``None`` if the file is absent, altered, or of another fingerprint.

        Raises
        ------
        UsageError
            If the file cannot be read.
        """
        if shard not in self._known:
            file = self._get_file(shard)
            if not is_there(file):
                return None
            try:
                stored = _Stored.model_validate_json(read_bytes(file, what="a shard of a proof", remedy="delete it"))
            except ValidationError:
                return None
            if stored != _Stored.of(self._fingerprints[shard.task], stored.tally):
                return None
            self._known[shard] = stored.tally
        return self._known[shard]

    def proof(self, index: int) -> Proof | None:
        """Return the proof of a task from its finished shards, from any process; ``None`` if there are none."""
        tally = self._sum_tallies(index)
        return None if tally is None else self._conclude(index, tally)

    def _sum_tallies(self, index: int) -> Tally | None:
        """Return the sum of the tallies of a task's finished shards; ``None`` if there are none."""
        shards = (Shard(index, number) for number in range(self.tasks[index].shards))
        tallies = [tally for shard in shards if (tally := self.read_stored(shard)) is not None]
        return reduce(add, tallies) if tallies else None

    def _conclude(self, index: int, tally: Tally) -> Proof:
        with threads(1):
            return conclude(self.tasks[index], tally)

    @cached_property
    def _fingerprints(self) -> list[str]:
        return [fingerprint(task) for task in self.tasks]

    def _format_title(self, shard: Shard) -> str:
        task = self.tasks[shard.task]
        return f"{task.case.name} {task.quantity} [{task.format_.name}, {task.layout.name}]"

    def _get_file(self, shard: Shard) -> Path:
        task = self.tasks[shard.task]
        name = "-".join((task.case.name, task.quantity, task.format_.name, task.layout.name))
        safe = "".join(letter if letter.isalnum() or letter in "-._" else "_" for letter in name)
        return self.folder / safe / f"{shard.number:04d}.json"


def _visit(task: Task, shard: int, probe: Probe | None) -> Tally:
    """Visit the inputs of one shard, with the case's properties taken from the probe."""
    if probe is None or isinstance(task, Float32):
        return _count(task, shard)
    judged, properties = probe.examine(Job(unwrap_bridge(task.case), task.contract, task.laws[0], task.format_))
    if (reason := judged.exemption) is not None:
        tally = Tally(skipped=reason)
    else:
        tally = _count(replace(task, case=replace(task.case, declares=judged.case.declares)), shard)
    return tally.model_copy(update={"properties": tuple(properties)})


def _count(task: Task, shard: int) -> Tally:
    if isinstance(task, every_value.Values):
        return task.tally()
    return task.tally(shard) if isinstance(task, Float32) else Sweep(task).tally(shard)


def fingerprint(task: Task) -> str:
    """Hash all that a shard's result depends on: the implementation's file, torch, the CPU, the shard version."""
    function = _unwrap(task.case.function)
    subject = None if is_shipped(task.case.target) else subject_of(task.case.target)
    if subject is not None:  # user code must not be imported in this process
        source = f"{task.case.target} {subject.source}".encode()
    else:
        try:
            source = Path(inspect.getfile(function)).read_bytes()
        except (OSError, TypeError):  # a builtin function is torch's own
            source = task.case.target.encode()
    capability = torch.backends.cpu.get_cpu_capability()
    declares = sorted(task.case.declares.items())
    key = (_VERSION, torch.__version__, capability, task.shards, task.expected_moments, task.layout.kernel)
    call = unwrap_bridge(task.case).call
    adapted = () if call in {None, ROW_BY_ROW} else (str(call),)
    return hashlib.sha256(repr((*key, declares, source, *adapted)).encode()).hexdigest()


def _unwrap(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function itself, without wrappers."""
    plain: Callable[..., Any] = function.case.function if isinstance(function, Bridge) else function
    plain = plain.func if isinstance(plain, partial) else plain
    unwrapped: Callable[..., Any] = inspect.unwrap(plain)
    return unwrapped
