"""Rules for rewriting expressions: safe ones are equal over the real numbers, unsafe ones change the function.

A replacement carries the axis and the keywords of the code that it replaces.
"""

from dataclasses import dataclass

import libcst as cst

from harness.diagnosis.code import Called, Code, Rule, number


@dataclass(frozen=True)
class Rewrite:
    """A rule with its name."""

    title: str
    rule: Rule
    is_safe: bool = True


def _binary(
    node: cst.BaseExpression, kind: type[cst.BaseBinaryOp]
) -> tuple[cst.BaseExpression, cst.BaseExpression] | None:
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, kind):
        return node.left, node.right
    return None


def _axis(called: Called, code: Code, *, keep: bool = False) -> str:
    """Return the arguments of the axis and, if wanted, of the kept dimension as the call has them."""
    axis, kept = called.axis(), called.keywords.get("keepdim", called.keywords.get("keepdims"))
    parts = [] if axis is None else [f"dim={code.text(axis)}"]
    if keep and kept is not None:
        parts.append(f"keepdim={code.text(kept)}")
    if keep and kept is None and len(called.arguments) > 1:
        parts.append(f"keepdim={code.text(called.arguments[1])}")
    return "".join(f", {part}" for part in parts)


def _keeps(called: Called, code: Code) -> bool:
    return "keepdim=True" in _axis(called, code, keep=True)


def _exponent(code: Code, node: cst.BaseExpression) -> cst.BaseExpression | None:
    """Return x of exp(x)."""
    found = code.called(node, "exp")
    return None if found is None else found.of


def _unshifted(code: Code, x: cst.BaseExpression) -> cst.BaseExpression:
    """Return z of z - z.max(...); other expressions stay."""
    pair = _binary(code.seen(x), cst.Subtract)
    if pair is None:
        return x
    value = code.seen(pair[1])
    # `.values` and `[0]` of a maximum along an axis.
    if isinstance(value, cst.Attribute) and value.attr.value == "values":
        value = code.seen(value.value)
    if isinstance(value, cst.Subscript):
        value = code.seen(value.value)
    largest = code.called(value, "amax", "max")
    return pair[0] if largest is not None and code.same(largest.of, pair[0]) else x


def _softmax(code: Code, node: cst.BaseExpression) -> tuple[str, str] | None:
    """Return the logits and the axis of a softmax, called or written out."""
    called = code.called(node, "softmax")
    if called is not None:
        return code.bare(called.of), _axis(called, code)
    quotient = _binary(code.seen(node), cst.Divide)
    if quotient is None:
        return None
    total, x = code.called(quotient[1], "sum"), _exponent(code, quotient[0])
    if total is None or x is None or not code.same(total.of, quotient[0]) or not _keeps(total, code):
        return None
    return code.bare(_unshifted(code, x)), _axis(total, code)


def _sigmoid(code: Code, node: cst.BaseExpression) -> str | None:
    """Return the argument of a sigmoid, called or written out."""
    called = code.called(node, "sigmoid")
    if called is not None:
        return code.operand(called.of)
    quotient = _binary(code.seen(node), cst.Divide)
    if quotient is None or not code.is_number(quotient[0], 1.0):
        return None
    return _of_logistic_sum(code, quotient[1])


def _of_logistic_sum(code: Code, node: cst.BaseExpression) -> str | None:
    """Return x of 1 + exp(-x)."""
    x = _one_plus(code, node)
    inner = None if x is None else _exponent(code, x)
    inner = None if inner is None else code.seen(inner)
    if isinstance(inner, cst.UnaryOperation) and isinstance(inner.operator, cst.Minus):
        return code.operand(inner.expression)
    return None


def _one_plus(code: Code, node: cst.BaseExpression) -> cst.BaseExpression | None:
    """Return x of 1 + x or x + 1."""
    pair = _binary(code.seen(node), cst.Add)
    if pair is None:
        return None
    if code.is_number(pair[0], 1.0):
        return pair[1]
    return pair[0] if code.is_number(pair[1], 1.0) else None


def _negative(text: str) -> str:
    bare = text[1:-1] if text.startswith("(-") and text[2:-1].isidentifier() else text
    return bare[1:] if bare.startswith("-") else f"-{bare}"


