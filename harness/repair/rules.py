"""Rules for rewrites that are equal over the real numbers.

A replacement carries the axis and the keywords of the code that it replaces.
"""

import libcst as cst

from harness.repair.code import Code, Rewrite, TensorCall, format_axis, match_operands, match_square, strip_parentheses


def _keeps_axis(call: TensorCall, code: Code) -> bool:
    return "keepdim=True" in format_axis(call, code, keep=True)


def _match_exponential(code: Code, node: cst.BaseExpression) -> cst.BaseExpression | None:
    """Return x of exp(x)."""
    return code.find_tensor(node, "exp")


def _find_shift(code: Code, x: cst.BaseExpression, *names: str) -> tuple[cst.BaseExpression, TensorCall] | None:
    """Return z and the reduction of z - z.max(...), for a reduction with one of the names."""
    pair = code.match_operands(x, cst.Subtract)
    if pair is None:
        return None
    value = code.resolve(pair[1])
    # `.values` and `[0]` of a maximum along an axis.
    if isinstance(value, cst.Attribute) and value.attr.value == "values":
        value = code.resolve(value.value)
    if isinstance(value, cst.Subscript):
        value = code.resolve(value.value)
    reduction = code.find_call(value, *names)
    return (pair[0], reduction) if reduction is not None and code.is_same(reduction.tensor, pair[0]) else None


def _remove_shift(code: Code, x: cst.BaseExpression) -> cst.BaseExpression:
    """Return z of z - z.max(...); other expressions stay."""
    match = _find_shift(code, x, "amax", "max")
    return x if match is None else match[0]


def _match_softmax(code: Code, node: cst.BaseExpression) -> tuple[str, str] | None:
    """Return the logits and the axis of a softmax, called or written out."""
    call = code.find_call(node, "softmax")
    if call is not None:
        return code.bare(call.tensor), format_axis(call, code)
    quotient = code.match_operands(node, cst.Divide)
    if quotient is None:
        return None
    total, x = code.find_call(quotient[1], "sum"), _match_exponential(code, quotient[0])
    if total is None or x is None or not code.is_same(total.tensor, quotient[0]) or not _keeps_axis(total, code):
        return None
    return code.bare(_remove_shift(code, x)), format_axis(total, code)


def _match_sigmoid(code: Code, node: cst.BaseExpression) -> str | None:
    """Return the argument of a sigmoid, called or written out."""
    x = code.find_tensor(node, "sigmoid")
    if x is not None:
        return code.operand(x)
    quotient = code.match_operands(node, cst.Divide)
    if quotient is None or not code.is_number(quotient[0], 1.0):
        return None
    return _match_logistic_sum(code, quotient[1])


def _match_logistic_sum(code: Code, node: cst.BaseExpression) -> str | None:
    """Return x of 1 + exp(-x)."""
    exponent = code.find_tensor(_match_one_plus(code, node), "exp")
    inner = None if exponent is None else code.resolve(exponent)
    if isinstance(inner, cst.UnaryOperation) and isinstance(inner.operator, cst.Minus):
        return code.operand(inner.expression)
    return None


def _match_one_plus(code: Code, node: cst.BaseExpression | None) -> cst.BaseExpression | None:
    """Return x of 1 + x or x + 1."""
    pair = code.match_operands(node, cst.Add)
    if pair is None:
        return None
    if code.is_number(pair[0], 1.0):
        return pair[1]
    return pair[0] if code.is_number(pair[1], 1.0) else None


def _negate(text: str) -> str:
    bare = text[1:-1] if text.startswith("(-") and text[2:-1].isidentifier() else text
    return bare[1:] if bare.startswith("-") else f"-{bare}"


# Logarithms


def _match_logarithm(code: Code, node: cst.BaseExpression) -> cst.BaseExpression | None:
    """Return x of log(x), for a call that stands here and not behind a name."""
    call = code.find_direct_call(node, "log")
    return None if call is None else call.tensor


