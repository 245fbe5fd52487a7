"""The chapter's cross-entropy by indexing: the negative logarithm of the probability of the label, row by row."""

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks import usual_laws
from harness.contracts.building_blocks.distributions import with_sum_one
from harness.contracts.building_blocks.labelled_logits import pick
from harness.contracts.building_blocks.usual_laws import Exact
from harness.floats import Array, DoubleDouble, Format, Measurement, Oracle, compare
from harness.floats import double_double as dd
from harness.floats.oracle import log
from harness.laws import Axes, Contract, Example, Ray, Subject, implementation_laws, law
from harness.laws.strategies import SEEDS, batches, labels_for


def _value_screen(elementary: dd.Elementary, probabilities: Array, labels: Any) -> DoubleDouble:
    return -elementary.log(dd.lift(pick(probabilities, labels)))


def _gradient_screen(_: dd.Elementary, probabilities: Array, labels: Any) -> DoubleDouble:
    at_label = np.arange(probabilities.shape[-1]) == labels[..., None]
    inverse = -(dd.lift(np.ones(probabilities.shape)) / probabilities)
    return DoubleDouble(np.where(at_label, inverse.hi, 0.0), np.where(at_label, inverse.lo, 0.0))


def _gradient_exact(probabilities: Any, labels: Any) -> Any:
    at_label = np.arange(probabilities.shape[-1]) == labels[..., None]
    return np.where(at_label, -1 / probabilities, 0 * probabilities)


value_oracle = Oracle(_value_screen, lambda probabilities, labels: -log(pick(probabilities, labels)))
gradient_oracle = Oracle(_gradient_screen, _gradient_exact)


def _error(_: Tensor, __: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """``2 u |y|``, and a subnormal."""
    with np.errstate(invalid="ignore"):
        return np.asarray(2.0 * format_.u * np.abs(expected.hi) + format_.smallest)


value = usual_laws.value(
    Exact(("probabilities", "labels"), value_oracle, _error),
    "value",
    "The loss of a row is -ln of the probability at its label.",
    source="definition; a logarithm accurate to one ulp",
    bound="2 u |y|",
    cause="an epsilon or a clamp on the probability bends the loss of unlikely classes; or the wrong entry is picked",
)

gradient = usual_laws.gradient(
    Exact(("probabilities", "labels"), gradient_oracle, _error),
    "gradient",
    "The gradient is -1 / p at the label and zero elsewhere.",
    source="d(-ln p)/dp",
    bound="2 u / p",
    cause="a clamp has gradient zero below its threshold, where the truth is largest",
)


@law(
    "A label of probability zero has the loss +inf, and one of probability one the loss zero.",
    source="-ln 0 = +inf, ln 1 = 0",
    bound="none",
    cause="an epsilon or a clamp: the loss of the impossible is finite, or that of the certain is not zero",
    group="special",
)
def certain_and_impossible(loss: Subject, probabilities: Tensor, labels: Tensor) -> Measurement:
    """Put all of the probability at the label in the even rows, and none of it in the odd ones."""
    p = probabilities.clone()
    at = labels[:, None]
    p[::2] = 0.0
    p[::2] = p[::2].scatter(-1, at[::2], 1.0)
    p[1::2] = p[1::2].scatter(-1, at[1::2], 0.0)
    expected = np.where(np.arange(len(p)) % 2, np.inf, 0.0)
    return compare(loss(p, labels), expected, 0.0, loss.format)


def _probabilities(format_: Format) -> st.SearchStrategy[Example]:
    """Rows of a softmax of structured logits, rounded to the format; a zero becomes the smallest subnormal."""

    def expand(logits: Tensor, seed: int) -> Example:
        p = logits.double().softmax(-1).clamp_min(format_.smallest).to(format_.dtype)
        return {"probabilities": p, "labels": labels_for(p, np.random.default_rng(seed))}

    return st.builds(expand, batches(format_, largest=2.0 * -format_.log_smallest), SEEDS)


def _rare(t: Tensor, _: Format) -> Example:
    return {"probabilities": torch.stack([t, 1.0 - t], 1), "labels": torch.zeros(len(t), dtype=torch.int64)}


NLL_OF_PROBABILITIES = Contract(
    "nll_of_probabilities",
    aliases=("cross_entropy",),
    signature="(probabilities[n,k], labels[n]) -> [n]",
    summary="-ln of the probability at the label, row by row",
    domain="0 < p <= 1, subnormal probabilities among them; zero where a law says so",
    inputs=_probabilities,
    # A NaN that is not the label's is rightly never looked at.
    laws=(value, certain_and_impossible, gradient, *implementation_laws(value, nan=False)),
    axes={
        "probabilities": Axes(("n", "k"), positive=True, restore=with_sum_one),
        "labels": Axes(("n",), index_of="k"),
    },
    output=("n",),
    rays=(Ray("rare class", "(t, 1 - t), label of t", _rare, lambda format_: format_.smallest, lambda _: 0.5),),
)
