"""Deviations that any operation can have: of its inputs, of its output, and of an axis."""

import ast
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harness.diagnosis import marks
from harness.diagnosis.operation import Choice
from harness.diagnosis.search import numbers

EPS = numbers(1e-16, 0.5)
"""Numbers between which an epsilon or the limit of a clamp is searched."""

FACTORS = (*(-x for x in reversed(numbers(1e-2, 1e2, 9))), *numbers(1e-2, 1e2, 9))
TERMS = (-100.0, -10.0, -3.0, -1.0, -0.1, 0.0, 0.1, 1.0, 3.0, 10.0, 100.0)

# Of the output

SIGN = Choice(
    "sign",
    "the result has the opposite sign",
    "{op} has the other sign",
    (marks.minus,),
    apply=lambda y, *_: -y,
)
BITS = Choice(
    "log2",
    "the logarithm has base 2",
    "{op} uses the natural logarithm",
    (marks.calls("log2", "exp2", "logaddexp2"), marks.operator(ast.Div)),
    apply=lambda y, *_: y / math.log(2.0),
)
DECADES = Choice(
    "log10",
    "the logarithm has base 10",
    "{op} uses the natural logarithm",
    (marks.calls("log10"), marks.operator(ast.Div)),
    apply=lambda y, *_: y / math.log(10.0),
)
ROOT = Choice(
    "root",
    "the square root of the result is returned",
    "{op} takes no root at the end",
    (marks.calls("sqrt", "std", "norm", "vector_norm"), marks.operator(ast.Pow)),
    apply=lambda y, *_: torch.sqrt(y),
)
SQUARE = Choice("square", "the result is squared", "{op} is not squared", apply=lambda y, *_: y * y)
EXPONENTIAL = Choice(
    "missing log",
    "the exponential of the result is returned: a logarithm is missing",
    "{op} is a logarithm",
    apply=lambda y, *_: torch.exp(y),
)
LOGARITHM = Choice(
    "extra log",
    "the logarithm of the result is returned",
    "{op} takes no logarithm at the end",
    (marks.calls("log", "log_softmax", "logsigmoid"),),
    apply=lambda y, *_: torch.log(y),
)
FACTOR = Choice(
    "factor",
    "the result is {c} times the right one",
    "{op} has no such factor",
    (marks.number, marks.operator(ast.Mult, ast.Div)),
    numbers=FACTORS,
    apply=lambda y, c: c * y,
)
CONSTANT = Choice(
    "constant",
    "the result is larger by {c}",
    "{op} has no constant term",
    (marks.number, marks.keyword("full"), marks.operator(ast.Add, ast.Sub)),
    numbers=TERMS,
    apply=lambda y, c: y + c,
)
OVER_COLUMNS = Choice(
    "mean",
    "the mean over the last axis is taken",
    "{op} takes the sum",
    (marks.calls("mean"), marks.operator(ast.Div)),
    apply=lambda y, x, *_: y / x.shape[-1],
)
COMPLEMENT = Choice("complement", "1 minus the right result is returned", "{op} is not", apply=lambda y, *_: 1.0 - y)
MAGNITUDE = Choice(
    "magnitude",
    "the sign of the result is lost",
    "{op} keeps it",
    (marks.calls("abs"),),
    apply=lambda y, *_: y.abs(),
)


# Of the inputs


def first(
    key: str, computed: str, wanted: str, change: Callable[[Tensor], Any], *found: Any, is_plain: bool = True
) -> Choice:
    """Return a deviation that changes the first input."""
    return Choice(key, computed, wanted, found, apply=lambda x, *rest: (change(x), *rest), is_plain=is_plain)


NEGATED_LOGITS = first("sign", "the sign of the logits is changed", "{op} keeps it", lambda x: -x, marks.minus)
SOFTMAX_FIRST = first(
    "twice",
    "softmax is applied twice: the probabilities are taken for logits",
    "{op} takes logits and applies softmax once",
    lambda x: torch.softmax(x, -1),
    marks.calls("softmax", "Softmax"),
)
LOG_OF_INPUT = first(
    "probabilities",
    "the logarithm of the input is taken first, as if it were a probability",
    "{op} takes logits",
    torch.log,
    marks.calls("log"),
)
SIGMOID_FIRST = first(
    "twice",
    "the sigmoid is applied twice: the probabilities are taken for logits",
    "{op} takes logits and applies the sigmoid once",
    torch.sigmoid,
    marks.calls("sigmoid", "Sigmoid"),
)
BASE_TWO = first(
    "base2",
    "powers of 2 are taken",
    "{op} takes powers of e",
    lambda x: x * math.log(2.0),
    marks.calls("exp2"),
    marks.operator(ast.Pow),
)
TEMPERATURE_ROOT = first(
    "temperature",
    "the logits are divided by the square root of the number of classes",
    "{op} does not scale them",
    lambda x: x / math.sqrt(x.shape[-1]),
    marks.operator(ast.Div, ast.Mult),
)
TEMPERATURE = Choice(
    "temperature",
    "the logits are multiplied by {c}",
    "{op} does not scale them",
    (marks.number, marks.operator(ast.Div, ast.Mult)),
    numbers=FACTORS,
)


def swapped(left: str, right: str) -> Choice:
    """Return the deviation that exchanges the first two inputs."""
    return Choice(
        "swapped",
        f"{left} and {right} are exchanged",
        f"{{op}} takes {left} first",
        apply=lambda a, b, *rest: (b, a, *rest),
    )


def labels(by: int) -> Choice:
    """Return the deviation that moves every label."""
    number = f"labels {'+' if by > 0 else '-'} 1"
    return Choice(
        number,
        f"the class of each row is its label {number[7:]}",
        "{op} counts labels from 0",
        (marks.operator(ast.Add, ast.Sub, ast.Mod),),
        apply=lambda x, t, *rest: (x, (t + by) % x.shape[-1], *rest),
    )


# Of an axis

AXES = (
    Choice(
        "axis",
        "the columns of the batch are reduced (axis 0)",
        "{op} reduces each row (axis -1)",
        (marks.other_axis, marks.no_axis),
    ),
    Choice(
        "all",
        "the whole batch is reduced at once",
        "{op} reduces each row (axis -1)",
        (marks.no_axis,),
    ),
)


SHIFTED_AXES = (
    Choice(
        "axis",
        "the exponentials are divided by the sums of the columns (axis 0)",
        "{op} divides by the sum of each row (axis -1)",
        (marks.other_axis, marks.no_axis),
    ),
    Choice(
        "all",
        "the exponentials are divided by the sum of the whole batch",
        "{op} divides by the sum of each row (axis -1)",
        (marks.no_axis,),
    ),
)
"""The same where each row is shifted by its own maximum before."""


def eps(where: str, key: str = "eps", *, wanted: str = "{op} adds none", **fields: Any) -> Choice:
    """Return the deviation that adds an unknown epsilon."""
    return Choice(key, f"{{c}} is added to {where}", wanted, (marks.number,), numbers=EPS, **fields)


def clamp(what: str, key: str = "clamp", **fields: Any) -> Choice:
    """Return the deviation that clamps from below at an unknown number."""
    found = (marks.number, marks.calls("clamp", "clip", "clamp_min", "maximum"))
    return Choice(key, f"{what} is clamped at {{c}}", "{op} clamps nothing", found, numbers=EPS, **fields)


def cap_of_log(number: float) -> float:
    """Return the largest loss that a probability of at least this number gives."""
    return -math.log(number)
