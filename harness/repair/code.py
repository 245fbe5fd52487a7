"""Code of a function as LibCST sees it: calls in one form, names that are assigned once, and replacements."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

Pair = tuple[cst.BaseExpression, cst.BaseExpression]

_MODULES = {"torch", "F", "functional", "nn"}
"""Names of modules whose functions take the tensor as the first argument."""


@dataclass(frozen=True)
class TensorCall:
    """A call in one form for `torch.f(x, ...)`, `F.f(x, ...)` and `x.f(...)`."""

    name: str
    tensor: cst.BaseExpression
    """The tensor."""
    arguments: tuple[cst.BaseExpression, ...]
    keywords: Mapping[str, cst.BaseExpression]
    node: cst.Call

    @property
    def is_method(self) -> bool:
        """Whether the tensor stands before the name, as in `x.f(...)`."""
        return isinstance(self.node.func, cst.Attribute) and self.node.func.value is self.tensor

    def axis(self) -> cst.BaseExpression | None:
        """Return the axis that the call names."""
        named = self.keywords.get("dim", self.keywords.get("axis"))
        return named if named is not None else self.arguments[0] if self.arguments else None


@dataclass(frozen=True)
class Code:
    """A module, and the function in it that is rewritten."""

    module: cst.Module
    function: cst.FunctionDef

    def text(self, node: cst.CSTNode) -> str:
        """Return the source of a node."""
        return self.module.code_for_node(node).strip()

    @cached_property
    def expressions(self) -> list[cst.BaseExpression]:
        """The expressions of the function in the order of the text."""
        return [node for node in _walk(self.function.body) if isinstance(node, cst.BaseExpression)]

    def lines(self, node: cst.BaseExpression) -> set[int]:
        """Return the lines of an expression, and of the values that it reads through names that are assigned once."""
        lines, pending, seen = set[int](), [node], set[str]()
        while pending:
            expression = pending.pop()
            position = self._positions[expression]
            lines |= set(range(position.start.line, position.end.line + 1))
            names = {part.value for part in _walk(expression) if isinstance(part, cst.Name)} - seen
            pending += [self._assignments[name] for name in names if name in self._assignments]
            seen |= names
        return lines

    @cached_property
    def _positions(self) -> Mapping[cst.CSTNode, CodeRange]:
        return MetadataWrapper(self.module, unsafe_skip_copy=True).resolve(PositionProvider)

    @cached_property
    def torch(self) -> str:
        """The name under which torch is imported."""
        for node in _walk(self.module):
            if isinstance(node, cst.ImportAlias) and self.text(node.name) == "torch":
                return self.text(node.asname.name) if node.asname is not None else "torch"
        return "torch"

    @cached_property
    def functional(self) -> str:
        """The name of `torch.nn.functional`, if it is imported; otherwise its whole name."""
        for node in _walk(self.module):
            if isinstance(node, cst.ImportAlias) and self.text(node.name) in {"torch.nn.functional", "functional"}:
                return self.text(node.asname.name) if node.asname is not None else self.text(node.name)
        return f"{self.torch}.nn.functional"

    @cached_property
    def _assignments(self) -> dict[str, cst.BaseExpression]:
        """The names that have one assignment, with their values; a value that uses a reassigned name does not count."""
        values: dict[str, cst.BaseExpression] = {}
        counts = Counter(parameter.name.value for parameter in self.function.params.params)
        for node in _walk(self.function.body):
            if isinstance(node, cst.Assign):
                for target in node.targets:
                    counts.update([name.value for name in _walk(target.target) if isinstance(name, cst.Name)])
                    if isinstance(target.target, cst.Name) and len(node.targets) == 1:
                        values[target.target.value] = node.value
            elif isinstance(node, cst.AugAssign | cst.AnnAssign | cst.For | cst.NamedExpr):
                counts.update({name.value: 2 for name in _walk(node.target) if isinstance(name, cst.Name)})
        return {name: value for name, value in values.items() if counts[name] == 1 and self._is_steady(value, counts)}

    @staticmethod
    def _is_steady(value: cst.BaseExpression, counts: Mapping[str, int]) -> bool:
        return all(counts.get(name.value, 1) <= 1 for name in _walk(value) if isinstance(name, cst.Name))

    def resolve(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """Return the value of a name that is assigned once; other expressions stay."""
        for _ in range(8):
            if not isinstance(node, cst.Name) or node.value not in self._assignments:
                return node
            node = self._assignments[node.value]
        return node

    def match_operands(self, node: cst.BaseExpression | None, kind: type[cst.BaseBinaryOp]) -> Pair | None:
        """Return the operands of a binary operation, through names that are assigned once."""
        return None if node is None else match_operands(self.resolve(node), kind)

    def find_tensor(self, node: cst.BaseExpression | None, *names: str) -> cst.BaseExpression | None:
        """Return the tensor of the call of a function with one of the names."""
        call = self.find_call(node, *names)
        return None if call is None else call.tensor

    def find_direct_call(self, node: cst.BaseExpression, *names: str) -> TensorCall | None:
        """Return the call of a function with one of the names, if it stands here and not behind a name."""
        return self.find_call(node, *names) if isinstance(node, cst.Call) else None

    def find_call(self, node: cst.BaseExpression | None, *names: str) -> TensorCall | None:
        """Return the call of a function with one of the names, through names that are assigned once."""
        node = None if node is None else self.resolve(node)
        if not isinstance(node, cst.Call):
            return None
        plain = [argument.value for argument in node.args if argument.keyword is None and not argument.star]
        keywords = {argument.keyword.value: argument.value for argument in node.args if argument.keyword is not None}
        if isinstance(node.func, cst.Name):
            name, tensor, rest = node.func.value, plain[0] if plain else None, plain[1:]
        elif isinstance(node.func, cst.Attribute):
            owner = self.text(node.func.value)
            is_module = owner.split(".")[-1] in _MODULES or owner in {self.torch, self.functional}
            name = node.func.attr.value
            tensor, rest = (plain[0] if plain else None, plain[1:]) if is_module else (node.func.value, plain)
        else:
            return None
        if tensor is None:
            tensor = keywords.pop("input", None)
        return None if tensor is None or name not in names else TensorCall(name, tensor, tuple(rest), keywords, node)

    @staticmethod
    def has_call(node: cst.BaseExpression) -> bool:
        """Whether an expression contains a call that is written here and not behind a name."""
        return any(isinstance(child, cst.Call) for child in _walk(node))

    def is_number(self, node: cst.BaseExpression, value: float) -> bool:
        """Whether a node is the literal of a number."""
        literal = read_number(node)
        return literal is not None and literal == value

    def is_same(self, first: cst.BaseExpression, second: cst.BaseExpression) -> bool:
        """Whether two expressions have the same text, through names that are assigned once."""
        return self.bare(self.resolve(first)) == self.bare(self.resolve(second))

    def bare(self, node: cst.BaseExpression) -> str:
        """Return the text of an expression without the parentheses around it."""
        return self.text(node.with_changes(lpar=[], rpar=[]) if node.lpar else node)

    def operand(self, node: cst.BaseExpression) -> str:
        """Return the text of an expression that can stand in a difference or have a method called on it."""
        simple = isinstance(node, cst.Name | cst.Call | cst.Attribute | cst.Subscript | cst.Integer | cst.Float)
        return self.bare(node) if simple else f"({self.bare(node)})"


def strip_parentheses(text: str) -> str:
    """Return an expression without the parentheses around it."""
    node = cst.parse_expression(text)
    return cst.Module([]).code_for_node(node.with_changes(lpar=[], rpar=[])) if node.lpar else text


def read_number(node: cst.BaseExpression) -> float | None:
    """Return the number of a literal, also with a sign."""
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
        magnitude = read_number(node.expression)
        return None if magnitude is None else -magnitude
    return float(node.evaluated_value) if isinstance(node, cst.Integer | cst.Float) else None


def _walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from _walk(child)


def find_code(text: str, name: str) -> Code | None:
    """Return the function, or the method `forward` of the class, with a qualified name."""
    module = cst.parse_module(text)
    scope: cst.CSTNode = module
    for part in name.split("."):
        inside = [
            node
            for node in _walk(scope)
            if isinstance(node, cst.FunctionDef | cst.ClassDef) and node is not scope and node.name.value == part
        ]
        if not inside:
            return None
        scope = inside[-1]
    if isinstance(scope, cst.ClassDef):
        methods = [node for node in _walk(scope) if isinstance(node, cst.FunctionDef)]
        scope = next((method for method in methods if method.name.value in {"forward", "__call__"}), scope)
    return Code(module, scope) if isinstance(scope, cst.FunctionDef) else None


def find_function(text: str, line: int) -> str | None:
    """Return the qualified name of the innermost function around a line; None if there is none."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    return _find_name(tree, line)


