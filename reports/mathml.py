"""Formulas as MathML, which browsers draw without a script: text in the grammar of formulas, read by its syntax tree.

A subscript such as ``x[i]`` is an entry of a row, and ``sum`` takes its index from the subscript inside it.
"""

import ast
from collections.abc import Collection, Mapping
from typing import NamedTuple
from xml.sax.saxutils import escape

SUM, PRODUCT, APPLIED, POWER, ATOM = range(5)
"""Precedence of an expression, from low to high."""

LETTERS = {
    name: chr(0x3B1 + at) for at, name in enumerate(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"])
}
LETTERS |= {"mu": "μ", "sigma": "σ", "pi": "π", "eps": "ε", "lambda_": "λ", "theta": "θ", "tau": "τ", "lr": "η"}
"""Names that are written as a Greek letter."""

FUNCTIONS = {"log": "ln", "sigmoid": "σ"}
"""Functions with another name in mathematics."""

TIMES, THIN = "<mo>&#x2062;</mo>", '<mspace width="0.17em"/>'
"""The invisible sign of a product, and the space around the name of a function."""

LONGEST = 10
"""Characters of a number that are drawn."""

SIGNS: Mapping[type, str] = {ast.Lt: "<", ast.LtE: "≤", ast.Gt: ">", ast.GtE: "≥", ast.Eq: "=", ast.NotEq: "≠"}


class Math(NamedTuple):
    """Markup of an expression, and how tightly it binds."""

    markup: str
    binds: int = ATOM


def mathml(text: str, marked: Collection[str] = ()) -> str:
    """Return a formula as a MathML element; empty if it cannot be read.

    ``marked`` names functions whose results are drawn in the color of what breaks.
    """
    try:
        *parts, last = ast.parse(text.strip()).body
        writer = _Writer(marked)
        written = [writer.write(last.value).markup] if isinstance(last, ast.Expr) else []
        for number, part in enumerate(parts):
            if not isinstance(part, ast.Assign) or not isinstance(part.targets[0], ast.Name):
                return ""
            before = ",&#x2003;" if number else "&#x2003;where&#x2003;"
            name = writer.write(part.targets[0]).markup
            written.append(f"<mtext>{before}</mtext>{name}<mo>=</mo>{writer.write(part.value).markup}")
    except (SyntaxError, ValueError, RecursionError, KeyError):
        return ""
    return f'<math display="block">{"".join(written)}</math>' if written else ""


class _Writer:
    """Writes expressions; it knows which functions are marked."""

    def __init__(self, marked: Collection[str]) -> None:
        self._marked = marked

    def write(self, tree: ast.expr) -> Math:
        """Return an expression."""
        match tree:
            case ast.Constant(value=int() | float() as value):
                return Math(f"<mn>{_shorten(repr(value))}</mn>")
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return _write_name(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                negated = self.write(operand).markup if _is_sum(operand) else self._nest(operand, PRODUCT)
                return Math(f"<mrow><mo>−</mo>{negated}</mrow>", SUM)
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                return Math(f"<mrow><mo>¬</mo>{self._nest(operand, ATOM)}</mrow>", APPLIED)
            case ast.BinOp():
                return self._write_binary(tree)
            case ast.Compare(left=left, ops=signs, comparators=others):
                pairs = zip(signs, others, strict=True)
                rest = "".join(f"<mo>{escape(SIGNS[type(sign)])}</mo>{self.write(term).markup}" for sign, term in pairs)
                return Math(f"<mrow>{self.write(left).markup}{rest}</mrow>", SUM)
            case ast.BoolOp(op=sign, values=values):
                word = "and" if isinstance(sign, ast.And) else "or"
                return Math(
                    f"<mtext>&#xa0;{word}&#xa0;</mtext>".join(self.write(value).markup for value in values), SUM
                )
            case ast.IfExp(test=test, body=yes, orelse=no):
                return self._write_cases(test, yes, no)
            case ast.Subscript(value=row, slice=place):
                return Math(f"<msub>{self._nest(row, ATOM)}{self.write(place).markup}</msub>")
            case ast.Call(func=ast.Name(id=word) | ast.Attribute(attr=word), args=arguments):
                return self._call(word, arguments)
        raise ValueError(f"no mathematics for {ast.dump(tree)[:80]}")

    def _nest(self, tree: ast.expr, least: int) -> str:
        """Return an expression, in parentheses if it binds less tightly."""
        expression = self.write(tree)
        return expression.markup if expression.binds >= least else _fence(expression.markup)

    def _write_binary(self, tree: ast.BinOp) -> Math:
        left, right = tree.left, tree.right
        match tree.op:
            case ast.Add():
                return Math(f"<mrow>{self.write(left).markup}<mo>+</mo>{self._nest(right, SUM)}</mrow>", SUM)
            case ast.Sub():
                return Math(f"<mrow>{self.write(left).markup}<mo>−</mo>{self._nest(right, PRODUCT)}</mrow>", SUM)
            case ast.Mult():
                first, second = self._nest(left, PRODUCT), self._nest(right, PRODUCT)
                sign = "<mo>·</mo>" if second.startswith("<mn>") else THIN if _is_applied(right) else TIMES
                return Math(f"<mrow>{first}{sign}{second}</mrow>", PRODUCT)
            case ast.Div():
                return Math(f"<mfrac>{_row(self.write(left).markup)}{_row(self.write(right).markup)}</mfrac>", APPLIED)
            case ast.Pow() if isinstance(right, ast.Constant) and right.value == 0.5:
                return Math(f"<msqrt>{self.write(left).markup}</msqrt>")
            case ast.Pow():
                return Math(f"<msup>{self._nest(left, ATOM)}{_row(self.write(right).markup)}</msup>", POWER)
        raise ValueError(f"no mathematics for {ast.dump(tree.op)}")

    def _call(self, word: str, arguments: list[ast.expr]) -> Math:
        match word, arguments:
            case "exp", [argument] if not _is_tall(argument):
                power = f"<msup><mi>e</mi>{_row(self.write(argument).markup)}</msup>"
                return Math(self._mark(power, word), POWER)
            case "sqrt", [argument]:
                return Math(f"<msqrt>{self.write(argument).markup}</msqrt>")
            case "square", [argument]:
                return Math(f"<msup>{self._nest(argument, ATOM)}<mn>2</mn></msup>", POWER)
            case "abs", [argument]:
                return Math(f"<mrow><mo>|</mo>{self.write(argument).markup}<mo>|</mo></mrow>")
            case "log1p", [argument]:
                inner = _fence(f"<mn>1</mn><mo>+</mo>{self._nest(argument, SUM)}")
                return Math(f"<mrow><mi>ln</mi>{inner}</mrow>", APPLIED)
            case "expm1", [argument] if not _is_tall(argument):
                power = self.write(ast.Call(ast.Name("exp"), [argument], [])).markup
                return Math(f"<mrow>{power}<mo>−</mo><mn>1</mn></mrow>", SUM)
            case "sum", [argument]:
                return self._sum(argument)
            case "dot", [left, right]:
                return self._sum(ast.BinOp(left, ast.Mult(), right))
            case "mean", [ast.Name() as argument]:
                return Math(f'<mover accent="true">{self.write(argument).markup}<mo stretchy="true">¯</mo></mover>')
            case "count", [_]:
                return Math("<mi>n</mi>")
            case "where", [condition, yes, no]:
                return self._write_cases(condition, yes, no)
        return self._write_application(word, arguments)

    def _write_application(self, word: str, arguments: list[ast.expr]) -> Math:
        """Return a function with its arguments, without parentheses around a single name or a sum of exponentials."""
        name = f"<mi>{escape(FUNCTIONS.get(word, word))}</mi>"
        inner = "<mo>,</mo>".join(self.write(argument).markup for argument in arguments)
        is_bare = word == "log" and len(arguments) == 1 and _is_bare(arguments[0])
        applied = f"{THIN}{inner}" if is_bare else _fence(inner)
        return Math(self._mark(f"<mrow>{name}{applied}</mrow>", word), APPLIED)

    def _sum(self, argument: ast.expr) -> Math:
        index = _find_index(argument)
        sign = f"<munder><mo>∑</mo><mi>{index}</mi></munder>" if index else "<mo>∑</mo>"
        return Math(f"<mrow>{sign}{self._nest(argument, PRODUCT)}</mrow>", SUM)

    def _write_cases(self, condition: ast.expr, yes: ast.expr, no: ast.expr) -> Math:
        """Return two values with the condition that decides."""
        first = f"<mtd>{self.write(yes).markup}</mtd><mtd><mtext>if&#xa0;</mtext>{self.write(condition).markup}</mtd>"
        second = f"<mtd>{self.write(no).markup}</mtd><mtd><mtext>otherwise</mtext></mtd>"
        rows = f"<mtable columnalign='left left'><mtr>{first}</mtr><mtr>{second}</mtr></mtable>"
        return Math(f'<mrow><mo stretchy="true">{{</mo>{rows}</mrow>', SUM)

    def _mark(self, markup: str, word: str) -> str:
        return f'<mrow class="breaks">{markup}</mrow>' if word in self._marked else markup


def _shorten(digits: str) -> str:
    """Return a number with an ellipsis after its first digits if it has many; the text of the formula has all."""
    is_long = len(digits) > LONGEST and "e" not in digits
    return f"{digits[: LONGEST - 2]}…" if is_long else digits


def _row(markup: str) -> str:
    return f"<mrow>{markup}</mrow>"


def _fence(markup: str) -> str:
    return f"<mrow><mo>(</mo>{markup}<mo>)</mo></mrow>"


def _write_name(name: str) -> Math:
    """Return a name: Greek if it is a letter's, with what follows an underscore as a subscript."""
    if name.startswith("log_"):
        return Math(f"<mrow><mi>ln</mi>{THIN}{_write_name(name.removeprefix('log_')).markup}</mrow>")
    base, _, below = name.partition("_")
    written = f"<mi>{escape(LETTERS.get(base, base))}</mi>"
    return Math(f"<msub>{written}<mi>{escape(below)}</mi></msub>" if base and below else written)


def _find_index(tree: ast.expr) -> str:
    """Return the subscript over which a sum runs; empty if the expression has none."""
    places = [node.slice for node in ast.walk(tree) if isinstance(node, ast.Subscript)]
    return next((escape(place.id) for place in places if isinstance(place, ast.Name)), "")


def _is_bare(tree: ast.expr) -> bool:
    """Whether a function needs no parentheses around its argument."""
    return isinstance(tree, ast.Name | ast.Subscript | ast.Constant) or _is_sum(tree)


def _is_tall(tree: ast.expr) -> bool:
    """Whether an expression is too tall for an exponent."""
    return any(isinstance(node, ast.Call | ast.Div | ast.IfExp) for node in ast.walk(tree))


def _is_sum(tree: ast.expr) -> bool:
    return isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "sum"


def _is_applied(tree: ast.expr) -> bool:
    """Whether an expression begins with the name of a function."""
    return isinstance(tree, ast.Call) or (isinstance(tree, ast.Name) and tree.id.startswith("log_"))