def log_softmax(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite log(softmax(x)), also with an index or a gather behind the softmax."""
    x = _match_logarithm(code, node)
    if x is None:
        return None
    inner, before = code.resolve(x), ""
    if isinstance(inner, cst.Subscript):
        before = code.text(inner.with_changes(value=cst.Name("_"), lpar=[], rpar=[]))[1:]
        inner = inner.value
    elif (gathered := code.find_call(inner, "gather", "squeeze")) is not None:
        while gathered is not None:
            words = [f"{word}={code.text(value)}" for word, value in gathered.keywords.items()]
            before = f".{gathered.name}({', '.join([*map(code.text, gathered.arguments), *words])}){before}"
            inner = gathered.tensor
            gathered = code.find_call(inner, "gather", "squeeze")
    parts = _match_softmax(code, inner)
    return None if parts is None else f"{code.torch}.log_softmax({parts[0]}{parts[1]}){before}"


def logsumexp(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite log(sum(exp(x)))."""
    total = code.find_call(_match_logarithm(code, node), "sum")
    inner = None if total is None else _match_exponential(code, total.tensor)
    if total is None or inner is None or total.axis() is None:
        return None
    return f"{code.torch}.logsumexp({code.bare(inner)}{format_axis(total, code, keep=True)})"


def minus_log_sum(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite x - log(sum(exp(x))), also with logsumexp: the difference of large numbers cancels."""
    pair = match_operands(node, cst.Subtract)
    if pair is None:
        return None
    total = code.find_call(pair[1], "logsumexp")
    x = None if total is None else total.tensor
    if total is None:
        total = code.find_call(code.find_tensor(pair[1], "log"), "sum")
        x = None if total is None else _match_exponential(code, total.tensor)
    if total is None or x is None or not code.is_same(x, pair[0]) or not _keeps_axis(total, code):
        return None
    return f"{code.torch}.log_softmax({code.bare(x)}{format_axis(total, code)})"


def logaddexp(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite log(exp(a) + exp(b))."""
    pair = code.match_operands(_match_logarithm(code, node), cst.Add)
    if pair is None:
        return None
    a, b = (_match_exponential(code, term) for term in pair)
    return None if a is None or b is None else f"{code.torch}.logaddexp({code.bare(a)}, {code.bare(b)})"


def softplus(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite log(1 + exp(x)) and log1p(exp(x))."""
    inner = _match_one_plus(code, _match_logarithm(code, node))
    if inner is None and isinstance(node, cst.Call):
        inner = code.find_tensor(node, "log1p")
    exponent = code.find_tensor(inner, "exp")
    return None if exponent is None else f"{code.functional}.softplus({code.bare(exponent)})"


def log1p(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite log(1 + x)."""
    inner = _match_one_plus(code, _match_logarithm(code, node))
    return None if inner is None else f"{code.torch}.log1p({code.bare(inner)})"


def logsigmoid(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite log(sigmoid(x)) and log(1 - sigmoid(x))."""
    x = _match_logarithm(code, node)
    if x is None:
        return None
    if (argument := _match_sigmoid(code, x)) is not None:
        return f"{code.functional}.logsigmoid({strip_parentheses(argument)})"
    pair = code.match_operands(x, cst.Subtract)
    if pair is None or not code.is_number(pair[0], 1.0) or (argument := _match_sigmoid(code, pair[1])) is None:
        return None
    return f"{code.functional}.logsigmoid({_negate(argument)})"


def entropy_term(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite p * log(p) for a softmax p: the logarithm of 0 is replaced by the smallest finite number."""
    pair = match_operands(node, cst.Multiply)
    if pair is None:
        return None
    for p, factor in (pair, pair[::-1]):
        argument, parts = code.find_tensor(factor, "log"), _match_softmax(code, p)
        if argument is not None and parts is not None and code.is_same(argument, p):
            x, axis = parts
            clamped = f"clamp(min={code.torch}.finfo({x}.dtype).min)" if x.isidentifier() else ""
            return f"{code.operand(p)} * {code.torch}.log_softmax({x}{axis}).{clamped}" if clamped else None
    return None


def xlogy(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite x * log(x)."""
    pair = match_operands(node, cst.Multiply)
    if pair is None:
        return None
    for x, factor in (pair, pair[::-1]):
        argument = code.find_tensor(factor, "log")
        if argument is not None and code.is_same(argument, x):
            return f"{code.torch}.xlogy({code.bare(x)}, {code.bare(x)})"
    return None


# Exponentials


def expm1(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite exp(x) - 1."""
    pair = match_operands(node, cst.Subtract)
    x = None if pair is None or not code.is_number(pair[1], 1.0) else _match_exponential(code, pair[0])
    return None if x is None else f"{code.torch}.expm1({code.bare(x)})"


def sigmoid(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite 1 / (1 + exp(-x)), and exp(x) / (1 + exp(x))."""
    pair = match_operands(node, cst.Divide)
    if pair is None:
        return None
    if code.is_number(pair[0], 1.0):
        x = _match_logistic_sum(code, pair[1])
        return None if x is None else f"{code.torch}.sigmoid({strip_parentheses(x)})"
    inner, top = _match_one_plus(code, pair[1]), _match_exponential(code, pair[0])
    if inner is not None and top is not None and code.is_same(inner, pair[0]):
        return f"{code.torch}.sigmoid({code.bare(top)})"
    x = _match_logistic_sum(code, pair[1])
    return f"{code.operand(pair[0])} * {code.torch}.sigmoid({strip_parentheses(x)})" if x is not None else None


def complement(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite 1 - sigmoid(x), 1 - tanh(x) and 1 - cos(x)."""
    pair = match_operands(node, cst.Subtract)
    if pair is None or not code.is_number(pair[0], 1.0):
        return None
    if (x := _match_sigmoid(code, pair[1])) is not None:
        return f"{code.torch}.sigmoid({_negate(x)})"
    if (argument := code.find_tensor(pair[1], "tanh")) is not None:
        return f"2 * {code.torch}.sigmoid(-2 * {code.operand(argument)})"
    argument = code.find_tensor(pair[1], "cos")
    return None if argument is None else f"2 * {code.torch}.sin({code.operand(argument)} / 2) ** 2"


def shift(code: Code, node: cst.BaseExpression) -> str | None:
    """Subtract the maximum from the exponents of a quotient by their sum, along the axis of the sum."""
    call = code.find_direct_call(node, "exp")
    if call is None or _remove_shift(code, x := call.tensor) is not x:
        return None
    # A call that is written twice runs twice, and may draw other random numbers.
    if code.has_call(x):
        return None
    for expression in code.expressions:
        pair = match_operands(expression, cst.Divide)
        total = None if pair is None else code.find_call(pair[1], "sum")
        top = None if pair is None else _match_exponential(code, pair[0])
        if pair is None or total is None or top is None:
            continue
        if code.is_same(total.tensor, pair[0]) and code.is_same(top, x):
            shifted = _subtract_maximum(code, x, total)
            return f"({shifted}).exp()" if call.is_method else f"{code.torch}.exp({shifted})"
    return None


def _subtract_maximum(code: Code, x: cst.BaseExpression, reduction: TensorCall) -> str:
    """Return x - x.amax(...) along the axis of a reduction."""
    axis = reduction.axis()
    largest = "max()" if axis is None else f"amax({code.text(axis)}, keepdim=True)"
    return f"{code.bare(x)} - {code.operand(x)}.{largest}"


_NOT_THE_MAXIMUM = ("mean", "min", "amin", "median", "norm", "sum")


def maximum(code: Code, node: cst.BaseExpression) -> str | None:
    """Subtract the maximum before exponentials where another reduction of the row is subtracted."""
    match = _find_shift(code, node, *_NOT_THE_MAXIMUM) if match_operands(node, cst.Subtract) is not None else None
    if match is None or not any(code.find_call(expression, "exp") for expression in code.expressions):
        return None
    return _subtract_maximum(code, *match)


def softmax(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite exp(x) / sum(exp(x)) where x is a call."""
    quotient = match_operands(node, cst.Divide)
    parts = _match_softmax(code, node) if quotient is not None else None
    x = None if quotient is None else _match_exponential(code, quotient[0])
    if parts is None or x is None or not code.has_call(_remove_shift(code, x)):
        return None
    return f"{code.torch}.softmax({parts[0]}{parts[1]})"


# Moments


def center_variance(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite mean(x^2) - mean(x)^2."""
    pair = match_operands(node, cst.Subtract)
    of_square = None if pair is None else code.find_call(pair[0], "mean")
    mean = None if pair is None else code.find_call(match_square(code, pair[1]), "mean")
    x = None if of_square is None else match_square(code, of_square.tensor)
    if of_square is None or mean is None or x is None or not code.is_same(mean.tensor, x):
        return None
    axes, keepdim = format_axis(of_square, code, keep=True), format_axis(mean, code)
    center = f"{code.operand(x)}.mean({f'{keepdim}, keepdim=True'.removeprefix(', ') if keepdim else ''})"
    return f"(({code.bare(x)} - {center}) ** 2).mean({axes.removeprefix(', ')})"


# Norms and losses


def _match_root(code: Code, node: cst.BaseExpression) -> cst.BaseExpression | None:
    """Return x of sqrt(x) or x ** 0.5, written here and not behind a name."""
    power = match_operands(node, cst.Power)
    if power is not None:
        return power[0] if code.is_number(power[1], 0.5) else None
    return code.find_tensor(node, "sqrt") if isinstance(node, cst.Call) else None


def norm(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite sqrt(sum(x^2)), whose gradient at 0 is NaN."""
    total = code.find_call(_match_root(code, node), "sum")
    x = None if total is None else match_square(code, total.tensor)
    if total is None or x is None:
        return None
    return f"{code.torch}.linalg.vector_norm({code.bare(x)}{format_axis(total, code, keep=True)})"


def hypotenuse(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite sqrt(a^2 + b^2)."""
    pair = code.match_operands(_match_root(code, node), cst.Add)
    if pair is None:
        return None
    a, b = (match_square(code, term) for term in pair)
    return None if a is None or b is None else f"{code.torch}.hypot({code.bare(a)}, {code.bare(b)})"


def binary_loss(code: Code, node: cst.BaseExpression) -> str | None:
    """Rewrite binary_cross_entropy(sigmoid(x), t)."""
    call = code.find_direct_call(node, "binary_cross_entropy")
    x = None if call is None else _match_sigmoid(code, call.tensor)
    if call is None or x is None or not isinstance(call.node.func, cst.Attribute):
        return None
    func = call.node.func.with_changes(attr=cst.Name("binary_cross_entropy_with_logits"))
    changed = call.node.deep_replace(call.tensor, cst.parse_expression(strip_parentheses(x)))
    return code.bare(changed.with_changes(func=func)) if isinstance(changed, cst.Call) else None


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
    Rewrite("subtract the row maximum", maximum),
    Rewrite("subtract the row maximum", shift),
    Rewrite("use softmax", softmax),
    Rewrite("use expm1", expm1),
    Rewrite("use sigmoid", sigmoid),
    Rewrite("use the complement, which does not cancel", complement),
    Rewrite("subtract the mean before squaring", center_variance),
    Rewrite("use vector_norm", norm),
    Rewrite("use hypot", hypotenuse),
    Rewrite("pass the logits to the loss", binary_loss),
)
"""Equal over the real numbers."""
