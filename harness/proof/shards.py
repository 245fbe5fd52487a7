"""The shards of an exhaustion, done in a worker process."""

import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter

from harness.proof.conclusion import conclude
from harness.proof.exhaustion import Exhaustion
from harness.proof.tally import Tally
from harness.timing.clock import threads
from harness.work.task import Document


class Shards:
    """The shards of an exhaustion, one a piece.

    Parameters
    ----------
    exhaustion
        What to prove.
    """

    def __init__(self, exhaustion: Exhaustion) -> None:
        self._exhaustion = exhaustion
        self._shards = exhaustion.shards

    @classmethod
    def of(cls, plan: Document) -> Self:
        """Read the exhaustion."""
        return cls(TypeAdapter(Exhaustion).validate_python(plan))

    def pieces(self) -> list[Document]:
        """What each shard is part of, whether it is kept already, and what its proof says as yet."""
        made = self._exhaustion
        with threads(1):
            blank = [conclude(task, Tally()).model_dump(mode="json") for task in made.tasks]
        found = [made.proof(i) for i in range(len(made.tasks))]
        so_far = [None if proof is None else proof.model_dump(mode="json") for proof in found]
        return [
            {
                "case": made.tasks[shard.task].case.name,
                "title": made.title(shard),
                "shard": list(shard),
                "kept": made.kept(shard) is not None,
                **({"blank": blank[shard.task], "proof": so_far[shard.task]} if shard.number == 0 else {}),
            }
            for shard in self._shards
        ]

    def do(self, index: int) -> Document:
        """Do one shard, and say what its proof says now."""
        # What an implementation prints hundreds of thousands of times fills no file.
        with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
            self._exhaustion.finish(self._shards[index])
        proof = self._exhaustion.proof(self._shards[index].task)
        assert proof is not None
        return proof.model_dump(mode="json")
