"""A survey: every case in every dtype is explored on its own, on one process or several.

Explorations are independent and seeded by what they are about, so what comes out depends neither on the number of
processes nor on the order in which they finish.
"""

import multiprocessing
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from harness.campaign import SEED
from harness.case import Case
from harness.discovery import SHIPPED, load
from harness.error import UsageError
from harness.job import Job, jobs
from harness.law import Contract, Law
from harness.ray import Ray, rays_of
from harness.subject import CaseError
from harness.surveyor.accumulator import accumulator
from harness.surveyor.breaking import breaking, follows, is_followed
from harness.surveyor.findings import Finding, Findings
from harness.surveyor.genome import is_searchable
from harness.surveyor.profile import profile
from harness.surveyor.search import Objective, Settings, search
from harness.surveyor.worst import witness
from harness.timing import threads


@dataclass(frozen=True)
class Survey:
    """What to explore, as plain data that every process turns into the same list.

    Parameters
    ----------
    target, contract, declares
        As :func:`harness.discovery.load` takes them.
    laws, dtypes, rays
        Names to restrict to; all where empty.
    batches
        Batches a search; no search where zero.
    seconds
        Time of each search instead, in seconds: what is found then depends on the machine.
    seed
        Seed of the draws.
    """

    target: str = SHIPPED
    contract: str | None = None
    declares: Mapping[str, Any] = field(default_factory=dict)
    laws: Sequence[str] = ()
    dtypes: Sequence[str] = ()
    rays: Sequence[str] = ()
    batches: int = 40
    seconds: float | None = None
    seed: int = SEED

    def explorations(self) -> list["Exploration"]:
        """List what there is to explore, in a fixed order; cases of contracts without rays are left out."""
        return explorations(load(self.target, contract=self.contract, declares=self.declares), self)

    def run(self, *, processes: int = 1) -> Iterator[list[Finding]]:
        """Yield what is found on each case in each dtype.

        Parameters
        ----------
        processes
            How many processes explore; each computes on one thread.
        """
        listed = self.explorations()
        if processes <= 1 or len(listed) < 2:
            with threads(1):
                for exploration in listed:
                    yield exploration.findings()
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, mp_context=context, initializer=_prepare, initargs=(self,)) as pool:
            try:
                yield from pool.map(_explore, range(len(listed)))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


