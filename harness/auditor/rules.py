"""Rules that need no comparison: a vanishing eps, saturated probabilities, masked rows, integer overflow, counts."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.auditor.call import Call
from harness.auditor.line import Line, place_and_caller
from harness.auditor.operation import Operation, bare, known_as
from harness.auditor.remedy import COUNTS, LAWS
from harness.auditor.shadow import Narrowing
from harness.exact.tape import FLOATING, INTEGERS, NARROW, SMALLEST, UNIT, Operator, dtype_name
from harness.record.audit import AuditFinding, AuditKind

EPS_FROM = {torch.float16: "1e-4", torch.bfloat16: "1e-8"}
_PROTECTING = {"add", "clamp", "clamp_min", "maximum", "_foreach_add", "_foreach_clamp_min", "_foreach_maximum"}
_WRAPPING = {"add", "sub", "mul", "sum", "cumsum", "neg", "rsub"}
_SOFTMAX = {"_softmax", "_safe_softmax", "_log_softmax"}
ALWAYS = {"binary_cross_entropy", *_SOFTMAX}
"""Operators with a rule in every format; the others have rules in 16 bits only."""
_LOOKED_AT = {"arange", *_PROTECTING, *ALWAYS}
_OPEN = -9e3
"""Value below which a logit comes from a mask."""


_BLOCKED = 0.9
"""Minimum share of a gradient's norm that a clamp blocks."""


def _is_eps(bound: float) -> bool:
    """Whether a bound keeps a probability away from zero or one."""
    return 0 < abs(bound) <= 1e-3 or 0 < abs(1 - bound) <= 1e-3


