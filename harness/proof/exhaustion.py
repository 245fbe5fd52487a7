"""An exhaustion: the proofs to make of some cases, in shards that are kept on disk as they finish.

A shard is independent of the others and of the order, and is done again only where its file is absent, damaged, or of
another implementation or machine. So a run that is killed goes on where it was, with the same result.
"""

import hashlib
import inspect
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property, partial, reduce
from operator import add
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError

from harness.calling.adapter import Bridge, bridged, unbridged
from harness.calling.discovery import is_shipped, load
from harness.case import Case
from harness.contracts import contract_named
from harness.error import UsageError
from harness.floats.format import format_of
from harness.laws.law import Contract
from harness.proof import pairs, values
from harness.proof.conclusion import Task, conclude
from harness.proof.layout import VALUE_LAYOUTS, takes
from harness.proof.operation import OPERATIONS
from harness.proof.sweep import REMEDY, ROW_BY_ROW, Sweep
from harness.proof.tally import Tally
from harness.record import Proof, Record, write_atomically
from harness.timing.clock import threads
from harness.work.processes import workers

DTYPES = ("float16", "bfloat16")
"""The formats whose inputs can be exhausted."""

CONTRACTS = (*values.CONTRACTS, *pairs.CONTRACTS)

_VERSION = 2
"""Of what a shard's file holds; files of another one are made again."""


class Shard(NamedTuple):
    """One part of one task."""

    task: int
    number: int


class _Kept(Record):
    """A shard's file: the tally, and of what it is."""

    fingerprint: str
    tally: Tally


