"""The grammar of formulas: Python syntax with a few words and operators, parsed and never evaluated.

A formula is an expression that may follow assignments: ``m = mean(x); x - m``. Decimal numbers are exact: ``0.1`` is a
tenth.
"""

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NoReturn

from harness.error import UsageError, did_you_mean, join_names
from harness.formula import node as of
from harness.formula import synonyms
from harness.formula.catalogue import CATALOGUE
from harness.formula.node import ENTRY, ROW, Node, lift, node, order
from harness.formula.spelling import Domain, Spelling


@dataclass(frozen=True, eq=False)
class Formula:
    """A formula as graphs.

    Parameters
    ----------
    spelling
        The text, with all inputs in order.
    definition
        The exact formula.
    form
        The formula that implementations compute.
    inputs
        The inputs' nodes by name, in order.
    by_rows
        Whether the formula reduces along rows.
    """

    spelling: Spelling
    definition: Node
    form: Node
    inputs: Mapping[str, Node]
    by_rows: bool

    @property
    def domains(self) -> dict[str, Domain]:
        """Domain of each input."""
        return dict(self.spelling.inputs)


MAX_CHARACTERS = 4_000
"""Maximum length of a formula, in characters."""


def parse(spelling: Spelling) -> Formula:
    """Parse a formula into graphs.

    Raises
    ------
    UsageError
        If it is not a formula; the message points at the character.
    """
    domains = dict(spelling.inputs)
    roots, used = [], dict[str, None]()
    for text in filter(None, (spelling.definition, spelling.form)):
        reader = _Reader(text, domains, open_=not spelling.complete)
        roots.append(reader.read())
        used |= reader.used
    if not roots:
        raise UsageError("the formula is empty", remedy="write an expression, such as `x * tanh(x)`")
    if idle := [name for name in domains if name not in used]:
        raise UsageError(
            f"the formula `{spelling.definition}` does not use its input `{idle[0]}`", remedy="use it or remove it"
        )
    if not used:
        raise UsageError(
            f"the formula `{spelling.definition}` has no input", remedy="use at least one input, such as `x`"
        )
    names = dict.fromkeys(domains if spelling.complete or used.keys() <= domains.keys() else used)
    inputs = tuple((name, domains.get(name, Domain())) for name in names)
    complete = replace(spelling, inputs=inputs, complete=True)
    by_rows = any(part.operation in {*of.REDUCTIONS, *of.STEPS} for root in roots for part in order(root))
    if spelling.whole and (not by_rows or roots[0].extent == ENTRY or any(domain.per_row for _, domain in inputs)):
        raise UsageError(f"with `--over all`, the formula must reduce all its inputs, got `{spelling.definition}`")
    if spelling.reduction and by_rows and roots[0].extent == ENTRY:
        rule = "the formula must give one number for each row"
        raise UsageError(f"cannot use `--over {spelling.reduction}`", rule=rule, value=f"`{spelling.definition}`")
    graphs = {name: _input(name, domain) for name, domain in inputs}
    return Formula(complete, roots[0], standard_form(roots[-1]), graphs, by_rows)


def standard_form(root: Node) -> Node:
    """Replace expressions for which libraries have a function: ``a / (1 + exp(-x))`` becomes ``a sigmoid(x)``."""
    nodes: dict[Node, Node] = {}
    for original in order(root):
        arguments = tuple(nodes[argument] for argument in original.arguments)
        nodes[original] = _logistic(original, arguments) or node(
            original.operation, *arguments, value=original.value, extent=original.extent
        )
    return nodes[root]


def _logistic(quotient: Node, arguments: tuple[Node, ...]) -> Node | None:
    if quotient.operation != "div" or arguments[1].operation != "add":
        return None
    parts = arguments[1].arguments
    rest = [part for part in parts if part is not lift(1)]
    if len(rest) != 1 or rest[0].operation != "exp":
        return None
    of_divisor = of.sigmoid(-rest[0].arguments[0])
    return of_divisor if arguments[0] is lift(1) else arguments[0] * of_divisor


def _input(name: str, domain: Domain) -> Node:
    return node("input", value=name, extent=ROW if domain.per_row else ENTRY)


# Words


