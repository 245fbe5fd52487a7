"""Blame: the expression in the source of a function that a named mistake points to."""

import ast
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.calling.source import Definition, definition, subject_of
from harness.case import Case
from harness.diagnosis.marks import Mark


@dataclass(frozen=True)
class Blame:
    """A line of source, and the columns of the expression on it."""

    place: str
    """``file:line``, relative to the working directory where the file is below it."""
    line: str
    start: int
    end: int
    """The columns, zero-based; both are zero if no expression is blamed."""


@dataclass(frozen=True)
class Source:
    """The definition of a case in its file."""

    path: Path
    text: str
    node: Definition


def find_source(case: Case) -> Source | None:
    """Return where a case is defined, read from its file without importing it; None if that is not known."""
    path, name = _resolve_case(case)
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError):
        return None
    node = definition(tree, name)
    return None if node is None else Source(path, text, node)


def _resolve_case(case: Case) -> tuple[Path | None, str]:
    """Return the file and the qualified name of a case."""
    module, _, name = case.target.partition(":")
    if module.endswith(".py"):
        return Path(module), name
    if hasattr(case.function, "host"):
        # The function is in another process, and its stand-in here has a different source.
        subject = subject_of(case.target)
        return (Path(subject.place), name) if subject is not None and Path(subject.place).is_file() else (None, "")
    function = inspect.unwrap(case.function) if callable(case.function) else case.function
    code = getattr(function, "__code__", None)
    source = function if code or inspect.isclass(function) else type(function)
    try:
        file = code.co_filename if code else inspect.getsourcefile(source)
    except TypeError:
        return None, ""
    # A function of a notebook has a file name, but no file.
    path = Path(file) if file and Path(file).is_file() else None
    return path, str(getattr(source, "__qualname__", name))


def blame_expression(case: Case, marks: Iterable[Mark], number: float | None) -> Blame | None:
    """Return the first expression that has the earliest of the marks, else the returned one; None without source."""
    source = find_source(case)
    if source is None:
        return None
    called = _find_called(source.node)
    definition = _NamedNumbers(source).visit(source.node)
    nodes = [node for node in ast.walk(definition) if hasattr(node, "lineno") and node is not definition]
    for mark in marks:
        if candidates := [node for node in nodes if mark(node, number)]:
            return _make_blame(source, _find_innermost(candidates), points=True)
    returned = [node for node in ast.walk(called) if isinstance(node, ast.Return)]
    return _make_blame(source, _find_innermost(returned), points=False) if returned else None


def _find_called(definition: Definition) -> ast.AST:
    """Return the method of a class that a call of its objects runs, or the function itself."""
    methods = {node.name: node for node in definition.body if isinstance(node, Definition)}
    is_class = isinstance(definition, ast.ClassDef)
    return next((methods[name] for name in ("forward", "__call__") if is_class and name in methods), definition)


class _NamedNumbers(ast.NodeTransformer):
    """Replaces names by their numbers: constants of the module, and default values of arguments, also as attributes."""

    def __init__(self, source: Source) -> None:
        values: dict[str, Any] = {}
        for statement in ast.parse(source.text).body:
            if isinstance(statement, ast.Assign):
                values |= {target.id: statement.value for target in statement.targets if isinstance(target, ast.Name)}
        for node in ast.walk(source.node):
            if isinstance(node, ast.arguments):
                names = [argument.arg for argument in (*node.posonlyargs, *node.args)]
                values |= dict(zip(reversed(names), reversed(node.defaults), strict=False))
                values |= dict(zip((argument.arg for argument in node.kwonlyargs), node.kw_defaults, strict=True))
        self._numbers = {
            name: value.value
            for name, value in values.items()
            if isinstance(value, ast.Constant) and isinstance(value.value, float)
        }

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Replace a name."""
        return self._replace(node, node.id)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Replace an attribute."""
        return self._replace(self.generic_visit(node), node.attr)

    def _replace(self, node: Any, name: str) -> ast.AST:
        is_number = name in self._numbers and isinstance(node.ctx, ast.Load)
        return ast.copy_location(ast.Constant(self._numbers[name]), node) if is_number else node


def _find_innermost(nodes: list[Any]) -> Any:
    """Return the first marked node in the text; of nested ones the innermost."""
    first = min(nodes, key=lambda node: (node.lineno, node.col_offset))
    inside = [node for node in nodes if node in set(ast.walk(first))]
    return min(inside, key=lambda node: ((node.end_lineno - node.lineno), node.end_col_offset - node.col_offset))


def _make_blame(source: Source, node: Any, *, points: bool) -> Blame:
    line = source.text.splitlines()[node.lineno - 1]
    # The columns of ast count bytes.
    start = len(line.encode()[: node.col_offset].decode(errors="replace"))
    stop = len(line.encode()[: node.end_col_offset].decode(errors="replace"))
    end = stop if node.end_lineno == node.lineno else len(line.rstrip())
    return Blame(f"{display_path(source.path)}:{node.lineno}", line, start if points else 0, end if points else 0)


def display_path(path: Path) -> str:
    """Return a path relative to the working directory where it is below it."""
    whole, here = path.resolve(), Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(path)
