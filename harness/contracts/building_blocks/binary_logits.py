"""Inputs of the contracts on one logit per row with a target between zero and one: groups ``[g, n]`` of both."""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks.logistic_function import arguments, around_zero, drawn
from harness.floats import Format, portable, to_array
from harness.laws import LONGEST, Example, Inputs, Ray
from harness.laws.strategies import ONE_SEED, SEEDS, alter_inputs, extremes, long_rows

_LONGEST = 32


def _targets(logits: Tensor, format_: Format, rng: np.random.Generator) -> Tensor:
    """Targets ``y`` for which ``1 - y`` is exact: any class, the right one, zero, half and one, or soft ones.

    A quarter of the groups has each kind. Right targets make losses and gradients tiny. Soft targets are multiples of
    ``2 u``, at distances of all magnitudes from either class.
    """
    shape, bits = tuple(logits.shape), format_.precision - 1
    right = (to_array(logits) > 0).astype(np.float64)
    small = np.floor(portable.exp2(bits * rng.random(shape))) / 2.0**bits
    soft = np.where(rng.random(shape) < 0.5, small, 1.0 - small)
    kind = rng.integers(0, 4, size=(shape[0], 1))
    kinds = [rng.integers(0, 2, shape).astype(np.float64), right, rng.integers(0, 3, shape) / 2.0, soft]
    return torch.from_numpy(np.choose(kind, kinds)).to(format_.dtype)


def _with_targets(
    logits: st.SearchStrategy[Tensor], format_: Format, seeds: st.SearchStrategy[int] = SEEDS
) -> st.SearchStrategy[Example]:
    def expand(drawn: Tensor, seed: int) -> Example:
        return {"logits": drawn, "targets": _targets(drawn, format_, np.random.default_rng(seed))}

    return st.builds(expand, logits, seeds)


def groups(format_: Format) -> st.SearchStrategy[Example]:
    """Groups ``[g, n]`` of structured logits and of targets; no sum over a group overflows.

    In half of the batches a group is a single row, so that a mean over rows does not hide a row.
    """
    largest, rows = format_.max / (2.0 * _LONGEST), (4, 64)
    single = arguments(format_, largest=largest, rows=rows, columns=(1, 1))
    multiple = arguments(format_, largest=largest, rows=rows, columns=(2, _LONGEST))
    return _with_targets(st.one_of(single, multiple), format_)


def extreme_groups(format_: Format) -> st.SearchStrategy[Example]:
    """One logit per group, including the largest and the smallest numbers."""
    return _with_targets(extremes(format_, columns=(1, 1)), format_)


def long_groups(format_: Format) -> st.SearchStrategy[Example]:
    """Groups of up to 65,536 nearly equal logits."""
    return _with_targets(long_rows(format_), format_, ONE_SEED)


def zero_groups(format_: Format) -> st.SearchStrategy[Example]:
    """Zeros of either sign, and the smallest numbers."""
    return _with_targets(drawn(around_zero(format_), format_, rows=(4, 32), columns=(1, 8)), format_)


def every_third_infinite(target_of_positive: float) -> Inputs:
    """Every third group has only infinite logits, with the given target for +inf and the other target for -inf."""

    def with_infinities(example: Example, rng: np.random.Generator) -> Example:
        logits, targets = example["logits"].clone(), example["targets"].clone()
        positive = rng.random(tuple(logits[::3].shape)) < 0.5
        logits[::3] = torch.from_numpy(np.where(positive, np.inf, -np.inf)).to(logits)
        row_targets = np.where(positive, target_of_positive, 1.0 - target_of_positive)
        targets[::3] = torch.from_numpy(row_targets).to(targets)
        return {"logits": logits, "targets": targets}

    return alter_inputs(groups, with_infinities)


# Rays


def _ray(name: str, sign: float, target: float) -> Ray:
    """A logit of one sign and one class, one row per group."""

    def example(t: Tensor, _: Format) -> Example:
        return {"logits": (sign * t)[:, None], "targets": torch.full_like(t, target)[:, None]}

    return Ray(name, f"x = {'-' if sign < 0 else ''}t, y = {target:g}", example, lambda format_: format_.max / 64.0)


def _many(t: Tensor, format_: Format) -> Example:
    zeros = torch.zeros(1, int(t), dtype=format_.dtype)
    return {"logits": zeros, "targets": torch.ones_like(zeros)}


RAYS = (
    _ray("positive logit of class 1", 1.0, 1.0),
    _ray("positive logit of class 0", 1.0, 0.0),
    _ray("negative logit of class 1", -1.0, 1.0),
    _ray("negative logit of class 0", -1.0, 0.0),
    Ray("rows", "t zeros of class 1", _many, lambda _: LONGEST, lambda _: 1.0, whole=True),
)
"""Right and wrong logits of either sign, and many rows."""