def _largest(x: Node, *rest: Node) -> Node:
    """Return the largest entry of a row, or the largest of several numbers."""
    if not rest:
        return of.largest(x)
    for number in rest:
        x = of.larger(x, number)
    return x


def _smallest(x: Node, *rest: Node) -> Node:
    return -_largest(-x, *(-number for number in rest))


def _subtract_largest(x: Node) -> Node:
    return x - of.stop(of.largest(x))


def _softmax(x: Node) -> Node:
    e = of.exp(_subtract_largest(x))
    return e / of.total(e)


WORDS: Mapping[str, Callable[..., Node]] = {
    **{name: of.unary(name) for name in (*of.ELEMENTARY, "abs", "stop")},
    "cosh": lambda x: (of.exp(x) + of.exp(-x)) / 2,
    "sinh": lambda x: (of.expm1(x) - of.expm1(-x)) / 2,
    "softplus": lambda x: of.larger(x, 0) + of.log1p(of.exp(-of.absolute(x))),
    "relu": lambda x: of.larger(x, 0),
    "sign": lambda x: of.where(of.less(x, 0), -1, of.where(of.less(0, x), 1, 0)),
    "square": lambda x: x * x,
    "pow": lambda x, exponent: _power(x, exponent),
    "log2": lambda x: of.log(x) / of.log(lift(2)),
    "log10": lambda x: of.log(x) / of.log(lift(10)),
    "exp2": lambda x: of.exp(x * of.log(lift(2))),
    "where": lambda condition, yes, no: of.where(condition, yes, no),
    "max": _largest,
    "min": _smallest,
    "clip": lambda x, low, high: of.smaller(of.larger(x, low), high),
    "sum": lambda x: of.total(x),
    "mean": lambda x: of.total(x) / of.count(x),
    "count": lambda x: of.count(x),
    "cumsum": lambda x: node("cumsum", x),
    "dot": lambda x, y: of.total(x * y),
    "norm": lambda x: of.sqrt(of.total(x * x)),
    "softmax": _softmax,
    "log_softmax": lambda x: _subtract_largest(x) - of.log(of.total(of.exp(_subtract_largest(x)))),
    "logsumexp": lambda x: of.stop(of.largest(x)) + of.log(of.total(of.exp(_subtract_largest(x)))),
}
"""Functions that a formula may call; ``max`` and ``min`` with one argument reduce a row."""

CONSTANTS: Mapping[str, Node] = {"pi": node("pi"), "\N{GREEK SMALL LETTER PI}": node("pi"), "e": of.exp(lift(1))}

_ALONG_ROWS = {"sum", "mean", "count", "cumsum", "dot", "norm", "softmax", "log_softmax", "logsumexp"}

_SIGNS: Mapping[type[ast.operator], Callable[[Node, Node], Node]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}

_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Node, Node], Node]] = {
    ast.Lt: of.less,
    ast.LtE: of.not_more,
    ast.Gt: lambda a, b: of.less(b, a),
    ast.GtE: lambda a, b: of.not_more(b, a),
}

_TRUTHS = {"less", "not_more"}


# Reading


