"""A run being filled: the folder that the commands of one job write into, one after the other."""

import shlex
import sys
from collections.abc import Iterable
from datetime import UTC, datetime

from harness.error import UsageError
from harness.record import SEED, DataSource, Proof, Property, Run, RunFolder, Verdict
from harness.work.environment import environment


class Session:
    """One command's view of a run.

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
        self.folder = RunFolder.named(name)
        path = self.folder.path
        is_run = (path / "run.json").is_file()
        if is_run and not fresh:
            head = self.folder.head()
        elif not is_run and path.is_dir() and any(path.iterdir()):
            raise UsageError(
                rule="`--run` names a new folder or a run",
                value=f"`{path}`, a folder that is neither",
                remedy="name another folder",
            )
        else:
            # What else lies in a run that starts afresh, its report for one, stays until it is written anew.
            self.folder.clear()
            created = datetime.now(UTC).isoformat(timespec="seconds")
            head = Run(name=path.name, created=created, environment=environment(), seed=seed)
        command = shlex.join(["harness", *sys.argv[1:]])
        self.head = head.model_copy(update={"commands": (*head.commands, command)})
        self.folder.write_head(self.head)

    def note_data(self, source: DataSource) -> None:
        """Record where the images come from."""
        self.head = self.head.model_copy(update={"data": source})
        self.folder.write_head(self.head)

    def add_verdicts(self, verdicts: Iterable[Verdict]) -> None:
        """Add verdicts to those the run has, replacing those on the same law, case, dtype and device."""
        self.folder.merge_verdicts(verdicts)

    def add_properties(self, properties: Iterable[Property]) -> None:
        """Add properties to those the run has, replacing those of the same name on the same case, dtype and device."""
        if found := list(properties):
            self.folder.merge(Property, found)

    def add_proofs(self, proofs: Iterable[Proof]) -> None:
        """Add proofs to those the run has, replacing those on the same case, quantity, dtype, device and layout."""
        self.folder.merge(Proof, proofs)
