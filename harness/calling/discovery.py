"""Find and import the object that a target names: a package, a file, a module or a data set, none imported before.

The shipped cases have a common name, so they are not installed under it. In the wheel they are in the folder
``harness/shipped``, in a checkout next to ``harness``. Python finds them only after a target has named them. A user's
package ``cases`` comes first, from the working directory or from Python's path, unless only the shipped package has the
module that a target names. In a checkout of this project, the installed package is used, because the ``tox`` jobs test
the wheel. A checkout has the project's name in its ``pyproject.toml``.
"""

import importlib
import importlib.util
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.error import UsageError, did_you_mean, require

SHIPPED = "cases"
"""The package of the reference cases."""

PROJECT_PATH = "HARNESS_PYTHONPATH"
"""Variable with the folders of the setting ``pythonpath``. Only a process that runs user code imports from them."""

_PACKAGE = Path(__file__).parents[1]
_ROOT = next(folder for folder in (_PACKAGE / "shipped", _PACKAGE.parent) if folder.is_dir())
"""The folder with the shipped package."""


def find_own_cases(target: str = SHIPPED) -> Path | None:
    """Return the user's package or module ``cases`` if a target names it; ``None`` if it names the shipped package."""
    package = find_own_package()
    meant = package is not None and (_has(package, target) or not _has(_ROOT / SHIPPED, target))
    return package if meant else None


def find_own_package() -> Path | None:
    """Return the folder or file of the user's ``cases``, of whatever content."""
    return next((path for path in (_find_local(), _find_importable()) if path is not None and _is_own(path)), None)


def declares_cases(cases: Path) -> bool:
    """Whether a file of a package or module mentions ``CASES``."""
    return any(b"CASES" in file.read_bytes() for file in ([cases] if cases.is_file() else cases.rglob("*.py")))


def _has(cases: Path, target: str) -> bool:
    """Whether a package has the module of a target; without a function, it must declare cases too."""
    module, colon, _ = target.partition(":")
    path = cases.joinpath(*module.split(".")[1:])
    return (path.exists() or path.with_suffix(".py").is_file()) and (bool(colon) or declares_cases(cases))


def _find_local() -> Path | None:
    """Return the package or module in the working directory."""
    folder = Path.cwd() / SHIPPED
    if (folder / "__init__.py").is_file():
        return folder
    module = folder.with_suffix(".py")
    return module if module.is_file() else None


def _find_importable() -> Path | None:
    """Return what Python finds as ``cases``, loaded or not; a folder without ``__init__.py`` is no package."""
    searches = [partial(PathFinder.find_spec, SHIPPED, project_path())]
    searches += [partial(finder.find_spec, SHIPPED, None) for finder in sys.meta_path if hasattr(finder, "find_spec")]
    origin = next((spec.origin for search in searches if (spec := search()) is not None), None)
    return _get_place(origin)


def project_path() -> list[str]:
    """Return the folders of the setting ``pythonpath``, which precede Python's path for user code."""
    return list(filter(None, os.environ.get(PROJECT_PATH, "").split(os.pathsep)))


def _get_place(origin: str | None) -> Path | None:
    """Return the folder of a package or the file of a module, from the file that Python loads."""
    file = Path(origin or "")
    if not file.is_file():
        return None
    return file.parent if file.name == "__init__.py" else file


def _is_own(path: Path) -> bool:
    return path.resolve() != (_ROOT / SHIPPED).resolve() and not _is_checkout(path.parent)


def _is_checkout(folder: Path) -> bool:
    """Whether a folder is a checkout of this project."""
    import tomllib

    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
        return bool(project.get("name") == metadata("stability-harness")["Name"])
    except (OSError, ValueError, RecursionError, AttributeError, PackageNotFoundError):
        return False


def is_named_cases(target: str) -> bool:
    """Whether a target is in a package ``cases``, the user's or the shipped one."""
    return target.partition(":")[0].split(".")[0] == SHIPPED


def folder_of(target: str) -> Path:
    """Return the folder or file of the package ``cases`` that a target means."""
    return find_own_cases(target) or _ROOT / SHIPPED


def is_shipped(target: str) -> bool:
    """Whether a target is among the shipped cases."""
    return is_named_cases(target) and find_own_cases(target) is None


def root_of(target: str) -> Path | None:
    """Return the folder from which the package ``cases`` of a target is imported; ``None`` for other targets."""
    return folder_of(target).parent if is_named_cases(target) else None