class _Reader:
    """Reads one formula."""

    def __init__(self, text: str, domains: Mapping[str, Domain], *, open_: bool) -> None:
        self.text, self.domains, self.open = text, domains, open_
        self.used: dict[str, None] = {}
        self.named: dict[str, Node] = {}
        self.conditions: dict[str, ast.expr] = {}

    def read(self) -> Node:
        """Read the whole formula."""
        if len(self.text) > MAX_CHARACTERS:
            raise UsageError(
                "the formula is too long", rule=f"at most {MAX_CHARACTERS:,} characters", value=f"{len(self.text):,}"
            )
        try:
            tree = ast.parse(self.text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise self._unreadable(error) from error
        try:
            return self._statements(tree)
        except RecursionError as error:
            raise UsageError(f"the formula is nested too deeply: `{self.text[:40]}...`") from error

    def _statements(self, tree: ast.Module) -> Node:
        for index, statement in enumerate(tree.body):
            last = index == len(tree.body) - 1
            match statement:
                case ast.Expr(value=value) if last:
                    return self._number(value)
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if not last:
                    if _is_condition(value):
                        self.conditions[name] = value
                    else:
                        self.named[name] = self._value(value)
                case _:
                    self._reject(
                        "a formula is an expression, optionally preceded by assignments such as `d = x - y;`", statement
                    )
        raise UsageError(f"the formula does not end with an expression: `{self.text}`")

    def _value(self, tree: ast.expr) -> Node:
        match tree:
            case ast.Constant(value=int() | float()) if not isinstance(tree.value, bool):
                return lift(Fraction(ast.get_source_segment(self.text, tree) or str(tree.value)))
            case ast.Name(id=name):
                return self._name(name, tree)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._number(operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self._number(operand)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return _power(self._number(left), self._number(right))
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _SIGNS:
                return _SIGNS[type(sign)](self._number(left), self._number(right))
            case ast.Compare(left=left, ops=[sign], comparators=[right]) if type(sign) in _COMPARISONS:
                return _COMPARISONS[type(sign)](self._number(left), self._number(right))
            case ast.Call(func=function, args=arguments, keywords=keywords):
                return self._call(function, arguments, keywords, tree)
            case ast.Attribute(value=prefix, attr=name) if name in CONSTANTS and self._is_module(prefix):
                return CONSTANTS[name]
            case ast.Attribute(value=ast.Call() as called, attr="values"):
                return self._number(called)
            case ast.IfExp(test=test, body=yes, orelse=no):
                selected = self._number(yes)
                self._note_inputs(test)
                return self._select(test, selected, self._number(no))
            case _ if _is_condition(tree):
                return self._reject(_ONLY_IN_WHERE, tree, _NUMBER_FROM_CONDITION)
            case ast.Subscript(value=row, slice=ast.Name() as place):
                return self._entry(self._number(row), self._value(place), tree)
        if isinstance(tree, ast.BinOp) and (remedy := synonyms.OPERATORS.get(type(tree.op))):
            self._refuse_misspelling(tree, remedy)
        return self._reject(
            "a formula consists of numbers, names, `+ - * / **`, comparisons, calls and `row[index]`", tree
        )

    def _note_inputs(self, condition: ast.expr) -> None:
        """Register the inputs of a condition before the inputs of the selected values, in the order of the text."""
        called = {id(call.func) for call in ast.walk(condition) if isinstance(call, ast.Call)}
        names = [tree for tree in ast.walk(condition) if isinstance(tree, ast.Name) and id(tree) not in called]
        for tree in sorted(names, key=lambda tree: (tree.lineno, tree.col_offset)):
            reserved = {*self.named, *self.conditions, *CONSTANTS, *WORDS, *synonyms.MODULES}
            if tree.id in self.domains or (self.open and tree.id not in reserved):
                self.used[tree.id] = None

    def _is_module(self, tree: ast.expr) -> bool:
        """Return whether the prefix before a dot is a library, not an input or a named part."""
        parts = synonyms.split_dots(tree)
        own_names = {*self.domains, *self.named}
        return parts is not None and set(parts) <= synonyms.MODULES and parts[0] not in own_names

    def _select(self, condition: ast.expr, yes: Node, no: Node) -> Node:
        """Select one of two values by a condition, which may combine several."""
        match condition:
            case ast.BoolOp(op=ast.And(), values=[first, *rest]):
                return self._select(first, self._select(_join(condition, rest), yes, no), no)
            case ast.BoolOp(op=ast.Or(), values=[first, *rest]):
                return self._select(first, yes, self._select(_join(condition, rest), yes, no))
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._select(left, yes, self._select(right, yes, no))
            case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
                return self._select(left, self._select(right, yes, no), no)
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                return self._select(operand, no, yes)
            case ast.Compare(left=left, ops=[sign, *signs], comparators=[right, *others]) if signs:
                before = ast.copy_location(ast.Compare(left=left, ops=[sign], comparators=[right]), condition)
                after = ast.copy_location(ast.Compare(left=right, ops=signs, comparators=others), condition)
                return self._select(before, self._select(after, yes, no), no)
            case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() as sign], comparators=[right]):
                a, b = self._number(left), self._number(right)
                same, different = (yes, no) if isinstance(sign, ast.Eq) else (no, yes)
                return of.where(of.not_more(a, b), of.where(of.not_more(b, a), same, different), different)
            case ast.Name(id=name) if name in self.conditions:
                return self._select(self.conditions[name], yes, no)
        truth = self._value(condition)
        if not self._is_truth(truth):
            self._reject("the first argument of `where` must be a comparison or a mask", condition)
        return of.where(truth, yes, no)

    def _entry(self, row: Node, index: Node, tree: ast.Subscript) -> Node:
        if self._kind(index) != "index":
            self._reject("the value in brackets must be an index input, `--input t=index`", tree.slice)
        if row.extent != ENTRY:
            self._reject("only a row can be indexed, and this is one number", tree.value)
        return of.pick(row, index)

    def _number(self, tree: ast.expr) -> Node:
        value = self._value(tree)
        if self._is_truth(value):
            self._reject(_ONLY_IN_WHERE, tree, _NUMBER_FROM_CONDITION)
        if self._kind(value) == "index":
            self._reject("an index is allowed only in brackets, `row[index]`", tree)
        return value

    def _is_truth(self, value: Node) -> bool:
        return value.operation in _TRUTHS or self._kind(value) == "mask"

    def _kind(self, value: Node) -> str:
        """Return the kind of an input's domain; empty for a computed value."""
        return self.domains.get(str(value.value), Domain()).kind if value.operation == "input" else ""

    def _name(self, name: str, tree: ast.expr) -> Node:
        if name in self.named:
            return self.named[name]
        if name in self.domains or (self.open and name not in {*CONSTANTS, *WORDS}):
            self.used[name] = None
            return _input(name, self.domains.get(name, Domain()))
        if name in CONSTANTS:
            return CONSTANTS[name]
        names = [*self.domains, *self.named, *CONSTANTS]
        rule = f"unknown name; the inputs are {join_names(self.domains)}"
        return self._reject(rule, tree, did_you_mean(name, names))

    def _call(self, called: ast.expr, arguments: list[ast.expr], keywords: list[ast.keyword], tree: ast.Call) -> Node:
        match called:
            case ast.Name(id=word):
                pass
            case ast.Attribute(value=before, attr=word):
                arguments = arguments if self._is_module(before) else [before, *arguments]
            case _:
                self._reject(f"a formula calls functions by name; known are {join_names(WORDS)}", called)
        reduces = word in {"amax", "amin"} or (word in {"max", "min"} and isinstance(called, ast.Attribute))
        word = synonyms.SAME.get(word, word)
        if word not in WORDS and word not in synonyms.MORE:
            if remedy := synonyms.INSTEAD.get(word) or _suggest_definition(word):
                self._refuse_misspelling(tree, remedy)
            words = [*WORDS, *synonyms.MORE]
            self._reject(f"unknown function; known are {join_names(WORDS)}", called, did_you_mean(word, words))
        if word in _ALONG_ROWS or reduces:
            arguments = synonyms.drop_last_axis(arguments)
        if word in {*_ALONG_ROWS, "max", "min"}:
            keywords = synonyms.along_last_axis(keywords)
        function = WORDS[word] if word in WORDS else synonyms.MORE[word]
        parameters = list(inspect.signature(function).parameters)
        by_name = {keyword.arg: keyword.value for keyword in keywords if keyword.arg in parameters}
        try:
            inspect.signature(function).bind(*arguments, **by_name)
        except TypeError:
            self._reject(f"`{word}` takes ({', '.join(parameters)})", tree, synonyms.OTHERWISE_CALLED.get(word))
        if len(by_name) < len(keywords):
            self._reject(f"`{word}` takes ({', '.join(parameters)})", tree, "leave the other arguments out")
        if word == "where":
            condition, yes, no = inspect.signature(function).bind(*arguments, **by_name).arguments.values()
            self._note_inputs(condition)
            return self._select(condition, self._number(yes), self._number(no))
        numbers = [self._number(argument) for argument in arguments]
        if (word in _ALONG_ROWS or (word in {"max", "min"} and len(numbers) == 1)) and numbers[0].extent != ENTRY:
            self._reject(f"`{word}` takes a row, and its argument is one number", tree)
        return function(*numbers, **{name: self._number(value) for name, value in by_name.items()})

    def _reject(self, rule: str, tree: ast.AST, remedy: str | None = None) -> NoReturn:
        position = getattr(tree, "col_offset", 0)
        source = ast.get_source_segment(self.text, tree) if isinstance(tree, (ast.expr, ast.stmt)) else None
        problem = f"cannot read the formula at {_place(self.text, position)}"
        raise UsageError(problem, rule=rule, value=f"`{source or self.text[position:]}`", remedy=remedy)

    def _refuse_misspelling(self, tree: ast.expr, remedy: str) -> NoReturn:
        """Refuse a word that formulas replace by another."""
        source = ast.get_source_segment(self.text, tree) or self.text
        raise UsageError(f"cannot read `{source}` at {_place(self.text, tree.col_offset)}", remedy=remedy)

    def _unreadable(self, error: Any) -> UsageError:
        position = max(0, (getattr(error, "offset", None) or 1) - 1)
        message = getattr(error, "msg", None) or str(error) or type(error).__name__
        remedies = (remedy for sign, remedy in synonyms.SIGNS.items() if re.search(sign, self.text))
        return UsageError(
            f"cannot read the formula at {_place(self.text, position)}", rule=message, remedy=next(remedies, None)
        )


