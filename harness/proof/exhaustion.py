"""An exhaustion: the proofs of some cases, in shards whose results are stored as they finish.

Shards are independent of each other and of their order. A shard is repeated only if its file is absent, damaged, or
from another implementation or machine. An interrupted run therefore continues where it stopped, with the same result.
Importing this module does not import torch, because the reporting process does not compute.
"""

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness.calling.question import option_field
from harness.calling.target import Loader, Target
from harness.execution.plan import Document
from harness.execution.runner import Backend, carry_out
from harness.record import Proof, Property

if TYPE_CHECKING:
    from harness.proof.shards import Shards


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
    judges: ClassVar[tuple[str, ...]] = ("harness.verdict.judge", "harness.proof.shards", "harness.proof.task")

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

    def run(self, **execution: Any) -> list[Proof]:
        """Finish every shard, and return the proofs; keywords as in :func:`harness.execution.runner.carry_out`."""
        with carry_out(self, **execution) as backend:
            proving = Proving(backend)
            for _ in proving.run():
                pass
            return proving.proofs()


class Proving:
    """The state of the proofs of an exhaustion; results on disk are known from the start."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        first = [piece for piece in backend.pieces if "blank" in piece]
        self._blank = [Proof.model_validate(piece["blank"]) for piece in first]
        self._lost: dict[int, str] = {}
        self.properties: dict[Any, Property] = {}
        """Properties of the cases, by their identifying key."""
        self._known = {i: self._read(proof) for i, piece in enumerate(first) if (proof := piece["proof"]) is not None}

    def __len__(self) -> int:
        """Number of proofs with at least one finished shard."""
        return len(self._known)

    @property
    def remaining(self) -> list[int]:
        """Indices of the unfinished pieces."""
        return [i for i, piece in enumerate(self._backend.pieces) if not piece["kept"]]

    def run(self, *, seconds: float | None = None) -> Iterator[str]:
        """Run the unfinished shards and yield the title of each; after ``seconds``, no new shard starts."""
        for answer in self._backend.answers(self.remaining, seconds=seconds):
            piece = self._backend.pieces[answer.index]
            if answer.reply is not None:
                self._store(piece["task"], self._read(answer.reply))
            elif answer.reason is not None:
                self._lost.setdefault(piece["task"], answer.reason)
            else:
                continue
            yield piece["title"]

    def _read(self, proof_document: Document) -> Proof:
        """Return the proof of a document, and store the properties of its case."""
        fields = dict(proof_document)
        for document in fields.pop("properties", ()):
            record = Property.model_validate(document)
            self.properties[record.key] = record
        return Proof.model_validate(fields)

    def _store(self, task: int, proof: Proof) -> None:
        """Store the proof that visited most inputs; results of several workers overlap."""
        previous = self._known.get(task)
        if previous is None or previous.visited <= proof.visited:
            self._known[task] = proof

    def proofs(self) -> list[Proof]:
        """Return all started proofs."""
        proofs = []
        for i, blank in enumerate(self._blank):
            proof = self._known.get(i, blank)
            if i in self._lost:
                proofs.append(proof.model_copy(update={"error": proof.error or self._lost[i], "laws": ()}))
            elif i in self._known:
                proofs.append(proof)
        return proofs

    @property
    def waiting(self) -> int:
        """Number of proofs that have not started."""
        return len(self._blank) - len(self.proofs())
