"""Gradients under ``torch.amp.GradScaler``: they count after unscaling, and a skipped step is a note."""

import math

from harness.auditor.blame import blame_not_finite
from harness.auditor.call import Call
from harness.auditor.end import End, Kind
from harness.auditor.naming import bare
from harness.exact.operator import LARGEST

UNSCALE = "_amp_foreach_non_finite_check_and_unscale_"


class Scaling:
    """Removes results that are only infinite because of the loss scale.

    The scaler skips such a step and lowers the scale, as intended. A NaN of the forward pass, a pole, and a gradient
    that overflows without the scale remain.
    """

    def __init__(self, ends: list[End]) -> None:
        self.notes: list[str] = []
        self._ends = ends
        self.scale = 0.0
        """Largest scale so far; 0 without a scaler."""
        self._seen = 0
        """Number of results of earlier backward passes."""

    def unscaled(self, call: Call) -> None:
        """Judge the gradients of a backward pass after the scaler has divided them by its scale."""
        found, inverse = float(call.args[1]), float(call.args[2])
        scale = 1.0 / inverse if inverse > 0.0 else math.inf
        self.scale = max(self.scale, scale)
        kept = self._ends[: self._seen]
        for end in self._ends[self._seen :]:
            is_scaled = found and end.kind in (Kind.GRADIENT, Kind.LOSS) and _is_spoiled(end)
            if not (is_scaled and self._is_of_scale(end, scale)):
                kept.append(end)
        if len(kept) < len(self._ends):
            self.notes.append(
                f"GradScaler skips a step, since gradients overflow at its scale of {scale:g}: as intended"
            )
        self._ends[:] = kept
        self._seen = len(kept)

    def _is_of_scale(self, end: End, scale: float) -> bool:
        written = end.state.writer
        assert written is not None
        cause = blame_not_finite(written)
        operation = cause.operation
        first_nonfinite = operation.first_nonfinite
        if cause.is_data or first_nonfinite is None or first_nonfinite.again or first_nonfinite.wide is None:
            return False
        is_scaling = end.kind is Kind.LOSS and operation is written and bare(operation.name) == "mul"
        is_behind = operation.backward or is_scaling
        return is_behind and abs(first_nonfinite.wide) / scale <= LARGEST[operation.dtype]


def _is_spoiled(end: End) -> bool:
    return end.state.writer is not None and (end.state.nan or end.state.inf or math.isinf(end.state.error))
