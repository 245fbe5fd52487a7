"""The plan of each command in a run, and its outcome, so that every reader of the run reports missing work."""

from collections.abc import Iterable
from enum import StrEnum

from harness.record.schema import Count, Record


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
