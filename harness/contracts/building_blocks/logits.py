"""What the contracts on logits share: structured inputs, and the policies where mathematics leaves a point open."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.floats import Array, Format, Measurement, compare, to_array
from harness.laws import Axes, Example, Inputs, Subject
from harness.laws.strategies import SEEDS, batches, companions, extremes, long_rows, masked

DOMAIN = "finite logits, |x| <= max / 16; -inf, +inf, NaN and larger ones where a law says so"

LONG_ROWS = (
    "a sum accumulated in the 16-bit format sticks at 2^p, and 65,520 classes overflow float16: accumulate in float32"
)
"""Likely cause of a failure on long rows."""


# Inputs


def largest_logit(format_: Format) -> float:
    """Bound on ``|x|``: a sixteenth of the largest finite number, so that differences of logits are finite."""
    return format_.max / 16.0


def largest_weight(_: Format) -> float:
    """Bound on the weights of the outputs, for the gradient's law."""
    return 2.0


AXES = {"logits": Axes(("n", "k"), largest=largest_logit), "cotangent": Axes(("n", "k"), largest=largest_weight)}


def logits_and_cotangents(format_: Format) -> st.SearchStrategy[Example]:
    """Structured logits ``[n, k]``, and weights of the outputs for the gradient's law."""

    def expand(logits: Tensor, seed: int) -> Example:
        return {"logits": logits, "cotangent": companions(logits, np.random.default_rng(seed))}

    return st.builds(expand, batches(format_, largest=largest_logit(format_)), SEEDS)


def masked_logits(format_: Format) -> st.SearchStrategy[Example]:
    """Logits of which some are -inf; at least one of each row is finite."""

    def expand(example: Example, seed: int) -> Example:
        return {**example, "logits": masked(example["logits"], np.random.default_rng(seed))}

    return st.builds(expand, logits_and_cotangents(format_), SEEDS)


def every_third_row(fill: Callable[[Tensor], Tensor]) -> Inputs:
    """Logits of which every third row is filled otherwise."""

    def inputs(format_: Format) -> st.SearchStrategy[Example]:
        def expand(example: Example) -> Example:
            logits = example["logits"].clone()
            logits[::3] = fill(logits[::3])
            return {**example, "logits": logits}

        return logits_and_cotangents(format_).map(expand)

    return inputs


def all_masked(rows: Tensor) -> Tensor:
    """Nothing but -inf."""
    return torch.full_like(rows, -torch.inf)


def one_infinite(rows: Tensor) -> Tensor:
    """One logit of +inf in each row."""
    at = torch.arange(len(rows)) % rows.shape[-1]
    return rows.scatter(-1, at[:, None], torch.inf)


def extreme_logits(format_: Format) -> st.SearchStrategy[Example]:
    """Logits among which are the largest and the smallest numbers of the format."""
    return extremes(format_).map(lambda logits: {"logits": logits})


def long_logits(format_: Format) -> st.SearchStrategy[Example]:
    """Rows of up to 65,536 near-equal logits."""
    return long_rows(format_).map(lambda logits: {"logits": logits})


def logarithms(terms: Array, format_: Format) -> tuple[Tensor, float]:
    """One row of logits whose exponentials are the terms, and the sum of the exponentials of what it rounds to."""
    logits = torch.from_numpy(np.log(terms)).to(format_.dtype)[None]
    return logits, math.fsum(np.exp(to_array(logits)[0]))


# Policies


def compare_policy(
    subject: Subject, actual: Tensor, rows: Any, policies: Mapping[str, Any], convention: str
) -> Measurement:
    """Compare the chosen rows with what the declared policy says of them.

    Parameters
    ----------
    subject
        Its declaration of ``convention`` names the policy.
    actual
        The output, with the rows as its first axis.
    rows
        Which rows the policy is about; the others are the business of other laws.
    policies
        What each policy expects, broadcast to the output.
    convention
        Name of the convention.
    """
    values = to_array(actual)
    wanted = policies[subject.declares[convention]]
    chosen = np.reshape(rows, (-1,) + (1,) * (values.ndim - 1))
    return compare(values, np.where(chosen, wanted, values), 0.5, subject.format)
