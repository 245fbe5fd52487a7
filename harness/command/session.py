"""A session: one command that writes to a run folder."""

import fcntl
import hashlib
import os
import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import typer

from harness.calling.source import qualify_name, subject_of
from harness.error import UsageError
from harness.execution.interrupt import Ending
from harness.execution.plan import Plan, to_document
from harness.record import FILES, SEED, DataSource, Ended, Record, Run, RunFolder, Subject, Verdict, Work
from harness.record.storage import Journal, report_write_errors

SYNC_S = 1.0
"""Interval in seconds at which new results are synced and the head of the run is updated."""


class Session:
    """One command that writes to a run; as a context manager, its exit records how the command ended.

    Parameters
    ----------
    name
        Name of the run below ``.harness/runs``, or a path to its folder. Records are added to an existing run.
    seed
        Random seed of the run.
    fresh
        Whether to clear an existing run first.
    """

    def __init__(self, name: str, *, seed: int = SEED, fresh: bool = False) -> None:
        self.folder = RunFolder.find(name, synced=True)
        self.done = 0
        self._journals: dict[type[Record], Journal] = {}
        self._subject: Subject | None = None
        self._names: dict[str, str] = {}
        self.remarks: list[str] = []
        """Remarks about the run for the user, one sentence each."""
        self._open(fresh=fresh, seed=seed)
        self._synced_at = time.monotonic()

    def _open(self, *, fresh: bool, seed: int) -> None:
        path = self.folder.path
        existing = self.folder.is_run
        if not existing and path.is_dir() and any(path.iterdir()):
            rule = "the folder contains other files"
            raise UsageError(f"cannot write a run to `{path}`", rule=rule, remedy="use another `--run`")
        with report_write_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        lock(path)
        self.folder.sweep()
        if existing and not fresh:
            head = self._repair_state(self.folder.head())
        else:
            # This imports torch, which an unrecorded check does not need in this process.
            from harness.execution.environment import environment

            # Other files of the run, such as its report, stay until they are overwritten.
            self.folder.clear()
            created = datetime.now(UTC).isoformat(timespec="seconds")
            head = Run(name=path.name, created=created, environment=environment(), seed=seed)
        command = shlex.join(["harness", *sys.argv[1:]])
        begun_at = head.files[FILES[Verdict]].records if FILES[Verdict] in head.files else 0
        words = sys.argv[1:] or ["harness"]
        self._work = Work(name=words[0], plan=_compute_digest(command), begun_at=begun_at)
        self.folder.write_head(
            head.model_copy(update={"commands": (*head.commands, command), "work": (*head.work, self._work)})
        )

    def _repair_state(self, head: Run) -> Run:
        """Repair the state of a killed command: mark it as interrupted, and drop a truncated line."""
        if all(work.ended is not None for work in head.work):
            return head
        files = dict(head.files)
        for kind, name in FILES.items():
            chain = self.folder.chain(kind)
            if chain.lines or chain.torn:
                journal = Journal(self.folder.path / name, chain)
                files[name] = journal.state
                journal.close()
        work = tuple(self._mark_interrupted(work, files) if work.ended is None else work for work in head.work)
        # Benchmark files keep both states, because it is unknown which one is on disk.
        replaced = {name: state for name, state in head.replaced.items() if name not in FILES.values()}
        healed = head.model_copy(update={"work": work, "files": files, "replaced": replaced})
        self.folder.write_head(healed)
        return healed

    @staticmethod
    def _mark_interrupted(work: Work, files: Mapping[str, Any]) -> Work:
        return work.model_copy(update={"ended": Ended.INTERRUPTED, "done": count_done(work, files)})

    def __enter__(self) -> Self:
        """Start the session."""
        return self

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        """Record how the command ended, unless that is recorded already, and close all files."""
        if self._work.ended is None:
            ending = _find_ending(error)
            # If the disk is full, the first error already reports it.
            with suppress(*([UsageError] if error is not None else [])):
                self._end(ending)
        for journal in self._journals.values():
            journal.close()
        self._journals.clear()
        unlock(self.folder.path)

    def plan(self, plan: Plan, pieces: int, unit: str, *, late_seed: int | None = None) -> None:
        """Record the plan, its number of pieces and their unit; ``late_seed`` is the seed of re-checks."""
        self.about(plan.target)
        self._work = self._work.model_copy(update={"late_seed": late_seed})
        self.expect(pieces, unit, plan=f"{self._work.name} {to_document(plan)}")

    def about(self, target: str) -> None:
        """Record the subject of the following records; equal names from different places stay separate."""
        self._subject = subject_of(target)

    def expect(self, pieces: int, unit: str, *, plan: str | None = None) -> None:
        """Record how much work is planned; equal plans have the same digest."""
        changes = {"planned": pieces, "unit": unit, **({} if plan is None else {"plan": _compute_digest(plan)})}
        self._work = self._work.model_copy(update=changes)
        self.sync()

    def keep(self, record: Record) -> None:
        """Append a record; it replaces an earlier one with the same key.

        Raises
        ------
        UsageError
            If the disk is full. Earlier records stay intact.
        """
        kind = type(record)
        if kind not in self._journals:
            self._journals[kind] = Journal(self.folder.path / FILES[kind], self.folder.chain(kind))
        name = self._name_case(record.case) if hasattr(record, "case") else None
        self._journals[kind].append(record if name is None else record.model_copy(update={"case": name}))
        if time.monotonic() - self._synced_at > SYNC_S:
            self.sync()

    def discard(self, *kinds: type[Record]) -> None:
        """Discard the records of some kinds, which are about to be replaced."""
        for kind in kinds:
            self.folder.write(kind, [])

    def _name_case(self, case: str) -> str:
        """Return the name of a case in this run, qualified if it is already in use for another subject."""
        if self._subject is None:
            return case
        if case not in self._names:
            self._names[case] = self._register(case, self._subject)
        return self._names[case]

    def _register(self, case: str, mine: Subject) -> str:
        subjects = self.folder.head().subjects
        previous = subjects.get(case)
        name = case if previous is None or previous.place == mine.place else qualify_name(case, mine)
        before = subjects.get(name)
        if name != case and previous is not None:
            self.remarks.append(
                f"another subject named {case}, from {previous.place}, is in this run; this one is recorded as {name}"
            )
        elif before is not None and before.source != mine.source:
            self.remarks.append(
                f"{name} has changed since its earlier records in this run; records that this command does not replace "
                "are about the earlier source"
            )
        if before != mine:
            self.folder.revise(subjects={**subjects, name: mine})
        return name

    def sync(self) -> None:
        """Sync the records to disk, and record the progress in the head."""
        for journal in self._journals.values():
            journal.sync()
        head = self.folder.head()
        files = {FILES[kind]: journal.state for kind, journal in self._journals.items()}
        self._work = self._work.model_copy(update={"done": self.done})
        self.folder.write_head(
            head.model_copy(update={"files": {**head.files, **files}, "work": (*head.work[:-1], self._work)})
        )
        self._synced_at = time.monotonic()

    def end(self, ending: Ending) -> None:
        """Record how the work ended.

        Raises
        ------
        UsageError
            If that cannot be written, and no other error is being reported.
        """
        with suppress(*([UsageError] if ending.error is not None else [])):
            self._end(ending.how)

    def _end(self, how: Ended) -> None:
        # An interrupt can come between writing a record and counting it, so the records are counted on disk.
        for kind in list(self._journals):
            # Close the journal before reading the file, which another program may have altered.
            self._journals.pop(kind).close()
            self._journals[kind] = Journal(self.folder.path / FILES[kind], self.folder.chain(kind))
        self.sync()
        for kind, journal in self._journals.items():
            journal.close()
            self.folder.compact(kind)
        self._journals.clear()
        self._work = self._work.model_copy(update={"ended": how})
        self.sync()

    @property
    def head(self) -> Run:
        """The head of the run."""
        return self.folder.head()

    def note_data(self, source: DataSource) -> None:
        """Record the source of the images."""
        self.folder.revise(data=source)


