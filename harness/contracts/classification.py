"""Exact bookkeeping of classification: one-hot encoding and accuracy."""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.floats import FORMATS, Format, Measurement, compare, dd, to_array
from harness.laws import Axes, Contract, Example, Subject, derive_long_rows, implementation_laws, law
from harness.laws.strategies import EDGES, LENGTHS, batches, draw_labels, make_inputs


@law(
    "one_hot(labels, k) is 1 at the label and 0 elsewhere.",
    source="definition",
    cause="the encoding is shifted, or does not have k columns: index from zero, with k columns",
    group="value",
)
def ones_at_the_labels(one_hot: Subject, labels: Tensor, k: int) -> Measurement:
    """Compare entry by entry, exactly."""
    expected = dd.lift((np.arange(k) == labels.numpy()[:, None]).astype(np.float64))
    return compare(one_hot(labels, k), expected, 0.0, one_hot.format)


@law(
    "accuracy is the share of rows whose largest score is at their label, or their number if declared so.",
    source="definition",
    bound="1 ulp for the division, plus one for more than 2^p rows, because the sum is rounded first; 0 for a number",
    cause="a count instead of a share, the wrong axis, or an integer division: divide the hits by the number of rows",
    group="value",
)
def share_of_hits(accuracy: Subject, scores: Tensor, labels: Tensor) -> Measurement:
    """Count hits in the scores; a float32 result, as in the book, is accepted for scores of any dtype."""
    hits = (to_array(scores).argmax(-1) == labels.numpy()).sum(-1)
    n, actual = scores.shape[-2], accuracy(scores, labels)
    narrow = actual.dtype is torch.float32 and accuracy.format.precision > FORMATS["float32"].precision
    format_ = FORMATS["float32"] if narrow else accuracy.format
    if accuracy.declares["reduction"] == "sum":
        return compare(actual, dd.lift(hits.astype(np.float64)), 0.0, format_)
    bound = 1.0 if n <= 2**format_.precision else 2.0
    return compare(actual, dd.lift(hits.astype(np.float64)) / float(n), bound, format_)


@law(
    "Multiplying all scores by four does not change the accuracy.",
    source="argmax is invariant; scaling up by a power of two is exact, subnormals included",
    cause="the values of the scores affect the result: use only their order",
)
def scale_does_not_matter(accuracy: Subject, scores: Tensor, labels: Tensor) -> Measurement:
    """Compare with the accuracy of the scaled scores."""
    reference = to_array(accuracy(scores * 4.0, labels))
    return compare(accuracy(scores, labels), reference, 0.0, accuracy.format)


@law(
    "The order of the rows does not change the accuracy.",
    source="a sum of at most 2^p ones is exact in any order",
    cause="labels and scores lose their pairing, a row is skipped, or later rows weigh more as in a running "
    "average: weigh all rows equally",
)
def order_does_not_matter(accuracy: Subject, scores: Tensor, labels: Tensor) -> Measurement:
    """Compare with the accuracy of the rows in two other orders: rotated, and reversed."""
    reference = to_array(accuracy(scores, labels))
    rest = [accuracy(scores.roll(1, 1), labels.roll(1, 1)), accuracy(scores.flip(1), labels.flip(1))]
    return compare(np.stack([to_array(result) for result in rest], -1), reference[:, None], 0.0, accuracy.format)


def _masked_scores(format_: Format) -> st.SearchStrategy[Example]:
    """Scores with -inf everywhere except for the two largest scores, in every second row."""

    def expand(example: Example) -> Example:
        scores = example["scores"].clone()
        half = scores[:, ::2]
        scores[:, ::2] = half.masked_fill(half < half.topk(2, -1).values[..., -1:], -torch.inf)
        return {**example, "scores": scores}

    return _scores(format_).map(expand)


def _many_scores(format_: Format) -> st.SearchStrategy[Example]:
    """Two classes and up to 65,536 rows; none, half, most or all of the rows are hits."""

    def expand(n: int) -> Example:
        hits = np.arange(n) < np.array([[0], [n // 2], [n - n // 7], [n]])
        # The classes alternate, so that comparing a row with the label of another row shows.
        predicted = np.broadcast_to(np.arange(n) % 2, hits.shape)
        scores = torch.from_numpy(np.stack([1 - predicted, predicted], -1)).to(format_.dtype)
        return {"scores": scores, "labels": torch.from_numpy(np.where(hits, predicted, 1 - predicted))}

    return st.sampled_from(LENGTHS + EDGES).map(expand)


@make_inputs(st.integers(1, 20), st.integers(1, 64))
def _labels(_: Format, k: int, n: int, rng: np.random.Generator) -> Example:
    return {"labels": torch.from_numpy(rng.integers(0, k, size=n)), "k": k}


@make_inputs(
    lambda format_: batches(format_, largest=format_.max / 16.0, rows=(8, 192), columns=(2, 20)),
    st.sampled_from([1, 3, 8]),
)
def _scores(format_: Format, rows: Tensor, n: int, rng: np.random.Generator) -> Example:
    """Scores ``[g, n, k]`` with one maximum per row, because the result for ties is undefined."""
    scores = rows[: len(rows) // n * n].reshape(-1, n, rows.shape[-1])
    largest = scores.double().amax(-1, keepdim=True)
    unique = ((scores.double() == largest).sum(-1, keepdim=True) == 1).all(1, keepdim=True)
    scores = torch.where(unique, scores, torch.arange(scores.shape[-1]).to(format_.dtype).expand_as(scores))
    return {"scores": scores, "labels": draw_labels(scores, rng)}


ONE_HOT = Contract(
    "one_hot",
    signature="(labels[n], k) -> [n,k]",
    summary="1 at the label, 0 elsewhere",
    domain="0 <= label < k",
    inputs=_labels,
    laws=(ones_at_the_labels, *implementation_laws(ones_at_the_labels, ranks=False, nan=False, dtype=False)),
    axes={"labels": Axes(("n",), index_of="k")},
    output=("n", "k"),
    dtypes=("float32",),
)

ACCURACY = Contract(
    "accuracy",
    signature="(scores[n,k], labels[n]) -> []",
    summary="share of rows whose largest score is at their label",
    domain="scores with a unique maximum in each row; some laws also use -inf",
    inputs=_scores,
    laws=(
        share_of_hits,
        scale_does_not_matter,
        order_does_not_matter,
        share_of_hits.derive_special(
            _masked_scores,
            "masked_scores",
            "Scores of -inf, which exclude a class, do not change the accuracy.",
            cause="the scores are multiplied by a mask, and 0 * -inf is NaN: select with where",
        ),
        derive_long_rows(
            share_of_hits,
            _many_scores,
            cause="a count of hits in a 16-bit format stops growing at 2^p (256 in bfloat16, 2,048 in float16): "
            "count in integers",
            examples=len(LENGTHS + EDGES),
        ),
        *implementation_laws(share_of_hits, rows=False, nan=False, dtype=False),
    ),
    axes={"scores": Axes(("g", "n", "k")), "labels": Axes(("g", "n"), index_of="k")},
    output=(),
    conventions={"reduction": ("mean", "sum")},
    grouped=True,
)