class Rules:
    """Checks operations one by one."""

    def __init__(self, narrowing: Narrowing) -> None:
        self._format_of = narrowing.format_of
        self.findings: dict[tuple[tuple[str, int], AuditKind], AuditFinding] = {}

    def say(self, line: Line, kind: AuditKind, texts: tuple[str, str], tensor: Tensor, operator: Operator) -> None:
        """Store a finding once for each line and kind."""
        key = (line.key, kind)
        known = self.findings.get(key)
        if known is not None:
            self.findings[key] = known.model_copy(update={"times": known.times + 1})
            return
        sentence, remedy = texts
        self.findings[key] = AuditFinding(
            **place_and_caller(line),
            kind=kind,
            sentence=sentence,
            remedy=remedy,
            operation=known_as(operator.name),
            dtype=dtype_name(self._format_of.get(tensor.dtype, tensor.dtype)),
            law=LAWS.get((kind, operator.name)),
        )

    def look(self, line: Line, operator: Operator, args: Any, result: Tensor, *, nan_read: bool) -> None:
        """Check a floating-point operation after it ran."""
        if operator.base not in _LOOKED_AT and operator.name not in _LOOKED_AT:
            return
        is_narrow = self._format_of[result.dtype] in NARROW
        if is_narrow and operator.base in _PROTECTING:
            self._vanishing_eps(line, operator, args, result)
        if operator.name == "binary_cross_entropy":
            self._saturated(line, operator, args, result)
        if operator.name in _SOFTMAX and not nan_read:
            self._closed_rows(line, operator, args, result)
        if operator.name == "arange" and is_narrow:
            self._repeated(line, operator, result)

    def _vanishing_eps(self, line: Line, operator: Operator, args: Any, result: Tensor) -> None:
        scalars = [x for x in args if isinstance(x, int | float) and not isinstance(x, bool)]
        dtype = self._format_of[result.dtype]
        name, smallest = dtype_name(dtype), SMALLEST[dtype]
        for eps in scalars[:1]:
            if eps != 0 and abs(eps) <= smallest / 2:
                sentence = (
                    f"eps = {eps:g} rounds to 0 in {name}, whose smallest positive number is {smallest:.3g}: "
                    "it has no effect"
                )
                remedy = f"use an eps of at least {EPS_FROM[dtype]}, or compute this line in float32"
                self.say(line, AuditKind.EPS, (sentence, remedy), result, operator)

    def _saturated(self, line: Line, operator: Operator, args: Any, result: Tensor) -> None:
        p, target = args[0].detach(), args[1].detach()
        count = int((((p == 0) | (p == 1)) & (p != target)).sum())
        if count:
            sentence = (
                f"{count:,} of {p.numel():,} probabilities are exactly 0 or 1 and contradict their target: their "
                "logarithm is clamped to -100, so the loss and the gradient are wrong there"
            )
            remedy = "pass logits to binary_cross_entropy_with_logits instead of probabilities"
            self.say(line, AuditKind.CLAMPED, (sentence, remedy), result, operator)

    def _closed_rows(self, line: Line, operator: Operator, args: Any, result: Tensor) -> None:
        x, dim = args[0].detach(), args[1]
        if not x.numel() or not x.dim():
            return
        top, low = x.amax(dim), x.amin(dim)
        if operator.name == "_safe_softmax":
            closed, gives = top == -math.inf, "returns zeros"
        else:
            closed, gives = (top <= _OPEN) & (top > -math.inf) & (low <= _OPEN), "assigns weight to masked entries"
        count = int(closed.sum())
        if count:
            sentence = f"{count:,} of {top.numel():,} rows are fully masked: softmax {gives} there instead of NaN"
            remedy = "skip fully masked rows, or multiply the result by the mask"
            self.say(line, AuditKind.MASKED, (sentence, remedy), result, operator)

    def _repeated(self, line: Line, operator: Operator, result: Tensor) -> None:
        same = int((result[1:] == result[:-1]).sum()) if result.dim() == 1 else 0
        if same:
            name = dtype_name(self._format_of[result.dtype])
            sentence = f"{same:,} of {result.numel():,} numbers of this range equal the previous number in {name}"
            remedy = "count in integers or float32, and convert the result"
            self.say(line, AuditKind.REPEATED, (sentence, remedy), result, operator)

    def clamped(self, line: Line, operator: Operator, args: Any, result: Tensor) -> None:
        """Check whether a clamp blocks most of the gradient."""
        node = torch._C._current_autograd_node()
        if node is None or not node.name().startswith("Clamp"):
            return
        bounds = [getattr(node, name, None) for name in ("_saved_min", "_saved_max")]
        if not any(bound is not None and not isinstance(bound, Tensor) and _is_eps(float(bound)) for bound in bounds):
            return
        gradient = next((x for x in args[1:] if isinstance(x, Tensor) and x.shape == result.shape), None)
        if gradient is None:
            return
        blocked = (gradient != 0) & (result == 0)
        count = int(blocked.sum())
        sizes = [float(torch.linalg.vector_norm(x.double())) for x in (gradient[blocked], gradient)]
        if count and sizes[0] > _BLOCKED * sizes[1]:
            sentence = (
                f"the clamp is active for {count:,} of {result.numel():,} entries, on which the loss depends most: "
                "their gradient is lost"
            )
            remedy = "compute the loss from logits (log_softmax, logsigmoid, *_with_logits) instead of clamping"
            self.say(line, AuditKind.CLAMPED, (sentence, remedy), result, operator)

    def integers(self, line: Line, operator: Operator, args: Any, result: Any) -> None:
        """Check whether an integer operation wraps around."""
        if operator.base not in _WRAPPING or operator.writes or not isinstance(result, Tensor):
            return
        if result.dtype not in INTEGERS:
            return
        wide = operator.overload(*[x.long() if isinstance(x, Tensor) else x for x in args])
        wrong = wide != result.long()
        count = int(wrong.sum())
        if count:
            at = tuple(wrong.nonzero()[0].tolist())
            name = dtype_name(result.dtype)
            sentence = (
                f"{operator.base} of {name} wraps around in {count:,} of {result.numel():,} entries: "
                f"{int(wide[at])} becomes {int(result[at])}"
            )
            self.say(
                line,
                AuditKind.WRAPPED,
                (sentence, "convert to floating point or to a wider integer first"),
                result,
                operator,
            )


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


def stands_still(call: Call, total: Tensor) -> tuple[str, str] | None:
    """Return sentence and remedy if adding an integer changes nothing; else ``None``."""
    term = call.args[1] if len(call.args) > 1 else None
    step = term if isinstance(term, Tensor) else torch.as_tensor(term, dtype=torch.float64)
    if not total.numel() or not bool(((step == step.round()) & (total == total.round())).all()):
        return None
    is_lost = (step > 0) & (total > 0) & (total + step.to(total.dtype) == total)
    if not bool(is_lost.any()):
        return None
    name, at = dtype_name(total.dtype), float(total[is_lost].flatten()[0])
    sentence = f"the count does not change any more: {name} has not every integer above {1 / UNIT[total.dtype]:,.0f}"
    return f"{sentence}, and it is at {at:,.0f}", COUNTS


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


def indices_of(call: Call, result: Any) -> Indices | None:
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