def _find_name(node: ast.AST, line: int) -> str | None:
    for child in ast.iter_child_nodes(node):
        first, last = getattr(child, "lineno", None), getattr(child, "end_lineno", None)
        if first is None or last is None or not first <= line <= last:
            continue
        inside = _find_name(child, line)
        if isinstance(child, ast.FunctionDef):
            return child.name if inside is None else f"{child.name}.{inside}"
        return f"{child.name}.{inside}" if isinstance(child, ast.ClassDef) and inside is not None else inside
    return None


class _ExpressionReplacer(cst.CSTTransformer):
    """Puts expressions in the place of others, which are known by identity."""

    def __init__(self, replaced: Mapping[cst.CSTNode, str]) -> None:
        super().__init__()
        self._replaced = {id(node): text for node, text in replaced.items()}

    def on_leave(self, original_node: cst.CSTNodeT, updated_node: cst.CSTNodeT) -> cst.CSTNodeT:
        text = self._replaced.get(id(original_node))
        if text is None:
            return super().on_leave(original_node, updated_node)  # type: ignore[return-value]
        new = cst.parse_expression(text)
        assert isinstance(original_node, cst.BaseExpression)
        keeps = bool(original_node.lpar) and not isinstance(new, cst.Name | cst.Call | cst.Subscript | cst.Attribute)
        return new.with_changes(lpar=original_node.lpar, rpar=original_node.rpar) if keeps else new  # type: ignore[return-value]


