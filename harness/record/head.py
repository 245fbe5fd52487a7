"""The head of a run: its environment, its plans and their outcomes, and the content of each file."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal

from pydantic import Field

from harness.record.schema import SCHEMA, Count, DataSource, Environment, FileState, Record


class Ended(StrEnum):
    """Outcome of a command's work."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    """Interrupted by Ctrl-C or SIGTERM, or killed."""
    STOPPED = "stopped"
    """Stopped by an option: at the first failure, or at the time limit."""
    FAILED = "ended by an error"


class Work(Record):
    """The plan of one command, and its outcome."""

    name: str
    """Of the command: ``check``, ``survey``, ..."""
    plan: str
    """Identifies the planned work; a later command with the same plan completes an unfinished one."""
    unit: str = "piece"
    """Unit of counting, in the singular: ``law``, ``suite``, ..."""
    planned: Count | None = None
    """How many; ``None`` until that is known."""
    done: Count = 0
    ended: Ended | None = None
    """``None`` while the command runs, or if it was killed."""
    begun_at: Count = 0
    """Verdicts that were there before."""
    late_seed: Count | None = None
    """Seed of the final re-checks of user code, new for each command; ``None`` without re-checks."""

    @property
    def sentence(self) -> str:
        """The outcome in words: ``interrupted after 7 of 44 verdicts``."""
        if self.planned is None:
            ending = "ended by an error" if self.ended is Ended.FAILED else "interrupted before its work was planned"
        elif self.ended is Ended.FINISHED:
            return f"finished {self.planned:,} {self.unit}{'' if self.planned == 1 else 's'}"
        else:
            after = f"after {self.done:,} of {self.planned:,} {self.unit}{'' if self.planned == 1 else 's'}"
            ending = f"{self.ended or Ended.INTERRUPTED} {after}"
        return ending if self.ended is not None else f"{ending} (killed or still running)"


def find_unfinished(works: Iterable[Work], *names: str) -> list[Work]:
    """Return the unfinished work that no later command finished; ``names`` restricts it to some commands."""
    missing: dict[str, Work] = {}
    for work in works:
        if work.ended is Ended.FINISHED:
            missing.pop(work.plan, None)
            # A command without a plan left no records, so any later run of the same command replaces it.
            missing = {p: old for p, old in missing.items() if old.planned is not None or old.name != work.name}
        else:
            missing[work.plan] = work
    return [work for work in missing.values() if not names or work.name in names]


def early(works: Iterable[Work], *names: str) -> str:
    """Return in words how some commands ended early; empty if all finished."""
    return "; ".join(dict.fromkeys(work.sentence for work in find_unfinished(works, *names)))


class Subject(Record):
    """The source of a case; a case with the same name from another place is a different subject."""

    place: str
    """Path of its file, or of its package."""
    source: str
    """Checksum of the source."""
    target: str = ""
    """Target of the command; empty in runs of older versions."""


class Parts(Record):
    """The parts of a run that ``harness report --new`` makes: each is one command."""

    done: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    """The running one comes first."""
    is_interrupted: bool = False
    """Whether no waiting one is run any more."""

    @property
    def sentence(self) -> str:
        """The progress in words; empty at the end."""
        if not self.waiting:
            return ""
        first, *later = self.waiting
        number = f"part {len(self.done) + 1} of {len(self.done) + len(self.waiting)}"
        if self.is_interrupted:
            missing = f"; {len(later)} later {'part is' if len(later) == 1 else 'parts are'} missing" if later else ""
            return f"Interrupted in {number}, {first}{missing}."
        then = f"; then {later[0]}" if later else ""
        more = f" and {len(later) - 1} more" if len(later) > 1 else ""
        return f"Still running: {first} ({number}){then}{more}. Reload this page to see the rest."


class Run(Record):
    """The head of a run's folder."""

    kind: Literal["run"] = "run"
    schema_version: int = SCHEMA
    name: str
    created: str
    """ISO 8601, UTC."""
    environment: Environment
    seed: Count
    data: DataSource | None = None
    commands: tuple[str, ...] = Field(default=())
    """The command lines that filled the folder, in order."""
    work: tuple[Work, ...] = ()
    """Planned work of the commands, and how it ended."""
    parts: Parts | None = None
    """Progress of a run that is made part by part; ``None`` for other runs."""
    subjects: dict[str, Subject] = Field(default_factory=dict)
    """Sources of the cases, by name."""
    files: dict[str, FileState] = Field(default_factory=dict)
    """Content of the files, valid while no command writes."""
    replaced: dict[str, FileState] = Field(default_factory=dict)
    """Previous content of files that are being replaced."""


class Origin(Record):
    """The environment of figures: other machines and other versions round differently."""

    torch: str
    capability: str
    """Vector instructions that torch uses."""
    instructions: str
    """Vendor, model, instructions and cache, by which the libraries below torch choose their kernels."""
    machine: str
    hypothesis: str = ""
    """Version of Hypothesis, which draws the inputs; empty in a baseline from before it was recorded."""

    @classmethod
    def of(cls, environment: Environment) -> "Origin":
        """Return the facts of an environment on which the figures depend."""
        build = environment.torch_build
        return cls(
            torch=environment.torch,
            capability=build.get("cpu capability", "unknown"),
            instructions=build.get("instructions", "unknown"),
            machine=environment.machine,
            hypothesis=environment.versions.get("hypothesis", ""),
        )

    def supersedes(self, other: "Origin") -> bool:
        """Whether it is the same kind of machine with another torch or Hypothesis."""
        return self != other and self == other.model_copy(update={"torch": self.torch, "hypothesis": self.hypothesis})

    def __str__(self) -> str:
        """Return it in words."""
        draws = f", Hypothesis {self.hypothesis}" if self.hypothesis else ""
        return f"torch {self.torch}{draws}, {self.capability}, {self.machine} ({self.instructions})"
