"""Definitions of a notebook as a Python file, so that a check can import them without running the notebook."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.error import UsageError
from harness.record.storage import read_text

SUFFIX = ".ipynb"

_DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def read_definitions(notebook: Path) -> str:
    """Return the imports, functions, classes and constants of a notebook, each with the number of its cell."""
    parts = [f'"""Definitions of {notebook.name}; the harness writes this file again if the notebook changes."""']
    for number, source in _read_cells(notebook):
        chosen = [_get_segment(source, node) for node in _parse_cell(source) if _is_definition(node)]
        if chosen:
            parts.append(f"# cell {number}\n" + "\n\n".join(chosen))
    return "\n\n".join(parts) + "\n"


def _read_cells(notebook: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and the source of each code cell, without the commands of IPython."""
    try:
        document: Any = json.loads(read_text(notebook, what="the notebook", remedy="check the file"))
        cells = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
        sources = ["".join(cell["source"]) for cell in cells]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"cannot read `{notebook}`: not a notebook", remedy="check the file") from error
    for number, source in enumerate(sources, 1):
        lines = ["" if line.lstrip().startswith(("%", "!", "?")) else line for line in source.splitlines()]
        yield number, "\n".join(lines)


def _parse_cell(source: str) -> list[ast.stmt]:
    """Return the statements of a cell; none if it is not Python."""
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _is_definition(node: ast.stmt) -> bool:
    """Whether a statement defines something; a constant may be computed from others, but calls nothing."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return node.value is not None and not any(isinstance(x, ast.Call | ast.Await) for x in ast.walk(node.value))
    return isinstance(node, _DEFINITIONS)


def _get_segment(source: str, node: ast.stmt) -> str:
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])
    return "\n".join(source.splitlines()[first - 1 : node.end_lineno])