def count_done(work: Work, files: Mapping[str, Any]) -> int:
    """Return how many pieces a killed command had done: for a check, the number of new verdicts."""
    state = files.get(FILES[Verdict])
    more = 0 if state is None or work.unit not in {"law", "verdict"} else state.records - work.begun_at
    return max(work.done, min(more, work.planned or 0))


def _find_ending(error: BaseException | None) -> Ended:
    if isinstance(error, KeyboardInterrupt):
        return Ended.INTERRUPTED
    if error is None or isinstance(error, SystemExit | typer.Exit):
        return Ended.FINISHED
    return Ended.FAILED


def _compute_digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


_held: dict[tuple[int, int], int] = {}
"""Descriptors of the folders that this process has locked; the system frees them with the process, however it ends."""


def lock(folder: Path) -> None:
    """Keep every other process from writing into a run until :func:`unlock`, or until this one ends.

    Raises
    ------
    UsageError
        If another process does.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    key = _get_key(folder)
    if key in _held:
        os.close(descriptor)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UsageError(
            f"another command is already writing to the run `{folder}`", remedy="wait for it or use another `--run`"
        ) from error
    except OSError:  # some file systems of networks have no locks
        os.close(descriptor)
        return
    _held[key] = descriptor


def unlock(folder: Path) -> None:
    """Allow other processes to write into a run."""
    descriptor = _held.pop(_get_key(folder), None)
    if descriptor is not None:
        os.close(descriptor)


def _get_key(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
