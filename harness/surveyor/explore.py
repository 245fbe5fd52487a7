"""Explorations: the parts of a survey, listed case by case and dtype by dtype."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.calling.target import complete_claim, find_known
from harness.case import Break, Case
from harness.contracts import claimed
from harness.error import UsageError, did_you_mean, join_names
from harness.execution.progress import show_progress
from harness.laws import Contract, Law, Ray, list_rays
from harness.record import SEED
from harness.surveyor.breaking import follows, is_followed
from harness.surveyor.discovery import Discoveries, Discovery
from harness.surveyor.encoding import is_searchable
from harness.surveyor.search import Budget
from harness.surveyor.work_item import WorkItem
from harness.timing.clock import threads
from harness.verdict.job import Job, list_jobs
from harness.verdict.probe import Probe


@dataclass(frozen=True)
class Exploration:
    """A case in a dtype, with the laws to follow and the settings."""

    jobs: tuple[Job, ...]
    budget: Budget
    rays: Sequence[str] = ()

    @property
    def parts(self) -> list[WorkItem]:
        """Return the laws along the rays, the searches for the worst case, and the order of sums."""
        parts = [WorkItem(job, self.budget, "ray", ray) for job in self.jobs for ray in self._list_rays(job)]
        if self.budget.batches or self.budget.seconds is not None:
            searched = (job for job in self.jobs if job.law in _choose_laws(job.contract) and is_searchable(job))
            parts += [WorkItem(job, self.budget, "search") for job in searched]
        return [*parts, WorkItem(self.jobs[0], self.budget, "sums")]

    def findings(self) -> list[Discovery]:
        """Return the findings of all parts."""
        return [finding for part in self.parts for finding in part.findings()]

    def _list_rays(self, job: Job) -> list[Ray]:
        rays = (ray for ray in list_rays(job.contract) if not self.rays or ray.name in self.rays)
        return [ray for ray in rays if follows(job, ray)]


def _choose_laws(contract: Contract) -> list[Law]:
    """Return the laws to search: the first law of the value, and the laws of the gradient."""
    followed = [law for law in contract.laws if is_followed(law)]
    values = [law for law in followed if law.group == "value"]
    return [*values[:1], *(law for law in followed if law.group == "gradient")]


def explorations(
    cases: Sequence[Case],
    budget: Budget,
    *,
    laws: Sequence[str] = (),
    dtypes: Sequence[str] = (),
    rays: Sequence[str] = (),
    watched: bool = True,
) -> list[Exploration]:
    """List the parts of a survey of some cases, in a fixed order, without contracts that have no rays.

    ``laws``, ``dtypes`` and ``rays`` restrict the survey to these names; empty lists do not.

    Raises
    ------
    UsageError
        If a name matches nothing, no contract has rays, or a case declares an unknown breaking point.
    """
    cases = list(map(claimed, cases))
    groups: dict[tuple[str, str, str], list[Job]] = {}
    ray_names: set[str] = set()
    for job in list_jobs(cases, laws=laws, dtypes=dtypes, watched=watched):
        own_rays = list_rays(job.contract)
        ray_names |= {ray.name for ray in own_rays}
        _validate(job.case, job.contract, own_rays)
        if own_rays and _is_followed(job, named=bool(laws)):
            groups.setdefault((job.case.name, job.contract.name, job.format.name), []).append(job)
    for group in groups.values():
        ray_laws = {law.name: law for ray in list_rays(group[0].contract) for law in ray.laws}
        followed = {job.law.name for job in group}
        fresh = [law for name, law in ray_laws.items() if name not in followed and (not laws or name in laws)]
        group += [replace(group[0], law=law) for law in fresh]
    unknown = set(rays) - ray_names
    if unknown:
        ray = min(unknown)
        rule = f"choose from {join_names(sorted(ray_names))}"
        raise UsageError(f"unknown ray `{ray}`", rule=rule, remedy=did_you_mean(ray, ray_names))
    if not groups:
        without = join_names(dict.fromkeys(case.contract for case in cases))
        raise UsageError("nothing to survey", rule="a survey needs a contract with rays", value=without or "no case")
    return [Exploration(tuple(group), budget, rays) for group in groups.values()]


def _is_followed(job: Job, *, named: bool) -> bool:
    """Whether to follow a law: laws of values, finiteness and gradients by default, others if they are named."""
    return is_followed(job.law) or (named and job.law.inputs is None and job.law.group == "algebra")


def _validate(case: Case, contract: Contract, rays: Sequence[Ray]) -> None:
    """Check that the declared breaking points exist in the contract."""
    laws = {law.name for law in (*contract.laws, *(law for ray in rays for law in ray.laws))}
    names = {ray.name for ray in rays}
    for law, ray in case.breaks_at:
        if law not in laws or ray not in names:
            raise UsageError(
                f"`breaks_at` of {case.name} names an unknown law or ray",
                rule=f"the rays of `{contract.name}` are {', '.join(sorted(names)) or 'none'}",
                value=f"`{law}` along `{ray}`",
                remedy=did_you_mean(ray, names) if law in laws else did_you_mean(law, laws),
            )


def survey(
    function: Callable[..., Any],
    contract: str | None = None,
    *,
    dtypes: Sequence[str] = (),
    declares: Mapping[str, Any] | None = None,
    breaks: Mapping[str, str | Break] | None = None,
    call: str | Callable[..., Any] | None = None,
    batches: int = 40,
    seed: int = SEED,
) -> Discoveries:
    """Find the breaking points of an implementation and the inputs with the worst deviations.

    Parameters
    ----------
    function
        The implementation, with the contract's signature.
    contract
        Name of the contract [default: from the name of the function].
    dtypes
        Names of the dtypes [default: all dtypes of the contract].
    declares
        Conventions that the contract leaves open.
    breaks
        Known failures: laws with the reason.
    call
        Adapter for another signature or another array library, as for :func:`harness.check`.
    batches
        Number of batches in each search for the worst deviation.
    seed
        Random seed.

    Returns
    -------
    Discoveries
        Breaking points along rays, worst cases, profiles and accumulators.

    Raises
    ------
    UsageError
        If the contract or a dtype does not exist, or the contract has no rays.
    """
    contract, call = complete_claim(find_known(function), contract, call)
    case = Case(function, contract or "", breaks=breaks or {}, declares=declares or {}, style="foreign", call=call)
    listed = explorations([case], Budget(batches, seed=seed), dtypes=dtypes)
    discoveries, probe = Discoveries(), Probe()
    with threads(1):
        parts = [part for exploration in listed for part in exploration.parts]
        for part in show_progress(parts, f"surveying {case.name}"):
            discoveries.add(part.find_after_probe(probe))
    return discoveries
