"""Exact bookkeeping of classification: one-hot encoding and accuracy."""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness import double_double as dd
from harness.law import Axes, Contract, Example, law
from harness.measurement import Measurement, compare
from harness.precision import Format, to_array
from harness.strategies import SEEDS, batches, labels_for
from harness.subject import Subject


@law(
    "one_hot(labels, k) is 1 at the label and 0 elsewhere.",
    source="definition",
    bound="none",
    cause="the encoding is shifted, or has another number of columns than k",
    group="value",
)
def ones_at_the_labels(one_hot: Subject, labels: Tensor, k: int) -> Measurement:
    """Compare entry by entry, exactly."""
    expected = dd.lift((np.arange(k) == labels.numpy()[:, None]).astype(np.float64))
    return compare(one_hot(labels, k), expected, 0.0, one_hot.format)


@law(
    "accuracy is the share of rows whose largest score is at their label.",
    source="definition",
    bound="1 ulp: one division, and the rounding of a sum of at most 2^p ones",
    cause="a count instead of a share, the wrong axis, or an integer division",
    group="value",
)
def share_of_hits(accuracy: Subject, scores: Tensor, labels: Tensor) -> Measurement:
    """Count on the scores themselves."""
    hits = (to_array(scores).argmax(-1) == labels.numpy()).sum(-1)
    expected = dd.lift(hits.astype(np.float64)) / float(scores.shape[-2])
    return compare(accuracy(scores, labels), expected, 1.0, accuracy.format)


@law(
    "Multiplying all scores by four does not change the accuracy.",
    source="argmax is invariant; scaling up by a power of two is exact, subnormals included",
    bound="none",
    cause="the scores' values enter the result, not only their order",
    group="algebra",
)
def scale_does_not_matter(accuracy: Subject, scores: Tensor, labels: Tensor) -> Measurement:
    """Compare with the accuracy of the scaled scores."""
    reference = to_array(accuracy(scores * 4.0, labels))
    return compare(accuracy(scores, labels), reference, 0.0, accuracy.format)


def _labels(_: Format) -> st.SearchStrategy[Example]:
    def expand(k: int, n: int, seed: int) -> Example:
        return {"labels": torch.from_numpy(np.random.default_rng(seed).integers(0, k, size=n)), "k": k}

    return st.builds(expand, st.integers(1, 20), st.integers(0, 64), SEEDS)


def _scores(format_: Format) -> st.SearchStrategy[Example]:
    """Scores ``[g, n, k]`` whose rows have one maximum: what a tie means is left open."""

    def expand(rows: Tensor, n: int, seed: int) -> Example:
        scores = rows[: len(rows) // n * n].reshape(-1, n, rows.shape[-1])
        largest = scores.double().amax(-1, keepdim=True)
        unique = ((scores.double() == largest).sum(-1, keepdim=True) == 1).all(1, keepdim=True)
        plain = torch.arange(scores.shape[-1]).to(format_.dtype).expand_as(scores)
        scores = torch.where(unique, scores, plain)
        return {"scores": scores, "labels": labels_for(scores, np.random.default_rng(seed))}

    rows = batches(format_, largest=format_.max / 16.0, rows=(8, 192), columns=(2, 20))
    return st.builds(expand, rows, st.sampled_from([1, 3, 8]), SEEDS)


ONE_HOT = Contract(
    "one_hot",
    signature="(labels[n], k) -> [n,k]",
    summary="1 at the label, 0 elsewhere",
    domain="0 <= label < k",
    inputs=_labels,
    laws=(ones_at_the_labels,),
    axes={"labels": Axes(("n",), index_of="k")},
    dtypes=("float32",),
)

ACCURACY = Contract(
    "accuracy",
    signature="(scores[n,k], labels[n]) -> []",
    summary="share of rows whose largest score is at their label",
    domain="finite scores with one maximum a row",
    inputs=_scores,
    laws=(share_of_hits, scale_does_not_matter),
    axes={"scores": Axes(("g", "n", "k")), "labels": Axes(("g", "n"), index_of="k")},
    output=(),
    grouped=True,
)
