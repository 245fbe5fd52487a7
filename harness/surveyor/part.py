"""Parts of a survey: independent tasks, each seeded by its subject."""

import zlib
from dataclasses import dataclass, replace
from typing import Literal

import torch

from harness.calling.adapter import NotApplicable
from harness.calling.device import seed_all
from harness.laws.case_error import CaseError
from harness.laws.ray import Ray
from harness.record import Accumulator, Breaking
from harness.surveyor.accumulator import accumulator
from harness.surveyor.breaking import breaking
from harness.surveyor.discovery import Discovery, Skip
from harness.surveyor.passage import is_drawn, is_shown, passage
from harness.surveyor.profile import profile
from harness.surveyor.search import Budget, Objective, search
from harness.surveyor.worst import witness
from harness.verdict.job import Job
from harness.verdict.probe import Probe

SEARCH = Ray("search", "rows that a search draws", lambda *_: {}, lambda _: 0.0)
"""Placeholder for a ray in records of a search without a result."""


@dataclass(frozen=True)
class Part:
    """One task of a survey.

    Parameters
    ----------
    job
        The law to follow, for a case in a dtype.
    budget
        Budget of a search; its seed is the seed of every draw.
    what
        Kind of task: the breaking point along a ray, a search for the worst, or the order of sums.
    ray
        The ray.
    """

    job: Job
    budget: Budget
    what: Literal["ray", "search", "sums"]
    ray: Ray = SEARCH

    @property
    def title(self) -> str:
        """Description of the task."""
        return f"{self.job.case.name} [{self.job.format.name}]"

    @property
    def is_drawn(self) -> bool:
        """Whether a passage along the ray may be part of a picture."""
        return self.what == "ray" and is_drawn(self.job, self.ray)

    def findings(self) -> list[Discovery]:
        """Do the task; return a skip if the law does not apply to the implementation."""
        if (reason := self.job.unjudged) is not None:
            return [self._skip(reason)]
        with torch.random.fork_rng(devices=[]):
            seed_all(self.budget.seed)
            try:
                return self._findings()
            except NotApplicable as reason:
                return [self._skip(str(reason))]

    def of_probed(self, probe: Probe) -> list[Discovery]:
        """Do the task for the case with its probed properties."""
        job, properties = probe.looked(self.job)
        return [*properties, *replace(self, job=job).findings()]

    def _skip(self, reason: str) -> Skip:
        of = self.job.identity
        return Skip(case=of["case"], law=of["law"], dtype=of["dtype"], reason=reason)

    def _findings(self) -> list[Discovery]:
        if self.what == "ray":
            point = breaking(self.job, self.ray)
            return [point, passage(self.job, self.ray, point)] if is_shown(self.job, self.ray, point) else [point]
        if self.what == "search":
            return self._searched()
        summed = accumulator(self.job)
        return [] if summed is None else [summed]

    def _searched(self) -> list[Discovery]:
        job = self.job
        subject = f"{self.budget.seed} {job.case.name} {job.law.name} {job.format.name}"
        # In ulp of a tiny gradient a deviation says nothing: its bound is absolute.
        objectives: tuple[Objective, ...] = ("deviation", "ratio") if job.law.group == "value" else ("ratio",)
        budget = replace(self.budget, objectives=objectives, seed=zlib.crc32(subject.encode()))
        try:
            result = search(job, budget)
            findings: list[Discovery] = [witness(job, result, best.objective) for best in result.best]
            if job.law.group == "value":
                findings.append(profile(job, self.budget.seed))
        except CaseError as error:
            return [self.unanswered(str(error))]
        return findings

    def unanswered(self, reason: str) -> Breaking | Accumulator:
        """Return the record of an implementation without a result."""
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