def make_importable(target: str) -> None:
    """Let this process, which runs user code, import the modules of the project and the ``cases`` of a target.

    A usage error says that the packages are missing that the shipped cases need.
    """
    sys.path[:0] = [folder for folder in project_path() if folder not in sys.path]
    if not is_named_cases(target):
        return
    package = find_own_cases(target)
    if package is None:
        require("cases", "the package of shipped cases")

    def is_meant(path: Path) -> bool:
        # A checkout has the shipped cases too, such as the tree of an older commit.
        return not _is_own(path) if package is None else path == package

    loaded, importable = _get_place(getattr(sys.modules.get(SHIPPED), "__file__", None)), _find_importable()
    if loaded is not None and not is_meant(loaded):
        for name in [name for name in sys.modules if name.split(".")[0] == SHIPPED]:
            del sys.modules[name]
    if importable is None or not is_meant(importable):
        sys.path.insert(0, str(folder_of(target).parent))
    importlib.invalidate_caches()


def package_of(target: str) -> Path | None:
    """Return the folder or file of the topmost package of a target, without importing it; ``None`` if not known."""
    if is_named_cases(target):
        return folder_of(target)
    top = target.partition(":")[0].split(".")[0]
    spec = find_spec(top)
    local = next((path for path in (Path(top), Path(f"{top}.py")) if path.exists()), None)
    return _get_place(None if spec is None else spec.origin) or local


def find_spec(module: str) -> ModuleSpec | None:
    """Return the spec of a module, ``None`` if it is not found; neither it nor its packages are imported."""
    root, (top, *below) = root_of(module), module.split(".")
    try:
        spec = PathFinder.find_spec(top, [*([] if root is None else [str(root)]), *project_path()])
        spec = spec or importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    for name in below:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{name}", spec.submodule_search_locations)
    return spec


def explain_origin(target: str) -> str | None:
    """Return where a target is found, without importing it; ``None`` if it is a file or its place is unknown."""
    if target.partition(":")[0].endswith(".py"):
        return None
    if is_shipped(target):
        return "shipped with the harness"
    package = package_of(target)
    return None if package is None else _format_path(package)


def _format_path(path: Path) -> str:
    """Return a path relative to the working directory if it is below it."""
    absolute = path.absolute()
    return f"./{absolute.relative_to(Path.cwd())}" if absolute.is_relative_to(Path.cwd()) else str(absolute)


# Importing

_TARGETS = "name a package, `file.py:function`, `module:function` or an entry point"


def attribute(path: str, name: str) -> Any:
    """Return the attribute of a file or module with a name, which may have dots, or raise a usage error."""
    value: Any = _load_file(Path(path)) if path.endswith(".py") else import_module(path)
    for part in name.split("."):
        if not hasattr(value, part):
            names = list_public_names(value)
            rule = None if names else "it defines no names"
            raise UsageError(f"no `{part}` in `{path}`", rule=rule, remedy=did_you_mean(part, names))
        value = getattr(value, part)
    return value


def list_public_names(owner: Any) -> list[str]:
    """Return the public names of a file, module or class."""
    return [name for name in dir(owner) if not name.startswith("_")]


def reject_unreadable(path: Path) -> None:
    """Raise a usage error if a file is missing or cannot be read."""
    if not path.is_file():
        siblings = [file.name for file in path.parent.glob("*.py")]
        raise UsageError(f"file not found: `{path}`", remedy=did_you_mean(path.name, siblings, "check the path"))
    if not os.access(path, os.R_OK):
        raise UsageError(f"cannot read `{path}`: permission denied")


def _load_file(path: Path) -> ModuleType:
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
        raise _import_error(str(path), error) from error
    finally:
        # Keep the folder at the end, for imports inside functions.
        sys.path.append(sys.path.pop(0))
    return module


def import_module(name: str) -> ModuleType:
    """Import a module, or raise a usage error."""
    if name.startswith("."):
        raise UsageError(f"cannot import `{name}`", remedy=_TARGETS)
    # Last, so that the working directory does not hide installed packages.
    sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(f"cannot import `{name}`: no module named `{error.name or name}`", remedy=_TARGETS) from error
    except (Exception, SystemExit) as error:
        raise _import_error(name, error) from error
    finally:
        sys.path.remove(str(Path.cwd()))


