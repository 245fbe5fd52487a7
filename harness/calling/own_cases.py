"""Choose the package ``cases``: the user's package, or the shipped one.

The shipped cases have a common name, so they are not installed under it. In the wheel they are in the folder
``harness/shipped``, in a checkout next to ``harness``. This folder is searched last, and only after a target has named
the cases. A user's package ``cases`` comes first, from the working directory or wherever Python finds it. In a checkout
of this project, the installed package is used, because the ``tox`` jobs test the wheel. A checkout has the project's
name in its ``pyproject.toml``.
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

_PACKAGE = Path(__file__).parents[1]
ROOT = next(folder for folder in (_PACKAGE / "shipped", _PACKAGE.parent) if folder.is_dir())
"""The folder with the shipped package."""


def own_cases() -> Path | None:
    """Return the folder or file of the user's ``cases``; ``None`` if the shipped package is meant."""
    return next((place for place in (_local(), _importable()) if place is not None and _is_own(place)), None)


def _local() -> Path | None:
    """Return the package or module in the working directory."""
    folder = Path.cwd() / SHIPPED
    if (folder / "__init__.py").is_file():
        return folder
    module = folder.with_suffix(".py")
    return module if module.is_file() else None


def _importable() -> Path | None:
    """Return what Python finds as ``cases``, loaded or not; a folder without ``__init__.py`` is no package."""
    specs = (finder.find_spec(SHIPPED, None) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    origin = next((spec.origin for spec in specs if spec is not None), None)
    file = Path(origin or "")
    if not file.is_file():
        return None
    return file.parent if file.name == "__init__.py" else file


def folder() -> Path:
    """Return the folder or file of the package ``cases`` that targets mean."""
    return own_cases() or ROOT / SHIPPED


def _is_own(place: Path) -> bool:
    return place.resolve() != (ROOT / SHIPPED).resolve() and not _is_checkout(place.parent)


def _is_checkout(folder: Path) -> bool:
    """Whether a folder is a checkout of this project."""
    try:
        project = tomllib.loads(read_text(folder / "pyproject.toml")).get("project", {})
        return bool(project.get("name") == metadata("stability-harness")["Name"])
    except (UsageError, ValueError, RecursionError, AttributeError, PackageNotFoundError):
        return False


def is_named_cases(target: str) -> bool:
    """Whether a target is in a package ``cases``, of whoever."""
    return target.partition(":")[0].split(".")[0] == SHIPPED


def make_importable(target: str) -> None:
    """Let ``import cases`` find the right package from now on, if a target names it."""
    if not is_named_cases(target):
        return
    own = own_cases()
    if own is None:
        if str(ROOT) not in sys.path:
            sys.path.append(str(ROOT))
    elif _importable() != own or _is_loaded():
        for name in [name for name in sys.modules if name.split(".")[0] == SHIPPED]:
            del sys.modules[name]
        sys.path.insert(0, str(own.parent))
    importlib.invalidate_caches()


def _is_loaded() -> bool:
    """Whether the shipped package is imported."""
    file = getattr(sys.modules.get(SHIPPED), "__file__", None)
    return file is not None and Path(file).parent.resolve() == (ROOT / SHIPPED).resolve()


def root_of(target: str) -> Path | None:
    """Return the folder from which another process imports the package ``cases``; ``None`` for other targets."""
    if not is_named_cases(target):
        return None
    return folder().parent


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