def replace_expressions(code: Code, texts: Mapping[cst.CSTNode, str], name: str) -> str:
    """Return the text of the module with expressions replaced, and without assignments that nothing reads any more."""
    before = _find_read_names(code.function)
    text = _import_torch(code.module.visit(_ExpressionReplacer(texts))).code
    while True:
        parsed = find_code(text, name)
        assert parsed is not None, "the function is still there"
        # The names that a dropped assignment read may have no other reader.
        unread = before - _find_read_names(parsed.function)
        shorter = parsed.module.visit(_AssignmentRemover(parsed.function, unread)).code
        if shorter == text:
            return text
        text = shorter


def _import_torch(module: cst.Module) -> cst.Module:
    """Return a module that imports torch if it uses it, below its docstring and the imports of `__future__`."""
    names = [node for node in _walk(module) if isinstance(node, cst.Name | cst.ImportAlias)]
    bound = {
        node.evaluated_alias or node.evaluated_name.split(".")[0] for node in names if isinstance(node, cst.ImportAlias)
    }
    if "torch" in bound or not any(isinstance(node, cst.Name) and node.value == "torch" for node in names):
        return module
    at = next((index for index, line in enumerate(module.body) if not _stands_first(line)), len(module.body))
    added = cst.parse_module("import torch\n").body
    return module.with_changes(body=[*module.body[:at], *added, *module.body[at:]])


def _stands_first(line: cst.CSTNode) -> bool:
    """Whether a statement is a docstring or an import from `__future__`."""
    first = line.body[0] if isinstance(line, cst.SimpleStatementLine) else None
    if isinstance(first, cst.ImportFrom):
        return isinstance(first.module, cst.Name) and first.module.value == "__future__"
    return isinstance(first, cst.Expr) and isinstance(first.value, cst.SimpleString)


def _find_read_names(function: cst.FunctionDef) -> set[str]:
    """Return the names that a function reads."""
    assigned = [node.target for node in _walk(function.body) if isinstance(node, cst.AssignTarget)]
    targets = {id(name) for target in assigned if isinstance(target, cst.Name) for name in _walk(target)}
    return {name.value for name in _walk(function.body) if isinstance(name, cst.Name) and id(name) not in targets}


class _AssignmentRemover(cst.CSTTransformer):
    """Drops the assignments of names in a function."""

    def __init__(self, function: cst.FunctionDef, names: set[str]) -> None:
        super().__init__()
        lines = [node for node in _walk(function.body) if isinstance(node, cst.SimpleStatementLine)]
        self._dropped = {id(line) for line in lines if _assigns_only(line, names)}

    def leave_SimpleStatementLine(  # noqa: N802 - the name that LibCST calls
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.RemovalSentinel:
        """Remove the line of such an assignment."""
        return cst.RemoveFromParent() if id(original_node) in self._dropped else updated_node


def _assigns_only(line: cst.SimpleStatementLine, names: set[str]) -> bool:
    body: Sequence[cst.BaseSmallStatement] = line.body
    if len(body) != 1 or not isinstance(body[0], cst.Assign) or len(body[0].targets) != 1:
        return False
    target = body[0].targets[0].target
    return isinstance(target, cst.Name) and target.value in names


Rule = Callable[[Code, cst.BaseExpression], "str | None"]
"""``rule(code, expression)``: the text that takes the place of an expression; None if the rule does not apply."""


@dataclass(frozen=True)
class Rewrite:
    """A rule with its name."""

    title: str
    rule: Rule
    is_safe: bool = True


def match_operands(node: cst.BaseExpression, kind: type[cst.BaseBinaryOp]) -> Pair | None:
    """Return the operands of a binary operation; None for another expression."""
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, kind):
        return node.left, node.right
    return None


def format_axis(call: TensorCall, code: Code, *, keep: bool = False) -> str:
    """Return the arguments of the axis and, if wanted, of the kept dimension as the call has them."""
    axis, keepdim = call.axis(), call.keywords.get("keepdim", call.keywords.get("keepdims"))
    parts = [] if axis is None else [f"dim={code.text(axis)}"]
    if keep and keepdim is not None:
        parts.append(f"keepdim={code.text(keepdim)}")
    if keep and keepdim is None and len(call.arguments) > 1:
        parts.append(f"keepdim={code.text(call.arguments[1])}")
    return "".join(f", {part}" for part in parts)


def match_square(code: Code, node: cst.BaseExpression) -> cst.BaseExpression | None:
    """Return x of x ** 2, x * x, x.square() or x.pow(2)."""
    node = code.resolve(node)
    power, product = match_operands(node, cst.Power), match_operands(node, cst.Multiply)
    if power is not None and code.is_number(power[1], 2.0):
        return power[0]
    if product is not None and code.is_same(*product):
        return product[0]
    call = code.find_call(node, "pow")
    if call is not None:
        return call.tensor if call.arguments and code.is_number(call.arguments[0], 2.0) else None
    return code.find_tensor(node, "square")
