"""Find the import path of an object, so that another process can import it."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.calling.known import place_of
from harness.error import UsageError

RULE = "an isolated process must be able to import it by name from a file"
"""The rule for every object that another process uses."""

_REMEDY = "move it to the top level of a separate file, or leave out `isolate`"


def importable(function: Any) -> tuple[str, str | None]:
    """Return the target that names a living object, and the folder from which its package is imported.

    Returns
    -------
    target, root
        ``file.py:name``, without a folder; or ``package.module:name``, with the one in which the package lies.

    Raises
    ------
    UsageError
        If no module defines the object under its name: closures, lambdas, instances, replaced functions, and objects of
        a notebook or of the running program.
    """
    if (place := place_of(function)) is not None:
        return place, None
    name, home = getattr(function, "__qualname__", None), getattr(function, "__module__", None)
    if not isinstance(name, str) or not isinstance(home, str):
        raise _refusal(f"an object of {type(function).__name__} without a name")
    if "<lambda>" in name:
        raise _refusal("a lambda")
    if "<locals>" in name:
        raise _refusal(f"`{name.replace('.<locals>', '')}`, which is defined inside a function")
    if home == "__main__":
        raise _refusal(f"`{name}`, which is defined in the running program or notebook")
    module = sys.modules.get(home)
    file = _source(module)
    if module is None or file is None:
        raise _refusal(f"`{name}` of `{home}`, which has no source file")
    if _named(module, name) is not function:
        raise _refusal(f"`{name}`, which is another object in `{home}`")
    parts = home.split(".")
    if len(parts) == 1 and not hasattr(module, "__path__"):
        return f"{file}:{name}", None
    root = file.parents[len(parts) - (file.name != "__init__.py")]
    if file.with_suffix("").relative_to(root).parts[: len(parts)] != tuple(parts):
        raise _refusal(f"`{name}` of `{home}`, whose file does not match its module name")
    return f"{home}:{name}", str(root)


def _source(module: ModuleType | None) -> Path | None:
    """The file of Python that a module was loaded from."""
    file = getattr(module, "__file__", None)
    path = Path(file).absolute() if isinstance(file, str) and file.endswith(".py") else None
    return path if path is not None and path.is_file() else None


def _named(module: ModuleType, name: str) -> Any:
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def _refusal(value: str) -> UsageError:
    return UsageError("cannot isolate the object", rule=RULE, value=value, remedy=_REMEDY)
