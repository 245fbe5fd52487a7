"""An exhaustion: the proofs to make of some cases, in shards that are kept on disk as they finish.

A shard is independent of the others and of the order, and is done again only where its file is absent, damaged, or of
another implementation or machine. So a run that is killed goes on where it was, with the same result. Importing this
module imports no torch: the side that reports does not compute.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness.calling.target import Loader, Target
from harness.proof.proving import Proving
from harness.work.carry_out import carry_out

if TYPE_CHECKING:
    from harness.proof.shards import Shards
    from harness.record import Proof


@dataclass(frozen=True)
class Exhaustion(Target):
    """What to prove of a :class:`~harness.calling.target.Target`, which every process turns into the same shards.

    Parameters
    ----------
    folder
        Where finished shards are kept.
    dtypes, layouts, quantities
        Names to restrict to; all where empty.
    """

    folder: Path = Path("shards")
    dtypes: Sequence[str] = ()
    layouts: Sequence[str] = ()
    quantities: Sequence[str] = ()

    pays_from: ClassVar[int] = 1
    apart: ClassVar[bool] = True

    def longest_s(self, call_s: float) -> float:
        """Seconds that a shard may take, in which the implementation is called thousands of times."""
        return 60.0 * call_s

    def load(self, elsewhere: Loader | None = None) -> "Shards":
        """Load the cases, here or elsewhere, and list the shards.

        Raises
        ------
        UsageError
            If a name matches nothing, or no case has inputs that can be exhausted.
        """
        from harness.proof.shards import Shards
        from harness.proof.task import tasks_of
        from harness.verdict.probe import Probe

        named = {"dtypes": self.dtypes, "layouts": self.layouts, "quantities": self.quantities}
        tasks = tasks_of(self.cases(elsewhere), self.target, **named)
        return Shards(tasks, self.folder, Probe() if self.is_foreign else None)

    def run(self, **means: Any) -> "list[Proof]":
        """Finish every shard, and return the proofs.

        Parameters
        ----------
        means
            As :func:`harness.work.carry_out.carry_out` takes them.
        """
        with carry_out(self, **means) as hands:
            proving = Proving(hands)
            for _ in proving.run():
                pass
            return proving.proofs()
