r"""Softmax over the kept entries of a row.

The masked softmax of logits :math:`x` equals the softmax of :math:`x` with :math:`-\infty` at masked entries, and is
exactly zero there. The value of a masked logit, even an infinity or NaN, must not affect the value or the gradient.
The oracles and bounds are therefore those in :mod:`harness.contracts.building_blocks.exponential_sums` at the filled
logits, and the bound is zero at masked entries. The convention ``fully_masked`` decides whether a row without kept
entries gives NaN, zeros or the uniform distribution.
"""

from collections.abc import Callable

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks import exponential_sums as sums
from harness.contracts.building_blocks import logit_rows, usual_laws
from harness.contracts.building_blocks.usual_laws import Exact, within
from harness.contracts.softmax import gradient_bound
from harness.floats import (
    Array,
    DoubleDouble,
    Format,
    Measurement,
    compare,
    convert_to_ulp,
    exact_sum,
    portable,
    to_array,
)
from harness.floats import double_double as dd
from harness.laws import COLUMNS, Axes, Contract, Example, Inputs, Ray, Subject, law
from harness.laws.strategies import ONE_SEED, SEEDS, alter_inputs


def filled(logits: Tensor, keep: Tensor) -> Tensor:
    """Set masked logits to -inf."""
    return logits.masked_fill(~keep, -torch.inf)


def masked_softmax_oracle(logits: Tensor, keep: Tensor) -> DoubleDouble:
    """The softmax of the filled logits."""
    return sums.softmax_oracle(filled(logits, keep))


def masked_softmax_pullback(logits: Tensor, keep: Tensor, cotangent: Tensor) -> DoubleDouble:
    """The softmax's pullback at the filled logits, which is zero at masked entries."""
    return sums.softmax_pullback(filled(logits, keep), cotangent)


