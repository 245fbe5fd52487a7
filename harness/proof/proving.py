"""Proving: the shards of an exhaustion are done by whatever hands, and what they say is collected on this side."""

from collections.abc import Iterator
from typing import Any

from harness.record import Proof, Property
from harness.work.carry_out import Hands
from harness.work.plan import Document


class Proving:
    """What is known of the proofs of an exhaustion.

    Parameters
    ----------
    hands
        Who does the shards, entered: what was kept before is known.
    """

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        first = [piece for piece in hands.pieces if "blank" in piece]
        self._blank = [Proof.model_validate(piece["blank"]) for piece in first]
        self._lost: dict[int, str] = {}
        self.properties: dict[Any, Property] = {}
        """Properties of the cases, by their identifying key."""
        self._known = {i: self._proof(said) for i, piece in enumerate(first) if (said := piece["proof"]) is not None}

    def __len__(self) -> int:
        """How many proofs are begun."""
        return len(self._known)

    @property
    def remaining(self) -> list[int]:
        """The pieces that were not finished before."""
        return [i for i, piece in enumerate(self._hands.pieces) if not piece["kept"]]

    def run(self, *, seconds: float | None = None) -> Iterator[str]:
        """Do what is not done yet; yield what each shard is part of.

        Parameters
        ----------
        seconds
            Time after which no further shard is begun.
        """
        for answer in self._hands.answers(self.remaining, seconds=seconds):
            piece = self._hands.pieces[answer.index]
            if answer.said is not None:
                self._note(piece["task"], self._proof(answer.said))
            elif answer.reason is not None:
                self._lost.setdefault(piece["task"], answer.reason)
            else:
                continue
            yield piece["title"]

    def _proof(self, said: Document) -> Proof:
        """The proof that is said, once what was found of its case is noted."""
        facts = dict(said)
        for document in facts.pop("properties", ()):
            one = Property.model_validate(document)
            self.properties[one.key] = one
        return Proof.model_validate(facts)

    def _note(self, task: int, proof: Proof) -> None:
        """Keep what says most: answers of several workers overlap."""
        known = self._known.get(task)
        if known is None or known.visited <= proof.visited:
            self._known[task] = proof

    def proofs(self) -> list[Proof]:
        """Return what is known, proof by proof; one of which nothing is known is left out."""
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
        """How many proofs are not begun."""
        return len(self._blank) - len(self.proofs())
