"""A run being filled: the folder that the commands of one job write into, one after the other."""

import hashlib
import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import typer

from harness.calling.source import qualified, subject_of
from harness.error import UsageError
from harness.record import FILES, SEED, DataSource, Ended, Row, Run, RunFolder, Subject, Verdict, Work
from harness.record.journal import Journal
from harness.record.lock import lock, unlock
from harness.record.storage import written
from harness.work.ending import Ending
from harness.work.plan import Plan, to_document

SYNC_S = 1.0
"""Interval in seconds at which new results are synced and the head of the run is updated."""


class Session:
    """One command's view of a run; a context, whose end is how the command ended.

    Parameters
    ----------
    name
        Name of the run below ``.harness/runs``, or a path to its folder. An existing run is added to.
    seed
        Seed of the run's draws.
    fresh
        Whether an existing run of that name is cleared first.
    """

    def __init__(self, name: str, *, seed: int = SEED, fresh: bool = False) -> None:
        self.folder = RunFolder.named(name, synced=True)
        self.done = 0
        self._journals: dict[type[Row], Journal] = {}
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
            raise UsageError(
                f"cannot write a run to `{path}`",
                rule="the folder contains other files",
                remedy="use another `--run`",
            )
        with written(path):
            path.mkdir(parents=True, exist_ok=True)
        lock(path)
        self.folder.sweep()
        if existing and not fresh:
            head = self._healed(self.folder.head())
        else:
            # It imports torch, which a check that is not recorded has no need of in this process.
            from harness.work.environment import environment

            # What else lies in a run that starts afresh, its report for one, stays until it is written anew.
            self.folder.clear()
            created = datetime.now(UTC).isoformat(timespec="seconds")
            head = Run(name=path.name, created=created, environment=environment(), seed=seed)
        command = shlex.join(["harness", *sys.argv[1:]])
        begun_at = head.files[FILES[Verdict]].records if FILES[Verdict] in head.files else 0
        words = sys.argv[1:] or ["harness"]
        self._work = Work(name=words[0], plan=_digest(command), begun_at=begun_at)
        self.folder.write_head(
            head.model_copy(update={"commands": (*head.commands, command), "work": (*head.work, self._work)})
        )

    def _healed(self, head: Run) -> Run:
        """Take what a killed command left for what it is: interrupted, and without a line that was cut off."""
        if all(work.ended is not None for work in head.work):
            return head
        files = dict(head.files)
        for kind, name in FILES.items():
            chain = self.folder.chain(kind)
            if chain.lines or chain.torn:
                journal = Journal(self.folder.path / name, chain)
                files[name] = journal.state
                journal.close()
        work = tuple(self._ended(work, files) if work.ended is None else work for work in head.work)
        # Of a benchmark file either state is known, and which one it is was not looked at.
        replaced = {name: state for name, state in head.replaced.items() if name not in FILES.values()}
        healed = head.model_copy(update={"work": work, "files": files, "replaced": replaced})
        self.folder.write_head(healed)
        return healed

    @staticmethod
    def _ended(work: Work, files: Mapping[str, Any]) -> Work:
        return work.model_copy(update={"ended": Ended.INTERRUPTED, "done": reached(work, files)})

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        """Say how it ended, unless that was said; what was found is kept, however that is."""
        if self._work.ended is None:
            how = _how(error)
            # Where the disk takes no more, the first error says so.
            with suppress(*([UsageError] if error is not None else [])):
                self._end(how)
        for journal in self._journals.values():
            journal.close()
        self._journals.clear()
        unlock(self.folder.path)

    def plan(self, plan: Plan, pieces: int, unit: str, *, late_seed: int | None = None) -> None:
        """Say what will be done.

        Parameters
        ----------
        plan
            What there is to do.
        pieces
            How many pieces that is.
        unit
            What a piece is, in the singular.
        late_seed
            Of what will be asked late; no part of the plan.
        """
        self.about(plan.target)
        self._work = self._work.model_copy(update={"late_seed": late_seed})
        self.expect(pieces, unit, plan=f"{self._work.name} {to_document(plan)}")

    def about(self, target: str) -> None:
        """Say what the records will be about: subjects of one name from two places are told apart."""
        self._subject = subject_of(target)

    def expect(self, pieces: int, unit: str, *, plan: str | None = None) -> None:
        """Say how much will be done; of the same plan as whichever command says the same."""
        changes = {"planned": pieces, "unit": unit, **({} if plan is None else {"plan": _digest(plan)})}
        self._work = self._work.model_copy(update=changes)
        self.sync()

    def keep(self, record: Row) -> None:
        """Append a record; it replaces one of the same key.

        Raises
        ------
        UsageError
            If the disk takes no more. What was kept before is whole.
        """
        kind = type(record)
        if kind not in self._journals:
            self._journals[kind] = Journal(self.folder.path / FILES[kind], self.folder.chain(kind))
        name = self._named(record.case) if hasattr(record, "case") else None
        self._journals[kind].append(record if name is None else record.model_copy(update={"case": name}))
        if time.monotonic() - self._synced_at > SYNC_S:
            self.sync()

    def anew(self, *kinds: type[Row]) -> None:
        """Let go of the records of some kinds, which are about to be found again."""
        for kind in kinds:
            self.folder.write(kind, [])  # type: ignore[type-var]  # no record of any kind

    def _named(self, case: str) -> str:
        """What a case is called in this run: as everywhere, unless the run has another subject of that name."""
        if self._subject is None:
            return case
        if case not in self._names:
            self._names[case] = self._register(case, self._subject)
        return self._names[case]

    def _register(self, case: str, mine: Subject) -> str:
        subjects = self.folder.head().subjects
        other = subjects.get(case)
        name = case if other is None or other.place == mine.place else qualified(case, mine)
        before = subjects.get(name)
        if name != case and other is not None:
            self.remarks.append(
                f"another subject named {case}, from {other.place}, is in this run; this one is recorded as {name}"
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
        """Have the disk keep what was found, and the head say how much that is."""
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
        """Say how the work came to its end.

        Raises
        ------
        UsageError
            If that cannot be written, and no error is told already.
        """
        with suppress(*([UsageError] if ending.error is not None else [])):
            self._end(ending.how)

    def _end(self, how: Ended) -> None:
        # An interrupt may have come between writing a record and counting it: what counts is what is there.
        for kind in list(self._journals):
            # Let go of before it is looked at: what is there may have been altered by somebody else.
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
        """Record where the images come from."""
        self.folder.revise(data=source)


class Unrecorded(Session):
    """What a command that writes into no run has in place of one."""

    def __init__(self) -> None:  # nothing is opened
        self.done = 0
        self.remarks = []

    def __exit__(self, *_: object) -> None:
        """End."""

    def plan(self, plan: Plan, pieces: int, unit: str, *, late_seed: int | None = None) -> None:
        """Keep nothing."""

    def expect(self, pieces: int, unit: str, *, plan: str | None = None) -> None:
        """Keep nothing."""

    def keep(self, record: Row) -> None:
        """Keep nothing."""

    def anew(self, *kinds: type[Row]) -> None:
        """Keep nothing."""

    def end(self, ending: Ending) -> None:
        """Keep nothing."""

    def note_data(self, source: DataSource) -> None:
        """Keep nothing."""


def reached(work: Work, files: Mapping[str, Any]) -> int:
    """Return how many pieces a killed command had done: for a check, the number of new verdicts."""
    state = files.get(FILES[Verdict])
    more = 0 if state is None or work.unit not in {"law", "verdict"} else state.records - work.begun_at
    return max(work.done, min(more, work.planned or 0))


def _how(error: BaseException | None) -> Ended:
    if isinstance(error, KeyboardInterrupt):
        return Ended.INTERRUPTED
    if error is None or isinstance(error, SystemExit | typer.Exit):
        return Ended.FINISHED
    return Ended.FAILED


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