@dataclass(frozen=True)
class Exploration:
    """One case in one dtype: the laws that are followed, and how."""

    jobs: tuple[Job, ...]
    survey: Survey

    @property
    def title(self) -> str:
        """What is explored."""
        return f"{self.jobs[0].case.name} [{self.jobs[0].format.name}]"

    def findings(self) -> list[Finding]:
        """Follow the laws along the rays, search for the worst, and look at how it sums."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.survey.seed)
            found: list[Finding] = [breaking(job, ray) for job in self.jobs for ray in self._rays(job)]
            for job in self.jobs:
                if job.law in _searched(job.contract) and is_searchable(job):
                    found += self._searched(job)
            summed = accumulator(self.jobs[0])
        return found if summed is None else [*found, summed]

    def _rays(self, job: Job) -> list[Ray]:
        wanted = self.survey.rays
        return [ray for ray in rays_of(job.contract) if follows(job, ray) and (not wanted or ray.name in wanted)]

    def _searched(self, job: Job) -> list[Finding]:
        if not self.survey.batches and self.survey.seconds is None:
            return []
        subject = f"{self.survey.seed} {job.case.name} {job.law.name} {job.format.name}"
        # In ulp of a tiny gradient a deviation says nothing: its bound is absolute.
        objectives: tuple[Objective, ...] = ("deviation", "ratio") if job.law.group == "value" else ("ratio",)
        settings = Settings(self.survey.batches, self.survey.seconds, objectives, seed=zlib.crc32(subject.encode()))
        try:
            outcome = search(job, settings)
            found: list[Finding] = [witness(job, outcome, one.objective) for one in outcome.best]
            if job.law.group == "value":
                found.append(profile(job, self.survey.seed))
        except CaseError:  # the breaking points carry its text
            return []
        return found


def _searched(contract: Contract) -> list[Law]:
    """The laws in which the worst is searched for: the first one of the value, and those of the gradient."""
    followed = [law for law in contract.laws if is_followed(law)]
    values = [law for law in followed if law.group == "value"]
    return [*values[:1], *(law for law in followed if law.group == "gradient")]


def explorations(cases: Sequence[Case], survey: Survey) -> list[Exploration]:
    """List what there is to explore of some cases.

    Raises
    ------
    UsageError
        If a name matches nothing, or a case declares a breaking point that its contract does not have.
    """
    groups: dict[tuple[str, str, str], list[Job]] = {}
    known: set[str] = set()
    for job in jobs(cases, laws=survey.laws, dtypes=survey.dtypes):
        rays = rays_of(job.contract)
        known |= {ray.name for ray in rays}
        _validate(job.case, job.contract, rays)
        if rays and _wanted(job, named=bool(survey.laws)):
            groups.setdefault((job.case.name, job.contract.name, job.format.name), []).append(job)
    for group in groups.values():
        own = {law.name: law for ray in rays_of(group[0].contract) for law in ray.laws}
        followed = {job.law.name for job in group}
        fresh = [law for name, law in own.items() if name not in followed and (not survey.laws or name in survey.laws)]
        group += [replace(group[0], law=law) for law in fresh]
    unknown = set(survey.rays) - known
    if unknown:
        raise UsageError(
            rule=f"`--ray` is one of {', '.join(f'`{name}`' for name in sorted(known))}", value=f"`{min(unknown)}`"
        )
    return [Exploration(tuple(group), survey) for group in groups.values()]


def _wanted(job: Job, *, named: bool) -> bool:
    """Whether a law is followed: unless it was named itself, those of values, finiteness and gradients are."""
    return is_followed(job.law) or (named and job.law.inputs is None and job.law.group == "algebra")


def _validate(case: Case, contract: Contract, rays: Sequence[Ray]) -> None:
    """Hold the declared breaking points against the contract."""
    laws = {law.name for law in (*contract.laws, *(law for ray in rays for law in ray.laws))}
    names = {ray.name for ray in rays}
    for law, ray in case.breaks_at:
        if law not in laws or ray not in names:
            raise UsageError(
                rule=f"`breaks_at` names a law and a ray of `{contract.name}`: {', '.join(sorted(names)) or 'none'}",
                value=f"`{law}` along `{ray}`",
                place=case.name,
            )


def survey(
    function: Callable[..., Any],
    contract: str,
    *,
    dtypes: Sequence[str] = (),
    declares: Mapping[str, Any] | None = None,
    breaks: Mapping[str, str] | None = None,
    batches: int = 40,
    seed: int = SEED,
) -> Findings:
    """Find where an implementation breaks the laws of a contract, and the inputs on which it is worst.

    Parameters
    ----------
    function
        The implementation, with the contract's signature.
    contract
        Name of the contract.
    dtypes
        Names of the dtypes; all of the contract's where empty.
    declares
        Conventions in which the contract leaves a choice.
    breaks
        Laws it is known to break, with the reason.
    batches
        Batches of each search for the worst.
    seed
        Seed of the draws.

    Returns
    -------
    Findings
        Breaking points along rays, worst cases, profiles and accumulators.

    Raises
    ------
    UsageError
        If the contract or a dtype does not exist, or the contract has no rays.
    """
    case = Case(function, contract, breaks=breaks or {}, declares=declares or {}, style="foreign")
    listed = explorations([case], Survey(dtypes=dtypes, batches=batches, seed=seed))
    if not listed:
        raise UsageError(rule="a survey needs a contract that has rays", value=f"`{contract}`")
    found = Findings()
    with threads(1):
        for exploration in listed:
            found.add(exploration.findings())
    return found


_worker: list[Exploration] = []


def _prepare(survey: Survey) -> None:
    torch.set_num_threads(1)
    _worker[:] = survey.explorations()


def _explore(index: int) -> list[Finding]:
    return _worker[index].findings()
