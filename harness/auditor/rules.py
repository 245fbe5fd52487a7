"""Rules that need no comparison: a vanishing eps, saturated probabilities, masked rows, integer overflow, counts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.auditor.line import Line
from harness.auditor.operation import Operation, bare
from harness.auditor.remedy import COUNTS, INACCURATE, LAWS, PROBABILITIES
from harness.auditor.shadow import Call, Narrowing
from harness.auditor.wording import Statement, make_finding
from harness.compat.torch import base_of_view, current_autograd_node
from harness.exact.tape import FLOATING, INTEGERS, NARROW, SMALLEST, UNIT, Operator, dtype_name
from harness.record.audit import AuditFinding, AuditKind

EPS_FROM = {torch.float16: "1e-4", torch.bfloat16: "1e-8"}
_PROTECTING = {"add", "clamp", "clamp_min", "maximum", "_foreach_add", "_foreach_clamp_min", "_foreach_maximum"}
_WRAPPING = {"add", "sub", "mul", "sum", "cumsum", "neg", "rsub", "mm", "bmm", "mv", "dot"}
_SOFTMAX = {"_softmax", "_safe_softmax", "_log_softmax"}
ALWAYS = {"binary_cross_entropy", *_SOFTMAX}
"""Operators with a rule in every format; the others have rules in 16 bits only."""
_LOOKED_AT = {"arange", *_PROTECTING, *ALWAYS}
_OPEN = -9e3
"""Value below which a logit comes from a mask."""


_BLOCKED = 0.9
"""Minimum share of a gradient's norm that a clamp blocks."""


_FLAT_AT_ZERO = {"pow", "square", "abs", "linalg_vector_norm", "norm", "var", "var_mean"}
"""Functions whose results are squares or sizes."""


def _is_eps(bound: float) -> bool:
    """Whether a bound keeps a probability away from zero or one."""
    return 0 < abs(bound) <= 1e-3 or 0 < abs(1 - bound) <= 1e-3


class Rules:
    """Checks operations one by one."""

    def __init__(self, narrowing: Narrowing) -> None:
        self._format_of = narrowing.format_of
        self.findings: dict[tuple[tuple[str, int], AuditKind], AuditFinding] = {}

    def report(self, line: Line, operator: Operator, result: Tensor, statement: Statement | None) -> None:
        """Store a finding once for each line and kind, if a rule has a statement."""
        if statement is None:
            return
        kind, name, dtype = statement[0], operator.name, self._format_of.get(result.dtype, result.dtype)
        key = (line.key, kind)
        if (earlier := self.findings.get(key)) is not None:
            self.findings[key] = earlier.model_copy(update={"times": earlier.times + 1})
            return
        self.findings[key] = make_finding(statement, line, name, dtype, law=LAWS.get((kind, name)))

    def check_operation(self, line: Line, operator: Operator, args: Any, result: Tensor, *, nan_read: bool) -> None:
        """Check a floating-point operation after it ran."""
        name, base = operator.name, operator.base
        if base not in _LOOKED_AT and name not in _LOOKED_AT:
            return
        dtype = self._format_of[result.dtype]
        if dtype in NARROW and base in _PROTECTING:
            self.report(line, operator, result, _check_eps(args, dtype))
        if name == "binary_cross_entropy":
            self.report(line, operator, result, _check_saturation(*args[:2]))
        if name in _SOFTMAX and not nan_read:
            self.report(line, operator, result, _check_closed_rows(*args[:2], is_safe=name == "_safe_softmax"))
        if dtype in NARROW and name == "arange":
            self.report(line, operator, result, _check_repeated(result, dtype))


def _check_eps(args: Any, dtype: torch.dtype) -> Statement | None:
    eps = next((x for x in args if isinstance(x, int | float) and not isinstance(x, bool)), 0)
    name, smallest = dtype_name(dtype), SMALLEST[dtype]
    if eps == 0 or abs(eps) > smallest / 2:
        return None
    remedy = f"use an eps of at least {EPS_FROM[dtype]}, or compute this line in float32"
    sentence = f"eps = {eps:g} rounds to 0 in {name}, whose smallest positive number is {smallest:.3g}"
    return AuditKind.EPS, f"{sentence}: it has no effect", remedy


