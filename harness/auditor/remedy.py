"""Remedies of findings, by operation, format and inputs."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from harness.auditor.operation import Operation, Source, bare
from harness.exact.tape import NARROW
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
    "scalar": "take the mean instead of the sum first, or keep the logarithm",
    "grown": "clamp the exponent, such as a log-variance or a log-rate, or use a smaller scale for its inputs",
    "div": "make the divisor safe before you divide: torch.where hides the value, not the gradient",
    "optimizer": "give the optimizer an eps that the format can hold: 1e-8, or 1e-4 in float16",
    "masked": "skip fully masked rows, or keep at least one entry in each row",
    "mul": "avoid the infinite factor: make its argument safe before the operation",
    **dict.fromkeys(
        ("add", "sub", "sum"), "mask with a large finite number, or leave infinite entries out of the loss"
    ),
    "infinite": "scale the operands first, or lower the learning rate",
    "diverges": "the iteration diverges: use a smaller step, or a map that contracts (normalize, or spectral_norm)",
    "scaler": "call scaler.step(optimizer) and scaler.update() instead of optimizer.step()",
}

PROBABILITIES = {"sigmoid", "_softmax", "_log_softmax", "exp"}
"""Functions whose results are probabilities, or are divided by their sum to be some."""


# Domains

_MARGIN = {torch.float16: "1e-3", torch.bfloat16: "1e-2", torch.float32: "1e-6", torch.float64: "1e-12"}

DOMAINS: Mapping[str, tuple[float, float, str]] = {
    **dict.fromkeys(("acos", "asin"), (-1, 1, ", or use torch.atan2 (rounding makes a cosine 1.0000001)")),
    **dict.fromkeys(("atanh", "erfinv"), (-1, 1, "")),
    **dict.fromkeys(("logit", "special_ndtri"), (0, 1, ", or keep the logits")),
    "acosh": (1, math.inf, ""),
    "log1p": (-1, math.inf, ""),
    **dict.fromkeys(("sqrt", "rsqrt"), (0, math.inf, "add an eps inside the root")),
    **dict.fromkeys(("log", "log2", "log10", "xlogy", "pow", "lgamma", "digamma"), (0, math.inf, "")),
}
"""Lower and upper end of the domain, and advice, by function; that of xlogy is about its second argument."""


def is_inside_domain(name: str, argument: float) -> bool:
    """True if a number is inside the domain of a function, and at none of its ends."""
    low, high, _ = DOMAINS[name]
    return low < argument < high


def remedy_domain(operation: Operation, name: str, argument: float) -> str:
    """Return the remedy of an argument at or beyond the end of the domain of a function."""
    low, high, advice = DOMAINS[name]
    if high < math.inf:
        margin = _MARGIN[operation.dtype]
        return f"clamp the argument to {f'{low:g} + ' if low else ''}{margin} and {high:g} - {margin}{advice}"
    if name == "pow" and argument < 0:
        return "the base is negative: clamp it above 0, or raise its absolute value to the power"
    functions = operation.iter_origin_names() if name in LOGARITHMS and argument == 0 else iter(())
    better = next((f"{_INSTEAD[function]}, or " for function in functions if function in _INSTEAD), "")
    return f"{better}keep the argument above {low:g}: {advice or 'clamp it, or add an eps'}"


SLOPES: Mapping[str, tuple[str, str]] = {
    "div": ("a quotient is infinite for a divisor of 0", f"{REMEDY['div']}; torch.atan2(y, x) replaces atan(y / x)"),
    "linalg_eigh": ("eigenvectors is infinite for equal eigenvalues", "separate equal eigenvalues by a small diagonal"),
}
"""Places of an infinite slope, and the remedies; other functions have them at the ends of their domain."""


def remedy_slope(operation: Operation, name: str) -> tuple[str, str]:
    """Say where the slope of a function is infinite, with the remedy."""
    ends = " and ".join(f"{end:g}" for end in DOMAINS.get(name, ())[:2] if abs(end) < math.inf)
    return SLOPES.get(name) or (f"{name} is infinite at {ends}", remedy_domain(operation, name, 0.0))


# Reasons in the arguments


def _explain_labels(args: Any) -> tuple[str, str] | None:
    """Say why a mean over labels has nothing to divide by."""
    _, labels, weights, _, ignored = args
    kept = labels[labels != ignored]
    if kept.numel() and (weights is None or bool(weights[kept].any())):
        return None
    ignores = f"all {labels.numel():,} labels are ignored (ignore_index={ignored})"
    reason = "the weights of all labels are 0" if kept.numel() else ignores
    return reason, "skip such a batch, or divide the sum of the losses by a count or weight that is at least 1"


def _explain_alignment(args: Any) -> tuple[str, str] | None:
    """Say that a target has no alignment."""
    lengths, targets = (torch.as_tensor(length) for length in args[2:4])
    if not bool((targets > lengths).any()):
        return None
    remedy = "pass zero_infinity=True, or leave out targets that are longer than their inputs"
    return f"a target of {int(targets[targets > lengths][0])} labels is longer than its input", remedy


REASONS: Mapping[str, Callable[[Any], tuple[str, str] | None]] = {
    "nll_loss_forward": _explain_labels,
    "nll_loss2d_forward": _explain_labels,
    "_ctc_loss": _explain_alignment,
}
"""Functions that say why a loss is not finite, from its arguments."""

_INSTEAD: Mapping[str, str] = {
    "sigmoid": "work with logits: use F.logsigmoid or F.binary_cross_entropy_with_logits",
    "_softmax": "work with logits: use F.log_softmax or F.cross_entropy",
    "exp": "work with logarithms (log_softmax, logsumexp): use the exponent instead of its exponential",
    "exp2": "work with logarithms: use the exponent instead of its exponential",
    "_linalg_det": "use torch.linalg.slogdet, which returns the logarithm",
    "prod": "add logarithms instead of multiplying",
    **dict.fromkeys(("erf", "erfc", "special_ndtr"), "use torch.special.log_ndtr, the logarithm of the distribution"),
    **dict.fromkeys(("relu", "threshold"), "use F.softplus, which is above 0"),
    "softplus": "parametrize the logarithm itself, or add an eps: log(softplus(x)) is x far below 0",
    "i0": "use torch.special.i0e(x), and i0e(x).log() + x for the logarithm",
}
"""Remedies of results beyond a format, or of a logarithm of 0, by the function that computed them."""

COUNTS = "count in an integer dtype such as torch.int64, and convert the result"
"""Remedy of a count or an index that its format cannot hold."""


def remedy_overflow(operation: Operation) -> str:
    """Return the remedy of a result beyond the format."""
    if operation.backward:
        return TRAINING if operation.dtype is not torch.float16 else f"{TRAINING}, or use bfloat16 or float32 here"
    name = bare(operation.name)
    advice = "scale before taking the power" if name in {"pow", "square"} else "scale the operands first"
    return _INSTEAD.get(name) or add_wider_format(advice, operation.dtype)


def remedy_exponential(operation: Operation, later: Sequence[Operation]) -> str:
    """Return the remedy of an exponential that overflows, of a softmax or softplus if it is read as there."""
    if operation.shape == ():
        return REMEDY["scalar"]
    readers = {bare(reader.name) for reader in later if not reader.backward and operation in reader.writers}
    return REMEDY["exp" if readers & {"sum", "mean", "div", "cumsum", "log", "add"} else "grown"]


ITERATED = 5
"""Minimum number of growing results of a line before an overflow for which the line is called an iteration."""


def diverges(operation: Operation, earlier: Sequence[Operation]) -> bool:
    """Whether the results of the same operation of the same line grew to the overflow."""
    same = [result.largest for result in earlier if result.line == operation.line and result.name == operation.name]
    last = same[-ITERATED:]
    return len(last) == ITERATED and last == sorted(set(last))


def remedy_underflow(operation: Operation) -> str:
    """Return the remedy of results that underflow to zero."""
    if operation.backward:
        wider = ", or use bfloat16 or float32 here" if operation.dtype is torch.float16 else ""
        return f"scale the loss (torch.amp.GradScaler){wider}"
    if operation.shape == () and operation.dtype in NARROW:
        return "keep this number in float32, or limit it from below with clamp"
    advice = add_wider_format("work with logarithms, or scale the operands first", operation.dtype)
    return _INSTEAD.get(bare(operation.name), advice)


def remedy_sum(operation: Operation) -> str:
    """Return the remedy of a sum that is not accurate enough."""
    if any(source.largest > operation.largest and source.error > 0.0 for source in operation.sources):
        return add_wider_format("rearrange the terms so that they do not cancel", operation.dtype)
    wider = _WIDER.get(operation.dtype)
    if wider is None:
        return "use pairwise summation instead of one term at a time, or math.fsum"
    return f"sum in {wider} (`dtype=torch.{wider}`), or use pairwise summation instead of one term at a time"


def add_wider_format(advice: str, dtype: torch.dtype) -> str:
    """Add the next wider format as an alternative, if there is one."""
    wider = _WIDER.get(dtype)
    return f"{advice}, or compute this line in {wider}" if wider else advice


def remedy_cancellation(operation: Operation) -> str:
    """Return the remedy of a difference, or of a logarithm near one: the function that does not cancel, if known."""
    name, writers = bare(operation.name), operation.writers
    if name in INACCURATE:
        return INACCURATE[name]
    if name == "sub" and [bare(made.name) for made in writers] == ["sigmoid", "sigmoid"]:
        return "use torch.sigmoid(-b) - torch.sigmoid(-a) instead of sigmoid(a) - sigmoid(b)"
    if name in _OF_LOGITS:
        return add_wider_format(
            "keep the logits small, for example by weight decay or label smoothing", operation.dtype
        )
    is_by_number = len(operation.sources) == 1
    if name in LOGARITHMS and writers:
        return _remedy_logarithm(writers[0]) or _subtract_first(operation)
    if name in {"sub", "rsub", "add"} and is_by_number and writers and 0.25 <= operation.sources[0].largest <= 4.0:
        function = bare(writers[0].name)
        key = "1 + cos" if (name, function) == ("add", "cos") else function
        return _BY_NUMBER.get(key) or _subtract_first(operation)
    return _subtract_first(operation)


INACCURATE: Mapping[str, str] = {
    **dict.fromkeys(("acos", "asin"), "use torch.atan2(sine, cosine), or 2 * asin(length / 2) of the chord: near 1, "
                    "rounding of the argument changes half of the digits"),
    **dict.fromkeys(("linalg_inv_ex", "_linalg_solve_ex", "inverse"),
                    "add a small multiple of the identity to the matrix, or compute this line in float64"),
}  # fmt: skip
"""Remedies of functions that amplify the rounding of their inputs."""

_OF_LOGITS = {"_log_softmax", "_softmax", "logsumexp", "_log_softmax_backward_data", "_softmax_backward_data"}
"""Functions that subtract large inputs from one another inside."""

_BY_NUMBER: Mapping[str, str] = {
    "exp": "use torch.expm1(x) instead of exp(x) - 1",
    "sigmoid": "use torch.sigmoid(-x) instead of 1 - sigmoid(x), and F.logsigmoid(-x) for its logarithm",
    "cos": "use 2 * sin(x / 2) ** 2 instead of 1 - cos(x)",
    "pow": "use torch.expm1(y * torch.log(x)) instead of x ** y - 1, with log1p(r) for the logarithm of 1 + r",
    "sqrt": "use a / (sqrt(1 + a) + 1) instead of sqrt(1 + a) - 1",
    "tanh": "use torch.sigmoid: 1 - tanh(x) is 2 * sigmoid(-2 * x)",
    "1 + cos": "use 2 * cos(x / 2) ** 2 instead of 1 + cos(x)",
    "_softmax": "sum the other probabilities instead of 1 - p, or use F.log_softmax",
}
"""The replacement for a difference from one, by the function that is subtracted."""


def _remedy_logarithm(inner: Operation) -> str | None:
    name, writers = bare(inner.name), inner.writers
    if name not in {"add", "sub", "rsub"} or len(inner.sources) != 1:
        return None
    if name == "add" and writers and bare(writers[0].name) == "exp":
        return "use F.softplus(x) instead of log(1 + exp(x)), or torch.log1p instead of log(1 + x)"
    return "use torch.log1p(x) instead of log(1 + x)"


def _subtract_first(operation: Operation) -> str:
    read = {bare(made.name) for writer in operation.writers for made in (writer, *writer.writers)}
    if "cumsum" in read and not operation.backward:
        if all(bare(writer.name) == "cumsum" for writer in operation.writers):
            return add_wider_format("sum each window itself, for example with F.avg_pool1d", operation.dtype)
        return "add from the other end (flip and cumsum) instead of subtracting, or use torch.logcumsumexp"
    advice = "subtract the common part before squaring or summing"
    return (
        f"compute this line in float32, or {advice}"
        if operation.dtype in NARROW
        else add_wider_format(advice, operation.dtype)
    )


def is_sum(operation: Operation) -> bool:
    """Whether an operation adds many terms."""
    return bare(operation.name) in _SUMS


def find_grown_weight(operation: Operation) -> float | None:
    """Return the size of the largest weight nearby, if it is so large that the run diverges; else ``None``."""
    largest = max((source.largest for source in _find_weights(operation)), default=0.0)
    return largest if largest > GROWN else None


def _find_weights(operation: Operation) -> Iterator[Source]:
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
