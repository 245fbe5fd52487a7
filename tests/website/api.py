"""The reference of the Python interface, made from the docstrings of the public names."""

import ast
import inspect
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType

MODULES = {
    "harness": "Check, survey, audit and tune from Python",
    "harness.api": "Verdicts in tests",
    "harness.error": "Errors of the user",
    "harness.display.notebook": "Lists of verdicts",
    "harness.reports": "Work with the numbers of runs",
    "harness.laws": "Write contracts and laws",
    "harness.floats": "Formats, oracles and deviations",
    "harness.record": "Records of a run",
}
"""The public modules and their purpose."""

OWN = {
    "harness.api": ["Check", "Failed", "LawBroken", "Undeclared"],
    "harness.error": ["UsageError"],
    "harness.display.notebook": ["Verdicts"],
}
"""Public names of modules that do not list theirs."""


def public() -> dict[str, list[str]]:
    """Return the public names of each module; of the records only the classes."""
    found = {name: OWN.get(name) or _exported(import_module(name)) for name in MODULES}
    records = import_module("harness.record")
    found["harness.record"] = [name for name in _exported(records) if inspect.isclass(getattr(records, name))]
    return {name: [each for each in names if not each.startswith("__")] for name, names in found.items()}


def _exported(module: ModuleType) -> list[str]:
    """Return the names that a package lists, or all that it passes on but modules."""
    return getattr(module, "__all__", [name for name, value in vars(module).items() if not inspect.ismodule(value)])


def pages() -> dict[str, str]:
    """Return a page for each module, and their overview."""
    found = {f"reference/api/{name}.rst": _page(name, names) for name, names in public().items()}
    overview = ["# Python interface", "", *(f"* [{name}](api/{name}.rst): {MODULES[name]}" for name in MODULES), ""]
    tree = ["```{toctree}", ":hidden:", "", *(f"api/{name}" for name in MODULES), "```", ""]
    return {"reference/api.md": "\n".join([*overview, *tree]), **found}


def _page(name: str, names: list[str]) -> str:
    module = import_module(name)
    lines = [name, "=" * len(name), "", f"{MODULES[name]}.", ""]
    for each in sorted(names, key=str.lower):
        lines += [*_described(f"{name}.{each}", getattr(module, each)), ""]
    return "\n".join(lines)


def _described(name: str, member: object) -> list[str]:
    """Return the directive that shows the docstring of a name."""
    if inspect.isclass(member):
        kind = "autoexception" if issubclass(member, BaseException) else "autoclass"
        return [f".. {kind}:: {name}", "   :members:"]
    if inspect.isroutine(member):
        return [f".. autofunction:: {name}"]
    package, _, own = name.rpartition(".")
    lines = constants(package).get(own, "").splitlines()
    return [f".. py:data:: {name}", "", *(f"   {line}".rstrip() for line in lines)]


@cache
def constants(package: str) -> dict[str, str]:
    """Return the docstrings of the constants and types that the modules of a package assign."""
    found = {}
    for file in sorted(Path(str(import_module(package).__file__)).parent.glob("*.py")):
        body = ast.parse(file.read_text(encoding="utf-8")).body
        for statement, after in pairwise(body):
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            text = after.value if isinstance(after, ast.Expr) else None
            if isinstance(text, ast.Constant) and isinstance(targets[0], ast.Name):
                found[targets[0].id] = inspect.cleandoc(str(text.value))
    return found