def _check_saturation(p: Tensor, target: Tensor) -> Statement | None:
    p, target = p.detach(), target.detach()
    count = int((((p == 0) | (p == 1)) & (p != target)).sum())
    sentence = (
        f"{count:,} of {p.numel():,} probabilities are exactly 0 or 1 and contradict their target: their "
        "logarithm is clamped to -100, so the loss and the gradient are wrong there"
    )
    remedy = "pass logits to binary_cross_entropy_with_logits instead of probabilities"
    return (AuditKind.CLAMPED, sentence, remedy) if count else None


def _check_closed_rows(x: Tensor, dim: int, *, is_safe: bool) -> Statement | None:
    x = x.detach()
    if not x.numel() or not x.dim():
        return None
    top, low = x.amax(dim), x.amin(dim)
    closed = top == -math.inf if is_safe else (top <= _OPEN) & (top > -math.inf) & (low <= _OPEN)
    gives = "returns zeros" if is_safe else "assigns weight to masked entries"
    count = int(closed.sum())
    sentence = f"{count:,} of {top.numel():,} rows are fully masked: softmax {gives} there instead of NaN"
    remedy = "skip fully masked rows, or multiply the result by the mask"
    return (AuditKind.MASKED, sentence, remedy) if count else None


def _check_repeated(result: Tensor, dtype: torch.dtype) -> Statement | None:
    same = int((result[1:] == result[:-1]).sum()) if result.dim() == 1 else 0
    name = dtype_name(dtype)
    sentence = f"{same:,} of {result.numel():,} numbers of this range equal the previous number in {name}"
    remedy = "count in integers or float32, and convert the result"
    return (AuditKind.REPEATED, sentence, remedy) if same else None


_LOGITS = "pass the logits themselves to the loss"
_TWICE: Mapping[tuple[str, str], tuple[str, str]] = {
    **dict.fromkeys(
        (("_log_softmax", "_softmax"), ("_softmax", "_softmax")),
        ("softmax is applied to probabilities, which softmax made", f"{_LOGITS}: cross_entropy applies softmax itself"),
    ),
    **dict.fromkeys(
        tuple((name, "sigmoid") for name in ("binary_cross_entropy_with_logits", "log_sigmoid_forward", "sigmoid")),
        ("sigmoid is applied to probabilities, which sigmoid made", f"{_LOGITS}: it applies sigmoid itself"),
    ),
    **dict.fromkeys(
        tuple((loss, "_softmax") for loss in ("nll_loss_forward", "nll_loss2d_forward")),
        ("nll_loss takes logarithms of probabilities, and gets probabilities", "use log_softmax instead of softmax"),
    ),
    **dict.fromkeys(
        tuple((loss, made) for loss in ("nll_loss_forward", "nll_loss2d_forward") for made in ("addmm", "convolution")),
        ("nll_loss takes logarithms of probabilities, and gets logits", "use cross_entropy, or log_softmax before it"),
    ),
}
"""Sentence and remedy, by the operation and the one that wrote its input."""

_WITH_BROADCAST = {"add", "sub", "rsub", "mul"}
_LOSSES = {"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"}
_IN_PLACE = {"add_", "lerp_", "_foreach_add_", "_foreach_lerp_"}


