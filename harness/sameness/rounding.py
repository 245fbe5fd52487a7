"""The results of a recording in float64, and samples of the rounding errors of its operations.

A sample repeats the recorded operations in float64, and rounds each result at random by at most the unit roundoff and
the smallest number of its recorded dtype. The largest error of a few samples is an estimate and no bound.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from harness.exact.replay import Doubles, Replay
from harness.exact.tape import SMALLEST, UNIT, Step
from harness.sameness.recording import Measured, Recording, Result

SAMPLES = 8
"""Replays with random roundings."""

EXACT = frozenset({
    "abs", "amax", "amin", "cat", "clamp", "clamp_max", "clamp_min", "clone", "constant_pad_nd", "copy", "detach",
    "embedding", "fill", "flip", "gather", "index", "index_select", "masked_fill", "max", "maximum", "min", "minimum",
    "nan_to_num", "neg", "ones", "ones_like", "relu", "repeat", "roll", "scatter", "select_backward", "slice_backward",
    "sort", "stack", "threshold_backward", "topk", "tril", "triu", "where", "zero", "zeros", "zeros_like",
})  # fmt: skip
"""Operations that do not round."""

SUMS = (
    "sum", "mean", "mm", "dot", "mv", "conv", "cumsum", "var", "std", "norm", "nll_loss", "mse_loss", "softmax_back",
)  # fmt: skip
"""Parts of the names of sums, in which also each term is rounded."""

LOGARITHMS = ("log_softmax", "logsumexp", "logaddexp")
"""Logarithms of sums whose terms are at most 1, so that their absolute error is a rounding of 1."""

WIDE_FACTOR = 4.0
"""Factor for roundings of float64, because replays have as large errors as the recorded operations."""


class RoundedDoubles(Doubles):
    """Float64, with a random rounding of each operation, which may move it to the other side of a kink."""

    keeps_sides = False

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def carry_out(self, step: Step, part_of: Any) -> tuple[Any, ...] | None:
        """Carry out an operation, and round its results; of a sum, round its terms, too."""
        if step.name in EXACT:
            return super().carry_out(step, part_of)
        unit = max((UNIT.get(view.dtype, 0.0) for view in step.results), default=0.0)
        underflow = max((SMALLEST.get(view.dtype, 0.0) for view in step.results), default=0.0)
        unit *= WIDE_FACTOR if unit == UNIT[torch.float64] else 1.0
        is_sum = any(word in step.name for word in SUMS) and not step.changed
        results = super().carry_out(step, (lambda view: self._round(part_of(view), unit)) if is_sum else part_of)
        for view in step.changed:
            part_of(view).copy_(self._round(part_of(view), unit, underflow))
        absolute = unit if step.name in LOGARITHMS else 0.0
        return None if results is None else tuple(self._round(x, unit, underflow, absolute) for x in results)

    def _round(self, x: Tensor, unit: float, underflow: float = 0.0, absolute: float = 0.0) -> Tensor:
        noise = torch.rand(x.shape, generator=self._generator, dtype=torch.float64) * 2.0 - 1.0
        # A zero stays, because the logarithm or the inverse of another number is far away.
        return x * (1.0 + unit * noise) + (absolute + (x != 0.0) * underflow) * noise


class ResultReplay(Replay):
    """A replay that reads each result of a recording where it is final."""

    def __init__(self, recording: Recording, arithmetic: Doubles, *, copies: bool = False) -> None:
        self._due: dict[int, list[tuple[str, Result]]] = {}
        for name, result in recording.results.items():
            self._due.setdefault(result.position, []).append((name, result))
        self.read_results: dict[str, Tensor] = {}
        self._done = 0
        super().__init__(recording.tape, arithmetic, 0, copies=copies)
        self._read_due()

    def _read_due(self) -> None:
        for name, result in self._due.get(self._done, ()):
            self.read_results[name] = self.read(result.view).hi if result.view else result.value.double()

    def _carry_out(self, step: Step, *, exact: bool) -> None:
        self._read_due()
        super()._carry_out(step, exact=exact)
        self._done += 1


def measure(recording: Recording) -> Mapping[str, Measured]:
    """Return the results of a recording with their exact values and sampled errors."""
    if recording.measured is not None:
        return recording.measured
    exact = ResultReplay(recording, Doubles()).read_results
    errors = {name: torch.zeros_like(value) for name, value in exact.items()}
    generator = torch.Generator().manual_seed(0)
    for _ in range(SAMPLES):
        sample = ResultReplay(recording, RoundedDoubles(generator)).read_results
        for name, value in exact.items():
            errors[name] = torch.fmax(errors[name], (sample[name] - value).abs())
    if recording.is_step:
        # A gradient may have crossed a kink, which few samples of a single number do.
        errors = {name: error.maximum(error.median()) if error.numel() else error for name, error in errors.items()}
    return {name: Measured(x.value, exact[name], errors[name]) for name, x in recording.results.items()}
