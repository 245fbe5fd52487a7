"""Deliberately wrong implementations of the masked softmax."""

import torch
from corpus.specimen import loses, mutant
from torch import Tensor


def _filled(x: Tensor, keep: Tensor) -> Tensor:
    return x.masked_fill(~keep, -torch.inf)


@mutant("masked_softmax", "value")
def masked_afterwards(x: Tensor, keep: Tensor) -> Tensor:
    """Masks after the softmax, so that masked entries still take their share."""
    return x.softmax(-1) * keep


@mutant("masked_softmax", "masked_entries_are_zero")
def minus_1e9(x: Tensor, keep: Tensor) -> Tensor:
    """A constant that logits can reach."""
    return (x + (~keep).to(x.dtype) * -1e9).softmax(-1)


@mutant("masked_softmax", "value_on_extreme_numbers")
def additive_lowest(x: Tensor, keep: Tensor) -> Tensor:
    """The lowest finite number is added: a large masked logit comes back."""
    return (x + (~keep).to(x.dtype) * torch.finfo(x.dtype).min).softmax(-1)


@mutant("masked_softmax", "rows_sum_to_one")
def normalised_over_rows(x: Tensor, keep: Tensor) -> Tensor:
    """The wrong axis."""
    return _filled(x, keep).softmax(0)


@mutant("masked_softmax", "finite_on_extreme_logits")
def renormalised(x: Tensor, keep: Tensor) -> Tensor:
    """Divides zero by zero if a masked entry is far larger."""
    p = x.softmax(-1) * keep
    return p / p.sum(-1, keepdim=True)


@mutant("masked_softmax", "shift_invariant")
def shifted_by_everything(x: Tensor, keep: Tensor) -> Tensor:
    """Shifts by the maximum of all entries, and adds an epsilon against 0 / 0."""
    e = (x - x.amax(-1, keepdim=True)).exp() * keep
    return e / (e.sum(-1, keepdim=True) + 1e-13)


@mutant("masked_softmax", "keeping_all_is_the_softmax")
def multiplied_logits(x: Tensor, keep: Tensor) -> Tensor:
    """The mask scales the logits, so that kept ones are scaled too."""
    return _filled(x * (1 + 1e-6 * keep), keep).softmax(-1)


@mutant("masked_softmax", "gradient")
def detached(x: Tensor, keep: Tensor) -> Tensor:
    """The normaliser is a constant to autograd."""
    e = (_filled(x, keep) - _filled(x, keep).amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True).detach()


@mutant("masked_softmax", "masked_values_do_not_matter")
def selected_by_product(x: Tensor, keep: Tensor) -> Tensor:
    """Zero times NaN is NaN."""
    return _filled(x * keep, keep).softmax(-1) + 0 * (x * keep)


@mutant("masked_softmax", "gradient_ignores_masked_values")
def selected_too_late(x: Tensor, keep: Tensor) -> Tensor:
    """Selects after the exponential: masked entries reach the backward pass."""
    e = (x - _filled(x, keep).amax(-1, keepdim=True)).exp().where(keep, 0.0)
    return e / e.sum(-1, keepdim=True)


@mutant("masked_softmax", "kept_minus_infinity_is_zero")
def minus_infinity_replaced(x: Tensor, keep: Tensor) -> Tensor:
    """-inf among the kept is taken for -20."""
    return _filled(x.nan_to_num(neginf=-20.0, nan=torch.nan, posinf=torch.inf), keep).softmax(-1)


@mutant("masked_softmax", "fully_masked_row")
def nothing_is_zeros(x: Tensor, keep: Tensor) -> Tensor:
    """Returns zeros for a fully masked row, without a declaration."""
    return _filled(x, keep).softmax(-1).where(keep.any(-1, keepdim=True), 0.0)


@mutant("masked_softmax", "gradient_beside_a_fully_masked_row", declares={"fully_masked": "zeros"})
def nan_replaced_in_the_output(x: Tensor, keep: Tensor) -> Tensor:
    """Zeros are declared and given; the gradient is NaN."""
    added = x + torch.zeros_like(x).masked_fill(~keep, -torch.inf)
    return added.softmax(-1).where(keep.any(-1, keepdim=True), 0.0)


@mutant("masked_softmax", "nan_at_a_kept_entry")
def nan_is_masked(x: Tensor, keep: Tensor) -> Tensor:
    """A NaN is taken for a masked entry."""
    return _filled(x, keep & ~x.isnan()).softmax(-1)


@mutant("masked_softmax", "value_on_extreme_numbers")
def filled_with_the_lowest(x: Tensor, keep: Tensor) -> Tensor:
    """The lowest finite number ties with itself."""
    return x.masked_fill(~keep, torch.finfo(x.dtype).min).softmax(-1)


@mutant("masked_softmax", "value_on_long_rows", dtype="float16")
def narrow_sum(x: Tensor, keep: Tensor) -> Tensor:
    """The sum is stored in float16, where 65,520 ones are infinite."""
    e = (_filled(x, keep) - _filled(x, keep).amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)


@loses(
    "masked_softmax",
    "gradient_ignores_masked_values",
    "none",
    float32={"logits": [[1.0, 2.0]], "keep": {"bool": [[True, False]]}, "cotangent": [[1.0, 0.0]]},
)
def masked_softmax_that_multiplies(x: Tensor, keep: Tensor) -> Tensor:
    """The mask is a factor: wrong by arithmetic, not by rounding."""
    return (x * keep).softmax(-1)
