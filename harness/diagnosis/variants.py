"""Variants of a formula: its graph with one change, as people make them by mistake, and the change in words."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import combinations, permutations
from operator import mul

from harness.diagnosis import generic, marks, search
from harness.diagnosis.marks import Mark, calls
from harness.formula import node as of
from harness.formula.node import CONSTANT, Node, node, order

UNKNOWN = node("input", value="{c}", extent=CONSTANT)
"""A number that the search solves for."""


@dataclass(frozen=True)
class Variant:
    """A changed formula.

    ``key`` and ``clause`` name the change, ``{c}`` standing for the unknown number, which lies between ``numbers``.
    """

    key: str
    clause: str
    root: Node
    marks: tuple[Mark, ...] = ()
    numbers: tuple[float, ...] = ()
    original: float | None = None
    """The number in whose place the unknown one is."""


def generate_variants(root: Node, alike: tuple[str, ...]) -> Iterator[Variant]:
    """Yield every variant of a formula, those without an unknown number first; ``alike`` inputs may be exchanged."""
    nodes = order(root)
    yield from _generate_exchanges(root, nodes, alike)
    yield from _change_powers(root, nodes)
    means = {x.arguments[0] for x in nodes if x.operation == "div" and x.arguments[1].operation == "count"}
    for part in (x for x in nodes if x not in means):
        for key, clause, new, *signs in (*_generate_changes(part), *_replace_input(part, alike)):
            yield Variant(key, clause, substitute(root, {part: new}), tuple(signs))
    for part in (x for x in nodes if x.operation == "sum" and x not in means):
        (x,) = part.arguments
        clause = f"the largest of {quote(x)} is taken instead of the sum"
        yield Variant("largest", clause, substitute(root, {part: of.largest(x)}), (calls("max", "amax"),))
    for part in (x for x in nodes if x.operation == "input"):
        yield Variant("sign", f"the sign of {quote(part)} is wrong", substitute(root, {part: -part}))
    yield from _replace_numbers(root, nodes)
    for part in nodes:
        for key, clause, new, numbers, *signs in _generate_guards(part):
            yield Variant(key, clause, substitute(root, {part: new}), (marks.number, *signs), numbers)
    yield from _guard_logarithms(root, nodes)
    yield from _scale_inputs(root, nodes)
    for part in nodes:
        if part.operation not in {"number", "less", "not_more"} and part is not root:
            for key, clause, new, numbers in (
                ("factor", f"{quote(part)} is multiplied by {{c}}", part * UNKNOWN, generic.FACTORS),
                ("term", f"{{c}} is added to {quote(part)}", part + UNKNOWN, generic.TERMS),
            ):
                yield Variant(key, clause, substitute(root, {part: new}), (marks.number,), numbers)


def _change_powers(root: Node, nodes: list[Node]) -> Iterator[Variant]:
    """Yield the formula with another exponent of a power above two."""
    for part in nodes:
        base, exponent = _read_power(part)
        for other in (exponent - 1, exponent + 1, 1, exponent + 2) if exponent > 2 else ():
            clause = f"{quote(base)} is raised to the power {other} instead of {exponent}"
            yield Variant("power", clause, substitute(root, {part: reduce(mul, [base] * other)}), (marks.powers,))


def _read_power(part: Node) -> tuple[Node, int]:
    """Return base and exponent of a product of equal factors."""
    if part.operation != "mul":
        return part, 1
    (base, first), (other, second) = map(_read_power, part.arguments)
    return (base, first + second) if base is other else (part, 1)


def substitute(root: Node, new: Mapping[Node, Node]) -> Node:
    """Return a graph with other nodes in the place of some."""
    made: dict[Node, Node] = {}
    for part in order(root):
        arguments = tuple(made[argument] for argument in part.arguments)
        made[part] = new[part] if part in new else part if arguments == part.arguments else node(
            part.operation, *arguments, value=part.value
        )  # fmt: skip
    return made[root]


def _replace_argument(parent: Node, position: int, argument: Node) -> Node:
    """Return a node with another argument."""
    arguments = [*parent.arguments[:position], argument, *parent.arguments[position + 1 :]]
    return node(parent.operation, *arguments, value=parent.value)


# Changes of one node

_CONFUSED = (("sin", "cos"), ("tanh", "sigmoid"), ("erf", "tanh"), ("log", "log1p"), ("exp", "expm1"), ("erf", "erfc"))

Change = tuple[str, str, Node, *tuple[Mark, ...]]


def _generate_changes(part: Node) -> Iterator[Change]:
    """Yield the changes of a node without an unknown number."""
    match part.operation, part.arguments:
        case "div", (Node(operation="sum") as total, Node(operation="count") as count):
            terms = quote(total.arguments[0])
            yield "sum", f"the sum of {terms} is taken instead of the mean", total, calls("sum", "norm")
            yield "n - 1", f"{quote(total)} is divided by n - 1", total / (count - 1), calls("var", "std")
        case "sub", (Node(operation="count") as count, Node(operation="number")):
            yield "n", "the sum is divided by n", count, calls("var", "std", "mean")
        case "sum", (x,):
            yield "mean", f"the mean of {quote(x)} is taken instead of the sum", part / of.count(x), calls("mean")
        case "largest", (x,):
            yield "sum", f"the sum of {quote(x)} is taken instead of the largest", of.total(x), calls("sum")
            yield "mean", f"the mean of {quote(x)} is taken instead of the largest", of.total(x) / of.count(x)
        case "add", (a, b):
            yield "term sign", f"the sign of {quote(b)} is wrong: it is subtracted", a - b, marks.subtracts
            yield from _remove_part("term", a, b)
            if a.operation == b.operation == "abs":
                clause = "the magnitude of a sum is taken instead of the sum of magnitudes"
                yield "magnitude", clause, of.absolute(a.arguments[0] + b.arguments[0]), calls("abs")
            if b.operation == "number" and a.operation == "sqrt":
                yield "eps inside", f"{quote(b)} is added under the root", of.sqrt(a.arguments[0] + b), calls("sqrt")
        case "sub", (a, b):
            if a.operation in of.ELEMENTARY and b.operation == "number":
                inside = node(a.operation, a.arguments[0] - b)
                yield "inside", f"{quote(b)} is subtracted inside of {quote(a)}", inside, calls(a.operation)
            yield "term sign", f"the sign of {quote(b)} is wrong: it is added", a + b, marks.adds
            yield from _remove_part("term", a, b, -b)
        case "mul", (a, b) if a is b:
            yield "square", f"{quote(a)} is not squared", a
            yield "square", f"the magnitude of {quote(a)} is taken instead of its square", of.absolute(a)
            yield "square", f"{quote(a)} is cubed instead of squared", a * a * a
        case "mul", (a, b):
            yield from _remove_part("factor", a, b)
            yield "divided", f"{quote(a)} is divided by {quote(b)} instead of multiplied", a / b, marks.divides
            yield "divided", f"{quote(b)} is divided by {quote(a)} instead of multiplied", b / a, marks.divides
        case "div", (a, b):
            yield "divisor", f"the division by {quote(b)} is missing", a
            yield "inverse", f"{quote(b)} is divided by {quote(a)}", b / a, marks.divides
            yield "multiplied", f"{quote(a)} is multiplied by {quote(b)} instead of divided", a * b, marks.multiplies
            if a.operation == "sum":
                mean = a / of.count(a.arguments[0])
                yield "mean", f"{quote(a)} is divided by the number of entries", mean, calls("mean")
        case "neg", (Node(operation="larger", arguments=(a, b)),):
            a, b = _negate(a), _negate(b)
            yield "maximum", f"the larger of {quote(a)} and {quote(b)} is taken", of.larger(a, b), calls("max")
            yield "limit", f"{quote(a)} has no upper limit {quote(b)}", a
            yield "limit", f"{quote(b)} has no upper limit {quote(a)}", b
        case "larger", (Node(operation="neg"), _):
            return  # a minimum, see above
        case "larger", (a, b):
            yield "minimum", f"the smaller of {quote(a)} and {quote(b)} is taken", of.smaller(a, b), calls("min")
            yield "limit", f"{quote(a)} has no limit {quote(b)}", a
            yield "limit", f"{quote(b)} has no limit {quote(a)}", b
        case "where", (condition, yes, no):
            yield "branches", f"the branches {quote(yes)} and {quote(no)} are exchanged", of.where(condition, no, yes)
            for branch in (yes, no):
                if branch.extent == part.extent:
                    yield "branch", f"{quote(branch)} is computed in both branches", branch
        case "neg", (x,):
            yield "sign", f"the minus sign of {quote(x)} is missing", x
        case "sqrt", (Node(operation="add", arguments=(a, Node(operation="number") as b)) as x,):
            yield "eps outside", f"{quote(b)} is added outside of the root", of.sqrt(a) + b, calls("sqrt", "norm")
            yield "root", f"the square root of {quote(x)} is missing", x
        case name, (x,) if name in {*of.ELEMENTARY, "abs"}:
            yield from _generate_likenesses(name, x)
            yield f"no {name}", f"{_FUNCTIONS.get(name, name)} of {quote(x)} is missing", x
            for left, right in (*_CONFUSED, *((b, a) for a, b in _CONFUSED)):
                if name == left:
                    yield right, f"{right} takes the place of {left}", node(right, x), calls(right)


def _generate_likenesses(name: str, x: Node) -> Iterator[Change]:
    """Yield functions of several operations that are taken for one another."""
    match name, x.operation, x.arguments:
        case "abs", _, _:
            yield "magnitude", f"the square of {quote(x)} is taken instead of its magnitude", x * x
        case "log", "add", (Node(operation="number", value=1), Node(operation="exp", arguments=(y,))):
            yield "sigmoid", "sigmoid takes the place of softplus", node("sigmoid", y), calls("sigmoid")
            yield "relu", "max(x, 0) takes the place of softplus", of.larger(y, 0), calls("relu", "clamp")
        case "sqrt", "sum", (Node(operation="mul", arguments=(a, b)),) if a is b:
            under = "instead of the root of the sum of squares"
            yield "magnitudes", f"the sum of the magnitudes is taken {under}", of.total(of.absolute(a)), calls("abs")
            yield "largest", f"the largest magnitude is taken {under}", of.largest(of.absolute(a)), calls("amax", "max")
        case "sqrt", "add", (Node(operation="mul") as a, Node(operation="mul") as b):
            first, second = a.arguments[0], b.arguments[0]
            if a is first * first and b is second * second:
                clause = "magnitudes are added instead of the squares under a root"
                yield "magnitudes", clause, of.absolute(first) + of.absolute(second), calls("abs")


_FUNCTIONS = {"sqrt": "the square root", "log": "the logarithm", "exp": "the exponential", "abs": "the magnitude"}


def _remove_part(what: str, a: Node, b: Node, without_a: Node | None = None) -> Iterator[Change]:
    """Yield a sum or a product without one of its parts."""
    yield f"no {what}", f"the {what} {quote(b)} is missing", a
    yield f"no {what}", f"the {what} {quote(a)} is missing", without_a or b


# Inputs and numbers that are taken for one another


def _replace_input(part: Node, alike: tuple[str, ...]) -> Iterator[Change]:
    """Yield a part of the formula in which one input takes the place of another."""
    inputs = {str(x.value): x for x in order(part) if x.operation == "input"}
    for name, replacement in permutations(alike, 2):
        if name in inputs and part.arguments:
            new = node("input", value=replacement, extent=inputs[name].extent)
            clause = f"`{replacement}` takes the place of `{name}` in {quote(part)}"
            yield "input", clause, substitute(part, {inputs[name]: new})


def _generate_exchanges(root: Node, nodes: list[Node], alike: tuple[str, ...]) -> Iterator[Variant]:
    """Yield the formula with two inputs, two numbers or sine and cosine exchanged."""
    inputs = [x for x in nodes if x.operation == "input" and x.value in alike]
    numbers = [x for x in nodes if x.operation == "number"]
    for a, b in (*combinations(inputs, 2), *combinations(numbers, 2)):
        yield Variant("exchanged", f"{quote(a)} and {quote(b)} are exchanged", substitute(root, {a: b, b: a}))
    partners = {"sin": "cos", "cos": "sin"}
    waves = {x: node(partners[x.operation], *x.arguments) for x in nodes if x.operation in partners}
    if len(waves) > 1:
        yield Variant("exchanged", "sin and cos are exchanged", substitute(root, waves), (calls("sin", "cos"),))


def _read_number(part: Node) -> float:
    """Return the value of a number, also with a sign; 0 for other nodes."""
    if part.operation == "neg":
        return -_read_number(part.arguments[0])
    return float(part.value or 0) if part.operation == "number" else 0.0


def _replace_numbers(root: Node, nodes: list[Node]) -> Iterator[Variant]:
    """Yield the formula with an unknown number in the place of one, at one place or everywhere, or of two shares."""
    numbers = [x for x in nodes if _read_number(x)]
    yield from _move_thresholds(root, nodes)
    for number in numbers:
        value = _read_number(number)
        near = generic.EPS if abs(value) < min(generic.POSITIVE) else generic.POSITIVE
        tried = tuple(math.copysign(x, value) for x in near)
        places = [
            (parent, position)
            for parent in reversed(nodes)
            for position, x in enumerate(parent.arguments)
            if x is number
        ]
        changed = [
            substitute(root, {parent: _replace_argument(parent, position, UNKNOWN)}) for parent, position in places
        ]
        for new in dict.fromkeys([*changed, substitute(root, {number: UNKNOWN})]):
            yield Variant("number", f"{{c}} takes the place of {value:g}", new, (marks.number,), tried, value)
    for part in (x for x in nodes if x.operation in {"add", "sub"}):
        for a, b in combinations([x for x in order(part) if x in numbers], 2):
            if _read_number(a) + _read_number(b) != 1.0:
                continue
            new = substitute(root, {part: substitute(part, {a: UNKNOWN, b: 1 - UNKNOWN})})
            clause = f"{{c}} takes the place of {quote(a)}, and 1 - {{c}} of {quote(b)}"
            yield Variant("number", clause, new, (marks.number,), search.numbers(1e-4, 0.9999))


def _move_thresholds(root: Node, nodes: list[Node]) -> Iterator[Variant]:
    """Yield the formula with an unknown number in the place of a threshold of zero."""
    for part in (x for x in nodes if x.operation in {"less", "not_more"}):
        for position, zero in enumerate(part.arguments):
            if zero.operation == "number" and not zero.value:
                new = substitute(root, {part: _replace_argument(part, position, UNKNOWN)})
                yield Variant("number", "the threshold is {c} instead of 0", new, (marks.number,), generic.TERMS)


def _scale_inputs(root: Node, nodes: list[Node]) -> Iterator[Variant]:
    """Yield the formula with several inputs multiplied by one number."""
    inputs = [x for x in nodes if x.operation == "input"]
    for size in range(2, min(len(inputs), 4)):
        for some in combinations(inputs, size):
            new = substitute(root, {x: x * UNKNOWN for x in some})
            clause = f"{' and '.join(map(quote, some))} are multiplied by {{c}}"
            yield Variant("factor", clause, new, (marks.number,), generic.FACTORS)


# Numbers that keep another number away from zero

_OPEN = "the argument of the logarithm"


def _generate_guards(part: Node) -> Iterator[tuple[str, str, Node, tuple[float, ...], *tuple[Mark, ...]]]:
    """Yield the node with an epsilon or a limit that the formula does not have."""
    match part.operation, part.arguments:
        case "log", (x,):
            yield from _guard_logarithm(x)
        case "sqrt", (x,):
            yield "eps", f"{{c}} is added under the root of {quote(x)}", of.sqrt(x + UNKNOWN), generic.EPS
            yield "eps", f"{{c}} is added to the root of {quote(x)}", part + UNKNOWN, generic.EPS
        case "div", (a, b):
            yield "eps", f"{{c}} is added to the divisor {quote(b)}", a / (b + UNKNOWN), generic.EPS
            yield "eps", f"{{c}} is added to {quote(a)}, which is divided", (a + UNKNOWN) / b, generic.EPS
            clamped = a / of.larger(b, UNKNOWN)
            yield "clamp", f"the divisor {quote(b)} is clamped at {{c}}", clamped, generic.EPS, *_CLAMPS


_CLAMPS = (calls("clamp", "clip", "clamp_min", "maximum"),)


def _guard_logarithm(x: Node) -> Iterator[tuple[str, str, Node, tuple[float, ...], *tuple[Mark, ...]]]:
    # The guard may be in another function, which has the name of a logarithm.
    signs, above = (*_CLAMPS, calls("log")), of.larger(x, UNKNOWN)
    yield "eps", f"{{c}} is added to {_OPEN} before it is taken", of.log(x + UNKNOWN), generic.EPS, calls("log")
    yield "clamp", f"{_OPEN} is clamped at {{c}}", of.log(above), generic.EPS, *signs
    limited = of.log(of.smaller(above, 1 - UNKNOWN))
    yield "clamp", f"{_OPEN} is clamped between {{c}} and 1 - {{c}}", limited, generic.EPS, *signs


def _guard_logarithms(root: Node, nodes: list[Node]) -> Iterator[Variant]:
    """Yield the formula with the same guard in each of several logarithms."""
    logs = [log for log in nodes if log.operation == "log"]
    for guards in zip(*(_guard_logarithm(log.arguments[0]) for log in logs), strict=True) if len(logs) > 1 else ():
        key, clause, _, numbers, *signs = guards[0]
        clause = clause.replace(_OPEN, "the argument of each logarithm")
        new = substitute(root, {log: guard[2] for log, guard in zip(logs, guards, strict=True)})
        yield Variant(key, clause, new, (marks.number, *signs), numbers)


# In words

_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "less": "<", "not_more": "<="}
_NAMES = {"larger": "max", "largest": "max", "stop": ""}
_READABLE = 48
"""Most characters of an expression that is spelled out."""


def quote(part: Node) -> str:
    """Return an expression in backquotes, or the words `a part` if it is too long to read."""
    text = _spell(part)
    return f"`{text}`" if len(text) <= _READABLE else "a part"


def _spell(part: Node) -> str:
    """Return the text of a node."""
    match part.operation, part.arguments:
        case "number", _:
            return f"{float(part.value or 0):g}"
        case "input", _:
            return str(part.value)
        case "pi", _:
            return "pi"
        case "neg", (Node(operation="larger" | "largest") as x,):
            return f"min({', '.join(_spell(_negate(argument)) for argument in x.arguments)})"
        case "neg", (x,):
            return f"-{_spell_inner(x)}"
        case "mul", (a, b) if a is b:
            return f"{_spell_inner(a)} ** 2"
        case "pick", (x, t):
            return f"{_spell(x)}[{_spell(t)}]"
        case "div", (Node(operation="sum", arguments=(x,)), Node(operation="count")):
            return f"mean({_spell(x)})"
        case name, (a, b) if name in _SIGNS:
            return f"{_spell_inner(a)} {_SIGNS[name]} {_spell_inner(b)}"
    name = _NAMES.get(part.operation, part.operation)
    text = ", ".join(map(_spell, part.arguments))
    return f"{name}({text})" if name else text


def _negate(part: Node) -> Node:
    return part.arguments[0] if part.operation == "neg" else -part


def _spell_inner(part: Node) -> str:
    text = _spell(part)
    return f"({text})" if part.operation in _SIGNS and " " in text else text
