"""Remedies of findings, by operation, format and inputs."""

from collections.abc import Iterator, Mapping

import torch

from harness.auditor.operation import Operation, Source, bare
from harness.record.audit import AuditKind

LOGARITHMS = {"log", "log2", "log10", "log1p"}
DIVISIONS = {"div", "reciprocal", "addcdiv"}
_SUMS = {"sum", "mean", "cumsum", "mm", "addmm", "bmm"}

_WIDER = {torch.float16: "float32", torch.bfloat16: "float32", torch.float32: "float64"}

GROWN = 1e4
"""Size of a weight above which an overflow is explained by a diverging run."""

NEAREST = 64
"""Number of operations searched for such a weight."""

TRAINING = "lower the learning rate, or clip the gradients of the steps before (torch.nn.utils.clip_grad_norm_)"

REMEDY: Mapping[str, str] = {
    "exp": "subtract the row maximum first, or use torch.softmax, logsumexp or F.softplus",
    "log": "work with logits (log_softmax, logsigmoid, *_with_logits), or keep the argument above 0: log(x + eps)",
    "div": "make the divisor safe before you divide: torch.where hides the value, not the gradient",
    "slope": "add an eps inside the root, sqrt(x + eps): its slope at 0 is infinite",
    "sqrt": "keep the argument above 0: add an eps inside the root",
    "masked": "skip fully masked rows, or keep at least one entry in each row",
    "mul": "avoid the infinite factor: make its argument safe before the operation",
    "infinite": "scale the operands first, or lower the learning rate",
}

_OF_UNDERFLOW: Mapping[str, str] = {
    "sigmoid": "work with logits: use F.logsigmoid or F.binary_cross_entropy_with_logits",
    "exp": "work with logarithms (log_softmax, logsumexp): use the exponent instead of its exponential",
    "exp2": "work with logarithms: use the exponent instead of its exponential",
    "_softmax": "work with logits: use F.log_softmax or F.cross_entropy",
}

COUNTS = "count in an integer dtype such as torch.int64, and convert the result"
"""Remedy of a count or an index that its format cannot hold."""


def of_overflow(operation: Operation) -> str:
    """Return the remedy of a result beyond the format."""
    if operation.backward:
        return TRAINING if operation.dtype is not torch.float16 else f"{TRAINING}, or use bfloat16 or float32 here"
    powers = {"pow", "square", "prod"}
    advice = "scale before taking the power" if bare(operation.name) in powers else "scale the operands first"
    return or_wider(advice, operation.dtype)


def of_underflow(operation: Operation) -> str:
    """Return the remedy of results that underflow to zero."""
    if operation.backward:
        wider = ", or use bfloat16 or float32 here" if operation.dtype is torch.float16 else ""
        return f"scale the loss (torch.amp.GradScaler){wider}"
    return _OF_UNDERFLOW.get(bare(operation.name), "work with logarithms, or scale the operands first")


def of_sum(operation: Operation) -> str:
    """Return the remedy of a sum that is not accurate enough."""
    wider = _WIDER.get(operation.dtype)
    if wider is None:
        return "use pairwise summation instead of one term at a time, or math.fsum"
    return f"sum in {wider} (`dtype=torch.{wider}`), or use pairwise summation instead of one term at a time"


def or_wider(advice: str, dtype: torch.dtype) -> str:
    """Add the next wider format as an alternative, if there is one."""
    wider = _WIDER.get(dtype)
    return f"{advice}, or compute this line in {wider}" if wider else advice


def of_cancellation(operation: Operation) -> str:
    """Return the remedy of a difference, or of a logarithm near one: the function that does not cancel, if known."""
    name, writers = bare(operation.name), operation.writers
    if name in _OF_FUNCTION:
        return or_wider(_OF_FUNCTION[name], operation.dtype)
    is_by_number = len(operation.sources) == 1
    if name in LOGARITHMS and writers:
        return _of_logarithm(writers[0]) or _subtract_first(operation)
    if name in {"sub", "rsub", "add"} and is_by_number and writers and 0.25 <= operation.sources[0].largest <= 4.0:
        return _BY_NUMBER.get(bare(writers[0].name)) or _subtract_first(operation)
    return _subtract_first(operation)


_LARGE_LOGITS = "keep the logits small, for example by weight decay or label smoothing"
_OF_FUNCTION: Mapping[str, str] = dict.fromkeys(
    ("_log_softmax", "_softmax", "logsumexp", "_log_softmax_backward_data", "_softmax_backward_data"), _LARGE_LOGITS
)
"""Remedies of functions that subtract large inputs from one another inside."""

_BY_NUMBER: Mapping[str, str] = {
    "exp": "use torch.expm1(x) instead of exp(x) - 1",
    "sigmoid": "use torch.sigmoid(-x) instead of 1 - sigmoid(x), and F.logsigmoid(-x) for its logarithm",
    "cos": "use 2 * sin(x / 2) ** 2 instead of 1 - cos(x)",
    "tanh": "use torch.sigmoid: 1 - tanh(x) is 2 * sigmoid(-2 * x)",
    "_softmax": "sum the other probabilities instead of 1 - p, or use F.log_softmax",
}
"""The replacement for a difference from one, by the function that is subtracted."""


def _of_logarithm(inner: Operation) -> str | None:
    name, writers = bare(inner.name), inner.writers
    if name not in {"add", "sub", "rsub"} or len(inner.sources) != 1:
        return None
    if name == "add" and writers and bare(writers[0].name) == "exp":
        return "use F.softplus(x) instead of log(1 + exp(x)), or torch.log1p instead of log(1 + x)"
    return "use torch.log1p(x) instead of log(1 + x)"


def _subtract_first(operation: Operation) -> str:
    return or_wider("subtract the common part before squaring or summing", operation.dtype)


def is_sum(operation: Operation) -> bool:
    """Whether an operation adds many terms."""
    return bare(operation.name) in _SUMS


def grown_weight(operation: Operation) -> float | None:
    """Return the size of the largest weight nearby, if it is so large that the run diverges; else ``None``."""
    largest = max((source.largest for source in _weights(operation)), default=0.0)
    return largest if largest > GROWN else None


def _weights(operation: Operation) -> Iterator[Source]:
    """Yield the parameters that the operation and those before it read, the nearest first."""
    pending, seen = [operation], {operation}
    for _ in range(NEAREST):
        if not pending:
            return
        for source in pending.pop(0).sources:
            if source.leaf is not None:
                yield source
            elif source.writer is not None and source.writer not in seen:
                seen.add(source.writer)
                pending.append(source.writer)


LAWS: Mapping[tuple[AuditKind, str], str] = {
    (AuditKind.OVERFLOW, "exp"): "finite_on_extreme_logits --contract softmax",
    (AuditKind.OVERFLOW, "expm1"): "finite_on_extreme_logits --contract softmax",
    (AuditKind.UNDERFLOW, "exp"): "digits_not_lost --contract softmax",
    (AuditKind.POLE, "log"): "finite_on_extreme_logits --contract log_softmax",
    (AuditKind.MASKED, "_softmax"): "fully_masked_row --contract masked_softmax",
    (AuditKind.CANCELLATION, "sub"): "digits_kept_at_an_offset --contract variance",
    (AuditKind.CLAMPED, "binary_cross_entropy"): "gradient_not_lost --contract binary_cross_entropy_with_logits",
    (AuditKind.INACCURATE, "softplus"): "value --contract softplus",
}
"""Laws of contracts that describe a finding, by its kind and operation."""
