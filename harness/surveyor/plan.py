"""The plan of a survey of every case in every dtype.

Its parts are independent, and each is seeded by its subject. The results therefore depend neither on the number of
processes nor on their order, nor on process isolation. This module does not import torch, since the reporting process
does not compute.
"""

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from harness.calling.question import THOROUGH, option_field
from harness.calling.target import Loader, Target
from harness.execution.plan import Document
from harness.execution.runner import Backend, carry_out
from harness.record import SEED, RayTrace
from harness.surveyor.discovery import DISCOVERIES, Discovery, record_failure

if TYPE_CHECKING:
    from harness.surveyor.work_item import WorkItem
    from harness.verdict.probe import Probe


@dataclass(frozen=True)
class Survey(Target):
    """A survey of a :class:`~harness.calling.target.Target`; every process derives the same list of parts from it.

    Parameters
    ----------
    rays
        Names to restrict the survey to; empty for all.
    batches
        Batches for each search; zero for no search.
    seconds
        Time per search in seconds instead; the results then depend on the machine.
    seed
        Random seed.
    """

    _: KW_ONLY
    rays: Sequence[str] = option_field("--ray", "Survey only this ray.", "repeated", default=())
    batches: int = option_field(
        "--batches",
        "Number of batches in each search for the largest error; 0 searches nothing.",
        "whole",
        panel=THOROUGH,
        least=0,
        default=40,
    )
    seconds: float | None = option_field(
        "--seconds",
        "Time limit for each search, in seconds, instead of --batches. Results then depend on the machine.",
        "number",
        panel=THOROUGH,
        least=0.0,
    )
    seed: int = option_field("--seed", "Random seed.", "whole", panel=THOROUGH, least=0, default=SEED)

    pays_from: ClassVar[int] = 1
    isolated: ClassVar[bool] = True
    judges: ClassVar[tuple[str, ...]] = ("harness.verdict.judge", "harness.surveyor.explore")

    def longest_s(self, call_s: float) -> float:
        """Return the time limit of a part in seconds: the limit of a law, and the time of a search."""
        return 12.0 * call_s + (self.seconds or 0.0)

    def load(self, remote: Loader | None = None) -> "Parts":
        """Load the cases, here or elsewhere, and list the parts."""
        from harness.surveyor.explore import explorations
        from harness.surveyor.search import Budget

        budget = Budget(self.batches, self.seconds, seed=self.seed)
        restricted = {"laws": self.laws, "dtypes": self.dtypes, "rays": self.rays}
        listed = explorations(self.cases(remote), budget, **restricted, watched=self.is_foreign)
        return Parts([part for exploration in listed for part in exploration.parts], probed=self.is_foreign)

    def run(self, **execution: Any) -> Iterator[tuple[str, list[Discovery]]]:
        """Yield the subject and the findings of every part.

        The ``execution`` are the arguments of :func:`harness.execution.runner.carry_out`.
        """
        with carry_out(self, **execution) as backend:
            yield from self.findings(backend)

    def traces(self, backend: Backend) -> Iterator[RayTrace]:
        """Yield only the traces along the rays that a report draws."""
        drawn = [index for index, piece in enumerate(backend.pieces) if piece["drawn"]]
        for answer in backend.answers(drawn):
            findings = [] if answer.reply is None else DISCOVERIES.validate_python(answer.reply["findings"])
            yield from (finding for finding in findings if isinstance(finding, RayTrace))

    def findings(self, backend: Backend) -> Iterator[tuple[str, list[Discovery]]]:
        """Yield the subject and the findings of every part immediately after it ends."""
        for answer in backend.answers(range(len(backend.pieces))):
            piece = backend.pieces[answer.index]
            if answer.reply is None:
                yield piece["title"], record_failure(piece, str(answer.reason))
            else:
                yield piece["title"], DISCOVERIES.validate_python(answer.reply["findings"])


class Parts:
    """The parts of a survey in the process that does them; ``probed`` if it finds the properties of the cases first."""

    def __init__(self, parts: "list[WorkItem]", *, probed: bool = False) -> None:
        self.parts, self.probed = parts, probed

    @cached_property
    def probe(self) -> "Probe":
        """The properties of the cases, which are found before their laws are judged."""
        from harness.verdict.probe import Probe

        return Probe()

    def about(self) -> list[Document]:
        """Return the subject of every part, and its record for a missing result."""
        return [
            {
                "case": part.job.case.name,
                "first_call": f"{part.job.case.name} {part.job.format.name}",
                "title": part.title,
                "drawn": part.is_drawn,
                "unanswered": part.failure_record("the command ended first").model_dump(mode="json"),
            }
            for part in self.parts
        ]

    def do(self, index: int) -> Document:
        """Do one part."""
        part = self.parts[index]
        findings = part.find_after_probe(self.probe) if self.probed else part.findings()
        return {"findings": [finding.model_dump(mode="json") for finding in findings]}
