"""The sections *Parameters* of docstrings name parameters that exist, also after a parameter was renamed."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = sorted(file for folder in ("harness", "reports", "cases") for file in (ROOT / folder).rglob("*.py"))

_SECTION = re.compile(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-{3,}$|\Z)", re.MULTILINE | re.DOTALL)

Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def unknown(tree: ast.Module) -> dict[str, set[str]]:
    """Return the documented parameters that a function, or a class without base classes, does not have."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, Documented) and not getattr(node, "bases", []):
            section = _SECTION.search(ast.get_docstring(node) or "")
            heads = re.findall(r"^\S.*$", section[1], re.MULTILINE) if section else []
            names = {name.strip(" *") for head in heads for name in head.partition(":")[0].split(",")}
            if missing := names - _parameters(node):
                found[node.name] = missing
    return found


def _parameters(node: Documented) -> set[str]:
    if isinstance(node, ast.ClassDef):
        fields = [one.target for one in node.body if isinstance(one, ast.AnnAssign)]
        creators = [
            one for one in node.body if isinstance(one, ast.FunctionDef) and one.name in {"__init__", "__new__"}
        ]
        return {field.id for field in fields if isinstance(field, ast.Name)}.union(*map(_parameters, creators))
    return {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}


def test_documented_parameters_exist() -> None:
    """A renamed parameter has its new name in the docstring, too."""
    trees = {file.relative_to(ROOT): ast.parse(file.read_text(encoding="utf-8")) for file in FILES}
    assert {str(file): names for file, tree in trees.items() if (names := unknown(tree))} == {}


def test_an_old_name_is_found() -> None:
    """In a function, and in a class with annotated fields."""
    text = '''
def sum_of(x, *others):
    """Add.

    Parameters
    ----------
    x, others
        The numbers.
    start
        Removed.

    Returns
    -------
    The sum.
    """


class Point:
    """A point.

    Parameters
    ----------
    x
        The first coordinate.
    z
        Removed.
    """

    x: float
'''
    assert unknown(ast.parse(text)) == {"sum_of": {"start"}, "Point": {"z"}}
