"""The user's line that an operation belongs to, in the forward and the backward pass, and its source text."""

import ast
import contextlib
import linecache
import sys
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar

import torch

from harness.compat.installed import package_folders, python_folders
from harness.compat.torch import BACKWARD_CODE, current_autograd_node, next_sequence_number, sequence_number
from harness.error import cell
from harness.record.audit import AuditFinding, Headroom

_TORCH = str(Path(torch.__file__).parent)
_OURS = str(Path(__file__).parent)
_PYTHON, _INSTALLED = python_folders(), package_folders()
_CONTEXTS = contextlib.__file__

FOREIGN, THEIRS, OWN, ENGINE = range(4)
"""Kinds of frames: torch, Python or harness; an installed library; user code; the autograd engine."""


class Pass(Enum):
    """The caller of an operation."""

    FORWARD = "forward"
    """Called by user code directly: forward passes, optimizers, evaluations."""
    BACKWARD = "backward"
    """Called by autograd for the gradient of a line."""
    BY_HAND = "by hand"
    """Called by user code that autograd called: a custom backward, or a recomputed checkpoint."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of code.

    Parameters
    ----------
    file, number, function
        Its place.
    module
        Path of the called module, such as ``blocks.1.attention``; empty outside of modules.
    caller
        File and line of the user's call, if the line belongs to an installed library.
    """

    file: str
    number: int
    function: str
    module: str = ""
    caller: tuple[str, int] | None = None

    @property
    def key(self) -> tuple[str, int]:
        """Key by which findings are grouped."""
        return (self.file, self.number)


NOWHERE = Line("?", 0, "?")


class Lines:
    """Finds the lines of operations, and remembers forward lines for the backward pass."""

    def __init__(self) -> None:
        self.modules: list[str] = []
        self._kinds: dict[int, tuple[int, CodeType]] = {}
        """Kinds of code objects by identity, because hashing a code object is slow."""
        self._forward: dict[int, Line] = {}
        self._known: dict[tuple[Any, ...], Line] = {}

    def current(self) -> tuple[Line, Pass]:
        """Return the line that called the current operation, and the pass."""
        node = current_autograd_node()
        above = sys._getframe(2)
        if node is not None:
            forward_line = self._forward.get(sequence_number(node))
            # Usually the engine itself dispatches the operation.
            if forward_line is not None and above.f_back is not None and above.f_back.f_code is BACKWARD_CODE:
                return forward_line, Pass.BACKWARD
            frame, within = self._find_nearest(above)
            if frame is not None and not within:
                return self._make_line(frame), Pass.BY_HAND
            if forward_line is not None:
                return forward_line, Pass.BACKWARD
        else:
            frame, within = self._find_nearest(above)
        line = NOWHERE if frame is None else self._make_line(frame)
        if node is None:
            # The first operation with a sequence number creates the node.
            self._forward.setdefault(next_sequence_number() - 1, line)
        return line, Pass.BACKWARD if within else Pass.FORWARD

    def caller(self) -> Line:
        """Return the line outside of torch and the harness that called this, in a hook or a replaced function."""
        frame, _ = self._find_nearest(sys._getframe(1))
        return NOWHERE if frame is None else self._make_line(frame)

    def _find_nearest(self, frame: FrameType | None) -> tuple[FrameType | None, bool]:
        """Return the innermost frame outside of torch and the harness, and whether the autograd engine is below it."""
        within, kinds = False, self._kinds
        while frame is not None:
            code = frame.f_code
            entry = kinds.get(id(code))
            kind = entry[0] if entry is not None else self._find_kind(code)  # inlined for speed
            if kind != FOREIGN:
                if kind != ENGINE:
                    break
                within = True
            frame = frame.f_back
        return frame, within

    def _find_kind(self, code: CodeType) -> int:
        entry = self._kinds.get(id(code))
        if entry is None:
            entry = self._kinds[id(code)] = (
                ENGINE if code is BACKWARD_CODE else _classify_file(code.co_filename),
                code,
            )
        return entry[0]

    def _make_line(self, frame: FrameType) -> Line:
        code, module = frame.f_code, self.modules[-1] if self.modules else ""
        caller = self._find_caller(frame) if self._find_kind(code) == THEIRS else None
        key = (id(code), frame.f_lineno, module, caller)
        line = self._known.get(key)
        if line is None:
            line = self._known[key] = Line(code.co_filename, frame.f_lineno, code.co_name, module, caller)
        return line

    def _find_caller(self, frame: FrameType | None) -> tuple[str, int] | None:
        while frame is not None:
            if self._find_kind(frame.f_code) == OWN:
                return (frame.f_code.co_filename, frame.f_lineno)
            frame = frame.f_back
        return None


def _classify_file(file: str) -> int:
    if file.startswith(("<frozen", _TORCH, _OURS)) or file == _CONTEXTS:
        return FOREIGN
    if file.startswith(_INSTALLED):
        return THEIRS
    return FOREIGN if file.startswith(_PYTHON) or file == "<string>" else OWN


def place(line: Line) -> dict[str, Any]:
    """Return the place of a line as fields of a record."""
    return {"file": cell(line.file), "line": line.number, "function": line.function, "module": line.module}


# Source text

_OPERATORS: dict[str, type[ast.operator] | type[ast.unaryop]] = {
    "add": ast.Add, "sub": ast.Sub, "mul": ast.Mult, "multiplication": ast.Mult, "div": ast.Div, "division": ast.Div,
    "pow": ast.Pow, "matmul": ast.MatMult, "neg": ast.USub,
}  # fmt: skip
"""Operators of Python by the name of torch's function."""

MAX_CHARACTERS = 200
"""Longer lines have no excerpt, because they are generated code."""

Placed = TypeVar("Placed", AuditFinding, Headroom)


def add_source(record: Placed) -> Placed:
    """Return a finding or a headroom with its source line and the columns of its operation, if they are known."""
    if not (code := read_code(record.file, record.line)):
        return record
    start, end = _find_columns(record.file, record.line, code, record.operation)
    return record.model_copy(update={"code": code, "start": start, "end": end})


def read_code(file: str, line: int) -> str:
    """Return a source line; empty if it is not known or too long."""
    code = linecache.getline(file, line).rstrip()
    return code if code.strip() and len(code) <= MAX_CHARACTERS else ""


def _find_columns(file: str, line: int, code: str, operation: str) -> tuple[int, int]:
    """Return the columns of an operation that occurs once in a line; (0, 0) otherwise."""
    nodes = [node for node in _parse_expressions(file) if node.lineno == line and _is(node, operation)]
    if len(nodes) != 1 or nodes[0].end_lineno != line:
        return 0, 0
    encoded = code.encode()  # the columns of ast count bytes
    start, end = nodes[0].col_offset, nodes[0].end_col_offset
    return len(encoded[:start].decode(errors="replace")), len(encoded[:end].decode(errors="replace"))


@lru_cache(8)
def _parse_expressions(file: str) -> list[Any]:
    """Return the expressions of a file; empty if it cannot be parsed."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError):
        return []
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call | ast.BinOp | ast.UnaryOp | ast.AugAssign)]


def _is(node: Any, operation: str) -> bool:
    if isinstance(node, ast.Call):
        name: str = getattr(node.func, "attr", "") or getattr(node.func, "id", "")
        return name.rstrip("_") == operation
    return operation in _OPERATORS and isinstance(node.op, _OPERATORS[operation])
