"""Inputs of the contracts on predictions of numbers with targets: groups ``[g, n]`` of both."""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.floats import Format, to_array
from harness.laws import Example, Inputs, Law
from harness.laws.strategies import SEEDS, batches, draw_companions, make_inputs

LONGEST_GROUP = 32
"""Maximum number of rows in an ordinary group."""


def pairs(format_: Format, largest: float) -> st.SearchStrategy[tuple[Tensor, Tensor]]:
    """Predictions ``[g, n]`` with targets that are far, near (a few ulp) or equal, in a third of the groups each."""

    def expand(prediction: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng(seed)
        far = draw_companions(prediction, rng).double().numpy()
        x = to_array(prediction)
        near = x * (1.0 + rng.integers(-4, 5, size=x.shape) * 2.0 * format_.u)
        kind = rng.integers(0, 3, size=(len(x), 1))
        target = np.clip(np.where(kind == 0, far, np.where(kind == 1, near, x)), -largest, largest)
        return prediction, prediction.new_tensor(target)

    return st.builds(expand, batches(format_, largest=largest, rows=(4, 64), columns=(1, LONGEST_GROUP)), SEEDS)


@make_inputs(st.tuples(st.integers(4, 64), st.integers(1, LONGEST_GROUP)))
def whole_pairs(format_: Format, shape: tuple[int, int], rng: np.random.Generator) -> Example:
    """Groups ``[g, n]`` of integers from -8 to 8, whose squares and sums are exact in every format."""
    prediction, target = torch.from_numpy(rng.integers(-8, 9, size=(2, *shape))).to(format_.dtype)
    return {"prediction": prediction, "target": target}


def infinite_pairs(format_: Format) -> st.SearchStrategy[tuple[Tensor, Tensor]]:
    """Groups ``[g, n]``: ordinary, with an infinite prediction, or with two infinities in the same place."""

    def expand(pair: tuple[Tensor, Tensor], seed: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng(seed)
        a, b = (to_array(x) for x in pair)
        groups, columns = np.arange(len(a)), rng.integers(a.shape[1], size=len(a))
        kind, signs = rng.integers(0, 4, size=len(a)), rng.choice([-np.inf, np.inf], size=(2, len(a)))
        a[groups, columns] = np.where(kind > 0, signs[0], a[groups, columns])
        b[groups, columns] = np.where(kind == 2, signs[0], np.where(kind == 3, signs[1], b[groups, columns]))
        return pair[0].new_tensor(a), pair[1].new_tensor(b)

    return st.builds(expand, pairs(format_, 64.0), SEEDS)


def alternating(rows: Tensor) -> Tensor:
    """Targets 0, 2, 0, 2, ..., which reveal an error that is taken from the wrong target."""
    return (2.0 * (torch.arange(rows.shape[-1]) % 2)).to(rows.dtype).expand_as(rows).contiguous()


LONG = (
    "a sum of squares in a 16-bit format stops growing at 2^p and overflows float16 from 65,520, and so does the "
    "count: accumulate in float32"
)
"""Likely cause of a failure on long rows."""


def infinite_errors(value: Law, inputs: Inputs) -> Law:
    """Derive the law about pairs with an infinite number, or with two."""
    return value.derive_special(
        inputs,
        "infinite_errors",
        "An infinite error makes the loss infinite; two equal infinities have no difference and make it NaN.",
        cause="equal values are assumed to have error zero, or non-finite values are replaced: let IEEE "
        "arithmetic decide",
    )
