"""Harmless losses of digits: the terms of a loss cancel because the model has learnt, and no other form keeps more."""

import math

from torch import Tensor

from harness.auditor.operation import Operation, bare
from harness.auditor.shadow import Call
from harness.exact.tape import NARROW, is_followed

ACCURATE = 64
"""Input error, in unit roundoffs, up to which the inputs count as accurate."""

SOME = 16
"""Roundings of the terms of a loss that count as harmless."""

NEAR_ONE = 4.0
"""Size up to which a value is compared with one, as a probability or a cosine is."""

SMALL = 1e-3
"""Absolute error of a log-probability up to which it is harmless."""

_LOSSES = {
    "_log_softmax", "binary_cross_entropy_with_logits", "cross_entropy_loss", "log_sigmoid_forward", "logsumexp",
    "nll_loss_forward", "soft_margin_loss",
}  # fmt: skip
"""Functions of torch that are themselves the remedy."""

_RESIDUALS = {"sub", "rsub", "add", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"}
_LOGARITHMS = {"log", "log2", "log10"}
_LOG_DOMAIN = {"log", "logsumexp", "logaddexp", "log_sigmoid_forward"}


def is_fair(call: Call, operation: Operation, actual: Tensor, shadow: Tensor) -> bool:
    """Whether an operation that loses digits is as accurate as its terms, and could not be replaced by a better one.

    A residual is the difference of a prediction and a constant, which carries its own rounding. The logarithm of a
    probability near one has an absolute error, not a relative one. The same applies to a difference from a number such
    as one, and to a difference of log-probabilities. Whether that error is harmless depends on the loss: see
    :func:`is_small`.
    """
    name = bare(operation.name)
    if operation.backward or call.error > ACCURATE * operation.unit:
        return False
    if name in _LOSSES or (name in {"sum", "mean"} and operation.dtype not in NARROW):
        return True
    if name in _RESIDUALS and _is_residual(call):
        return True
    if name in {"sub", "rsub", "add"} and len(operation.sources) == 1:
        return operation.sources[0].largest <= NEAR_ONE
    computed = [bare(writer.origin.name) for writer in operation.writers]
    if name in _LOGARITHMS:
        return bool(computed) and computed[0] not in {"add", "sub", "rsub"}
    if name in {"sub", "add"} and len(operation.sources) == 2:
        return not _LOG_DOMAIN.isdisjoint(computed) and float((actual - shadow).abs().max()) <= SMALL
    return False


def is_small(operation: Operation, loss_error: float) -> bool:
    """Whether an absolute error of the loss is small compared with the terms that cancel.

    In a mean square, the error is a small residual times a rounding error, so a thousandth of the squares is enough.
    """
    size = max((source.largest for source in operation.sources), default=0.0)
    rounding = SOME * operation.unit * math.sqrt(max(1, math.prod(operation.shape)))
    return loss_error <= rounding * max(1.0, size, size * size / 1000)


def _is_residual(call: Call) -> bool:
    """Whether exactly one input tensor depends on parameters, and the other is constant."""
    pair = [value for value in call.args[:2] if isinstance(value, Tensor) and is_followed(value)]
    return len(pair) == 2 and pair[0].requires_grad is not pair[1].requires_grad