MAIN_GUARD = 'put that under `if __name__ == "__main__"`'
"""Remedy for a module that runs its program when it is imported."""

_PARSERS = {"absl", "argparse", "click", "docopt", "fire", "optparse", "tyro", "typer"}
"""Packages that read the command line, and end the program if they cannot."""


def _import_error(place: str, error: BaseException) -> UsageError:
    """Return the error for an exception at import; a program that ends differs from a module that fails."""
    text = f"{type(error).__name__}: {error}"
    if not isinstance(error, SystemExit):
        return UsageError(f"cannot import `{place}`: {text}")
    frames = {
        frame.f_globals.get("__name__", "").partition(".")[0] for frame, _ in traceback.walk_tb(error.__traceback__)
    }
    does = "parses the command line" if frames & _PARSERS else "ends the program"
    return UsageError(f"cannot import `{place}`", rule=f"it {does} at import ({text})", remedy=MAIN_GUARD)


def packages(package: ModuleType) -> Iterator[ModuleType]:
    """Yield a package and the packages below it, in order of name."""
    yield package
    for below in pkgutil.iter_modules(getattr(package, "__path__", ())):
        if below.ispkg:
            yield from packages(importlib.import_module(f"{package.__name__}.{below.name}"))


def load_callable(path: str, name: str) -> Callable[..., Any]:
    """Return the callable attribute of a file or module with a name, or raise a usage error."""
    function = attribute(path, name)
    if not callable(function):
        value = f"an object of type {type(function).__name__}"
        raise UsageError(f"cannot check `{path}:{name}`", rule="a case must be callable", value=value)
    return function  # type: ignore[no-any-return]


def get_single_name(path: str, name: str) -> str:
    """Return the display name of a single function."""
    stem = Path(path).stem if path.endswith(".py") else path
    return f"{stem}.{name}"


def find_attribute(path: str, name: str) -> Any:
    """Return the attribute of a file or module with a name; see :func:`attribute`."""
    make_importable(f"{path}:{name}")
    return attribute(path, name)


# Data sets

_REMEDY = "name the data set as `module:name` or `file.py:name`"


def load_data_set(target: str, *, streams: bool = False) -> Any:
    """Load a user's data set: a map-style one of 1 or more samples, or an iterable one where it may stream.

    A usage error says that there is none, that it cannot be made, or that it is none of these.
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise UsageError(f"cannot load the data set `{target}`", remedy=_REMEDY)
    samples = find_attribute(place, name)
    if isinstance(samples, type) or not (_require_map_style(samples) or is_stream(samples)):
        samples = _make_data_set(samples, target)
    if streams and is_stream(samples):
        return samples
    if not _require_map_style(samples):
        only = ", which only supports iteration" if hasattr(type(samples), "__iter__") else ""
        raise UsageError(
            f"cannot use `{target}` as a data set",
            rule="it must be map-style, with `__getitem__` and `__len__`",
            value=f"an object of type {type(samples).__name__}{only}",
            remedy="define both methods",
        )
    _check_length(samples, target)
    return samples


def is_stream(samples: Any) -> bool:
    """Whether a data set is a torch ``IterableDataset``, without indices."""
    from torch.utils.data import IterableDataset

    return isinstance(samples, IterableDataset)


def _require_map_style(samples: Any) -> bool:
    kind = type(samples)
    # An iterable data set of torch's inherits a `__getitem__` that only raises.
    return hasattr(kind, "__getitem__") and hasattr(kind, "__len__") and not is_stream(samples)


def _make_data_set(factory: Any, target: str) -> Any:
    if not callable(factory):
        raise UsageError(
            f"cannot use `{target}` as a data set",
            rule="it must be a data set, or a callable that returns one without arguments",
            value=f"an object of type {type(factory).__name__}",
        )
    try:
        return factory()
    except Exception as error:
        problem = f"cannot create the data set: `{target}()` raised {type(error).__name__}: {error}"
        raise UsageError(problem, remedy="make it callable without arguments") from error


def _check_length(samples: Any, target: str) -> None:
    try:
        length = len(samples)
    except Exception as error:
        problem = f"cannot read the length of the data set `{target}`: {type(error).__name__}: {error}"
        raise UsageError(problem, remedy="let `__len__` return the number of samples") from error
    if length < 1:
        raise UsageError(f"the data set `{target}` is empty", rule="1 sample or more is needed", value=str(length))
