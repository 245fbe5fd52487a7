"""Rules for rewrites that change the function on ordinary inputs, such as n - 1 to n."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping

import libcst as cst

from harness.repair.code import Called, Code, Rewrite, Rule, number, operands


def biased(code: Code, node: cst.BaseExpression) -> str | None:
    """Add correction=0 to var or std."""
    called = code.written(node, "var", "std")
    if called is None or called.keywords.keys() & {"correction", "unbiased"}:
        return None
    text = code.bare(node)
    return f"{text[:-1]}, correction=0)" if called.axis() is not None else f"{text[:-1].rstrip(',')}correction=0)"


_REDUCED = ("sum", "mean", "softmax", "log_softmax", "logsumexp", "var", "std", "amax")


def last_axis(code: Code, node: cst.BaseExpression) -> str | None:
    """Reduce along the last axis instead of the first one or all."""
    called = code.written(node, *_REDUCED)
    if called is None:
        return None
    axis = called.axis()
    if axis is None:
        if called.name not in {"sum", "mean", "amax"} or called.keywords or called.arguments:
            return None
        return f"{code.bare(node)[:-1]}{'' if not _is_of_module(called) else ', '}-1, keepdim=True)"
    if number(axis) != 0.0:
        return None
    changed = node.deep_replace(axis, cst.parse_expression("-1"))
    return code.bare(changed) if isinstance(changed, cst.BaseExpression) else None


def _is_of_module(called: Called) -> bool:
    """Whether the tensor is an argument of the call."""
    return any(one.value is called.of for one in called.node.args)


# Superfluous additions and operations


def without_eps(code: Code, node: cst.BaseExpression) -> str | None:
    """Drop a small number that is added, and a clamp by a small number."""
    pair = operands(node, cst.Add)
    if pair is not None and (small := number(code.seen(pair[1]))) is not None and 0.0 < small < _SMALL:
        return code.bare(pair[0])
    called = code.written(node, "clamp", "clip", "clamp_min")
    if called is None:
        return None
    low = called.keywords.get("min", called.arguments[0] if called.arguments else None)
    small = None if low is None else number(code.seen(low))
    return code.operand(called.of) if small is not None and 0.0 < small < _SMALL else None


_SMALL = 0.01
"""Numbers below this are an epsilon."""


def loss_of_logits(code: Code, node: cst.BaseExpression) -> str | None:
    """Drop a softmax or a sigmoid before a loss of logits, or a softmax of a softmax."""
    called = code.written(node, "cross_entropy", "binary_cross_entropy_with_logits", "softmax", "log_softmax")
    if called is None:
        return None
    inner = code.called(called.of, "softmax", "sigmoid")
    if inner is None:
        return None
    changed = node.deep_replace(called.of, cst.parse_expression(code.bare(inner.of)))
    return code.bare(changed) if isinstance(changed, cst.BaseExpression) else None


def natural(code: Code, node: cst.BaseExpression) -> str | None:
    """Take the natural logarithm or exponential."""
    called = code.written(node, "log2", "log10", "exp2", "logaddexp2")
    if called is None or not isinstance(called.node.func, cst.Attribute):
        return None
    name = called.name.removesuffix("10").removesuffix("2")
    changed = called.node.with_changes(func=called.node.func.with_changes(attr=cst.Name(name)))
    return code.bare(changed)


# Numbers and inputs in the sentence of a mistake

_NUMBER = re.compile(r"(-?[\d.e+-]+) takes the place of (-?[\d.e+-]+)")
_PAIR = re.compile(r"`([^`]+)` and `([^`]+)` are exchanged")


def rules_of(sentences: Iterable[str]) -> Iterator[Rewrite]:
    """Yield the rules that undo the changes of numbers and inputs that sentences name."""
    for sentence in sentences:
        for actual, expected in _NUMBER.findall(sentence):
            yield Rewrite(f"{actual} to {expected}", _exchanging({actual: expected}), is_safe=False)
        for left, right in _PAIR.findall(sentence):
            yield Rewrite(f"exchange {left} and {right}", _exchanging({left: right, right: left}), is_safe=False)


def _exchanging(texts: Mapping[str, str]) -> Rule:
    """Return the rule that replaces numbers and names."""
    numbers = {float(old): new for old, new in texts.items() if _LITERAL.fullmatch(old)}

    def rule(_: Code, node: cst.BaseExpression) -> str | None:
        value = number(node)
        if value is None:
            return texts.get(node.value) if isinstance(node, cst.Name) else None
        return next((new for old, new in numbers.items() if math.isclose(old, value, rel_tol=1e-6)), None)

    return rule


_LITERAL = re.compile(r"-?\d[\d.e+-]*")

UNSAFE = (
    Rewrite("divide by n", biased, is_safe=False),
    Rewrite("add instead of the mean", _exchanging({"mean": "sum"}), is_safe=False),
    Rewrite("take the mean", _exchanging({"sum": "mean"}), is_safe=False),
    Rewrite("reduce along the last axis", last_axis, is_safe=False),
    Rewrite("drop the epsilon or the clamp", without_eps, is_safe=False),
    Rewrite("pass the logits", loss_of_logits, is_safe=False),
    Rewrite("use the natural logarithm", natural, is_safe=False),
)
"""These change the function on ordinary inputs."""
