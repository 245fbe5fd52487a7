"""Deviations that any operation can have: of its inputs, of its output, and of an axis."""

import ast
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harness.diagnosis import marks
from harness.diagnosis.marks import Mark, calls, divides, keyword, minus, powers
from harness.diagnosis.operation import Choice, mistake
from harness.diagnosis.search import numbers

EPS = numbers(1e-16, 0.5)
"""Numbers between which an epsilon or the limit of a clamp is searched."""

POSITIVE = numbers(1e-2, 1e2, 9)
FACTORS = (*(-x for x in reversed(POSITIVE)), *POSITIVE)
TERMS = (-100.0, -10.0, -3.0, -1.0, -0.1, 0.0, 0.1, 1.0, 3.0, 10.0, 100.0)

# Of the output

SIGN = mistake("sign", "the result has the opposite sign; {op} has the other sign", lambda y, *_: -y, minus)
BITS = mistake(
    "log2", "the logarithm has base 2; {op} uses the natural logarithm", lambda y, *_: y / math.log(2.0),
    calls("log2", "exp2", "logaddexp2"), divides,
)  # fmt: skip
DECADES = mistake(
    "log10", "the logarithm has base 10; {op} uses the natural logarithm", lambda y, *_: y / math.log(10.0),
    calls("log10"), divides,
)  # fmt: skip
ROOT = mistake(
    "root", "the square root of the result is returned; {op} takes no root at the end", lambda y, *_: torch.sqrt(y),
    calls("sqrt", "std", "norm", "vector_norm"), powers,
)  # fmt: skip
SQUARE = mistake("square", "the square of the result is returned; {op} takes no square at the end", lambda y, *_: y * y)
RECIPROCAL = mistake("inverse", "1 divided by the right result is returned; {op} is not", lambda y, *_: 1 / y)
EXPONENTIAL = mistake(
    "missing log", "the exponential of the result is returned: a logarithm is missing; {op} is a logarithm",
    lambda y, *_: torch.exp(y),
)  # fmt: skip
LOGARITHM = mistake(
    "extra log", "the logarithm of the result is returned; {op} takes no logarithm at the end",
    lambda y, *_: torch.log(y), calls("log", "log_softmax", "logsigmoid"),
)  # fmt: skip
FACTOR = mistake(
    "factor", "the result is {c} times the right one; {op} has no such factor", lambda y, *_, c: c * y,
    marks.number, marks.operator(ast.Mult, ast.Div), numbers=FACTORS,
)  # fmt: skip
CONSTANT = mistake(
    "constant", "the result is larger by {c}; {op} has no constant term", lambda y, *_, c: y + c,
    marks.number, keyword("full"), marks.operator(ast.Add, ast.Sub), numbers=TERMS,
)  # fmt: skip
OVER_COLUMNS = mistake(
    "mean", "the mean over the last axis is taken; {op} takes the sum", lambda y, x, *_: y / x.shape[-1],
    calls("mean"), divides,
)  # fmt: skip
COMPLEMENT = mistake("complement", "1 minus the right result is returned; {op} is not", lambda y, *_: 1.0 - y)
MAGNITUDE = mistake("magnitude", "the sign of the result is lost; {op} keeps it", lambda y, *_: y.abs(), calls("abs"))
IN_LOGARITHMS = (SIGN, BITS, DECADES, EXPONENTIAL, FACTOR, CONSTANT)
"""Deviations of the output of an operation that takes logarithms."""

# Of the inputs


def first(key: str, sentence: str, change: Callable[[Tensor], Any], *signs: Mark) -> Choice:
    """Return a deviation that changes the first input."""
    return mistake(key, sentence, lambda x, *rest: (change(x), *rest), *signs)


