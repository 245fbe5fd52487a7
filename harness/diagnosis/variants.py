"""Variants of a formula: its graph with one change, as people make them by mistake, and the change in words."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, permutations

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


def variants(root: Node, alike: tuple[str, ...]) -> Iterator[Variant]:
    """Yield every variant of a formula, those without an unknown number first; ``alike`` inputs may be exchanged."""
    nodes = order(root)
    yield from _exchanges(root, nodes, alike)
    for one in nodes:
        for key, clause, new, *found in (*_changes(one), *_of_inputs(one, alike)):
            yield Variant(key, clause, substituted(root, {one: new}), tuple(found))
    yield from _numbers(root, nodes)
    for one in nodes:
        for key, clause, new, numbers, *found in _guards(one):
            yield Variant(key, clause, substituted(root, {one: new}), (marks.number, *found), numbers)
    yield from _all_logarithms(root, nodes)
    for one in nodes:
        if one.operation not in {"number", "less", "not_more"} and one is not root:
            for key, clause, new, numbers in (
                ("factor", f"{quoted(one)} is multiplied by {{c}}", one * UNKNOWN, generic.FACTORS),
                ("term", f"{{c}} is added to {quoted(one)}", one + UNKNOWN, generic.TERMS),
            ):
                yield Variant(key, clause, substituted(root, {one: new}), (marks.number,), numbers)


def substituted(root: Node, new: Mapping[Node, Node]) -> Node:
    """Return a graph with other nodes in the place of some."""
    made: dict[Node, Node] = {}
    for one in order(root):
        arguments = tuple(made[argument] for argument in one.arguments)
        made[one] = new[one] if one in new else one if arguments == one.arguments else node(
            one.operation, *arguments, value=one.value
        )  # fmt: skip
    return made[root]


def _with(parent: Node, at: int, argument: Node) -> Node:
    """Return a node with another argument."""
    arguments = [*parent.arguments[:at], argument, *parent.arguments[at + 1 :]]
    return node(parent.operation, *arguments, value=parent.value)


# Changes of one node

_CONFUSED = (("sin", "cos"), ("tanh", "sigmoid"), ("erf", "tanh"), ("log", "log1p"), ("exp", "expm1"), ("erf", "erfc"))

Change = tuple[str, str, Node, *tuple[Mark, ...]]


def _changes(one: Node) -> Iterator[Change]:
    """Yield the changes of a node without an unknown number."""
    match one.operation, one.arguments:
        case "div", (Node(operation="sum") as total, Node(operation="count") as count):
            yield "sum", "a sum is taken", total, calls("sum", "norm")
            yield "n - 1", f"{quoted(total)} is divided by n - 1", total / (count - 1), calls("var", "std")
        case "sub", (Node(operation="count") as count, Node(operation="number")):
            yield "n", "the sum is divided by n", count, calls("var", "std", "mean")
        case "sum", (x,):
            yield "mean", f"the mean of {quoted(x)} is taken instead of the sum", one / of.count(x), calls("mean")
        case "add", (a, b):
            yield "term sign", "a term is subtracted; it is added in {op}", a - b, marks.subtracts
            yield from _missing("term", a, b)
            if b.operation == "number" and a.operation == "sqrt":
                yield "eps inside", f"{quoted(b)} is added under the root", of.sqrt(a.arguments[0] + b), calls("sqrt")
        case "sub", (a, b):
            yield "term sign", "a term is added; it is subtracted in {op}", a + b, marks.adds
            yield from _missing("term", a, b, -b)
        case "mul", (a, b) if a is b:
            yield "square", f"{quoted(a)} is not squared", a
            yield "square", f"the magnitude of {quoted(a)} is taken instead of its square", of.absolute(a)
            yield "square", f"{quoted(a)} is cubed instead of squared", a * a * a
        case "mul", (a, b):
            yield from _missing("factor", a, b)
            yield "divided", f"{quoted(a)} is divided by {quoted(b)}", a / b, marks.divides
            yield "divided", f"{quoted(b)} is divided by {quoted(a)}", b / a, marks.divides
        case "div", (a, b):
            yield "divisor", f"the division by {quoted(b)} is missing", a
            yield "inverse", f"{quoted(b)} is divided by {quoted(a)}", b / a, marks.divides
            yield "multiplied", f"{quoted(a)} is multiplied by {quoted(b)}", a * b, marks.multiplies
        case "larger", (a, b):
            yield "minimum", f"the smaller of {quoted(a)} and {quoted(b)} is taken", of.smaller(a, b), calls("min")
            yield "limit", f"{quoted(a)} has no limit {quoted(b)}", a
            yield "limit", f"{quoted(b)} has no limit {quoted(a)}", b
        case "where", (condition, yes, no):
            yield "branches", f"the branches {quoted(yes)} and {quoted(no)} are exchanged", of.where(condition, no, yes)
            yield "branch", f"{quoted(yes)} is computed in both branches", yes
            yield "branch", f"{quoted(no)} is computed in both branches", no
        case "neg", (x,):
            yield "sign", f"the minus sign of {quoted(x)} is missing", x
        case "sqrt", (Node(operation="add", arguments=(a, Node(operation="number") as b)) as x,):
            yield "eps outside", f"{quoted(b)} is added outside of the root", of.sqrt(a) + b, calls("sqrt", "norm")
            yield "root", f"the square root of {quoted(x)} is missing", x
        case name, (x,) if name in {*of.ELEMENTARY, "abs"}:
            yield f"no {name}", f"{_FUNCTIONS.get(name, name)} of {quoted(x)} is missing", x
            for left, right in (*_CONFUSED, *((b, a) for a, b in _CONFUSED)):
                if name == left:
                    yield right, f"{right} takes the place of {left}", node(right, x), calls(right)


_FUNCTIONS = {"sqrt": "the square root", "log": "the logarithm", "exp": "the exponential", "abs": "the magnitude"}


def _missing(what: str, a: Node, b: Node, without_a: Node | None = None) -> Iterator[Change]:
    """Yield a sum or a product without one of its parts."""
    yield f"no {what}", f"the {what} {quoted(b)} is missing", a
    yield f"no {what}", f"the {what} {quoted(a)} is missing", without_a or b


# Inputs and numbers that are taken for one another


def _of_inputs(one: Node, alike: tuple[str, ...]) -> Iterator[Change]:
    """Yield a part of the formula in which one input takes the place of another."""
    inputs = {str(x.value): x for x in order(one) if x.operation == "input"}
    for name, other in permutations(alike, 2):
        if name in inputs and one.arguments:
            new = node("input", value=other, extent=inputs[name].extent)
            clause = f"`{other}` takes the place of `{name}` in {quoted(one)}"
            yield "input", clause, substituted(one, {inputs[name]: new})


def _exchanges(root: Node, nodes: list[Node], alike: tuple[str, ...]) -> Iterator[Variant]:
    """Yield the formula with two inputs, two numbers or sine and cosine exchanged."""
    inputs = [x for x in nodes if x.operation == "input" and x.value in alike]
    numbers = [x for x in nodes if x.operation == "number"]
    for a, b in (*combinations(inputs, 2), *combinations(numbers, 2)):
        yield Variant("exchanged", f"{quoted(a)} and {quoted(b)} are exchanged", substituted(root, {a: b, b: a}))
    other = {"sin": "cos", "cos": "sin"}
    waves = {x: node(other[x.operation], *x.arguments) for x in nodes if x.operation in other}
    if len(waves) > 1:
        yield Variant("exchanged", "sin and cos are exchanged", substituted(root, waves), (calls("sin", "cos"),))


def _numbers(root: Node, nodes: list[Node]) -> Iterator[Variant]:
    """Yield the formula with an unknown number in the place of one, at one place or everywhere, or of two shares."""
    numbers = [x for x in nodes if x.operation == "number" and x.value]
    for one in numbers:
        value = float(one.value or 0)
        near = generic.EPS if abs(value) < min(generic.POSITIVE) else generic.POSITIVE
        tried = tuple(math.copysign(x, value) for x in near)
        places = [(parent, at) for parent in reversed(nodes) for at, x in enumerate(parent.arguments) if x is one]
        changed = [substituted(root, {parent: _with(parent, at, UNKNOWN)}) for parent, at in places]
        for new in dict.fromkeys([*changed, substituted(root, {one: UNKNOWN})]):
            yield Variant("number", f"{{c}} takes the place of {value:g}", new, (marks.number,), tried)
    for one in (x for x in nodes if x.operation in {"add", "sub"}):
        for a, b in combinations([x for x in order(one) if x in numbers], 2):
            if float(a.value or 0) + float(b.value or 0) != 1.0:
                continue
            new = substituted(root, {one: substituted(one, {a: UNKNOWN, b: 1 - UNKNOWN})})
            clause = f"{{c}} takes the place of {quoted(a)}, and 1 - {{c}} of {quoted(b)}"
            yield Variant("number", clause, new, (marks.number,), search.numbers(1e-4, 0.9999))


# Numbers that keep another number away from zero

_OPEN = "the argument of the logarithm"


def _guards(one: Node) -> Iterator[tuple[str, str, Node, tuple[float, ...], *tuple[Mark, ...]]]:
    """Yield the node with an epsilon or a limit that the formula does not have."""
    match one.operation, one.arguments:
        case "log", (x,):
            yield from _in_logarithm(x)
        case "sqrt", (x,):
            yield "eps", f"{{c}} is added under the root of {quoted(x)}", of.sqrt(x + UNKNOWN), generic.EPS
            yield "eps", f"{{c}} is added to the root of {quoted(x)}", one + UNKNOWN, generic.EPS
        case "div", (a, b):
            yield "eps", f"{{c}} is added to the divisor {quoted(b)}", a / (b + UNKNOWN), generic.EPS
            yield "eps", f"{{c}} is added to {quoted(a)}, which is divided", (a + UNKNOWN) / b, generic.EPS
            clamped = a / of.larger(b, UNKNOWN)
            yield "clamp", f"the divisor {quoted(b)} is clamped at {{c}}", clamped, generic.EPS, *_CLAMPS


_CLAMPS = (calls("clamp", "clip", "clamp_min", "maximum"),)


def _in_logarithm(x: Node) -> Iterator[tuple[str, str, Node, tuple[float, ...], *tuple[Mark, ...]]]:
    # The guard may be in another function, which has the name of a logarithm.
    found, above = (*_CLAMPS, calls("log")), of.larger(x, UNKNOWN)
    yield "eps", f"{{c}} is added to {_OPEN} before it is taken", of.log(x + UNKNOWN), generic.EPS, calls("log")
    yield "clamp", f"{_OPEN} is clamped at {{c}}", of.log(above), generic.EPS, *found
    both = of.log(of.smaller(above, 1 - UNKNOWN))
    yield "clamp", f"{_OPEN} is clamped between {{c}} and 1 - {{c}}", both, generic.EPS, *found


def _all_logarithms(root: Node, nodes: list[Node]) -> Iterator[Variant]:
    """Yield the formula with the same guard in each of several logarithms."""
    logs = [one for one in nodes if one.operation == "log"]
    for each in zip(*(_in_logarithm(one.arguments[0]) for one in logs), strict=True) if len(logs) > 1 else ():
        key, clause, _, numbers, *found = each[0]
        clause = clause.replace(_OPEN, "the argument of each logarithm")
        new = substituted(root, {one: guard[2] for one, guard in zip(logs, each, strict=True)})
        yield Variant(key, clause, new, (marks.number, *found), numbers)


# In words

_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "less": "<", "not_more": "<="}
_NAMES = {"larger": "max", "largest": "max", "stop": ""}
_READABLE = 48
"""Most characters of an expression that is spelled out."""


def quoted(one: Node) -> str:
    """Return an expression in backquotes, or the words `a part` if it is too long to read."""
    text = _spelled(one)
    return f"`{text}`" if len(text) <= _READABLE else "a part"


def _spelled(one: Node) -> str:
    """Return the text of a node."""
    match one.operation, one.arguments:
        case "number", _:
            return f"{float(one.value or 0):g}"
        case "input", _:
            return str(one.value)
        case "pi", _:
            return "pi"
        case "neg", (x,):
            return f"-{_inner(x)}"
        case "mul", (a, b) if a is b:
            return f"{_inner(a)} ** 2"
        case "pick", (x, t):
            return f"{_spelled(x)}[{_spelled(t)}]"
        case "div", (Node(operation="sum", arguments=(x,)), Node(operation="count")):
            return f"mean({_spelled(x)})"
        case name, (a, b) if name in _SIGNS:
            return f"{_inner(a)} {_SIGNS[name]} {_inner(b)}"
    name = _NAMES.get(one.operation, one.operation)
    text = ", ".join(map(_spelled, one.arguments))
    return f"{name}({text})" if name else text


def _inner(one: Node) -> str:
    text = _spelled(one)
    return f"({text})" if one.operation in _SIGNS and " " in text else text
