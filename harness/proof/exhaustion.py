"""An exhaustion: the proofs of some cases, in shards whose results are stored as they finish.

Shards are independent of each other and of their order. A shard is repeated only if its file is absent, damaged, or
from another implementation or machine. An interrupted run therefore continues where it stopped, with the same result.
Importing this module does not import torch, because the reporting process does not compute.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness.calling.question import option_field
from harness.calling.target import Loader, Target
from harness.execution.runner import carry_out
from harness.proof.proving import Proving

if TYPE_CHECKING:
    from harness.proof.shards import Shards
    from harness.record import Proof


@dataclass(frozen=True)
class Exhaustion(Target):
    """The proofs of a :class:`~harness.calling.target.Target`; every process derives the same shards from it.

    Parameters
    ----------
    folder
        Folder of the finished shards.
    layouts, quantities
        Names to restrict to; empty for all.
    """

    _: KW_ONLY
    folder: Path = Path("shards")
    layouts: Sequence[str] = option_field(
        "--layouts", "Layouts, comma-separated, such as rows,columns.", "names", shown="all", default=()
    )
    quantities: Sequence[str] = option_field(
        "--of",
        "Prove only the value or only the gradient.",
        "names",
        metavar="value|gradient",
        shown="both",
        default=(),
    )

    pays_from: ClassVar[int] = 1
    isolated: ClassVar[bool] = True

    def longest_s(self, call_s: float) -> float:
        """Return the longest time of a shard in seconds; a shard calls the implementation thousands of times."""
        return 60.0 * call_s

    def load(self, remote: Loader | None = None) -> "Shards":
        """Load the cases, in this process or through a loader, and list the shards.

        Raises
        ------
        UsageError
            If a name matches nothing, or no case has inputs that can be enumerated.
        """
        from harness.proof.shards import Shards
        from harness.proof.task import tasks_of
        from harness.verdict.probe import Probe

        named = {"dtypes": self.dtypes, "layouts": self.layouts, "quantities": self.quantities}
        tasks = tasks_of(self.cases(remote), self.target, **named)
        return Shards(tasks, self.folder, Probe() if self.is_foreign else None)

    def run(self, **execution: Any) -> "list[Proof]":
        """Finish every shard, and return the proofs; keywords as in :func:`harness.execution.runner.carry_out`."""
        with carry_out(self, **execution) as backend:
            proving = Proving(backend)
            for _ in proving.run():
                pass
            return proving.proofs()
