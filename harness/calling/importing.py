"""Import targets: files, modules and their attributes. This module imports only the error class."""

import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ..error import UsageError
from ..suggestion import did_you_mean

_TARGETS = "name a package, `file.py:function`, `module:function` or an entry point"


def attribute(path: str, name: str) -> Any:
    """Return the attribute of a file or module with a name, which may have dots.

    Raises
    ------
    UsageError
        If there is no such file or module, it cannot be imported, or it defines nothing of that name.
    """
    value: Any = _from_file(Path(path)) if path.endswith(".py") else imported(path)
    for part in name.split("."):
        if not hasattr(value, part):
            known = public_names(value)
            rule = None if known else "it defines no names"
            raise UsageError(f"no `{part}` in `{path}`", rule=rule, remedy=did_you_mean(part, known))
        value = getattr(value, part)
    return value


def public_names(owner: Any) -> list[str]:
    """Return the public names of a file, module or class."""
    return [name for name in dir(owner) if not name.startswith("_")]


def reject_unreadable(path: Path) -> None:
    """Raise a usage error if a file is missing or cannot be read."""
    if not path.is_file():
        siblings = [file.name for file in path.parent.glob("*.py")]
        near = did_you_mean(path.name, siblings, "check the path")
        raise UsageError(f"file not found: `{path}`", remedy=near)
    if not os.access(path, os.R_OK):
        raise UsageError(f"cannot read `{path}`: permission denied")


def _from_file(path: Path) -> ModuleType:
    reject_unreadable(path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Register the module, so that the module of a class can be found by name.
    sys.modules.setdefault(path.stem, module)
    sys.path.insert(0, str(path.parent.absolute()))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        if sys.modules.get(path.stem) is module:
            del sys.modules[path.stem]
        raise UsageError(f"cannot import `{path}`: {type(error).__name__}: {error}") from error
    finally:
        # Keep the folder at the end, for imports inside functions.
        sys.path.append(sys.path.pop(0))
    return module


def imported(name: str) -> ModuleType:
    """Import a module.

    Raises
    ------
    UsageError
        If there is none, or it cannot be imported.
    """
    if name.startswith("."):
        raise UsageError(f"cannot import `{name}`", remedy=_TARGETS)
    # Last, so that the working directory does not hide installed packages.
    sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        raise UsageError(
            f"cannot import `{name}`: no module named `{missing}`",
            remedy=_TARGETS,
        ) from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"cannot import `{name}`: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(Path.cwd()))


def packages(package: ModuleType) -> Iterator[ModuleType]:
    """Yield a package and the packages below it, in order of name."""
    yield package
    for below in pkgutil.iter_modules(getattr(package, "__path__", ())):
        if below.ispkg:
            yield from packages(importlib.import_module(f"{package.__name__}.{below.name}"))


def called_by_name(path: str, name: str) -> Callable[..., Any]:
    """Return the callable attribute of a file or module with a name.

    Raises
    ------
    UsageError
        As :func:`attribute`, and if it cannot be called.
    """
    function = attribute(path, name)
    if not callable(function):
        raise UsageError(
            f"cannot check `{path}:{name}`",
            rule="a case must be callable",
            value=f"an object of type {type(function).__name__}",
        )
    return function  # type: ignore[no-any-return]


def single_name(path: str, name: str) -> str:
    """Return the display name of a single function."""
    stem = Path(path).stem if path.endswith(".py") else path
    return f"{stem}.{name}"