_ONLY_IN_WHERE = "a comparison or a mask is allowed only as the first argument of `where`"
_NUMBER_FROM_CONDITION = "write `where(condition, 1, 0)` for a number"


def _suggest_definition(word: str) -> str | None:
    """Return the definition of a formula of the catalog that is not a word."""
    entry = CATALOGUE.get(word)
    return None if entry is None else f"write its definition, `{entry.definition}`"


def _is_condition(tree: ast.expr) -> bool:
    """Return whether a condition combines others or tests equality."""
    match tree:
        case ast.BoolOp() | ast.UnaryOp(op=ast.Not() | ast.Invert()) | ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
            return True
        case ast.Compare(ops=signs):
            return len(signs) > 1 or isinstance(signs[0], (ast.Eq, ast.NotEq))
    return False


def _join(condition: ast.BoolOp, rest: list[ast.expr]) -> ast.expr:
    return rest[0] if len(rest) == 1 else ast.copy_location(ast.BoolOp(op=condition.op, values=rest), condition)


def _place(text: str, position: int) -> str:
    """Describe a character by its number and its surroundings, with a marker before it."""
    before, after = text[max(0, position - 24) : position], text[position : position + 24]
    dots = "..." if position > 24 else "", "..." if len(text) > position + 24 else ""
    return f"character {position + 1}, `{dots[0]}{before}\N{BLACK RIGHT-POINTING TRIANGLE}{after}{dots[1]}`"