def check_inputs(call: Call, result: Tensor) -> Statement | None:
    """Say whether an operation gets inputs of the wrong kind, such as probabilities in place of logits."""
    name = call.operator.name
    made = call.sources[0].writer if call.sources else None
    if made is not None and (twice := _TWICE.get((name, made.name))) is not None:
        return AuditKind.TRAINING, f"{twice[0]} (line {made.line.number})", twice[1]
    if name in _IN_PLACE:
        half = len(call.keys) // 2
        if half and call.keys[:half] == call.keys[half:] and call.cells[0].state.leaf is not None:
            sentence = "a weight is combined with itself: the average is no copy, but shares the memory of the weight"
            return AuditKind.TRAINING, sentence, "copy the weights once: p.detach().clone(), or copy.deepcopy(model)"
    if (call.operator.base in _WITH_BROADCAST or name in _LOSSES) and _is_accidental_square(call, result):
        n = _find_square(call, result)
        sentence = f"a column of {n} values and a row of {n} values become a square of {n} x {n}"
        return AuditKind.TRAINING, sentence, "give both the same shape: target.reshape(output.shape)"
    return None


def _find_square(call: Call, result: Tensor) -> int:
    """Return the number of rows of a square result, or of the square that a loss averages; 1 if there is none."""
    shape = result.shape if result.dim() else call.args[0].shape  # losses expand their arguments first
    return int(shape[0]) if len(shape) == 2 and shape[0] == shape[1] else 1


def _is_accidental_square(call: Call, result: Tensor) -> bool:
    """Whether a column and a row make a square, one depends on parameters, and the column was not made by indexing."""
    operands = [x for x in call.args[:2] if isinstance(x, Tensor)]
    if call.backward or len(operands) < 2 or operands[0].requires_grad == operands[1].requires_grad:
        return False
    tracked = operands[0] if operands[0].requires_grad else operands[1]
    n = _find_square(call, result)
    columns = [x for x in operands if x.shape == (n, 1) or (x.shape == (n, n) and x.stride(1) == 0 < x.stride(0))]
    rows = [x for x in operands if x.shape == (n,) or (x.shape == (n, n) and x.stride(0) == 0 < x.stride(1))]
    if n == 1 or not columns or not rows or tracked.is_leaf:
        return False
    base = base_of_view(columns[0])
    return base is None or base.dim() == 2  # another base means an explicit column: x[:, None]


def check_clamp(args: Any, result: Tensor, limited: Operation | None) -> Statement | None:
    """Say whether a clamp of computed values (``limited``) blocks most of the gradient.

    A floor below squares or absolute values is no fault: the gradient that it blocks is nearly zero.
    """
    node = current_autograd_node()
    before = [] if limited is None else limited.iter_origin_names()
    function = next((name for name in before if name in PROBABILITIES or name in _FLAT_AT_ZERO), "")
    if node is None or not node.name().startswith("Clamp") or function in _FLAT_AT_ZERO:
        return None
    bounds = [getattr(node, name, None) for name in ("_saved_min", "_saved_max")]
    if not any(bound is not None and not isinstance(bound, Tensor) and _is_eps(float(bound)) for bound in bounds):
        return None
    gradient = next((x for x in args[1:] if isinstance(x, Tensor) and x.shape == result.shape), None)
    if gradient is None:
        return None
    blocked = (gradient != 0) & (result == 0)
    count = int(blocked.sum())
    lost, size = (float(torch.linalg.vector_norm(x.double())) for x in (gradient[blocked], gradient))
    sentence = (
        f"the clamp is active for {count:,} of {result.numel():,} entries, on which the loss depends most: "
        "their gradient is lost"
    )
    from_logits = "compute the loss from logits (log_softmax, logsigmoid, *_with_logits) instead of clamping"
    remedy = from_logits if function else "add the eps instead of clamping, or clamp at a wider range"
    if isinstance(bounds[0], float) and bounds == [bounds[0], -bounds[0]]:
        remedy = INACCURATE["acos"]
    return (AuditKind.CLAMPED, sentence, remedy) if count and lost > _BLOCKED * size else None


def check_wraparound(operator: Operator, args: Any, result: Tensor) -> Statement | None:
    """Say whether an integer operation wraps around."""
    if operator.base not in _WRAPPING or operator.writes or result.dtype not in INTEGERS:
        return None
    wide = operator.overload(*[x.long() if isinstance(x, Tensor) else x for x in args])
    wrong = wide != result.long()
    count = int(wrong.sum())
    if not count:
        return None
    index = tuple(wrong.nonzero()[0].tolist())
    where = f"{count:,} of {result.numel():,} entries: {int(wide[index])} becomes {int(result[index])}"
    sentence = f"{operator.base} of {dtype_name(result.dtype)} wraps around in {where}"
    return AuditKind.WRAPPED, sentence, "convert to floating point or to a wider integer such as torch.int64 first"


