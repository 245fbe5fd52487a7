"""Run the shards of an exhaustion on a backend, and collect their results."""

from collections.abc import Iterator
from typing import Any

from harness.execution.plan import Document
from harness.execution.runner import Backend
from harness.record import Proof, Property


class Proving:
    """The state of the proofs of an exhaustion; results on disk are known from the start."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        first = [piece for piece in backend.pieces if "blank" in piece]
        self._blank = [Proof.model_validate(piece["blank"]) for piece in first]
        self._lost: dict[int, str] = {}
        self.properties: dict[Any, Property] = {}
        """Properties of the cases, by their identifying key."""
        self._known = {i: self._proof(proof) for i, piece in enumerate(first) if (proof := piece["proof"]) is not None}

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
                self._note(piece["task"], self._proof(answer.reply))
            elif answer.reason is not None:
                self._lost.setdefault(piece["task"], answer.reason)
            else:
                continue
            yield piece["title"]

    def _proof(self, proof_document: Document) -> Proof:
        """Return the proof of a document, and store the properties of its case."""
        fields = dict(proof_document)
        for document in fields.pop("properties", ()):
            one = Property.model_validate(document)
            self.properties[one.key] = one
        return Proof.model_validate(fields)

    def _note(self, task: int, proof: Proof) -> None:
        """Store the proof that visited most inputs; results of several workers overlap."""
        known = self._known.get(task)
        if known is None or known.visited <= proof.visited:
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
