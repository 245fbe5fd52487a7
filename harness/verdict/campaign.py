"""A campaign: many verdicts, on one process or several.

The jobs are independent and seeded, so what comes out depends neither on the number of processes nor on the order in
which they finish, nor on whether the code that is checked runs in a process of its own. Importing this module imports
no torch, so that a process which only reports what others decide starts at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.calling.discovery import SHIPPED, load
from harness.case import Break, Case
from harness.error import UsageError
from harness.record import SEED, Status, Verdict
from harness.work.limits import Limits
from harness.work.processes import workers

if TYPE_CHECKING:
    from harness.verdict.job import Job
    from harness.work.pool import Answer


@dataclass(frozen=True)
class Campaign:
    """What to decide, as plain data that every process can turn into the same list of jobs.

    Parameters
    ----------
    target, contract
        As :func:`harness.calling.discovery.load` takes them.
    declares, breaks, call
        What a single function claims: see :class:`harness.case.Case`.
    laws, dtypes
        Names to restrict to; all where empty.
    devices
        Where the cases compute.
    examples
        Hypothesis examples a law; the contracts' own numbers when absent.
    seconds
        After how many no law draws further examples.
    seed
        Seed of the draws.
    replay
        Whether the counterexamples that were found before are tried first.
    corpus
        A folder of further ones.
    example
        The one example to look at, as a replay prints it.
    """

    target: str = SHIPPED
    contract: str | None = None
    declares: Mapping[str, Any] = field(default_factory=dict)
    breaks: Mapping[str, Break] = field(default_factory=dict)
    call: str | None = None
    laws: Sequence[str] = ()
    dtypes: Sequence[str] = ()
    devices: Sequence[str] = ("cpu",)
    examples: int | None = None
    seconds: float | None = None
    seed: int = SEED
    replay: bool = True
    corpus: Path | None = None
    example: str | None = None

    @property
    def is_foreign(self) -> bool:
        """Whether the code is somebody else's, which is run in a process of its own."""
        return self.target != SHIPPED

    def cases(self) -> list[Case]:
        """Load the cases."""
        claims = {"declares": self.declares, "breaks": self.breaks, "call": self.call}
        return load(self.target, contract=self.contract, **claims)

    def jobs(self) -> "list[Job]":
        """List the verdicts to reach."""
        from harness.verdict.job import jobs

        return jobs(self.cases(), laws=self.laws, dtypes=self.dtypes, devices=self.devices)

    def decide(self, job: "Job") -> Verdict:
        """Reach one verdict."""
        from harness.verdict.corpus import FOLDER
        from harness.verdict.decide import decide

        corpora = [FOLDER] * self.replay + [self.corpus] * (self.corpus is not None)
        return decide(
            job,
            examples=self.examples,
            seed=self.seed,
            seconds=self.seconds,
            corpora=[folder for folder in corpora if folder is not None],
            example=None if self.example is None else _spelled_out(self.example, job),
            watched=self.is_foreign,
        )

    def run(
        self, *, processes: int = 1, limits: Limits | None = None, executor: Executor | None = None
    ) -> Iterator[Verdict]:
        """Yield the verdicts in the order of the jobs.

        Parameters
        ----------
        processes
            How many processes decide; each computes on one thread.
        limits
            Of time and memory, for code that runs in processes of its own; in this one when absent.
        executor
            Whose workers decide, instead of processes here, under the usual limits when none are given.
        """
        if limits is not None or executor is not None:
            return self._isolated(processes, limits or Limits(), executor)
        return self._here(processes)

    def _isolated(self, processes: int, limits: Limits, executor: Executor | None) -> Iterator[Verdict]:
        from harness.work.executor_pool import crew

        with crew(self, limits, processes, executor) as pool:
            for answer in pool.answers(range(len(pool.pieces))):
                yield _verdict(pool.pieces[answer.index], answer)

    def _here(self, processes: int) -> Iterator[Verdict]:
        from harness.timing.clock import threads

        listed = self.jobs()
        if processes <= 1 or len(listed) < 2 * processes:
            # Rows are few, and idle threads of a shared machine cost more than they give.
            with threads(1):
                for job in listed:
                    yield self.decide(job)
            return
        with workers(processes, _prepare, self) as pool:
            try:
                yield from pool.map(_decide, range(len(listed)), chunksize=4)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _verdict(unreached: Mapping[str, Any], answer: "Answer") -> Verdict:
    """The verdict that a worker reached, or how it was lost."""
    if answer.said is not None:
        return Verdict.model_validate(answer.said)
    facts = {"reason": answer.reason, "duration_s": answer.duration_s}
    if answer.loss is not None:
        facts |= {"status": Status.ERROR, "fault": answer.loss.fault}
    return Verdict.model_validate(unreached).model_copy(update=facts)


def _spelled_out(example: str, job: "Job") -> dict[str, Any]:
    from harness.verdict.replay import from_json

    inputs = from_json(example, job.contract, job.format)
    missing = [name for name in job.law.reads if name not in inputs]
    if missing:
        needed = ", ".join(f"`{name}`" for name in job.law.reads)
        raise UsageError(rule=f"an example for `{job.law.name}` has {needed}", value=f"none for `{missing[0]}`")
    return inputs


_worker_jobs: "list[Job]" = []
_worker_campaign: list[Campaign] = []


def _prepare(campaign: Campaign) -> None:
    _worker_jobs[:] = campaign.jobs()
    _worker_campaign[:] = [campaign]


def _decide(index: int) -> Verdict:
    campaign = _worker_campaign[0]
    return campaign.decide(_worker_jobs[index])