_ROUNDS = {"round", "floor", "ceil", "trunc", "frac"}
_COUNTS = {"add", "sub", "cumsum", "sum", "mul", "arange"}
"""Operations that compute counts and offsets."""

_STEPS_BACK = 3
"""Number of operations before a conversion that are searched for a rounding."""


def may_count(call: Call) -> bool:
    """Whether an addition changes a number that its format may not be able to increase by one."""
    if call.backward or not call.sources:
        return False
    first, total = call.sources[0], call.args[0]
    if not isinstance(total, Tensor) or total.requires_grad:
        return False
    return first.writer is None and first.leaf is None and first.largest * UNIT[call.read[0].dtype] >= 1.0


def check_increment(call: Call, total: Tensor) -> Statement | None:
    """Say whether adding an integer changes nothing."""
    term = call.args[1] if len(call.args) > 1 else None
    step = term if isinstance(term, Tensor) else torch.as_tensor(term, dtype=torch.float64)
    if not total.numel() or not bool(((step == step.round()) & (total == total.round())).all()):
        return None
    is_lost = (step > 0) & (total > 0) & (total + step.to(total.dtype) == total)
    if not bool(is_lost.any()):
        return None
    name, value = dtype_name(total.dtype), float(total[is_lost].flatten()[0])
    sentence = f"the count does not change any more: {name} has not every integer above {1 / UNIT[total.dtype]:,.0f}"
    return AuditKind.UPDATE, f"{sentence}, and it is at {value:,.0f}", COUNTS


@dataclass(frozen=True, slots=True)
class Indices:
    """Integers that are converted from floating-point counts.

    Parameters
    ----------
    writer
        The operation that computed the counts.
    wrong, size
        Number of wrong integers, or 0 if it is unknown; total number of integers.
    dtype
        Format of the counts.
    """

    writer: Operation
    wrong: int
    size: int
    dtype: torch.dtype

    @property
    def sentence(self) -> str:
        """Say which integers the format does not have."""
        limit = f"{dtype_name(self.dtype)} has not every integer above {1 / UNIT[self.dtype]:,.0f}"
        if not self.wrong:
            return f"counts become indices, but {limit}"
        return f"{self.wrong:,} of {self.size:,} indices made of counts are wrong: {limit}"


def find_wrong_indices(call: Call, result: Any) -> Indices | None:
    """Return the wrong indices that a conversion of counts produces; ``None`` if there are none."""
    if call.operator.name != "_to_copy" or not call.read or not isinstance(result, Tensor) or result.dtype in FLOATING:
        return None
    counts = call.read[0]
    writer = call.sources[0].writer
    if result.is_complex() or result.dtype is torch.bool or writer is None or not counts.numel():
        return None
    if call.sources[0].largest * UNIT[counts.dtype] < 1.0 or _is_rounded(writer):
        return None
    shadow = call.shadow_of.get(id(counts))
    if shadow is not None:
        wrong = int(((shadow == shadow.round()) & (shadow != result)).sum())
        return Indices(writer, wrong, result.numel(), counts.dtype) if wrong else None
    is_counted = counts.dtype in NARROW and bare(writer.name) in _COUNTS
    if is_counted and bool((counts == counts.round()).all()):
        return Indices(writer, 0, result.numel(), counts.dtype)
    return None


def _is_rounded(operation: Operation) -> bool:
    """Whether the integers were chosen by rounding, as in a quantization."""
    for _ in range(_STEPS_BACK):
        if bare(operation.name) in _ROUNDS:
            return True
        if not operation.sources or operation.sources[0].writer is None:
            return False
        operation = operation.sources[0].writer
    return False
