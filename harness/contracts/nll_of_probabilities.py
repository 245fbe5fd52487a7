"""The chapter's cross-entropy by indexing: the negative logarithm of the label's probability, for each row.

A case may declare a reduction over the rows, to the mean or the sum.
"""

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks import usual_laws
from harness.contracts.building_blocks.definition import Definition
from harness.contracts.building_blocks.distributions import rounded_softmax
from harness.contracts.building_blocks.reduction import averaged, oracle_of_loss, reduced
from harness.contracts.building_blocks.usual_laws import Exact
from harness.floats import FORMATS, Array, DoubleDouble, Format, Measurement, Oracle, compare, dd
from harness.laws import Axes, Contract, Example, Ray, Subject, derivative_laws, implementation_laws, law
from harness.laws.contract import normalize_sum
from harness.laws.strategies import batches, draw_labels, make_inputs

_DOWN = 60
"""Exponent by which inverses of probabilities are scaled down; it exceeds the number of bits of a subnormal."""


def _gradient_screen(_: dd.Elementary, probabilities: Array, labels: Any, reduction: str) -> DoubleDouble:
    at_label = np.arange(probabilities.shape[-1]) == labels[..., None]
    # Scale down, because the inverse of a subnormal overflows although its n-th part in a mean may not.
    inverse = -(dd.lift(np.full(probabilities.shape, 2.0**-_DOWN)) / probabilities)
    inverse = averaged(inverse, reduction, axis=-2)
    with np.errstate(over="ignore"):
        hi = np.where(at_label, inverse.hi * 2.0**_DOWN, 0.0)
    return DoubleDouble(hi, np.where(at_label & np.isfinite(hi), inverse.lo * 2.0**_DOWN, 0.0))


_ROWS, _SLOPE = (Definition("(p, label: index): -log(p[label])", by=by) for by in ("", "p"))

value_oracle = oracle_of_loss(_ROWS.screen, _ROWS.exact)
gradient_oracle = Oracle(
    _gradient_screen, lambda p, labels, reduction: averaged(_SLOPE.exact(p, labels), reduction, axis=-2)
)


def _value_error(_: Tensor, labels: Tensor, reduction: str, expected: DoubleDouble, format_: Format) -> Array:
    """``2 u |y|`` and a subnormal per row; a reduction adds ``(n - 1) u_a + 2 u``."""
    n = 1 if reduction == "none" else labels.shape[-1]
    reducing = 0.0 if reduction == "none" else (n - 1) * format_.u_accumulator + 2.0 * format_.u
    with np.errstate(invalid="ignore"):
        relative = (2.0 * format_.u + reducing) * (1.0 + 4.0 * reducing)
        return np.asarray(relative * np.abs(expected.hi) + (n + (n > 1)) * format_.smallest)


def _gradient_error(_: Tensor, __: Tensor, reduction: str, expected: DoubleDouble, format_: Format) -> Array:
    """``2 u |y|``, another ``2 u`` for ``1 / n`` in a mean, and a subnormal."""
    relative = (4.0 if reduction == "mean" else 2.0) * format_.u
    with np.errstate(invalid="ignore"):
        return np.asarray(relative * (1.0 + relative) * np.abs(expected.hi) + format_.smallest)


value = usual_laws.value(
    Exact(("probabilities", "labels"), value_oracle, _value_error, ("reduction",)),
    "The loss of a row is -ln of the probability at its label.",
    source="definition; a logarithm accurate to one ulp",
    bound="2 u |y|, plus (n - 1) u_a + 2 u for a mean or a sum",
    cause="an epsilon or a clamp on the probability changes the loss of unlikely classes, or the wrong entry is "
    "selected: use -log of the probability at the label",
)


@law(
    "A label of probability zero has loss +inf, and one of probability one has loss zero.",
    source="-ln 0 = +inf, ln 1 = 0",
    cause="an epsilon or a clamp makes the loss of an impossible label finite, or that of a certain label nonzero: "
    "remove it",
    group="special",
)
def certain_and_impossible(loss: Subject, probabilities: Tensor, labels: Tensor) -> Measurement:
    """Put all probability at the label in even rows, and none in odd rows."""
    impossible = (torch.arange(labels.numel()) % 2).bool().reshape(labels.shape)
    at_label = torch.zeros_like(probabilities).scatter(-1, labels[..., None], 1.0)
    p = torch.where(impossible[..., None], probabilities * (1.0 - at_label), at_label)
    rows = np.where(impossible.numpy(), np.inf, 0.0)
    expected = reduced(rows, loss.declares["reduction"], lambda rows: rows.sum(-1))
    return compare(loss(p, labels), expected, 0.0, loss.format)


gradient = usual_laws.gradient(
    Exact(("probabilities", "labels"), gradient_oracle, _gradient_error, ("reduction",)),
    "The gradient is -1 / p at the label and zero elsewhere.",
    source="d(-ln p)/dp",
    bound="2 u / p; twice as much for a mean",
    cause="a clamp has gradient zero below its threshold, where the exact gradient is largest: remove the clamp",
)


@make_inputs(
    lambda format_: batches(format_, largest=2.0 * -format_.log_smallest, rows=(4, 192)), st.sampled_from([1, 2, 3, 4])
)
def _probabilities(format_: Format, logits: Tensor, n: int, rng: np.random.Generator) -> Example:
    """Groups of rounded softmax rows of structured logits; a zero becomes the smallest subnormal."""
    p = rounded_softmax(logits[: len(logits) // n * n].reshape(-1, n, logits.shape[-1]), format_)
    return {"probabilities": p, "labels": draw_labels(p, rng)}


def _rare(t: Tensor, _: Format) -> Example:
    return {"probabilities": torch.stack([t, 1.0 - t], 1)[:, None], "labels": torch.zeros(len(t), 1, dtype=torch.int64)}


def _log_of_zero(loss: Subject) -> str | None:
    """Say what happens if a softmax underflows before this loss, unless the loss of probability zero is finite."""
    certain = torch.tensor([[1.0, 0.0]], dtype=loss.format.dtype)
    if not bool(loss.once(certain, torch.tensor([1])).isinf().all()):
        return None
    least = -FORMATS["float32"].log_smallest
    return (
        "log(0): the loss of a probability that underflows to 0 is infinite, in float32 if the logits differ by "
        f"more than {least:.1f}; compute it from logits, as with `log_softmax`"
    )


NLL_OF_PROBABILITIES = Contract(
    "nll_of_probabilities",
    aliases=("cross_entropy",),
    signature="(probabilities[n,k], labels[n]) -> [n]",
    summary="-ln of the probability at the label, row by row",
    domain="0 < p <= 1, including subnormal probabilities; some laws also use zero",
    inputs=_probabilities,
    # A NaN away from the label is never read, so the law about NaN does not apply.
    laws=(
        *usual_laws.defined_in(globals()),
        *derivative_laws(gradient),
        *implementation_laws(value, many=False, ranks=False, nan=False),
    ),
    axes={
        "probabilities": Axes(("g", "n", "k"), positive=True, restore=normalize_sum),
        "labels": Axes(("g", "n"), index_of="k"),
    },
    output=(),
    rays=(Ray("rare class", "(t, 1 - t), label of t", _rare, lambda format_: format_.smallest, lambda _: 0.5),),
    conventions={"reduction": ("none", "mean", "sum")},
    remark=_log_of_zero,
    grouped=True,
)
