"""Logits with labels: inputs, and the exact cross-entropy.

An implementation reduces over a batch, so the inputs are many small batches: logits are ``[g, n, k]`` and labels
``[g, n]``. Laws about single rows use groups of one row.
"""

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks.definition import Definition
from harness.contracts.building_blocks.exponential_sums import dominated, log_softmax_screen
from harness.contracts.building_blocks.logit_rows import largest_logit
from harness.contracts.building_blocks.reduction import oracle_of_loss
from harness.floats import Array, DoubleDouble, Format, dd, portable
from harness.laws import Example, Inputs
from harness.laws.strategies import SEEDS, STRUCTURES, alter_inputs, batches, draw_labels, mask_entries

_SINGLE_ROWS = 128
"""Maximum number of single-row groups; each group is a separate call."""


def groups_of_logits(format_: Format, *, min_columns: int = 1) -> st.SearchStrategy[Example]:
    """Structured logits in groups of one, two or four rows, with labels."""

    def expand(rows: Tensor, n: int, seed: int) -> Example:
        logits = rows[: len(rows) // n * n].reshape(-1, n, rows.shape[-1])
        return {"logits": logits, "labels": draw_labels(logits, np.random.default_rng(seed))}

    structures, columns = (*STRUCTURES, dominated), (min_columns, 32)
    rows = batches(format_, largest=largest_logit(format_), structures=structures, rows=(4, 192), columns=columns)
    return st.builds(expand, rows, st.sampled_from([1, 1, 2, 4]), SEEDS)


MANY_ROWS = (65, 257, 4_097, 65_537)
"""Numbers of rows that exceed a warp, a block, and the range of a 16-bit index."""


def many_rows(format_: Format) -> st.SearchStrategy[Example]:
    """One group of many rows with three ordinary logits each."""

    def expand(n: int) -> Example:
        rng = np.random.default_rng(n)
        logits = torch.from_numpy(portable.standard_normal(rng, (1, n, 3))).to(format_.dtype)
        return {"logits": logits, "labels": draw_labels(logits, rng)}

    return st.sampled_from(MANY_ROWS).map(expand)


def _mask_off_label(example: Example, rng: np.random.Generator) -> Example:
    logits, index = example["logits"], example["labels"][..., None]
    return {**example, "logits": mask_entries(logits, rng).scatter(-1, index, logits.gather(-1, index))}


masked_off_label = alter_inputs(groups_of_logits, _mask_off_label)
"""Logits with some -inf, but never at the label."""


def masked_at_label(format_: Format) -> st.SearchStrategy[Example]:
    """Logits of at least two classes; in the first row of every third group the label's logit is -inf."""

    def expand(example: Example) -> Example:
        logits = example["logits"].clone()
        groups = torch.arange(0, len(logits), 3)
        logits[groups, 0, example["labels"][groups, 0]] = -torch.inf
        return {**example, "logits": logits}

    return groups_of_logits(format_, min_columns=2).map(expand)


def single_rows(inputs: Inputs, seeds: st.SearchStrategy[int] = SEEDS) -> Inputs:
    """Logits of another contract's examples as groups of one row, with labels."""

    def labelled(example: Example, rng: np.random.Generator) -> Example:
        logits: Tensor = example["logits"][:_SINGLE_ROWS, None, :]
        return {"logits": logits, "labels": draw_labels(logits, rng)}

    return alter_inputs(inputs, labelled, seeds)


# The cross-entropy, exactly


def pick(values: Any, labels: Any) -> Any:
    """Return ``values[..., label]`` for each row."""
    return np.take_along_axis(values, labels[..., None], -1)[..., 0]


def _row_loss_screen(elementary: dd.Elementary, x: Array, labels: Any) -> DoubleDouble:
    y = log_softmax_screen(elementary, x)
    return -DoubleDouble(pick(y.hi, labels), pick(y.lo, labels))


LOSS = "(x, label: index): -log_softmax(x)[label]"
"""The loss of a row."""

loss_oracle = oracle_of_loss(_row_loss_screen, Definition(LOSS).exact)
