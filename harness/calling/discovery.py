"""Targets, with their cases and data sets: by package, file, module or entry point. Nothing imports them in advance.

The shipped cases have a common name, so they are not installed under it. In the wheel they are in the folder
``harness/shipped``, in a checkout next to ``harness``. Python finds them only after a target has named them. A user's
package ``cases`` comes first, from the working directory or from Python's path, unless only the shipped package has the
module that a target names. In a checkout of this project, the installed package is used, because the ``tox`` jobs test
the wheel. A checkout has the project's name in its ``pyproject.toml``.
"""

import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, entry_points, metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from harness.calling import known
from harness.calling.importing import attribute, called_by_name, imported, packages, single_name
from harness.calling.question import Question
from harness.case import Case
from harness.error import UsageError, require

SHIPPED = "cases"
"""The package of the reference cases."""

_PACKAGE = Path(__file__).parents[1]
_ROOT = next(folder for folder in (_PACKAGE / "shipped", _PACKAGE.parent) if folder.is_dir())
"""The folder with the shipped package."""


def own_cases(target: str = SHIPPED) -> Path | None:
    """Return the user's package or module ``cases`` if a target names it; ``None`` if it names the shipped package."""
    package = own_package()
    meant = package is not None and (_has(package, target) or not _has(_ROOT / SHIPPED, target))
    return package if meant else None


def own_package() -> Path | None:
    """Return the folder or file of the user's ``cases``, of whatever content."""
    return next((path for path in (_local(), _importable()) if path is not None and _is_own(path)), None)


def declares_cases(cases: Path) -> bool:
    """Whether a file of a package or module mentions ``CASES``."""
    return any(b"CASES" in file.read_bytes() for file in ([cases] if cases.is_file() else cases.rglob("*.py")))


def _has(cases: Path, target: str) -> bool:
    """Whether a package has the module of a target; without a function, it must declare cases too."""
    module, colon, _ = target.partition(":")
    path = cases.joinpath(*module.split(".")[1:])
    return (path.exists() or path.with_suffix(".py").is_file()) and (bool(colon) or declares_cases(cases))


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
    return _place(origin)


def _place(origin: str | None) -> Path | None:
    """Return the folder of a package or the file of a module, from the file that Python loads."""
    file = Path(origin or "")
    if not file.is_file():
        return None
    return file.parent if file.name == "__init__.py" else file


def _is_own(path: Path) -> bool:
    return path.resolve() != (_ROOT / SHIPPED).resolve() and not _is_checkout(path.parent)


def _is_checkout(folder: Path) -> bool:
    """Whether a folder is a checkout of this project."""
    from harness.record.storage import read_text

    try:
        project = tomllib.loads(read_text(folder / "pyproject.toml")).get("project", {})
        return bool(project.get("name") == metadata("stability-harness")["Name"])
    except (UsageError, ValueError, RecursionError, AttributeError, PackageNotFoundError):
        return False


def is_named_cases(target: str) -> bool:
    """Whether a target is in a package ``cases``, the user's or the shipped one."""
    return target.partition(":")[0].split(".")[0] == SHIPPED


def folder_of(target: str) -> Path:
    """Return the folder or file of the package ``cases`` that a target means."""
    return own_cases(target) or _ROOT / SHIPPED


def root_of(target: str) -> Path | None:
    """Return the folder from which the package ``cases`` of a target is imported; ``None`` for other targets."""
    return folder_of(target).parent if is_named_cases(target) else None


def make_importable(target: str) -> None:
    """Let ``import cases`` find the package that a target means from now on.

    Raises
    ------
    UsageError
        If the target is the shipped cases, and the packages that they need are not installed.
    """
    if not is_named_cases(target):
        return
    package = own_cases(target)
    if package is None:
        require("cases", "the package of shipped cases")

    def is_meant(path: Path) -> bool:
        # A checkout has the shipped cases too, such as the tree of an older commit.
        return not _is_own(path) if package is None else path == package

    loaded, found = _place(getattr(sys.modules.get(SHIPPED), "__file__", None)), _importable()
    if loaded is not None and not is_meant(loaded):
        for name in [name for name in sys.modules if name.split(".")[0] == SHIPPED]:
            del sys.modules[name]
    if found is None or not is_meant(found):
        sys.path.insert(0, str(folder_of(target).parent))
    importlib.invalidate_caches()


def whence(target: str) -> str | None:
    """Say from where a target is taken, without importing it; ``None`` where it is a file, or that is not known."""
    path = target.partition(":")[0]
    if path.endswith(".py"):
        return None
    top = path.split(".")[0]
    if top == SHIPPED:
        package = own_cases(target)
        return "shipped with the harness" if package is None else _path(package)
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


# Loading

OBJECTS = ("data_loader",)
"""The contracts that something claims which cannot be called: a data set, a loader."""

ENTRY_POINTS = "harness.cases"
"""Entry-point group in which an installed package registers its cases."""


def is_shipped(target: str) -> bool:
    """Whether a target is among the shipped cases."""
    return is_named_cases(target) and own_cases(target) is None


