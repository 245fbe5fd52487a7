"""Errands: work on foreign code that a worker process does piece by piece, and may be lost at any of them."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

Document = dict[str, Any]
"""What can be said in JSON."""


class Plan(Protocol):
    """What to do, as plain data that every process can turn into the same pieces."""

    @property
    def target(self) -> str:
        """The code that it is about."""


class Errand(Protocol):
    """A plan in the process in which the code runs."""

    def pieces(self) -> Sequence[Document]:
        """What there is to do, in a fixed order; each names its ``case``."""

    def do(self, index: int) -> Document:
        """Do one piece, and return what came of it."""


ERRANDS: Mapping[str, str] = {
    "Campaign": "harness.verdict.isolated:Verdicts",
    "Exhaustion": "harness.proof.shards:Shards",
    "Survey": "harness.surveyor.part:Parts",
}
"""What carries out which plan; only what is needed is imported in the worker."""


def errand_of(kind: str, plan: Document) -> Errand:
    """Return the errand of a plan that was sent as a document."""
    module, _, name = ERRANDS[kind].partition(":")
    build: Callable[[Document], Errand] = getattr(import_module(module), name).of
    return build(plan)
