"""``python -m tightness [CONTRACT ...]``: decide the controls as the tests do, and record how tight each bound is."""

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context

import torch
from controls.catalogue import CONTROLS
from tightness.record import DTYPES, EXAMPLES, read, told, write

from harness.record import Verdict
from harness.verdict.decide import decide
from harness.verdict.job import Job


@cache
def listed(contracts: tuple[str, ...]) -> list[Job]:
    """Every law of every control, or of some contracts; in the same order in every process."""
    chosen = [control for control in CONTROLS if not contracts or control.contract in contracts]
    return [job for control in chosen for job in control.jobs(DTYPES)]


def decided(index: int, contracts: tuple[str, ...]) -> Verdict:
    """Reach one verdict."""
    return decide(listed(contracts)[index], examples=EXAMPLES)


def main(*contracts: str) -> None:
    """Decide, and write the record; of contracts that are not named the lines stay."""
    processes, context = int(os.environ.get("HARNESS_PROCESSES", "2")), get_context("spawn")
    kept = {key: line for key, line in read().items() if key[0] not in contracts} if contracts else {}
    with ProcessPoolExecutor(processes, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        verdicts = pool.map(partial(decided, contracts=contracts), range(len(listed(contracts))), chunksize=8)
        write(kept | told(verdicts))


if __name__ == "__main__":
    main(*sys.argv[1:])
