"""The judgment on two recordings, and the controls without which there is none."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.error import UsageError
from harness.exact.tape import SMALLEST, UNIT, dtype_name
from harness.floats.double_double import lift
from harness.floats.format import deviation, format_of, to_array
from harness.record import Judgment, Sameness
from harness.sameness.place import find_changed, find_overflow, find_places
from harness.sameness.recording import RETURNED, Measured, Recording
from harness.sameness.rounding import measure
from harness.wording.number import count

FACTOR = 4.0
"""Multiple of the sampled errors that rounding explains."""

NAMES = ("the first", "the second")

PLANTED = 4
"""The planted mistake: the results are divided by it."""


def judge(first: Recording, second: Recording, names: tuple[str, str] = NAMES) -> Judgment:
    """Decide how two recordings with names differ.

    Raises
    ------
    UsageError
        If there is nothing to compare, or if a control shows that a difference would not be seen.
    """
    calls = min(first.calls, second.calls)
    results, others = ({n: x for n, x in side.results.items() if x.call <= calls} for side in (first, second))
    shared = [name for name in results if name in others]
    single = {name: x for name, x in (results | others).items() if name not in shared}
    if not shared:
        raise UsageError("nothing to compare", rule="both must return tensors, or train weights of equal shapes")
    require_bits_seen([results[name].value for name in shared])
    scope = count(calls, "step" if first.is_step else "call")
    if first.is_step and not (first.is_trained or second.is_trained):
        return Judgment(answer=Sameness.NOTHING_TRAINED, sentence=f"no weight of either side changes in {scope}")
    scope += f" ({len(single)} weights or gradients that only one side has are not compared)" if single else ""
    measured = measure(first)
    require_factor_seen(measured)
    if missing := [name for name, x in single.items() if x.kind == RETURNED]:
        return Judgment(answer=Sameness.DIFFERENT, sentence=f"only one side returns a {missing[0]}")
    pairs = [(results[name].value, others[name].value) for name in shared]
    if have_same_bits(pairs):
        sentence = f"all results of {scope} are equal"
        return Judgment(answer=Sameness.SAME_BITS, sentence=sentence, **_count_rows(pairs))
    rows, measured_others = _count_rows(pairs), measure(second)
    is_computed = first.is_computed or second.is_computed
    if is_computed:
        measured, measured_others = ({n: x.as_computed() for n, x in m.items()} for m in (measured, measured_others))
    name, share = compare(measured, measured_others)
    is_traced = bool(first.trace or second.trace)
    if name is None:
        answer, sentence = Sameness.ROUNDING, _describe_rounding(pairs, scope, share, is_computed=is_computed)
        which, places = "with other bits", find_changed(first, second, 0.0) if is_traced else []
    else:
        x, y = measured[name], measured_others[name]
        answer, sentence = Sameness.DIFFERENT, f"the {name}: {describe_difference(x, y, names)}"
        which = "with another result" if is_traced else "that only one side has"
        places = [_find_place(first, x, y), _find_place(second, y, x)]
        places = places if any(places) else find_places(first, second)
    distinct = tuple(dict.fromkeys(filter(None, places)))
    where = f"; the first operation {which}: {' and '.join(distinct)}" if distinct else ""
    return Judgment(answer=answer, sentence=sentence + where, places=distinct, **rows)


def have_same_bits(pairs: Iterable[tuple[Tensor, Tensor]]) -> bool:
    """Whether the tensors of all pairs have the same shapes, dtypes and bits."""
    return all(x.dtype is y.dtype and x.shape == y.shape and _view_bytes(x).equal(_view_bytes(y)) for x, y in pairs)


def _view_bytes(x: Tensor) -> Tensor:
    # A single number may have any stride, which `contiguous` keeps.
    return x.clone(memory_format=torch.contiguous_format).flatten().view(torch.uint8)


def compare(first: Mapping[str, Measured], second: Mapping[str, Measured]) -> tuple[str | None, float]:
    """Compare the common results in order, and return the first unexplained difference, or the largest share."""
    shares = {name: compute_share(x, second[name]) for name, x in first.items() if name in second}
    unexplained = next((name for name, share in shares.items() if share > 1.0), None)
    return unexplained, max(shares.values())


def compute_share(x: Measured, y: Measured) -> float:
    """Return the difference of two results as a share of the rounding errors; infinite if it is no number."""
    a, b = x.value.double(), y.value.double()
    if x.kind != y.kind or _find_unequal_infinity(a, b) is not None:
        return float("inf")
    finite = a.isfinite()
    unit = UNIT.get(x.value.dtype, 0.0)
    error = (x.error + y.error)[finite]
    allowed = error + unit * a.abs().maximum(b.abs())[finite] + SMALLEST.get(x.value.dtype, 0.0)
    is_wide = unit <= UNIT[torch.float64]
    gap = ((a - b) if is_wide else (x.exact - y.exact))[finite].abs()
    share = torch.where(gap == 0.0, 0.0, gap / (FACTOR * allowed))
    return float(share.nan_to_num(nan=float("inf")).max()) if len(share) else 0.0


def _find_unequal_infinity(a: Tensor, b: Tensor) -> tuple[float, float] | None:
    """Return the first two numbers that differ and are not both finite."""
    unequal = (a.isfinite() & b.isfinite()).logical_not() & (a != b) & (a.isnan() & b.isnan()).logical_not()
    return (float(a[unequal][0]), float(b[unequal][0])) if bool(unequal.any()) else None


def _count_rows(pairs: Sequence[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """Return the numbers of rows and of differing rows, and the largest difference in ulp, for a judgment."""
    if not all(x.dtype is y.dtype and x.shape == y.shape and x.dtype in UNIT for x, y in pairs):
        return {}
    rows, differing, largest = 0, 0, 0.0
    for x, y in pairs:
        format_ = format_of(dtype_name(x.dtype))
        # The numbers of a vector are the results of rows.
        width = x.shape[-1] if x.ndim > 1 else 1
        gaps = deviation(to_array(x), lift(to_array(y)), format_).reshape(x.numel() // max(width, 1), width)
        rows, differing = rows + len(gaps), differing + int((gaps > 0.0).any(-1).sum())
        largest = max(largest, float(gaps.max(initial=0.0)))
    return {"rows": rows, "differing_rows": differing, "largest_ulp": largest}


# Controls


def require_bits_seen(values: Iterable[Tensor]) -> None:
    """Raise a usage error unless the comparison sees a changed bit."""
    for value in (value for value in values if value.numel()):
        changed = _view_bytes(value).clone()
        changed[0] ^= 1
        if not have_same_bits([(value, changed.view(value.dtype).view(value.shape))]):
            return
    raise UsageError("cannot compare the results", rule="a changed bit must be seen", value="no difference")


def require_factor_seen(measured: Mapping[str, Measured]) -> None:
    """Raise a usage error unless the comparison calls results different that are divided by :data:`PLANTED`."""
    planted = {name: Measured(*(values / PLANTED for values in each)) for name, each in measured.items()}
    if compare(measured, planted)[0] is None:
        rule = f"results that are divided by {PLANTED} must be different"
        remedy = "choose inputs for which the results are larger than their rounding errors"
        raise UsageError("cannot compare the results", rule=rule, value="no difference", remedy=remedy)


# Sentences


def _describe_rounding(pairs: Sequence[tuple[Tensor, Tensor]], scope: str, share: float, *, is_computed: bool) -> str:
    """Return how many numbers differ, and by how much."""
    gaps = [(x.double() - y.double()).abs().nan_to_num(nan=0.0) for x, y in pairs]
    differing, numbers = sum(int(gap.count_nonzero()) for gap in gaps), sum(gap.numel() for gap in gaps)
    if not differing:
        return f"the {count(numbers, 'number')} of {scope} are equal, except for signs of zeros or bits of NaN"
    shares = [float(gap.max()) / _find_largest(*pair) for gap, pair in zip(gaps, pairs, strict=True) if gap.any()]
    limit = "less than 1 %" if share < 0.01 else f"{share:.0%}"
    text = (
        f"{differing:,} of {count(numbers, 'number')} differ, by at most {max(shares):.1e} of the largest, in {scope}"
    )
    which = "they differ" if is_computed else "in float64, they differ"
    return f"{text}; {which} by {limit} of the difference that rounding explains"


def _find_largest(*values: Tensor) -> float:
    """Return the size of the largest finite number."""
    return max(float(x.double().abs().nan_to_num(nan=0.0, posinf=0.0).max()) for x in values if x.numel())


def describe_difference(x: Measured, y: Measured, names: tuple[str, str] = NAMES) -> str:
    """Return the difference of two results in words, with their ratio if they are proportional."""
    first, second = names
    if x.kind != y.kind:
        return f"{first} is {x.kind}, and {second} {y.kind}"
    if unequal := _find_unequal_infinity(x.value.double(), y.value.double()):
        return f"{first} is {unequal[0]:g} where {second} is {unequal[1]:g}"
    if unequal := _find_unequal_infinity(x.exact, y.exact):
        return f"in float64, {first} is {unequal[0]:g} where {second} is {unequal[1]:g}"
    a, b = (side.exact.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0) for side in (x, y))
    square = float((a * a).sum())
    ratio = float((a * b).sum()) / square if square else 0.0
    if ratio and abs(ratio - 1.0) > 1e-4 and torch.allclose(b, ratio * a, rtol=1e-4, atol=0.0):
        return f"{second} is {ratio:.4g} times {first}"
    return f"they differ by up to {float((a - b).abs().max()) / (_find_largest(a, b) or 1.0):.2g} of the largest"


def _find_place(recording: Recording, mine: Measured, other: Measured) -> str:
    """Return the operation after which only this side is not finite; empty otherwise."""
    is_alone = not bool(mine.value.isfinite().all()) and bool(other.value.isfinite().all())
    return find_overflow(recording) if is_alone else ""
