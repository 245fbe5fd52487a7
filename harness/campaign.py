"""A campaign: many verdicts, on one process or several.

The jobs are independent and seeded, so what comes out depends neither on the number of processes nor on the order in
which they finish.
"""

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from harness.case import Case
from harness.corpus import FOLDER
from harness.discovery import load
from harness.job import Job, jobs
from harness.record import Verdict
from harness.timing import threads
from harness.verdict import SEED, decide


@dataclass(frozen=True)
class Campaign:
    """What to decide, as plain data that every process can turn into the same list of jobs.

    Parameters
    ----------
    target, contract, declares
        As :func:`harness.discovery.load` takes them.
    laws, dtypes
        Names to restrict to; all where empty.
    examples
        Hypothesis examples a law; the contracts' own numbers when absent.
    seed
        Seed of the draws.
    corpora
        Folders of counterexamples that are tried first.
    """

    target: str
    contract: str | None = None
    declares: Mapping[str, Any] = field(default_factory=dict)
    laws: Sequence[str] = ()
    dtypes: Sequence[str] = ()
    examples: int | None = None
    seed: int = SEED
    corpora: tuple[Path, ...] = (FOLDER,)

    def cases(self) -> list[Case]:
        """Load the cases."""
        return load(self.target, contract=self.contract, declares=self.declares)

    def jobs(self) -> list[Job]:
        """List the verdicts to reach."""
        return jobs(self.cases(), laws=self.laws, dtypes=self.dtypes)

    def decide(self, job: Job) -> Verdict:
        """Reach one verdict."""
        return decide(job, examples=self.examples, seed=self.seed, corpora=self.corpora)

    def run(self, *, processes: int = 1) -> Iterator[Verdict]:
        """Yield the verdicts in the order of the jobs.

        Parameters
        ----------
        processes
            How many processes decide; each computes on one thread.
        """
        listed = self.jobs()
        if processes <= 1 or len(listed) < 2 * processes:
            # Rows are few, and idle threads of a shared machine cost more than they give.
            with threads(1):
                for job in listed:
                    yield self.decide(job)
            return
        # Workers start afresh: a fork of a process that has used torch's threads may hang.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, mp_context=context, initializer=_prepare, initargs=(self,)) as pool:
            try:
                yield from pool.map(_decide, range(len(listed)), chunksize=4)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


_worker_jobs: list[Job] = []
_worker_campaign: list[Campaign] = []


def _prepare(campaign: Campaign) -> None:
    torch.set_num_threads(1)
    _worker_jobs[:] = campaign.jobs()
    _worker_campaign[:] = [campaign]


def _decide(index: int) -> Verdict:
    campaign = _worker_campaign[0]
    return campaign.decide(_worker_jobs[index])