NEGATED_LOGITS = first("sign", "the sign of the logits is changed; {op} keeps it", torch.neg, minus)
SOFTMAX_FIRST = first(
    "twice", "softmax is applied twice: the probabilities are taken for logits; "
    "{op} takes logits and applies softmax once", lambda x: torch.softmax(x, -1), calls("softmax", "Softmax"),
)  # fmt: skip
LOG_OF_INPUT = first(
    "probabilities", "the logarithm of the input is taken first, as if it were a probability; {op} takes logits",
    torch.log, calls("log"),
)  # fmt: skip
SIGMOID_FIRST = first(
    "twice", "the sigmoid is applied twice: the probabilities are taken for logits; "
    "{op} takes logits and applies the sigmoid once", torch.sigmoid, calls("sigmoid", "Sigmoid"),
)  # fmt: skip
BASE_TWO = first(
    "base2", "powers of 2 are taken; {op} takes powers of e", lambda x: x * math.log(2.0), calls("exp2"), powers
)
TEMPERATURE_ROOT = first(
    "temperature", "the logits are divided by the square root of the number of classes; {op} does not scale them",
    lambda x: x / math.sqrt(x.shape[-1]), marks.operator(ast.Div, ast.Mult),
)  # fmt: skip


def scale_input(key: str, sentence: str, *signs: Mark) -> Choice:
    """Return the deviation that multiplies the first input by an unknown number."""
    return mistake(key, sentence, lambda x, *rest, c: (x * c, *rest), marks.number, *signs, numbers=FACTORS)


TEMPERATURE = scale_input(
    "temperature",
    "the logits are multiplied by {c}; {op} does not scale them",
    marks.operator(ast.Div, ast.Mult),
)


def swap_inputs(left: str, right: str) -> Choice:
    """Return the deviation that exchanges the first two inputs."""
    sentence = f"{left} and {right} are exchanged; {{op}} takes {left} first"
    return mistake("swapped", sentence, lambda a, b, *rest: (b, a, *rest))


def _shift_labels(by: int) -> Choice:
    """Return the deviation that moves every label."""
    number = f"labels {by:+}".replace("1", " 1")
    sentence = f"the class of each row is its label {number[7:]}; {{op}} counts labels from 0"
    signs = marks.operator(ast.Add, ast.Sub, ast.Mod)
    return mistake(number, sentence, lambda x, t, *rest: (x, (t + by) % x.shape[-1], *rest), signs)


LABELS = (_shift_labels(1), _shift_labels(-1))

# Of an axis

AXES = (
    mistake("axis", "the columns of the batch are reduced (axis 0); {op} reduces each row (axis -1)",
            lambda of_rows, x: of_rows(x.transpose(0, -1)).transpose(0, -1), marks.other_axis, marks.no_axis),
    mistake("all", "the whole batch is reduced at once; {op} reduces each row (axis -1)",
            lambda of_rows, x: of_rows(x.reshape(1, -1)).reshape(x.shape), marks.no_axis),
)  # fmt: skip

# Deviations by a number that is added, or by a limit


def eps(
    where: str, apply: Callable[..., Any], key: str = "eps", *, wanted: str = "{op} adds none", **fields: Any
) -> Choice:
    """Return the deviation that adds an unknown epsilon."""
    return mistake(key, f"{{c}} is added to {where}; {wanted}", apply, marks.number, numbers=EPS, **fields)


def clamp(what: str, apply: Callable[..., Any], key: str = "clamp", **fields: Any) -> Choice:
    """Return the deviation that clamps from below at an unknown number."""
    signs = (marks.number, calls("clamp", "clip", "clamp_min", "maximum"))
    return mistake(key, f"{what} is clamped at {{c}}; {{op}} clamps nothing", apply, *signs, numbers=EPS, **fields)


def add_in_log(log_p: Tensor, *_: Any, c: float) -> Tensor:
    """Return ln(p + c)."""
    return torch.logaddexp(log_p, torch.tensor(math.log(c), dtype=log_p.dtype))


def clamp_in_log(log_p: Tensor, *_: Any, c: float) -> Tensor:
    """Return ln(max(p, c))."""
    return log_p.clamp(min=math.log(c))


def compute_cap(number: float) -> float:
    """Return the largest loss that a probability of at least this number gives."""
    return -math.log(number)


def guards(what: str) -> tuple[Choice, Choice]:
    """Return the deviations that guard a logarithm."""
    return (
        eps(f"{what} before its logarithm is taken", add_in_log, cap=compute_cap),
        clamp(what, clamp_in_log, cap=compute_cap),
    )


GUARDS = guards("the probability")
