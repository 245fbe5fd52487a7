"""Locations: the file, line and columns of a finding, found in the source without importing it."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from harness.calling.source import definition, subject_of
from harness.findings import Finding


@dataclass(frozen=True)
class Location:
    """A place in a source file; lines and columns count from 1."""

    path: Path
    line: int | None = None
    column: int | None = None
    end_column: int | None = None
    """Column after the last character."""
    text: str = ""
    """The line of source, without indentation."""

    def relative_to(self, base: Path | None = None) -> str:
        """Return the path with forward slashes, relative to a folder if it is below it; by default, to this one."""
        base = (base or Path.cwd()).resolve()
        return (self.path.relative_to(base) if self.path.is_relative_to(base) else self.path).as_posix()


def find_location(finding: Finding, target: str) -> Location | None:
    """Return the expression, the line or the function to which a finding belongs; ``None`` without Python source."""
    named = finding.named
    if named is not None and named.place is not None:
        file, _, line = named.place.rpartition(":")
        columns = (named.start + 1, named.end + 1) if named.end > named.start else (None, None)
        return _make_location(Path(file).resolve(), int(line), *columns)
    event = finding.event
    if event is not None and event.place is not None:
        name, _, line = event.place.rpartition(":")
        path = _find_neighbor(find_file(target, finding.case), name)
        if path is not None and line.isdecimal():
            return locate_operation(path, int(line), event.operation)
    return locate_definition(target, finding.case)


def locate_operation(path: Path, line: int, operation: str) -> Location | None:
    """Return the expression on a line that calls an operation, else the line; ``None`` without such a file."""
    return _make_location(path.resolve(), line, *_find_columns(path, line, operation)) if path.is_file() else None


def locate_definition(target: str, case: str) -> Location | None:
    """Return the definition of a case; only its file where a file of the user defines it in another way."""
    path = find_file(target, case)
    tree = None if path is None else _parse_file(path)
    if path is None or tree is None:
        return None
    name = target.partition(":")[2] or case.rpartition(".")[2]
    node = definition(tree, name)
    if node is not None:
        return _make_location(path, node.lineno, node.col_offset + 1)
    return Location(path) if target.partition(":")[0].endswith(".py") else None


def find_file(target: str, case: str) -> Path | None:
    """Return the source file of a case: the file of the target, or the module of a package that its name tells."""
    subject = subject_of(target)
    if subject is None:
        return None
    path = Path(subject.place)
    if path.is_dir():
        path = path.joinpath(*case.split(".")[:-1]).with_suffix(".py")
    return path if path.is_file() and path.suffix == ".py" else None


def _find_neighbor(path: Path | None, name: str) -> Path | None:
    """Return the file with a name next to another file."""
    neighbor = path.with_name(name) if path is not None and name else None
    return neighbor if neighbor is not None and neighbor.is_file() else None


def _make_location(path: Path, line: int, column: int | None = None, end_column: int | None = None) -> Location:
    lines = _read_text(path).splitlines()
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    start = column or len(text) - len(text.lstrip()) + 1
    return Location(path, line, start, end_column, text.strip())


_OPERATORS: dict[str, type[ast.operator]] = {
    "add": ast.Add,
    "sub": ast.Sub,
    "mul": ast.Mult,
    "div": ast.Div,
    "pow": ast.Pow,
    "mm": ast.MatMult,
}
"""Operators by the operation of torch that they call."""


def _find_columns(path: Path, line: int, operation: str) -> tuple[int | None, int | None]:
    """Return the columns of the expression on a line that calls an operation, unless several differ."""
    tree = _parse_file(path)
    calls = [] if tree is None else [node for node in ast.walk(tree) if _calls(node, operation, line)]
    if len({ast.dump(node) for node in calls}) != 1:
        return None, None
    node = min(calls, key=lambda call: call.col_offset)
    text = _read_text(path).splitlines()[line - 1].encode()
    offsets = (node.col_offset, node.end_col_offset or 0)
    start, end = (len(text[:offset].decode(errors="replace")) + 1 for offset in offsets)
    return start, end


def _calls(node: ast.AST, operation: str, line: int) -> TypeGuard[ast.Call | ast.BinOp]:
    if not isinstance(node, ast.Call | ast.BinOp) or not node.lineno == node.end_lineno == line:
        return False
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, _OPERATORS.get(operation, ()))
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name == operation


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _parse_file(path: Path) -> ast.AST | None:
    try:
        return ast.parse(_read_text(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
