"""Sound implementations of the masked softmax."""

from typing import Any

from controls.control import Control, rounded
from torch import Tensor

from harness.contracts.masked_softmax import masked_softmax_oracle, masked_softmax_pullback


def stable_masked_softmax(x: Tensor, keep: Tensor) -> Tensor:
    """Replace before any arithmetic, shift by the largest kept logit, and keep the sum in float32 at least."""
    chosen = x.masked_fill(~keep, float("-inf"))
    e = (chosen - chosen.amax(-1, keepdim=True)).exp()
    wide = e if e.itemsize >= 4 else e.float()
    return (wide / wide.sum(-1, keepdim=True)).to(x.dtype)


CONTROLS = [
    Control(
        "masked_softmax",
        rounded(masked_softmax_oracle, lambda v, x, keep: masked_softmax_pullback(x, keep, v)),
        stable_masked_softmax,
    )
]

ORACLES: dict[str, Any] = {}
