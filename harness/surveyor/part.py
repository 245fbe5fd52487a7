"""Parts of a survey: each finds out one thing, and is independent of the others and seeded by what it is about."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from pydantic import TypeAdapter

from harness.calling.adapter import NotApplicable
from harness.laws.law import Ray
from harness.laws.subject import CaseError
from harness.record import Accumulator, Breaking
from harness.surveyor.accumulator import accumulator
from harness.surveyor.breaking import breaking
from harness.surveyor.findings import Finding, Skip
from harness.surveyor.profile import profile
from harness.surveyor.search import Objective, Settings, search
from harness.surveyor.worst import witness
from harness.verdict.job import Job
from harness.work.task import Document

if TYPE_CHECKING:
    from harness.surveyor.survey import Survey

SEARCH = Ray("search", "rows that a search draws", lambda *_: {}, lambda _: 0.0)
"""Stands for a ray in what is recorded of a search that came to nothing."""


@dataclass(frozen=True)
class Part:
    """One thing to find out.

    Parameters
    ----------
    job
        The law that is followed, of a case in a dtype.
    survey
        How.
    what
        Where it breaks along a ray; the worst that a search finds; or how the case sums, whatever the law.
    ray
        The ray.
    """

    job: Job
    survey: "Survey"
    what: Literal["ray", "search", "sums"]
    ray: Ray = SEARCH

    @property
    def title(self) -> str:
        """What is explored."""
        return f"{self.job.case.name} [{self.job.format.name}]"

    def findings(self) -> list[Finding]:
        """Find it out."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.survey.seed)
            try:
                return self._found()
            except NotApplicable as reason:
                of = self.job.identity
                return [Skip(case=of["case"], law=of["law"], dtype=of["dtype"], reason=str(reason))]

    def _found(self) -> list[Finding]:
        if self.what == "ray":
            return [breaking(self.job, self.ray)]
        if self.what == "search":
            return self._searched()
        summed = accumulator(self.job)
        return [] if summed is None else [summed]

    def _searched(self) -> list[Finding]:
        job, survey = self.job, self.survey
        subject = f"{survey.seed} {job.case.name} {job.law.name} {job.format.name}"
        # In ulp of a tiny gradient a deviation says nothing: its bound is absolute.
        objectives: tuple[Objective, ...] = ("deviation", "ratio") if job.law.group == "value" else ("ratio",)
        settings = Settings(survey.batches, survey.seconds, objectives, seed=zlib.crc32(subject.encode()))
        try:
            outcome = search(job, settings)
            found: list[Finding] = [witness(job, outcome, one.objective) for one in outcome.best]
            if job.law.group == "value":
                found.append(profile(job, survey.seed))
        except CaseError as error:
            return [self.unanswered(str(error))]
        return found

    def unanswered(self, reason: str) -> Breaking | Accumulator:
        """What is recorded where the implementation does not answer."""
        if self.what == "sums":
            of_law = {"law", "group"}
            identity = {name: value for name, value in self.job.identity.items() if name not in of_law}
            return Accumulator(**identity, width=None, order=None, evidence=(reason,))
        return Breaking(
            **self.job.identity,
            unit=self.job.law.unit,
            ray=self.ray.name,
            formula=self.ray.formula,
            value=None,
            value_hex=None,
            end=self.ray.end(self.job.format),
            certainty="scanned",
            probes=0,
            reason=reason,
        )


FINDINGS: TypeAdapter[list[Finding]] = TypeAdapter(list[Finding])
"""Reads what a worker found."""


class Parts:
    """The parts of a survey, done in a worker process.

    Parameters
    ----------
    parts
        In their order.
    """

    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts

    @classmethod
    def of(cls, plan: Document) -> Self:
        """Read the survey."""
        from harness.surveyor.survey import Survey

        return cls(TypeAdapter(Survey).validate_python(plan).parts())

    def pieces(self) -> list[Document]:
        """What is recorded of each part that has no answer, and what it is about."""
        return [
            {
                "case": part.job.case.name,
                "title": part.title,
                "unanswered": part.unanswered("it was not reached").model_dump(mode="json"),
            }
            for part in self._parts
        ]

    def do(self, index: int) -> Document:
        """Find one thing out."""
        return {"findings": [one.model_dump(mode="json") for one in self._parts[index].findings()]}


def unanswered(piece: Mapping[str, Any], reason: str) -> list[Finding]:
    """What is recorded of a part in which the worker was lost."""
    document = dict(piece["unanswered"])
    name, value = ("evidence", [reason]) if document["kind"] == "accumulator" else ("reason", reason)
    return FINDINGS.validate_python([{**document, name: value}])
