"""Mutants that once survived, in ``judged.toml``: each is detected now, or excused with a reason."""

import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from source_mutants.mutation import Mutation, mutations

FILE = Path(__file__).with_name("judged.toml")


class Judged(NamedTuple):
    """A reviewed mutant, identified by its change."""

    module: str
    before: str
    after: str
    reason: str
    """Why no test can detect the change; empty if a test was written."""

    def mutations(self) -> list[Mutation]:
        """The mutants with this change; none if the source has changed."""
        alike = [one for one in mutations(self.module) if one.before == self.before]
        return [one for one in alike if one.after == self.after]


@cache
def judged() -> frozenset[Judged]:
    """Return all of them."""
    rows = tomllib.loads(FILE.read_text(encoding="utf-8")).get("mutant", [])
    return frozenset(Judged(**row) for row in rows)