# Logarithms


def _log(code: Code, node: cst.BaseExpression) -> cst.BaseExpression | None:
    """Return x of log(x), for a call that stands here and not behind a name."""
    if not isinstance(node, cst.Call):
        return None
    found = code.called(node, "log")
    return None if found is None else found.of


def log_softmax(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite log(softmax(x)), also with an index or a gather behind the softmax."""
    x = _log(code, node)
    if x is None:
        return None
    inner, before = code.seen(x), ""
    if isinstance(inner, cst.Subscript):
        before = code.text(inner.with_changes(value=cst.Name("_"), lpar=[], rpar=[]))[1:]
        inner = inner.value
    elif (gathered := code.called(inner, "gather", "squeeze")) is not None:
        while gathered is not None:
            arguments = [*gathered.arguments, *gathered.keywords.values()]
            words = ["", *(f"{word}=" for word in gathered.keywords)] if gathered.keywords else [""]
            names = [""] * len(gathered.arguments) + words[1:]
            spelled = ", ".join(name + code.text(one) for name, one in zip(names, arguments, strict=True))
            before = f".{gathered.name}({spelled}){before}"
            inner = gathered.of
            gathered = code.called(inner, "gather", "squeeze")
    found = _softmax(code, inner)
    return None if found is None else f"{code.torch}.log_softmax({found[0]}{found[1]}){before}"


def logsumexp(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite log(sum(exp(x)))."""
    x = _log(code, node)
    total = None if x is None else code.called(x, "sum")
    inner = None if total is None else _exponent(code, total.of)
    if total is None or inner is None or total.axis() is None:
        return None
    return f"{code.torch}.logsumexp({code.bare(inner)}{_axis(total, code, keep=True)})"


def minus_log_sum(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite x - log(sum(exp(x))), also with logsumexp: the difference of large numbers cancels."""
    pair = _binary(node, cst.Subtract)
    if pair is None:
        return None
    total = code.called(pair[1], "logsumexp")
    x = None if total is None else total.of
    if total is None and (called := code.called(pair[1], "log")) is not None:
        total = code.called(called.of, "sum")
        x = None if total is None else _exponent(code, total.of)
    if total is None or x is None or not code.same(x, pair[0]) or not _keeps(total, code):
        return None
    return f"{code.torch}.log_softmax({code.bare(x)}{_axis(total, code)})"


def logaddexp(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite log(exp(a) + exp(b))."""
    x = _log(code, node)
    pair = None if x is None else _binary(code.seen(x), cst.Add)
    if pair is None:
        return None
    a, b = (_exponent(code, one) for one in pair)
    return None if a is None or b is None else f"{code.torch}.logaddexp({code.bare(a)}, {code.bare(b)})"


def softplus(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite log(1 + exp(x)) and log1p(exp(x))."""
    x = _log(code, node)
    inner = None if x is None else _one_plus(code, x)
    if inner is None and isinstance(node, cst.Call) and (called := code.called(node, "log1p")) is not None:
        inner = called.of
    of = None if inner is None else _exponent(code, inner)
    return None if of is None else f"{code.functional}.softplus({code.bare(of)})"


def log1p(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite log(1 + x)."""
    x = _log(code, node)
    inner = None if x is None else _one_plus(code, x)
    return None if inner is None else f"{code.torch}.log1p({code.bare(inner)})"


def logsigmoid(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite log(sigmoid(x)) and log(1 - sigmoid(x))."""
    x = _log(code, node)
    if x is None:
        return None
    if (of := _sigmoid(code, x)) is not None:
        return f"{code.functional}.logsigmoid({of})"
    pair = _binary(code.seen(x), cst.Subtract)
    if pair is None or not code.is_number(pair[0], 1.0) or (of := _sigmoid(code, pair[1])) is None:
        return None
    return f"{code.functional}.logsigmoid({_negative(of)})"


def entropy_term(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite p * log(p) for a softmax p: the logarithm of 0 is replaced by the smallest finite number."""
    pair = _binary(node, cst.Multiply)
    if pair is None:
        return None
    for p, other in (pair, pair[::-1]):
        of, found = code.called(other, "log"), _softmax(code, p)
        if of is not None and found is not None and code.same(of.of, p):
            x, axis = found
            clamped = f"clamp(min={code.torch}.finfo({x}.dtype).min)" if x.isidentifier() else ""
            return f"{code.operand(p)} * {code.torch}.log_softmax({x}{axis}).{clamped}" if clamped else None
    return None


def xlogy(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite x * log(x)."""
    pair = _binary(node, cst.Multiply)
    if pair is None:
        return None
    for x, other in (pair, pair[::-1]):
        of = code.called(other, "log")
        if of is not None and code.same(of.of, x):
            return f"{code.torch}.xlogy({code.bare(x)}, {code.bare(x)})"
    return None


# Exponentials


def expm1(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite exp(x) - 1."""
    pair = _binary(node, cst.Subtract)
    x = None if pair is None or not code.is_number(pair[1], 1.0) else _exponent(code, pair[0])
    return None if x is None else f"{code.torch}.expm1({code.bare(x)})"


def sigmoid(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite 1 / (1 + exp(-x)), and exp(x) / (1 + exp(x))."""
    pair = _binary(node, cst.Divide)
    if pair is None:
        return None
    if code.is_number(pair[0], 1.0):
        x = _of_logistic_sum(code, pair[1])
        return None if x is None else f"{code.torch}.sigmoid({x})"
    inner, top = _one_plus(code, pair[1]), _exponent(code, pair[0])
    if inner is not None and top is not None and code.same(inner, pair[0]):
        return f"{code.torch}.sigmoid({code.bare(top)})"
    of = _of_logistic_sum(code, pair[1])
    return f"{code.operand(pair[0])} * {code.torch}.sigmoid({of})" if of is not None else None


def complement(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite 1 - sigmoid(x)."""
    pair = _binary(node, cst.Subtract)
    if pair is None or not code.is_number(pair[0], 1.0) or (x := _sigmoid(code, pair[1])) is None:
        return None
    return f"{code.torch}.sigmoid({_negative(x)})"


def shift(code: Code, node: cst.BaseExpression) -> str | None:
    """Subtract the maximum from the exponents of a quotient by their sum, along the axis of the sum."""
    x = _exponent(code, node) if isinstance(node, cst.Call) else None
    called = code.called(node, "exp") if x is not None else None
    if x is None or called is None or called.node is not node or _unshifted(code, x) is not x:
        return None
    for one in code.expressions:
        pair = _binary(one, cst.Divide)
        total = None if pair is None else code.called(pair[1], "sum")
        top = None if pair is None else _exponent(code, pair[0])
        if pair is None or total is None or top is None or not code.same(total.of, pair[0]) or not code.same(top, x):
            continue
        axis = total.axis()
        largest = "max()" if axis is None else f"amax({code.text(axis)}, keepdim=True)"
        return f"{code.torch}.exp({code.bare(x)} - {code.operand(x)}.{largest})"
    return None


# Moments


def _square_of(code: Code, node: cst.BaseExpression) -> cst.BaseExpression | None:
    """Return x of x ** 2, x * x, x.square() or x.pow(2)."""
    node = code.seen(node)
    power, product = _binary(node, cst.Power), _binary(node, cst.Multiply)
    if power is not None and code.is_number(power[1], 2.0):
        return power[0]
    if product is not None and code.same(*product):
        return product[0]
    called = code.called(node, "square", "pow")
    if called is not None and (
        called.name == "square" or (called.arguments and code.is_number(called.arguments[0], 2.0))
    ):
        return called.of
    return None


def centered(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite mean(x^2) - mean(x)^2."""
    pair = _binary(node, cst.Subtract)
    of_square, of_mean = (None, None) if pair is None else (code.called(pair[0], "mean"), _square_of(code, pair[1]))
    mean = None if of_mean is None else code.called(of_mean, "mean")
    x = None if of_square is None else _square_of(code, of_square.of)
    if of_square is None or mean is None or x is None or not code.same(mean.of, x):
        return None
    own, kept = _axis(of_square, code, keep=True), _axis(mean, code)
    center = (
        f"{code.operand(x)}.mean({(kept + ', keepdim=True').removeprefix(', ')})"
        if kept
        else f"{code.operand(x)}.mean()"
    )
    return f"(({code.bare(x)} - {center}) ** 2).mean({own.removeprefix(', ')})"


def biased(code: Code, node: cst.BaseExpression) -> str | None:
    """Add correction=0 to var or std."""
    called = code.called(node, "var", "std") if isinstance(node, cst.Call) else None
    if called is None or called.keywords.keys() & {"correction", "unbiased"}:
        return None
    text = code.bare(node)
    return f"{text[:-1]}, correction=0)" if called.axis() is not None else f"{text[:-1].rstrip(',')}correction=0)"


_REDUCED = ("sum", "mean", "softmax", "log_softmax", "logsumexp", "var", "std", "amax")


def last_axis(code: Code, node: cst.BaseExpression) -> str | None:
    """Reduce along the last axis instead of the first one or all."""
    called = code.called(node, *_REDUCED) if isinstance(node, cst.Call) else None
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
    pair = _binary(node, cst.Add)
    if pair is not None and (small := number(code.seen(pair[1]))) is not None and 0.0 < small < _SMALL:
        return code.bare(pair[0])
    called = code.called(node, "clamp", "clip", "clamp_min") if isinstance(node, cst.Call) else None
    if called is None:
        return None
    low = called.keywords.get("min", called.arguments[0] if called.arguments else None)
    small = None if low is None else number(code.seen(low))
    return code.operand(called.of) if small is not None and 0.0 < small < _SMALL else None


_SMALL = 0.01
"""Numbers below this are an epsilon."""


def loss_of_logits(code: Code, node: cst.BaseExpression) -> str | None:
    """Drop a softmax or a sigmoid before a loss of logits, or a softmax of a softmax."""
    called = code.called(node, "cross_entropy", "binary_cross_entropy_with_logits", "softmax", "log_softmax")
    if called is None or called.node is not node:
        return None
    inner = code.called(called.of, "softmax", "sigmoid")
    if inner is None:
        return None
    changed = node.deep_replace(called.of, cst.parse_expression(code.bare(inner.of)))
    return code.bare(changed) if isinstance(changed, cst.BaseExpression) else None


def natural(code: Code, node: cst.BaseExpression) -> str | None:
    """Take the natural logarithm or exponential."""
    called = code.called(node, "log2", "log10", "exp2", "logaddexp2") if isinstance(node, cst.Call) else None
    if called is None or not isinstance(called.node.func, cst.Attribute):
        return None
    name = called.name.removesuffix("10").removesuffix("2")
    changed = called.node.with_changes(func=called.node.func.with_changes(attr=cst.Name(name)))
    return code.bare(changed)


SAFE = (
    Rewrite("keep 0 * ln 0 at 0", entropy_term),
    Rewrite("take the logarithm of the softmax in one step", log_softmax),
    Rewrite("take the logarithm of the softmax in one step", minus_log_sum),
    Rewrite("use logsumexp", logsumexp),
    Rewrite("use logaddexp", logaddexp),
    Rewrite("use logsigmoid", logsigmoid),
    Rewrite("use softplus", softplus),
    Rewrite("use log1p", log1p),
    Rewrite("use xlogy, which is 0 at 0", xlogy),
    Rewrite("subtract the row maximum", shift),
    Rewrite("use expm1", expm1),
    Rewrite("use sigmoid", sigmoid),
    Rewrite("use sigmoid(-x) for 1 - sigmoid(x)", complement),
    Rewrite("subtract the mean before squaring", centered),
)
"""Equal over the real numbers."""

UNSAFE = (
    Rewrite("divide by n", biased, is_safe=False),
    Rewrite("reduce along the last axis", last_axis, is_safe=False),
    Rewrite("drop the epsilon or the clamp", without_eps, is_safe=False),
    Rewrite("pass the logits", loss_of_logits, is_safe=False),
    Rewrite("use the natural logarithm", natural, is_safe=False),
)
"""These change the function on ordinary inputs."""