@dataclass(frozen=True)
class Exhaustion:
    """What to prove, as plain data that every process can turn into the same tasks.

    Parameters
    ----------
    target, contract, declares, call
        As :func:`harness.calling.discovery.load` takes them.
    folder
        Where finished shards are kept.
    dtypes, layouts, quantities
        Names to restrict to; all where empty.
    """

    target: str
    folder: Path
    contract: str | None = None
    declares: Mapping[str, Any] = field(default_factory=dict)
    dtypes: Sequence[str] = ()
    layouts: Sequence[str] = ()
    quantities: Sequence[str] = ()
    call: str | None = None

    @property
    def is_foreign(self) -> bool:
        """Whether the code is somebody else's, which is run in a process of its own."""
        return not is_shipped(self.target)

    @cached_property
    def tasks(self) -> list[Task]:
        """The proofs to make, in a fixed order.

        Raises
        ------
        UsageError
            If a name matches nothing, or no case has inputs that can be exhausted.
        """
        for name in self.dtypes:
            if name not in DTYPES:
                raise UsageError(
                    rule=f"the dtypes whose inputs can be exhausted are {_listed(DTYPES)}", value=f"`{name}`"
                )
        cases = load(self.target, contract=self.contract, declares=self.declares, call=self.call)
        found = [
            task
            for case in cases
            for dtype in self.dtypes or DTYPES
            if dtype in case.dtypes
            for task in _tasks(case, dtype)
        ]
        if not found and any(case.contract in CONTRACTS for case in cases):
            value = f"`{self.target}`, which takes no `reduction`"
            raise UsageError(rule="a proof needs the loss of each row", value=value, remedy=REMEDY)
        if not found:
            raise UsageError(
                rule=f"the contracts whose inputs can be exhausted are {_listed(CONTRACTS)}",
                value=f"none of them in `{self.target}`",
            )
        found = _restricted(found, "layouts", self.layouts, lambda task: task.layout.name)
        return _restricted(found, "of", self.quantities, lambda task: task.quantity.split(",")[0])

    @cached_property
    def _fingerprints(self) -> list[str]:
        return [fingerprint(task) for task in self.tasks]

    @property
    def shards(self) -> list[Shard]:
        """Every shard, in order."""
        return [Shard(i, number) for i, task in enumerate(self.tasks) for number in range(task.shards)]

    def kept(self, shard: Shard) -> Tally | None:
        """Return what a finished shard found; ``None`` where it is to be done."""
        try:
            kept = _Kept.model_validate_json(self._file(shard).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        return kept.tally if kept.fingerprint == self._fingerprints[shard.task] else None

    def finish(self, shard: Shard) -> None:
        """Do one shard, and keep what it found."""
        task = self.tasks[shard.task]
        kept = _Kept(fingerprint=self._fingerprints[shard.task], tally=_visited(task, shard.number))
        write_atomically(self._file(shard), kept.model_dump_json())

    def is_kept(self, shard: Shard) -> bool:
        """Whether a shard is finished."""
        return self.kept(shard) is not None

    def run(self, *, processes: int = 1, seconds: float | None = None) -> Iterator[Shard]:
        """Do what is not done yet; yield each shard when it is kept.

        Parameters
        ----------
        processes
            How many processes; each computes on one thread.
        seconds
            Time after which no further shard is begun.
        """
        remaining = [shard for shard in self.shards if self.kept(shard) is None]
        deadline = None if seconds is None else time.monotonic() + seconds
        if processes <= 1:
            with threads(1):
                for shard in remaining:
                    if deadline is not None and time.monotonic() >= deadline:
                        return
                    self.finish(shard)
                    yield shard
            return
        with workers(processes, _prepare, replace(self)) as pool:
            yield from _fed(pool, remaining, processes, deadline)

    def proofs(self) -> list[Proof]:
        """Return what the finished shards say, task by task; a task of which none is finished is left out."""
        return [proof for i in range(len(self.tasks)) if (proof := self.proof(i)) is not None]

    def title(self, shard: Shard) -> str:
        """What a shard is part of."""
        task = self.tasks[shard.task]
        return f"{task.case.name} {task.quantity} [{task.format_.name}, {task.layout.name}]"

    @property
    def waiting(self) -> int:
        """How many proofs are not begun."""
        return len(self.tasks) - len(self.proofs())

    def proof(self, index: int) -> Proof | None:
        """Return what the finished shards of one task say; ``None`` where none is finished."""
        task = self.tasks[index]
        tallies = [tally for number in range(task.shards) if (tally := self.kept(Shard(index, number))) is not None]
        with threads(1):
            return conclude(task, reduce(add, tallies)) if tallies else None

    def _file(self, shard: Shard) -> Path:
        task = self.tasks[shard.task]
        name = "-".join((task.case.name, task.quantity, task.format_.name, task.layout.name))
        safe = "".join(letter if letter.isalnum() or letter in "-._" else "_" for letter in name)
        return self.folder / safe / f"{shard.number:04d}.json"


def _restricted(found: list[Task], option: str, wanted: Sequence[str], name: Callable[[Task], str]) -> list[Task]:
    """The tasks of the names an option gives; all where it gives none."""
    known = list(dict.fromkeys(name(task) for task in found))
    for one in wanted:
        if one not in known:
            raise UsageError(rule=f"`--{option}` takes {_listed(known)}", value=f"`{one}`")
    return [task for task in found if not wanted or name(task) in wanted]


def _tasks(case: Case, dtype: str) -> Iterator[Task]:
    contract, format_ = contract_named(case.contract), format_of(dtype)
    if contract.name in values.CONTRACTS:
        for quantity in values.QUANTITIES:
            for layout in VALUE_LAYOUTS:
                yield values.Values(bridged(case), contract, format_, layout, quantity)
    if contract.name in pairs.CONTRACTS and (found := _row_by_row(case, contract)) is not None:
        answering = bridged(found)
        for operation in OPERATIONS[contract.name]:
            for pair_layout in operation.layouts(answering.function):
                yield pairs.Pairs(answering, contract, format_, pair_layout, operation)


def _row_by_row(case: Case, contract: Contract) -> Case | None:
    """The case with an answer for each row; ``None`` where it only gives the mean or the sum of many."""
    if "reduction" not in contract.conventions:
        return case
    asked = replace(case, declares={**case.declares, "reduction": "none"})
    if case.call is None and takes(case.function, "reduction"):
        return replace(asked, call=ROW_BY_ROW)
    # What an adapter returns is seen when it is called.
    return asked if case.call is not None or case.declares.get("reduction") == "none" else None


def _visited(task: Task, shard: int) -> Tally:
    """Visit the inputs of one shard; the numbers of a format are one."""
    if isinstance(task, values.Values):
        return task.tally()
    assert isinstance(task, pairs.Pairs)
    return Sweep(task).tally(shard)


def fingerprint(task: Task) -> str:
    """Identify what a shard's result depends on: the implementation's file, torch, the CPU, the way of counting."""
    try:
        source = Path(inspect.getfile(_plain(task.case.function))).read_bytes()
    except (OSError, TypeError):  # a builtin function is torch's own
        source = task.case.target.encode()
    capability = torch.backends.cpu.get_cpu_capability()
    declares = sorted(task.case.declares.items())
    facts = (_VERSION, torch.__version__, capability, task.shards, task.expected_moments, task.layout.kernel)
    call = unbridged(task.case).call
    adapted = () if call in {None, ROW_BY_ROW} else (str(call),)
    return hashlib.sha256(repr((*facts, declares, source, *adapted)).encode()).hexdigest()


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, without what wraps it."""
    plain: Callable[..., Any] = function.case.function if isinstance(function, Bridge) else function
    plain = plain.func if isinstance(plain, partial) else plain
    unwrapped: Callable[..., Any] = inspect.unwrap(plain)
    return unwrapped


def _fed(pool: Executor, remaining: list[Shard], processes: int, deadline: float | None) -> Iterator[Shard]:
    """Keep the workers busy, with little in the queue: what runs is waited for, also when interrupted."""
    queue = iter(remaining)
    running: dict[Future[None], Shard] = {}
    with ExitStack() as cleanup:
        cleanup.callback(pool.shutdown, wait=True, cancel_futures=True)
        while True:
            while len(running) < processes + 1 and (deadline is None or time.monotonic() < deadline):
                shard = next(queue, None)
                if shard is None:
                    break
                running[pool.submit(_finish, shard)] = shard
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
                yield running.pop(future)


_worker: list[Exhaustion] = []


def _prepare(exhaustion: Exhaustion) -> None:
    # An interrupt is the parent's business: it lets the running shards finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker[:] = [exhaustion]


def _finish(shard: Shard) -> None:
    _worker[0].finish(shard)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