def _absolute_bound(logits: Tensor, keep: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """The bound of the softmax, with zero at masked entries."""
    return np.where(keep.numpy(), sums.softmax_typical_bound(filled(logits, keep), expected, format_), 0.0)


def _compare(actual: Tensor, expected: DoubleDouble, absolute: Array, keep: Tensor, format_: Format) -> Measurement:
    """Compare entry by entry; rows without kept entries pass, because other laws cover them."""
    reference = dd.select(keep.numpy().any(-1, keepdims=True), expected, to_array(actual))
    return compare(actual, reference, convert_to_ulp(absolute, expected, format_), format_)


# Inputs


def draw_mask(shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    """Keep all entries, one entry, or each with a probability that varies by row; each row keeps at least one."""
    unmasked = rng.random(shape) < rng.choice([0.0, 0.3, 0.7, 1.0], size=(shape[0], 1))
    np.put_along_axis(unmasked, rng.integers(shape[-1], size=(shape[0], 1)), values=True, axis=-1)
    return torch.from_numpy(unmasked)


Change = Callable[[Example, np.random.Generator], Example]


def _masked(
    change: Change = lambda example, _: example,
    *,
    inputs: Inputs = logit_rows.logits_and_cotangents,
    seeds: st.SearchStrategy[int] = SEEDS,
) -> Inputs:
    """Add a mask to logits, and change the example."""

    def with_mask(example: Example, rng: np.random.Generator) -> Example:
        keep = draw_mask(tuple(example["logits"].shape), rng)
        return change({"logits": example["logits"], "keep": keep, **example}, rng)

    return alter_inputs(inputs, with_mask, seeds)


def _masked_are_largest(example: Example, rng: np.random.Generator) -> Example:
    """Make masked logits larger than kept ones, by any amount from zero to the limit of the format."""
    logits, keep = example["logits"], example["keep"]
    top = filled(logits, keep).amax(-1, keepdim=True).double()
    largest = torch.finfo(logits.dtype).max
    above = torch.from_numpy(portable.exp2(rng.random(tuple(logits.shape)) * float(portable.log2(largest / 16.0))))
    larger = torch.where(torch.from_numpy(rng.random(tuple(logits.shape)) < 0.2), top, top + above)
    return {**example, "logits": torch.where(keep, logits, larger.to(logits.dtype))}


def _masked_are_special(example: Example, rng: np.random.Generator) -> Example:
    """Set masked logits to an infinity, NaN, or the largest number."""
    largest = torch.finfo(example["logits"].dtype).max
    specials = [np.inf, -np.inf, np.nan, largest, -largest]
    drawn = torch.from_numpy(rng.choice(specials, size=tuple(example["logits"].shape)))
    logits = torch.where(example["keep"], example["logits"], drawn.to(example["logits"].dtype))
    return {**example, "logits": logits}


def _third_rows_keep_nothing(example: Example, _: np.random.Generator) -> Example:
    keep = example["keep"].clone()
    keep[::3] = False
    return {**example, "keep": keep}


def _nan_is_unmasked(example: Example, rng: np.random.Generator) -> Example:
    """Put a NaN at one kept entry of every third row."""
    keep = example["keep"].numpy()
    chosen = np.zeros(keep.shape, dtype=bool)
    np.put_along_axis(chosen, np.argmax(rng.random(keep.shape) * keep, -1)[:, None], values=True, axis=-1)
    chosen[1::3] = chosen[2::3] = False
    return {**example, "logits": example["logits"].masked_fill(torch.from_numpy(chosen), torch.nan)}


def _unmasked_are_infinite(example: Example, rng: np.random.Generator) -> Example:
    """Set some kept entries to -inf, but never all of a row."""
    logits, keep = example["logits"], example["keep"].numpy()
    chosen = (rng.random(keep.shape) < 0.35) & keep
    np.put_along_axis(chosen, np.argmax(keep, -1)[:, None], values=False, axis=-1)
    return {**example, "logits": logits.masked_fill(torch.from_numpy(chosen), -torch.inf)}


_inputs = _masked()


# Laws

_VALUE = Exact(("logits", "keep"), masked_softmax_oracle, _absolute_bound)

CONSTANT = (
    "a large negative constant replaces the mask, and masked entries leak once logits reach its size: fill with -inf"
)
ARITHMETIC = "the mask is added or multiplied, and NaN and infinities survive that: select with where"
AFTERWARDS = (
    "the mask multiplies a softmax over all entries, so masked entries take part of the probability, or all: mask first"
)


@law(
    "masked_softmax(X, keep) is the softmax over the kept entries, and exactly zero at the others.",
    source=sums.BHH,
    bound="the bound of the softmax of the kept entries; no tolerance at the others",
    cause=f"{AFTERWARDS}; {CONSTANT}",
    non_finite=f"all kept exponentials underflow next to masked ones and give 0 / 0: mask first; or {sums.OVERFLOW}",
    group="value",
)
def value(masked_softmax: Subject, logits: Tensor, keep: Tensor) -> Measurement:
    """Compare with the oracle; a row that keeps only -inf counts as fully masked."""
    expected = masked_softmax_oracle(logits, keep)
    absolute = _absolute_bound(logits, keep, expected, masked_softmax.format)
    rests_on = keep & ~logits.isneginf()
    return _compare(masked_softmax(logits, keep), expected, absolute, rests_on, masked_softmax.format)


@law(
    "Masked entries are exactly zero, however large their logits.",
    source="definition",
    cause=CONSTANT,
    group="value",
    inputs=_masked(_masked_are_largest),
)
def masked_entries_are_zero(masked_softmax: Subject, logits: Tensor, keep: Tensor) -> Measurement:
    """Compare masked entries with zero; kept entries pass."""
    actual = to_array(masked_softmax(logits, keep))
    neutral = keep.numpy() | ~keep.numpy().any(-1, keepdims=True)
    return compare(actual, np.where(neutral, actual, 0.0), 0.0, masked_softmax.format)


@law(
    "Each row that keeps at least one entry sums to one.",
    source="definition",
    bound="the sum of the value's bound over the row",
    cause="the result is not normalized after masking, or over the wrong axis: normalize over the kept entries of "
    f"the row; {AFTERWARDS}",
)
def rows_sum_to_one(masked_softmax: Subject, logits: Tensor, keep: Tensor) -> Measurement:
    """Sum without rounding, so that the deviation is the implementation's."""
    absolute = _VALUE.error_at(masked_softmax, logits, keep).sum(-1)
    total = exact_sum(masked_softmax(logits, keep))
    actual = np.where(keep.numpy().any(-1), total.hi + total.lo, 1.0)
    return within(actual, dd.lift(np.ones(absolute.shape)), absolute, masked_softmax.format)


@law(
    "masked_softmax(X, keep) is finite for all finite X if at least one entry is kept.",
    source="0 <= p <= 1",
    cause="all kept exponentials underflow next to masked ones and give 0 / 0: shift by the largest kept logit; or "
    f"{sums.OVERFLOW}",
    group="finite",
    inputs=_masked(_masked_are_largest),
)
def finite_on_extreme_logits(masked_softmax: Subject, logits: Tensor, keep: Tensor) -> Measurement:
    """Any finite value passes."""
    actual = masked_softmax(logits, keep)
    return usual_laws.measure_finite(
        actual.where(keep.any(-1, keepdim=True), 0.0), masked_softmax_oracle(logits, keep), masked_softmax.format
    )


@law(
    "Adding the same number to every kept logit of a row does not change the result.",
    source="exp(x + c) = exp(x) exp(c)",
    bound="the value's bounds at both inputs",
    cause=f"the result depends on the position of the logits relative to the masked ones or to a constant: {CONSTANT}",
)
def shift_invariant(masked_softmax: Subject, logits: Tensor, keep: Tensor) -> Measurement:
    """Shift by the kept maximum where that is exact in the format; other rows are compared with themselves."""
    format_ = masked_softmax.format
    expected = masked_softmax_oracle(logits, keep)
    absolute = 2.0 * _absolute_bound(logits, keep, expected, format_)
    moved = to_array(masked_softmax(torch.where(keep, sums.exact_shift(filled(logits, keep)), logits), keep))
    reference = dd.lift(np.where(np.isfinite(moved), moved, expected.hi))
    return _compare(masked_softmax(logits, keep), reference, absolute, keep, format_)


keeping_all_is_the_softmax = value.derive(
    _masked(lambda example, _: {**example, "keep": torch.ones_like(example["keep"])}),
    "keeping_all_is_the_softmax",
    "A mask that keeps everything does not change the result.",
    cause="the mask adds an extra sum or product: leave kept logits unchanged",
)


@law(
    "The gradient of masked_softmax . v is p (v - p . v), exactly zero at masked entries.",
    source="quotient rule; the bound of the softmax; masked entries do not contribute",
    bound="the bound of the softmax's gradient at the kept entries; no tolerance at the others",
    cause=f"the normalizer is detached: keep it in the autograd graph; {AFTERWARDS}; {CONSTANT}",
    non_finite="0 * inf = NaN in the backward pass: replace masked entries *before* any arithmetic on them",
    group="gradient",
)
def gradient(masked_softmax: Subject, logits: Tensor, keep: Tensor, cotangent: Tensor) -> Measurement:
    """Compare the gradient by autograd, in the case's dtype, with the analytic one."""
    expected = masked_softmax_pullback(logits, keep, cotangent)
    absolute = _gradient_bound(logits, keep, cotangent, expected, masked_softmax.format)
    actual = masked_softmax.gradient((logits, keep), cotangent)
    return _compare(actual, expected, absolute, keep, masked_softmax.format)


masked_values_do_not_matter = value.derive_special(
    _masked(_masked_are_special),
    "masked_values_do_not_matter",
    "A masked logit may be infinite, NaN or the largest number without changing the result.",
    cause=ARITHMETIC,
    non_finite=ARITHMETIC,
)


gradient_ignores_masked_values = gradient.derive(
    _masked(_masked_are_special),
    "gradient_ignores_masked_values",
    "Masked infinities and NaN do not affect any gradient.",
)


kept_minus_infinity_is_zero = value.derive_special(
    _masked(_unmasked_are_infinite),
    "kept_minus_infinity_is_zero",
    "A kept logit of -inf has probability zero, as if it were masked.",
    cause="-inf is replaced by a finite number before the softmax, or 0 * -inf is NaN: keep -inf, and "
    "select with where",
    non_finite="0 * -inf = NaN: select with where instead of multiplying",
)


def _gradient_bound(logits: Tensor, keep: Tensor, cotangent: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """The bound of the softmax's gradient, with zero at masked entries."""
    unmasked = cotangent.masked_fill(~keep, 0.0)
    return np.where(keep.numpy(), gradient_bound(filled(logits, keep), unmasked, expected, format_), 0.0)


# Special values


fully_masked_row = logit_rows.fully_masked_law(
    _VALUE,
    "A row that keeps no entry gives the declared result: NaN, zeros, or the uniform distribution.",
    lambda logits, _: {"nan": np.nan, "zeros": 0.0, "uniform": 1.0 / logits.shape[-1]},
    rows=lambda _, keep: ~keep.numpy().any(-1),
    inputs=_masked(_third_rows_keep_nothing),
)


@law(
    "A row that keeps no entry does not change the gradients of other rows; its own gradient is zero if its value "
    "is a constant.",
    source="rows are independent; the derivative of a constant is zero; under `nan` the gradient of the row itself "
    "is not checked",
    bound="the gradient's bound; no tolerance in the row itself",
    cause="NaN is replaced only in the output and stays in the backward pass: replace the inputs that produce it",
    group="gradient",
    inputs=_masked(_third_rows_keep_nothing),
)
def gradient_beside_a_fully_masked_row(
    masked_softmax: Subject, logits: Tensor, keep: Tensor, cotangent: Tensor
) -> Measurement:
    """Compare with the analytic gradient, or with zero in fully masked rows."""
    format_ = masked_softmax.format
    nothing = ~keep.any(-1, keepdim=True)
    # Fully masked rows do not use the oracle, so any mask will do for them.
    somewhere = keep | nothing
    expected = masked_softmax_pullback(logits, somewhere, cotangent)
    absolute = np.where(nothing.numpy(), 0.0, _gradient_bound(logits, somewhere, cotangent, expected, format_))
    actual = masked_softmax.gradient((logits, keep), cotangent)
    fallback = to_array(actual) if masked_softmax.declares["fully_masked"] == "nan" else np.zeros(absolute.shape)
    reference = dd.select(~nothing.numpy(), expected, fallback)
    return compare(actual, reference, convert_to_ulp(absolute, expected, format_), format_)


@law(
    "A NaN at a kept entry makes the kept entries of its row NaN and changes no other row.",
    source="definition of a function of its inputs",
    bound="the value's bound in the other rows; a masked entry is zero or NaN",
    cause="a comparison drops the NaN, NaN counts as masked, or a reduction over everything spreads it: reduce "
    "over the row, and let NaN pass",
    group="special",
    inputs=_masked(_nan_is_unmasked),
)
def nan_at_a_kept_entry(masked_softmax: Subject, logits: Tensor, keep: Tensor) -> Measurement:
    """Compare with NaN, zero or the oracle."""
    poisoned = (logits.isnan() & keep).any(-1, keepdim=True)
    clean = logits.masked_fill(poisoned, 0.0)
    expected = masked_softmax_oracle(clean, keep)
    absolute = _absolute_bound(clean, keep, expected, masked_softmax.format)
    actual = masked_softmax(logits, keep)
    of_poisoned = np.where(keep.numpy() | np.isnan(to_array(actual)), np.nan, 0.0)
    reference = dd.select(~poisoned.numpy(), expected, of_poisoned)
    return _compare(actual, reference, absolute, keep, masked_softmax.format)


# Rays: masked logits grow, or kept logits grow


def _ray(name: str, formula: str, first: float, rest: float, *, keeps_first: bool) -> Ray:
    """Rows of one entry and seven others, in units of ``t``; the first or the second is masked.

    The cotangent is one at a kept entry.
    """

    def example(t: Tensor, _: Format) -> Example:
        logits = t[:, None] * torch.tensor([first, *[rest] * (COLUMNS - 1)], dtype=t.dtype)
        keep = torch.ones_like(logits, dtype=torch.bool)
        keep[:, int(keeps_first)] = False
        cotangent = torch.zeros_like(logits)
        cotangent[:, 1 - int(keeps_first)] = 1.0
        return {"logits": logits, "keep": keep, "cotangent": cotangent}

    return Ray(name, formula, example, logit_rows.largest_logit, columns=COLUMNS)


# Contract

MASKED_SOFTMAX = Contract(
    "masked_softmax",
    signature="(logits[n,k], keep[n,k] bool) -> [n,k]",
    summary="softmax over the kept entries of each row, zero at the others",
    domain="finite logits, |x| <= max / 16, at least one kept entry in each row; some laws also use other inputs",
    inputs=_inputs,
    laws=(
        *usual_laws.defined_in(globals()),
        usual_laws.on_extreme_numbers(value, _masked(inputs=logit_rows.extreme_logits)),
        *usual_laws.of_every_operation(
            value,
            gradient,
            long=_masked(inputs=logit_rows.long_logits, seeds=ONE_SEED),
            cause=logit_rows.LONG_ROWS,
            many=_masked(inputs=logit_rows.many_logits, seeds=ONE_SEED),
            nan=False,
        ),
    ),
    axes=dict.fromkeys(("logits", "keep", "cotangent"), Axes(("n", "k"))),
    output=("n", "k"),
    rays=(
        _ray("masked spike", "(t, 0, ..., 0), t masked", 1.0, 0.0, keeps_first=False),
        _ray("kept spike", "(t, 0, ..., 0), one zero masked", 1.0, 0.0, keeps_first=True),
        _ray("kept negative spike", "(-t, 0, ..., 0), one zero masked", -1.0, 0.0, keeps_first=True),
        _ray("uniform offset", "(t, t, ..., t), the first masked", 1.0, 1.0, keeps_first=False),
    ),
    conventions={"fully_masked": ("nan", "zeros", "uniform")},
)
