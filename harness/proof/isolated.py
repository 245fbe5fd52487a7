"""An exhaustion of foreign code: worker processes do the shards, and what they say is collected on this side."""

from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Self

from harness.proof.exhaustion import Exhaustion, Shard
from harness.record import Proof
from harness.work.executor_pool import crew
from harness.work.limits import Limits


class Isolated:
    """An exhaustion in processes of its own; a context, in which they live.

    Parameters
    ----------
    exhaustion
        What to prove.
    limits
        Of time and memory.
    processes
        How many.
    executor
        Whose workers do the shards, instead of processes here; they keep them in the same folder.
    """

    def __init__(
        self, exhaustion: Exhaustion, limits: Limits, processes: int, executor: Executor | None = None
    ) -> None:
        self._pool = crew(exhaustion, limits, processes, executor)
        self._blank: list[Proof] = []
        self._found: dict[int, Proof] = {}
        self._lost: dict[int, str] = {}
        self._kept: set[Shard] = set()

    def __enter__(self) -> Self:
        """Load the code, and read what was kept before."""
        self._pool.__enter__()
        first = [piece for piece in self._pool.pieces if "blank" in piece]
        self._blank = [Proof.model_validate(piece["blank"]) for piece in first]
        kept = [piece["proof"] for piece in first]
        self._found = {i: Proof.model_validate(proof) for i, proof in enumerate(kept) if proof is not None}
        self._kept = {Shard(*piece["shard"]) for piece in self._pool.pieces if piece["kept"]}
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        self._pool.__exit__()

    @property
    def shards(self) -> list[Shard]:
        """Every shard, in order."""
        return [Shard(*piece["shard"]) for piece in self._pool.pieces]

    def is_kept(self, shard: Shard) -> bool:
        """Whether a shard was finished before."""
        return shard in self._kept

    def run(self, *, seconds: float | None = None) -> Iterator[str]:
        """Do what is not done yet; yield what each shard is part of.

        Parameters
        ----------
        seconds
            Time after which no further shard is begun.
        """
        pieces = self._pool.pieces
        remaining = [i for i, piece in enumerate(pieces) if not piece["kept"]]
        for answer in self._pool.answers(remaining, seconds=seconds):
            task = Shard(*pieces[answer.index]["shard"]).task
            if answer.said is not None:
                self._note(task, Proof.model_validate(answer.said))
            elif answer.reason is not None:
                self._lost.setdefault(task, answer.reason)
            yield pieces[answer.index]["title"]

    def _note(self, task: int, proof: Proof) -> None:
        """Keep what says most: answers of several workers overlap."""
        known = self._found.get(task)
        if known is None or known.visited <= proof.visited:
            self._found[task] = proof

    def proofs(self) -> list[Proof]:
        """Return what is known, proof by proof; one of which nothing is known is left out."""
        found = []
        for i, blank in enumerate(self._blank):
            proof = self._found.get(i, blank)
            if i in self._lost:
                found.append(proof.model_copy(update={"error": proof.error or self._lost[i], "laws": ()}))
            elif i in self._found:
                found.append(proof)
        return found

    @property
    def waiting(self) -> int:
        """How many proofs are not begun."""
        return len(self._blank) - len(self.proofs())