def load(target: str = SHIPPED, *, contract: str | None = None, by_name: bool = False, **claims: Any) -> list[Case]:
    """Load the cases a target names.

    Raises
    ------
    UsageError
        If the target does not exist, cannot be imported, or holds no case.
    """
    path, _, name = target.partition(":")
    if name:
        return [_single(target, "" if by_name and contract is None else contract, claims)]
    if path.endswith(".py"):
        raise UsageError(f"no function given for `{target}`", remedy="add its name, as in `file.py:function`")
    for point in entry_points(group=ENTRY_POINTS):
        if point.name == path:
            path = point.value
    make_importable(path)
    cases = _declared(imported(path))
    if contract is not None:
        cases = [case for case in cases if case.contract == contract]
    if not cases:
        only = f" of contract `{contract}`" if contract else ""
        raise UsageError(f"no cases{only} in `{target}`", remedy="declare them in a list `CASES` in the package")
    return cases


def _single(target: str, contract: str | None, claims: Mapping[str, Any]) -> Case:
    if contract is None:
        raise UsageError(
            f"no contract given for `{target}`",
            remedy="pass `--contract NAME` (see `harness list --contracts`) or a `--formula`",
        )
    path, _, name = target.partition(":")
    make_importable(target)
    function = attribute(path, name) if contract in OBJECTS else called_by_name(path, name)
    return Case(function, contract, style="foreign", name=single_name(path, name), target=target, **claims)


def named(path: str, name: str) -> Any:
    """Return the attribute of a file or module with a name; see :func:`harness.calling.importing.attribute`."""
    make_importable(f"{path}:{name}")
    return attribute(path, name)


def _declared(package: ModuleType) -> list[Case]:
    """Collect the ``CASES`` of a package and of the packages below it, in order of name."""
    return [case for module in packages(package) for case in _cases_of(module)]


def _cases_of(module: ModuleType) -> Sequence[Case]:
    declared = getattr(module, "CASES", [])
    for case in declared:
        if not isinstance(case, Case):
            raise UsageError(
                f"cannot read `CASES` in `{module.__name__}`",
                rule="every entry must be a `Case`",
                value=type(case).__name__,
            )
    return list(declared)


# Targets


class Loader(Protocol):
    """Loads cases in another process, which calls them."""

    def cases(self, target: str, contract: str | None, claims: Mapping[str, Any]) -> list[Case]:
        """Return the cases of a target, each with a stand-in for the function in the other process."""

    def begins_to_read_loaders(self) -> bool:
        """Let the process read loaders from now on; return whether that is new."""


@dataclass(frozen=True)
class Target(Question):
    """A question about the cases of a target, which this class loads.

    Parameters
    ----------
    root
        Folder from which its package is imported, before all others; none by default.
    """

    target: str = SHIPPED
    root: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Fill in the contract and the adapter of a library's function, if the user does not name another contract."""
        contract, call = known.completed(known.entry(self.target), self.contract, self.call)
        object.__setattr__(self, "contract", contract)
        object.__setattr__(self, "call", call)

    @cached_property
    def is_foreign(self) -> bool:
        """Whether the code is not shipped, so that it runs in an isolated process."""
        return not is_shipped(self.target)

    def cases(self, remote: Loader | None = None) -> list[Case]:
        """Load the cases.

        Raises
        ------
        UsageError
            If the target does not exist, cannot be imported, or holds no case.
        """
        claims = {"declares": self.declares, "breaks": self.breaks, "call": self.call}
        if remote is not None:
            return remote.cases(self.target, self.contract, claims)
        if self.root is not None and self.root not in sys.path:
            sys.path.insert(0, self.root)
        return load(self.target, contract=self.contract, by_name=True, **claims)


# Data sets

_REMEDY = "name the data set as `module:name` or `file.py:name`"


def dataset_named(target: str, *, streams: bool = False) -> Any:
    """Load a user's data set, and look at it before it is used.

    Returns
    -------
    dataset
        An object with ``__getitem__`` and ``__len__``, of 1 or more samples; or an iterable one.

    Raises
    ------
    UsageError
        If there is none, it cannot be made, or it is none of these.
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise UsageError(f"cannot load the data set `{target}`", remedy=_REMEDY)
    samples = named(place, name)
    if isinstance(samples, type) or not (_map_style(samples) or is_stream(samples)):
        samples = _made(samples, target)
    if streams and is_stream(samples):
        return samples
    if not _map_style(samples):
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


def _map_style(samples: Any) -> bool:
    kind = type(samples)
    # An iterable data set of torch's inherits a `__getitem__` that only raises.
    return hasattr(kind, "__getitem__") and hasattr(kind, "__len__") and not is_stream(samples)


def _made(factory: Any, target: str) -> Any:
    if not callable(factory):
        raise UsageError(
            f"cannot use `{target}` as a data set",
            rule="it must be a data set, or a callable that returns one without arguments",
            value=f"an object of type {type(factory).__name__}",
        )
    try:
        return factory()
    except Exception as error:
        raise UsageError(
            f"cannot create the data set: `{target}()` raised {type(error).__name__}: {error}",
            remedy="make it callable without arguments",
        ) from error


def _check_length(samples: Any, target: str) -> None:
    try:
        length = len(samples)
    except Exception as error:
        raise UsageError(
            f"cannot read the length of the data set `{target}`: {type(error).__name__}: {error}",
            remedy="let `__len__` return the number of samples",
        ) from error
    if length < 1:
        raise UsageError(f"the data set `{target}` is empty", rule="1 sample or more is needed", value=str(length))
