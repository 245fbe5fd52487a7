"""Frequent mistakes of some contracts, each as the function that it computes instead.

If an implementation returns the values of such a function, its finding names the mistake.
"""

from typing import Any

from torch import Tensor
from torch.nn import functional

from harness.laws import Mistake


def _over_all(logits: Tensor) -> Tensor:
    return logits.flatten().softmax(0).reshape(logits.shape)


def _exponentials(logits: Tensor) -> Tensor:
    return (logits - logits.amax(-1, keepdim=True)).exp()


_FIRST_AXIS = "the sum runs over the first axis instead of the last"
_ALL_ENTRIES = "the sum runs over all entries instead of each row"
_EACH_ROW = "sum over dim=-1 with keepdim=True"

SOFTMAX = (
    Mistake(_FIRST_AXIS, _EACH_ROW, lambda x, **_: x.softmax(0)),
    Mistake(_ALL_ENTRIES, _EACH_ROW, lambda x, **_: _over_all(x)),
    Mistake(_FIRST_AXIS, _EACH_ROW, lambda x, **_: _exponentials(x) / _exponentials(x).sum(0)),
    Mistake(_ALL_ENTRIES, _EACH_ROW, lambda x, **_: _exponentials(x) / _exponentials(x).sum()),
    Mistake("softmax is applied twice", "apply it once", lambda x, **_: x.softmax(-1).softmax(-1)),
    Mistake("the output is the logarithm of the softmax", "return probabilities", lambda x, **_: x.log_softmax(-1)),
)

LOG_SOFTMAX = (
    Mistake(_FIRST_AXIS, _EACH_ROW, lambda x, **_: x.log_softmax(0)),
    Mistake(_ALL_ENTRIES, _EACH_ROW, lambda x, **_: x - x.flatten().logsumexp(0)),
    Mistake("softmax is applied twice", "apply it once", lambda x, **_: x.softmax(-1).log_softmax(-1)),
    Mistake("the output is the softmax without its logarithm", "return logarithms", lambda x, **_: x.softmax(-1)),
)


def _cross_entropy(logits: Tensor, labels: Tensor, *, reduction: str, **_: Any) -> Tensor:
    return functional.cross_entropy(logits.softmax(-1), labels, reduction=reduction)


CROSS_ENTROPY = (
    Mistake(
        "softmax is applied twice, before the loss and in it",
        "pass the logits to the loss, not their softmax",
        _cross_entropy,
    ),
)


def _binary_cross_entropy(logits: Tensor, targets: Tensor, *, reduction: str, **_: Any) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits.sigmoid(), targets, reduction=reduction)


BINARY_CROSS_ENTROPY = (
    Mistake(
        "the sigmoid is applied twice, before the loss and in it",
        "pass the logits to the loss, not their sigmoid",
        _binary_cross_entropy,
    ),
)


def _unbiased(x: Tensor, *, eps: float, **_: Any) -> Tensor:
    centered = x - x.mean(-1, keepdim=True)
    # The method var warns about rows of one entry, for which this is NaN, too.
    return centered / (centered.square().sum(-1, keepdim=True) / (x.shape[-1] - 1) + eps).sqrt()


def _uncentered(x: Tensor, *, eps: float, **_: Any) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt()


LAYER_NORM = (
    Mistake("the variance divides by n - 1 instead of n", "use var(correction=0)", _unbiased),
    Mistake("the mean is not subtracted", "subtract the mean of each row first", _uncentered),
)
