"""Rules for rewrites that change the function on ordinary inputs, such as n - 1 to n."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping

import libcst as cst

from harness.repair.code import Code, Rewrite, Rule, match_operands, read_number


def use_biased_variance(code: Code, node: cst.BaseExpression) -> str | None:
    """Add correction=0 to var or std."""
    call = code.find_direct_call(node, "var", "std")
    if call is None or call.keywords.keys() & {"correction", "unbiased"}:
        return None
    text = code.bare(node)
    return f"{text[:-1]}, correction=0)" if call.axis() is not None else f"{text[:-1].rstrip(',')}correction=0)"


_REDUCED = ("sum", "mean", "softmax", "log_softmax", "logsumexp", "var", "std", "amax")


def use_last_axis(code: Code, node: cst.BaseExpression) -> str | None:
    """Reduce along the last axis instead of the first one or all."""
    call = code.find_direct_call(node, *_REDUCED)
    if call is None:
        return None
    axis = call.axis()
    if axis is None:
        if call.name not in {"sum", "mean", "amax"} or call.keywords or call.arguments:
            return None
        is_argument = any(argument.value is call.tensor for argument in call.node.args)
        return f"{code.bare(node)[:-1]}{', ' if is_argument else ''}-1, keepdim=True)"
    if read_number(axis) != 0.0:
        return None
    changed = node.deep_replace(axis, cst.parse_expression("-1"))
    return code.bare(changed) if isinstance(changed, cst.BaseExpression) else None


# Superfluous additions and operations


def drop_eps(code: Code, node: cst.BaseExpression) -> str | None:
    """Drop a small number that is added, and a clamp by a small number."""
    pair = match_operands(node, cst.Add)
    if pair is not None and (small := read_number(code.resolve(pair[1]))) is not None and 0.0 < small < _SMALL:
        return code.bare(pair[0])
    call = code.find_direct_call(node, "clamp", "clip", "clamp_min")
    if call is None:
        return None
    low = call.keywords.get("min", call.arguments[0] if call.arguments else None)
    small = None if low is None else read_number(code.resolve(low))
    return code.operand(call.tensor) if small is not None and 0.0 < small < _SMALL else None


_SMALL = 0.01
"""Numbers below this are an epsilon."""


def pass_logits(code: Code, node: cst.BaseExpression) -> str | None:
    """Drop a softmax or a sigmoid before a loss of logits, or a softmax of a softmax."""
    call = code.find_direct_call(node, "cross_entropy", "binary_cross_entropy_with_logits", "softmax", "log_softmax")
    if call is None:
        return None
    inner = code.find_call(call.tensor, "softmax", "sigmoid")
    if inner is None:
        return None
    changed = node.deep_replace(call.tensor, cst.parse_expression(code.bare(inner.tensor)))
    return code.bare(changed) if isinstance(changed, cst.BaseExpression) else None


def use_natural_logarithm(code: Code, node: cst.BaseExpression) -> str | None:
    """Take the natural logarithm or exponential."""
    call = code.find_direct_call(node, "log2", "log10", "exp2", "logaddexp2")
    if call is None or not isinstance(call.node.func, cst.Attribute):
        return None
    name = call.name.removesuffix("10").removesuffix("2")
    return code.bare(call.node.with_changes(func=call.node.func.with_changes(attr=cst.Name(name))))


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
        value = read_number(node)
        if value is None:
            return texts.get(node.value) if isinstance(node, cst.Name) else None
        return next((new for old, new in numbers.items() if math.isclose(old, value, rel_tol=1e-6)), None)

    return rule


_LITERAL = re.compile(r"-?\d[\d.e+-]*")

UNSAFE = (
    Rewrite("divide by n", use_biased_variance, is_safe=False),
    Rewrite("add instead of the mean", _exchanging({"mean": "sum"}), is_safe=False),
    Rewrite("take the mean", _exchanging({"sum": "mean"}), is_safe=False),
    Rewrite("reduce along the last axis", use_last_axis, is_safe=False),
    Rewrite("drop the epsilon or the clamp", drop_eps, is_safe=False),
    Rewrite("pass the logits", pass_logits, is_safe=False),
    Rewrite("use the natural logarithm", use_natural_logarithm, is_safe=False),
)
"""These change the function on ordinary inputs."""
