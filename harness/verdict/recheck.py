"""The final re-check: in a new process, on unpredictable inputs, in larger batches.

An implementation cannot use anything that it counted, stored or recognized before.
"""

from dataclasses import replace

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.floats import Format
from harness.laws.law import Example
from harness.laws.strategies import SEEDS
from harness.verdict.job import Job

EXAMPLES = 3
"""Examples per law in the final re-check."""

ROWS = st.integers(513, 6_000)
"""Rows per example in the final re-check, for implementations that treat rows independently."""


_TRAINED = {"training", "step", "curves"}


def is_rechecked(job: Job) -> bool:
    """Return whether the re-check includes a law: the value and gradient of a function, or the result of a training."""
    if job.contract.form in _TRAINED:
        return job.law.name == job.contract.laws[0].name
    of_gradient = job.law.group == "gradient" and job.law.inputs is None and job.law.every_row
    asks = job.law.name == "value" or of_gradient
    return asks and job.contract.output is not None and job.contract.form == "function"


def enlarged(job: Job) -> Job:
    """Return the law on larger, shuffled batches of its inputs; unchanged if it reduces over rows."""
    names = [name for name, axes in job.contract.axes.items() if axes.names[:1] == ("n",)]
    if job.contract.grouped or job.contract.output is None or job.contract.output[:1] != ("n",):
        return job

    def inputs(format_: Format) -> st.SearchStrategy[Example]:
        return st.tuples(job.inputs(format_), ROWS, SEEDS).map(lambda drawn: _enlarged(*drawn, names))

    return replace(job, law=replace(job.law, inputs=inputs))


def _enlarged(example: Example, rows: int, seed: int, names: list[str]) -> Example:
    """Return an example with random rows of a smaller one."""
    few = next((len(example[name]) for name in names if isinstance(example.get(name), Tensor)), 0)
    if few == 0:
        return example
    index = torch.from_numpy(np.random.default_rng(seed).integers(few, size=rows))
    return {name: x.index_select(0, index) if name in names else x for name, x in example.items()}
