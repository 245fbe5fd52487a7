"""Choose the package ``cases``: the user's package in the working directory, or the shipped one.

The shipped cases have a common name. In a project with a package ``cases``, that package is used. In a checkout of this
project, the installed package is used, because the ``tox`` jobs test the wheel. A checkout has the project's name in
its ``pyproject.toml``.
"""

import importlib
import importlib.util
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from harness.error import UsageError
from harness.record.untrusted_file import read_text

SHIPPED = "cases"
"""The package of the reference cases."""

_BESIDE_US = Path(__file__).parents[2] / SHIPPED
"""Where they are."""


def own_cases() -> Path | None:
    """The package of cases in the working directory; ``None`` where there is none, or it is the shipped one."""
    folder = Path.cwd() / SHIPPED
    if not (folder / "__init__.py").is_file() or folder.resolve() == _BESIDE_US.resolve():
        return None
    return None if _is_checkout(folder.parent) else folder


def _is_checkout(folder: Path) -> bool:
    """Whether a folder is a checkout of this project."""
    try:
        project = tomllib.loads(read_text(folder / "pyproject.toml")).get("project", {})
        return bool(project.get("name") == metadata("stability-harness")["Name"])
    except (UsageError, ValueError, RecursionError, AttributeError, PackageNotFoundError):
        return False


def prefer(folder: Path) -> None:
    """Let ``import cases`` find the package in a folder from now on, where it would find the shipped one."""
    spec = importlib.util.find_spec(SHIPPED)
    if spec is not None and Path(spec.origin or "").parent.resolve() != _BESIDE_US.resolve():
        return
    for name in [name for name in sys.modules if name.split(".")[0] == SHIPPED]:
        del sys.modules[name]
    sys.path.insert(0, str(folder.parent))
    importlib.invalidate_caches()


def whence(target: str) -> str | None:
    """Say from where a target is taken, without importing it; ``None`` where it is a file, or that is not known."""
    place = target.partition(":")[0]
    if place.endswith(".py"):
        return None
    top = place.split(".")[0]
    if top == SHIPPED:
        own = own_cases()
        return "shipped with the harness" if own is None else _path(own)
    local = next((Path(name) for name in (top, f"{top}.py") if Path(name).exists()), None)
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin in {None, "built-in", "frozen"}:
        return None if local is None else _path(local)
    file = Path(spec.origin or "")
    return _path(file.parent if file.name == "__init__.py" else file)


def _path(path: Path) -> str:
    """A path as a reader sees it from the working directory."""
    absolute = path.absolute()
    return f"./{absolute.relative_to(Path.cwd())}" if absolute.is_relative_to(Path.cwd()) else str(absolute)
