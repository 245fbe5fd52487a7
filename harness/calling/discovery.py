"""Finding cases: by package, by file, by module, by entry point; never by an import at the top of a module."""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.calling.own_cases import SHIPPED, own_cases, prefer
from harness.case import Case
from harness.error import UsageError, did_you_mean

OBJECTS = ("data_loader",)
"""The contracts that something claims which cannot be called: a data set, a loader."""

ENTRY_POINTS = "harness.cases"
"""The entry-point group by which an installed package offers cases of its own."""


def _is_named_cases(target: str) -> bool:
    return target.partition(":")[0].split(".")[0] == SHIPPED


def is_shipped(target: str) -> bool:
    """Whether a target is among the reference cases, and so nobody else's code."""
    return _is_named_cases(target) and own_cases() is None


def load(target: str = SHIPPED, *, contract: str | None = None, by_name: bool = False, **claims: Any) -> list[Case]:
    """Load the cases a target names.

    Parameters
    ----------
    target
        A package or module with a ``CASES`` list in it or in its subpackages; ``file.py:function``;
        ``package.module:function``; or the name of an entry point of the group ``harness.cases``.
    contract
        The contract a single function claims.
    by_name
        Whether a single function may claim its contract by its name, which is left empty here.
    claims
        What else a single function claims: the fields ``declares``, ``breaks`` and ``call`` of a case.

    Raises
    ------
    UsageError
        If the target does not exist, cannot be imported, or holds no case.
    """
    place, _, name = target.partition(":")
    if name:
        return [_single(target, "" if by_name and contract is None else contract, claims)]
    if place.endswith(".py"):
        raise UsageError(
            rule="a file is named with its function, `file.py:function`", value=f"`{target}`", remedy="add the function"
        )
    for point in entry_points(group=ENTRY_POINTS):
        if point.name == place:
            place = point.value
    cases = _declared(_imported(place))
    if contract is not None:
        cases = [case for case in cases if case.contract == contract]
    if not cases:
        only = f" of contract `{contract}`" if contract else ""
        raise UsageError(rule=f"a package of cases declares `CASES`{only}", value=f"none in `{target}`")
    return cases


def _single(target: str, contract: str | None, claims: Mapping[str, Any]) -> Case:
    if contract is None:
        raise UsageError(
            rule="a function is checked against a contract",
            value=f"`{target}` without one",
            remedy="add `--contract NAME`; `harness list --contracts` shows the names",
        )
    place, _, name = target.partition(":")
    function = attribute(place, name)
    if not callable(function) and contract not in OBJECTS:
        raise UsageError(rule="a case is callable", value=type(function).__name__, place=target)
    stem = Path(place).stem if place.endswith(".py") else place
    return Case(function, contract, style="foreign", name=f"{stem}.{name}", target=target, **claims)


def attribute(place: str, name: str) -> Any:
    """Return what a file or module defines under a name, which may have dots.

    Raises
    ------
    UsageError
        If there is no such file or module, it cannot be imported, or it defines nothing of that name.
    """
    value: Any = _from_file(Path(place)) if place.endswith(".py") else _imported(place)
    for part in name.split("."):
        if not hasattr(value, part):
            raise UsageError(
                rule="the target names something the module defines",
                value=f"no `{part}`",
                place=f"`{place}`",
                remedy=did_you_mean(part, public_names(value)),
            )
        value = getattr(value, part)
    return value


def public_names(owner: Any) -> list[str]:
    """What a file, module or class defines that a target can name."""
    return [name for name in dir(owner) if not name.startswith("_")]


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        beside = [file.name for file in path.parent.glob("*.py")]
        near = did_you_mean(path.name, beside, "check the path")
        raise UsageError(rule="the file exists", value=f"no file `{path}`", remedy=near)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Where nothing else has the name, so that what looks a class's module up finds it.
    sys.modules.setdefault(path.stem, module)
    sys.path.insert(0, str(path.parent.absolute()))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        if sys.modules.get(path.stem) is module:
            del sys.modules[path.stem]
        raise UsageError(
            rule="the file can be imported", value=f"{type(error).__name__}: {error}", place=str(path)
        ) from error
    finally:
        # To the end, for what the file imports only when it is called.
        sys.path.append(sys.path.pop(0))
    return module


def _imported(name: str) -> ModuleType:
    if _is_named_cases(name) and (own := own_cases()) is not None:
        prefer(own)
    # Last, so that the working directory does not hide what is installed.
    sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        raise UsageError(
            rule="a target is a package, `file.py:function`, `module:function` or an entry point",
            value=f"no module named `{missing}`",
            place=f"`{name}`",
        ) from error
    except (Exception, SystemExit) as error:
        raise UsageError(
            rule="the module can be imported", value=f"{type(error).__name__}: {error}", place=f"`{name}`"
        ) from error
    finally:
        sys.path.remove(str(Path.cwd()))


def _declared(package: ModuleType) -> list[Case]:
    """Collect the ``CASES`` of a package and of the packages below it, in order of name."""
    cases: list[Case] = list(_cases_of(package))
    for below in pkgutil.iter_modules(getattr(package, "__path__", ())):
        if below.ispkg:
            cases += _declared(importlib.import_module(f"{package.__name__}.{below.name}"))
    return cases


def _cases_of(module: ModuleType) -> Sequence[Case]:
    declared = getattr(module, "CASES", [])
    for case in declared:
        if not isinstance(case, Case):
            raise UsageError(
                rule="`CASES` is a list of `Case`", value=type(case).__name__, place=f"`{module.__name__}`"
            )
    return list(declared)
