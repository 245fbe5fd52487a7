"""Shared parts of the contracts on logits: structured inputs, and conventions for undefined points."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks import usual_laws
from harness.contracts.building_blocks.usual_laws import Exact
from harness.floats import Array, Format, compare_absolute, portable, to_array
from harness.laws import Axes, Example, Inputs, Law, Subject, many_rows, strategies

DOMAIN = "finite logits, |x| <= max / 16; some laws also use -inf, +inf, NaN and larger numbers"

LONG_ROWS = (
    "a sum accumulated in a 16-bit format stops growing at 2^p, and 65,520 classes overflow float16: accumulate in "
    "float32"
)
"""Likely cause of a failure on long rows."""


# Inputs


def largest_logit(format_: Format) -> float:
    """Bound on ``|x|``: a sixteenth of the largest finite number, so that differences of logits are finite."""
    return format_.max / 16.0


def largest_weight(_: Format) -> float:
    """Bound on the weights of the outputs, for the law of the gradient."""
    return 2.0


AXES = {"logits": Axes(("n", "k"), largest=largest_logit), "cotangent": Axes(("n", "k"), largest=largest_weight)}
REDUCED_AXES = {"logits": Axes(("n", "k"), largest=largest_logit), "cotangent": Axes(("n",), largest=largest_weight)}
"""Axes for an output with an entry for each logit, and for an output with one number per row."""


def logits_and_cotangents(format_: Format) -> st.SearchStrategy[Example]:
    """Structured logits ``[n, k]``, and weights of the outputs for the law of the gradient."""
    return strategies.add_cotangent(strategies.batches(format_, largest=largest_logit(format_)), "logits")


def logits_and_weights(*structures: strategies.Structure) -> Inputs:
    """Logits ``[n, k]`` of the usual and other structures, and one weight per row for the law of the gradient."""

    def inputs(format_: Format) -> st.SearchStrategy[Example]:
        logits = strategies.batches(
            format_, largest=largest_logit(format_), structures=(*strategies.STRUCTURES, *structures)
        )
        return strategies.add_cotangent(logits, "logits", lambda logits: logits[:, 0])

    return inputs


def some_masked(inputs: Inputs) -> Inputs:
    """Logits with some -inf; each row has at least one finite logit."""
    return strategies.alter_inputs(
        inputs, lambda example, rng: {**example, "logits": strategies.mask_entries(example["logits"], rng)}
    )


masked_logits = some_masked(logits_and_cotangents)


def every_third_row(fill: Callable[[Tensor], Tensor]) -> Inputs:
    """Logits with every third row replaced."""

    def filled(example: Example) -> Example:
        logits = example["logits"].clone()
        logits[::3] = fill(logits[::3])
        return {**example, "logits": logits}

    return strategies.change_inputs(logits_and_cotangents, filled)


def all_masked(rows: Tensor) -> Tensor:
    """Rows of only -inf."""
    return torch.full_like(rows, -torch.inf)


def one_infinite(rows: Tensor) -> Tensor:
    """One logit of +inf in each row."""
    return rows.scatter(-1, (torch.arange(len(rows)) % rows.shape[-1])[:, None], torch.inf)


def extreme_logits(format_: Format) -> st.SearchStrategy[Example]:
    """Logits that include the largest and the smallest numbers of the format."""
    return strategies.extremes(format_).map(lambda logits: {"logits": logits})


def long_logits(format_: Format) -> st.SearchStrategy[Example]:
    """Rows of up to 65,536 nearly equal logits."""
    return strategies.long_rows(format_).map(lambda logits: {"logits": logits})


many_logits = many_rows({"logits": Axes(("n", "k"))})
"""Ordinary rows, for the law about drift."""


def sum_of_exponentials(find_sum: Callable[[Subject, Tensor], Any]) -> Callable[..., tuple[float, float]]:
    """Return a contract's ``total``; ``find_sum`` derives the sum of a row's exponentials from the output."""

    def total(subject: Subject, terms: Array) -> tuple[float, float]:
        logits = torch.from_numpy(portable.log(terms)).to(subject.format.dtype)[None]
        return float(find_sum(subject, logits)), math.fsum(np.exp(to_array(logits)[0]))

    return total


# Laws

LEFT_OPEN_AT_INFINITY = "inf - inf is undefined although its limit is not; see the convention `infinite_logit`"
NAN_OR_LIMIT = "`infinite_logit` is a convention (nan or limit): declare the one you intend"
OR_DIFFERENCE = "`infinite_logit` is a convention (nan, limit or difference): declare the one you intend"
MASKED_ROWS = "Logits of -inf have gradient zero, and the gradient of the others is the same as without them."
"""Statement about the gradient of masked logits."""


def fully_masked_law(exact: Exact, statement: str, policies: Callable[..., Mapping[str, Any]], **fields: Any) -> Law:
    """Return the law that rows of only -inf follow the declared convention; each row may be a batch."""
    default: dict[str, Any] = {
        "source": "0 / 0 is undefined; see the convention `fully_masked`",
        "bound": "1/2 ulp",
        "cause": "`fully_masked` is a convention (nan, zeros or uniform): declare the one you intend",
        "inputs": every_third_row(all_masked),
        "rows": lambda logits, *_: np.isneginf(to_array(logits)).reshape(len(logits), -1).all(-1),
    }
    return usual_laws.policy(
        exact,
        "fully_masked_row",
        statement,
        convention="fully_masked",
        policies=policies,
        **{**default, **fields},
    )


def infinite_logit_law(
    exact: Exact, statement: str, policies: Callable[..., Mapping[str, Any]], *, cause: str = NAN_OR_LIMIT
) -> Law:
    """Return the law that rows with one logit of +inf follow the declared convention."""
    return usual_laws.policy(
        exact,
        "infinite_logit",
        statement,
        convention="infinite_logit",
        rows=lambda logits: np.isposinf(to_array(logits)).any(-1),
        policies=policies,
        source=LEFT_OPEN_AT_INFINITY,
        cause=cause,
        inputs=every_third_row(one_infinite),
    )


def masked_entries_law(exact: Exact, statement: str, source: str) -> Law:
    """Return the law about the entries of an output at some logits of -inf, and about its other entries."""
    return usual_laws.value(
        exact,
        statement,
        name="masked_entries",
        source=source,
        bound="no tolerance where masked, the value's bound elsewhere",
        cause="0 * -inf or a shift by a masked maximum is NaN, or a large negative constant replaces -inf: use -inf, "
        "and shift by a finite maximum",
        group="special",
        inputs=masked_logits,
    )


def columns_law(exact: Exact, statement: str, other: Callable[..., Tensor], non_finite: str) -> Law:
    """Return the law that the order of the columns does not matter, where ``other`` reverses them."""
    return usual_laws.unchanged(
        exact,
        "columns_in_any_order",
        statement,
        other=other,
        comparison=compare_absolute,
        source="a sum does not depend on the order of its terms",
        cause="the columns are treated differently, for example one is dropped, weighted, or assumed to be the "
        "maximum: treat them alike",
        non_finite=non_finite,
    )


def of_masked_rows(gradient: Law, inputs: Inputs, statement: str = MASKED_ROWS) -> Law:
    """Derive the law of the gradient for rows with some logits of -inf."""
    return gradient.derive(inputs, "gradient_of_masked_rows", statement)


def of_every_operation(value: Law, gradient: Law, *also: Inputs, many: Inputs = many_logits) -> tuple[Law, ...]:
    """Derive the laws of every operation for one on rows of logits; see :func:`usual_laws.of_every_operation`."""
    return (
        usual_laws.on_extreme_numbers(value, extreme_logits),
        *usual_laws.of_every_operation(value, gradient, *also, long=long_logits, cause=LONG_ROWS, many=many),
    )
