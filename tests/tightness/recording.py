"""Record how tight each bound is, from the controls as ``python -m mutants`` decides them."""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

import torch
from controls.catalogue import CONTROLS
from tightness.record import DTYPES, Key, read, told, write

from harness.record import Verdict
from harness.verdict.decide import decide
from harness.verdict.job import Job


@cache
def listed() -> list[Job]:
    """Return every law of every control, in the same order in every process."""
    return [job for control in CONTROLS for job in control.jobs(DTYPES)]


def decided(index: int) -> Verdict:
    """Decide one job."""
    return decide(listed()[index])


def record(names: Sequence[str]) -> None:
    """Decide the controls, and write the record.

    ``names`` are contracts and laws; without names, only missing lines are added. Other lines stay unchanged.
    """
    known = read()
    laws = {key_of(job) for job in listed()}
    asked = {key for key in laws if not {key[0], key[1]}.isdisjoint(names)} if names else laws - known.keys()
    places = [place for place, job in enumerate(listed()) if key_of(job) in asked]
    processes, context = int(os.environ.get("HARNESS_PROCESSES", "2")), get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        told_now = told(pool.map(decided, places, chunksize=4))
    write({key: line for key, line in known.items() if key in laws} | told_now)


def key_of(job: Job) -> Key:
    """Return the key of a job's line."""
    return job.contract.name, job.law.name, job.format.name
