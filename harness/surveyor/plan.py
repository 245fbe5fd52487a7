"""A survey: what there is to find out of every case in every dtype, by whatever means it is found out.

Its parts are independent and seeded by what they are about, so what comes out depends neither on the number of
processes nor on the order in which they finish, nor on whether the code runs in a process of its own. Importing this
module imports no torch: the side that reports does not compute.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from harness.calling.target import Loader, Target
from harness.record import SEED, Passage
from harness.surveyor.discovery import DISCOVERIES, Discovery, unanswered
from harness.work.carry_out import Hands, carry_out
from harness.work.plan import Document

if TYPE_CHECKING:
    from harness.surveyor.part import Part
    from harness.verdict.probe import Probe


@dataclass(frozen=True)
class Survey(Target):
    """What to explore of a :class:`~harness.calling.target.Target`, which every process turns into the same list.

    Parameters
    ----------
    laws, dtypes, rays
        Names to restrict to; all where empty.
    batches
        Batches a search; no search where zero.
    seconds
        Time of each search instead, in seconds: what is found then depends on the machine.
    seed
        Seed of the draws.
    """

    laws: Sequence[str] = ()
    dtypes: Sequence[str] = ()
    rays: Sequence[str] = ()
    batches: int = 40
    seconds: float | None = None
    seed: int = SEED

    pays_from: ClassVar[int] = 1
    apart: ClassVar[bool] = True

    def longest_s(self, call_s: float) -> float:
        """Seconds that a part may take: a search lasts as long as it is told to, beside what a law may take."""
        return 12.0 * call_s + (self.seconds or 0.0)

    def load(self, elsewhere: Loader | None = None) -> "Parts":
        """Load the cases, here or elsewhere, and list the parts."""
        from harness.surveyor.explore import explorations
        from harness.surveyor.search import Budget

        budget = Budget(self.batches, self.seconds, seed=self.seed)
        restricted = {"laws": self.laws, "dtypes": self.dtypes, "rays": self.rays}
        listed = explorations(self.cases(elsewhere), budget, **restricted, watched=self.is_foreign)
        return Parts([part for exploration in listed for part in exploration.parts], probed=self.is_foreign)

    def run(self, **means: Any) -> Iterator[tuple[str, list[Discovery]]]:
        """Yield of each part what it is about and what is found.

        Parameters
        ----------
        means
            As :func:`harness.work.carry_out.carry_out` takes them.
        """
        with carry_out(self, **means) as hands:
            yield from self.findings(hands)

    def passages(self, hands: Hands) -> Iterator[Passage]:
        """Yield what the cases compute along the rays that a report draws, and nothing else."""
        drawn = [index for index, piece in enumerate(hands.pieces) if piece["drawn"]]
        for answer in hands.answers(drawn):
            found = [] if answer.said is None else DISCOVERIES.validate_python(answer.said["findings"])
            yield from (one for one in found if isinstance(one, Passage))

    def findings(self, hands: Hands) -> Iterator[tuple[str, list[Discovery]]]:
        """Yield the subject of each part and its findings, as soon as they are known."""
        for answer in hands.answers(range(len(hands.pieces))):
            piece = hands.pieces[answer.index]
            if answer.said is None:
                yield piece["title"], unanswered(piece, str(answer.reason))
            else:
                yield piece["title"], DISCOVERIES.validate_python(answer.said["findings"])


class Parts:
    """The parts of a survey, one a piece, in a process that does them.

    Parameters
    ----------
    parts
        In their order.
    probed
        Whether it is looked at first what kind of thing a case is.
    """

    def __init__(self, parts: "list[Part]", *, probed: bool = False) -> None:
        self.parts, self.probed = parts, probed

    @cached_property
    def probe(self) -> "Probe":
        """What is found of the cases before they are explored, as before their laws are judged."""
        from harness.verdict.probe import Probe

        return Probe()

    def about(self) -> list[Document]:
        """What is recorded of each part that has no answer, and what it is about."""
        return [
            {
                "case": part.job.case.name,
                "first_call": f"{part.job.case.name} {part.job.format.name}",
                "title": part.title,
                "drawn": part.is_drawn,
                "unanswered": part.unanswered("the command ended first").model_dump(mode="json"),
            }
            for part in self.parts
        ]

    def do(self, index: int) -> Document:
        """Find one thing out, of the case as it is judged."""
        part = self.parts[index]
        findings = part.of_probed(self.probe) if self.probed else part.findings()
        return {"findings": [finding.model_dump(mode="json") for finding in findings]}
