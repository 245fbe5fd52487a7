"""Rays of the softmax under a mask: what is masked grows, or what is kept does."""

import torch
from torch import Tensor

from harness.contracts.building_blocks.logits import largest_logit
from harness.floats import Format
from harness.laws import COLUMNS, Example, Ray


def _row(first: Tensor, others: Tensor, *, keeps_first: bool) -> Example:
    """One entry and seven others, the first or the second masked; the cotangent is one at one kept entry."""
    logits = torch.cat([first[:, None], others[:, None].repeat(1, COLUMNS - 1)], 1)
    keep = torch.ones_like(logits, dtype=torch.bool)
    keep[:, int(keeps_first)] = False
    cotangent = torch.zeros_like(logits)
    cotangent[:, 1 - int(keeps_first)] = 1.0
    return {"logits": logits, "keep": keep, "cotangent": cotangent}


def _masked_spike(t: Tensor, _: Format) -> Example:
    return _row(t, torch.zeros_like(t), keeps_first=False)


def _kept_spike(t: Tensor, _: Format) -> Example:
    return _row(t, torch.zeros_like(t), keeps_first=True)


def _negative_spike(t: Tensor, _: Format) -> Example:
    return _row(-t, torch.zeros_like(t), keeps_first=True)


def _offset(t: Tensor, _: Format) -> Example:
    return _row(t, t, keeps_first=False)


MASKED_RAYS = (
    Ray("masked spike", "(t, 0, ..., 0), t masked", _masked_spike, largest_logit, columns=COLUMNS),
    Ray("kept spike", "(t, 0, ..., 0), one zero masked", _kept_spike, largest_logit, columns=COLUMNS),
    Ray("kept negative spike", "(-t, 0, ..., 0), one zero masked", _negative_spike, largest_logit, columns=COLUMNS),
    Ray("uniform offset", "(t, t, ..., t), the first masked", _offset, largest_logit, columns=COLUMNS),
)
"""Up to the largest logit of the domain."""
