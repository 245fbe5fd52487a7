"""A survey: what there is to find out of every case in every dtype, on one process or several.

Its parts are independent and seeded by what they are about, so what comes out depends neither on the number of
processes nor on the order in which they finish, nor on whether the code runs in a process of its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any

from harness.calling.discovery import SHIPPED, is_shipped, load
from harness.case import Break, Case
from harness.error import UsageError
from harness.laws.law import Contract, Law, Ray
from harness.laws.standard_rays import rays_of
from harness.record import SEED
from harness.surveyor.breaking import follows, is_followed
from harness.surveyor.findings import Finding, Findings
from harness.surveyor.genome import is_searchable
from harness.surveyor.part import FINDINGS, Part, unanswered
from harness.timing.clock import threads
from harness.verdict.job import Job, jobs
from harness.work.executor_pool import crew
from harness.work.limits import Limits
from harness.work.processes import workers


@dataclass(frozen=True)
class Survey:
    """What to explore, as plain data that every process turns into the same list.

    Parameters
    ----------
    target, contract
        As :func:`harness.calling.discovery.load` takes them.
    declares, breaks, call
        What a single function claims: see :class:`harness.case.Case`.
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
    breaks: Mapping[str, str | Break] = field(default_factory=dict)
    call: str | None = None
    laws: Sequence[str] = ()
    dtypes: Sequence[str] = ()
    rays: Sequence[str] = ()
    batches: int = 40
    seconds: float | None = None
    seed: int = SEED

    @property
    def is_foreign(self) -> bool:
        """Whether the code is somebody else's, which is run in a process of its own."""
        return not is_shipped(self.target)

    def explorations(self) -> list["Exploration"]:
        """List what there is to explore, in a fixed order; cases of contracts without rays are left out.

        Raises
        ------
        UsageError
            If there is nothing.
        """
        cases = load(self.target, contract=self.contract, declares=self.declares, breaks=self.breaks, call=self.call)
        return explorations(cases, self)

    def parts(self) -> list[Part]:
        """List the parts, in a fixed order."""
        return [part for exploration in self.explorations() for part in exploration.parts]

    def run(
        self, *, processes: int = 1, limits: Limits | None = None, executor: Executor | None = None
    ) -> Iterator[tuple[str, list[Finding]]]:
        """Yield of each part what it is about and what is found.

        Parameters
        ----------
        processes
            How many processes explore; each computes on one thread.
        limits
            Of time and memory, for code that runs in processes of its own; in this one when absent.
        executor
            Whose workers explore, instead of processes here, under the usual limits when none are given.
        """
        if limits is not None or executor is not None:
            yield from self._isolated(processes, limits or Limits(), executor)
            return
        listed = self.parts()
        if processes <= 1:
            with threads(1):
                for part in listed:
                    yield part.title, part.findings()
            return
        with workers(processes, _prepare, self) as pool:
            try:
                found = pool.map(_explore, range(len(listed)), chunksize=4)
                yield from zip((part.title for part in listed), found, strict=True)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _isolated(
        self, processes: int, limits: Limits, executor: Executor | None
    ) -> Iterator[tuple[str, list[Finding]]]:
        with crew(self, limits, processes, executor) as pool:
            for answer in pool.answers(range(len(pool.pieces))):
                piece = pool.pieces[answer.index]
                found = unanswered(piece, str(answer.reason)) if answer.said is None else answer.said["findings"]
                yield piece["title"], FINDINGS.validate_python(found)


@dataclass(frozen=True)
class Exploration:
    """One case in one dtype: the laws that are followed, and how."""

    jobs: tuple[Job, ...]
    survey: Survey

    @property
    def parts(self) -> list[Part]:
        """The laws along the rays, the searches for the worst, and how it sums."""
        found = [Part(job, self.survey, "ray", ray) for job in self.jobs for ray in self._rays(job)]
        if self.survey.batches or self.survey.seconds is not None:
            searched = (job for job in self.jobs if job.law in _searched(job.contract) and is_searchable(job))
            found += [Part(job, self.survey, "search") for job in searched]
        return [*found, Part(self.jobs[0], self.survey, "sums")]

    def findings(self) -> list[Finding]:
        """Find all of it out."""
        return [one for part in self.parts for one in part.findings()]

    def _rays(self, job: Job) -> list[Ray]:
        wanted = self.survey.rays
        return [ray for ray in rays_of(job.contract) if follows(job, ray) and (not wanted or ray.name in wanted)]


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
        If a name matches nothing, no contract has rays, or a case declares a breaking point that its contract does not
        have.
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
    if not groups:
        without = ", ".join(dict.fromkeys(f"`{case.contract}`" for case in cases))
        raise UsageError(rule="a survey needs a contract that has rays", value=without or "no case")
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
    breaks: Mapping[str, str | Break] | None = None,
    call: str | Callable[..., Any] | None = None,
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
    call
        How it is called where it has another signature, or computes on other arrays, as :func:`harness.check` takes it.
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
    case = Case(function, contract, breaks=breaks or {}, declares=declares or {}, style="foreign", call=call)
    listed = explorations([case], Survey(dtypes=dtypes, batches=batches, seed=seed))
    found = Findings()
    with threads(1):
        for exploration in listed:
            found.add(exploration.findings())
    return found


_worker: list[Part] = []


def _prepare(survey: Survey) -> None:
    _worker[:] = survey.parts()


def _explore(index: int) -> list[Finding]:
    return _worker[index].findings()