def _power(base: Node, exponent: Node) -> Node:
    value = _constant(exponent)
    if value == Fraction(1, 2):
        return of.sqrt(base)
    if value is not None and value.denominator == 1 and abs(value) <= 64:
        result = _whole_power(base, abs(int(value)))
        return result if value >= 0 else 1 / result
    return _fractional_power(base, exponent, value)


def _constant(exponent: Node) -> Fraction | None:
    if exponent.operation == "neg":
        inner = _constant(exponent.arguments[0])
        return None if inner is None else -inner
    if exponent.operation == "div":
        top, bottom = map(_constant, exponent.arguments)
        return top / bottom if top is not None and bottom else None
    return exponent.value if isinstance(exponent.value, Fraction) else None


def _fractional_power(base: Node, exponent: Node, value: Fraction | None) -> Node:
    """Power by the logarithm; at zero it is zero, with slope zero if the exponent is above one."""
    logarithm = of.log(base)
    power = of.exp(exponent * logarithm)
    if value is None or value <= 0:
        return power
    at_zero = of.where(of.less(base, 0), logarithm, 0) if value > 1 else of.sqrt(base)
    return of.where(of.less(0, base), power, at_zero)


def _whole_power(base: Node, exponent: int) -> Node:
    """Power by squaring; the power zero is one."""
    result: Node | None = None
    while exponent:
        if exponent & 1:
            result = base if result is None else result * base
        exponent >>= 1
        base = base * base if exponent else base
    return lift(1) if result is None else result
