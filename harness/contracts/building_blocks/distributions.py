"""Rows that are distributions: pairs of them, repairs after an entry is changed or dropped, and impossible classes.

A repair adjusts the largest entry so that the sum is one. The changed entry then keeps its value, which a division by
the sum would alter.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks import usual_laws
from harness.contracts.building_blocks.logit_rows import largest_logit
from harness.contracts.building_blocks.usual_laws import Exact
from harness.floats import Format, portable, to_array
from harness.laws import Axes, Example, Inputs, Law
from harness.laws.contract import normalize_sum
from harness.laws.strategies import FEW_COLUMNS, SEEDS, batches, draw_companions, lengths, make_tensors

AXES = Axes(("n", "k"), positive=True, restore=normalize_sum)
"""Axes of probabilities."""


def with_logarithms(log_q: Tensor, format_: Format) -> Tensor | None:
    r"""Return logarithms ``[..., k]`` of such probabilities, or ``None`` if the other probabilities exceed one.

    Notes
    -----
    Rounding each logarithm by a few ulp changes the sum by :math:`8 u \sum_j q_j |\ln q_j| \le 8 u \ln k`. Rows within
    twice that bound and the sum's own rounding stay unchanged. Rows with an infinite entry also stay unchanged,
    because a law has removed their probability.
    """
    values = log_q.double()
    largest = values.argmax(-1, keepdim=True)
    rest = values.scatter(-1, largest, -torch.inf).exp().sum(-1, keepdim=True)
    lacking = (values.exp().sum(-1, keepdim=True) - 1.0).abs()
    within = ~(lacking > 16.0 * format_.u * (1.0 + math.log(log_q.shape[-1])))
    within |= values.isinf().any(-1, keepdim=True)
    if bool((~within & (rest >= 1.0)).any()) or bool((values.isfinite() & (values > 0.0)).any()):
        return None
    return torch.where(within, log_q, values.scatter(-1, largest, (-rest).log1p()).to(log_q.dtype))


def pairs(format_: Format) -> st.SearchStrategy[tuple[Tensor, Tensor, np.random.Generator]]:
    """Positive probabilities, and logarithms of another distribution, normalized before they are rounded.

    There are four kinds, each for a quarter of the rows: an unrelated distribution of any magnitude; the same
    distribution, rounded separately; the logarithm of ``p`` a few ulp away; and the classes in reverse order, so that
    likely classes become unlikely.
    """

    def expand(logits: Tensor, seed: int) -> tuple[Tensor, Tensor, np.random.Generator]:
        rng = np.random.default_rng(seed)
        p = rounded_softmax(logits, format_)
        return _another(logits, p, rng, format_), p, rng

    return st.builds(expand, batches(format_, largest=-2.0 * format_.log_smallest), SEEDS)


def rounded_softmax(logits: Tensor, format_: Format) -> Tensor:
    """Probabilities of logits, rounded once and never zero."""
    return torch.from_numpy(portable.softmax(to_array(logits))).clamp_min(format_.smallest).to(format_.dtype)


def smallest(format_: Format) -> list[float]:
    """The smallest positive numbers: subnormal and normal."""
    return [format_.smallest, format_.tiny, 2.0 * format_.tiny]


def extremes(format_: Format, other: str, choices: list[float]) -> st.SearchStrategy[Example]:
    """Draw ``p`` with one nearly certain class, and the other distribution from some numbers."""

    def expand(rows: int, columns: int, seed: int) -> Example:
        rng = np.random.default_rng(seed)
        p = rng.choice(smallest(format_), size=(rows, columns))
        p[np.arange(rows), rng.integers(columns, size=rows)] = rng.choice([1.0, 1.0 - format_.u], size=rows)
        return make_tensors(format_, **{"p": p, other: rng.choice(choices, size=(rows, columns))})

    return st.builds(expand, lengths(16, 128), lengths(1, 8, small=FEW_COLUMNS), SEEDS)


def without(distribution: Tensor, dropped: Tensor) -> Tensor:
    """Make some classes impossible, and divide by the sum of the others."""
    rest = distribution.double().masked_fill(dropped, 0.0)
    return (rest / rest.sum(-1, keepdim=True)).to(distribution.dtype)


def _another(logits: Tensor, p: Tensor, rng: np.random.Generator, format_: Format) -> Tensor:
    """Logarithms for these four kinds."""
    magnitude = portable.exp2(rng.random((len(logits), 1)) * float(portable.log2(largest_logit(format_))))
    far = to_array(draw_companions(logits.double(), rng)) * magnitude
    few_ulp = portable.log(to_array(p)) * (1.0 + rng.integers(-4, 5, size=tuple(p.shape)) * 2.0 * format_.u)
    same = portable.log_softmax(to_array(logits))
    reverse = portable.log_softmax(to_array(logits)[..., ::-1])
    kinds = [torch.from_numpy(kind) for kind in (portable.log_softmax(far), same, few_ulp, reverse)]
    chosen = torch.from_numpy(rng.integers(0, 4, size=(1, len(p), 1))).expand(1, *p.shape)
    return torch.stack(kinds).gather(0, chosen)[0].clamp(-largest_logit(format_), 0.0).to(format_.dtype)


def class_order_invariant(exact: Exact) -> Law:
    """Return the law that the divergence of reversed classes is the same."""
    return usual_laws.unchanged(
        exact,
        "class_order_invariant",
        "The order of the classes does not change the divergence.",
        other=lambda divergence, *distributions: divergence(*(x.flip(-1) for x in distributions)),
        comparison=exact.comparison,
        source="a sum does not depend on the order of its terms",
        cause="a class is excluded by its position, or the last probability is computed as one minus the others: "
        "treat all classes alike",
    )


def of_impossible_classes(value: Law, without: Callable[..., Inputs], *, zero: str, non_finite: str) -> tuple[Law, ...]:
    """Derive the laws about classes that are impossible under ``p``, ``q`` (which ``zero`` says), or both."""
    adds_nothing = {"group": "special", "non_finite": non_finite}
    return (
        value.derive(
            without(of_p=True, of_q=False),
            "zero_probability_adds_nothing",
            "A class with p = 0 adds nothing: 0 ln 0 = 0.",
            **adds_nothing,
        ),
        value.derive(
            without(of_p=True, of_q=True),
            "impossible_for_both_adds_nothing",
            f"A class with p = 0 and {zero} adds nothing.",
            **adds_nothing,
        ),
        value.derive_special(
            without(of_p=False, of_q=True),
            "infinite_where_only_q_is_zero",
            f"A class with p > 0 and {zero} makes the divergence +inf.",
            cause="q is clamped or gets an epsilon, or the class is omitted because q is zero: use q unchanged",
        ),
    )
