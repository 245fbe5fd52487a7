"""Targets: the cases that the user names, by package, file, module or entry point, and known functions."""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from harness.calling.discovery import (
    SHIPPED,
    attribute,
    get_single_name,
    import_module,
    is_shipped,
    load_callable,
    make_importable,
    packages,
)
from harness.calling.known import TABLES
from harness.calling.known.book import BOOK
from harness.calling.known.entry import Known
from harness.calling.known.functional import FUNCTIONAL
from harness.calling.question import Question
from harness.case import Case
from harness.error import UsageError

# Loading

OBJECTS = ("data_loader",)
"""Contracts of targets that are not callable: data sets and loaders."""

ENTRY_POINTS = "harness.cases"
"""Entry-point group in which an installed package registers its cases."""


def load(target: str = SHIPPED, *, contract: str | None = None, by_name: bool = False, **claims: Any) -> list[Case]:
    """Load the cases a target names, or raise a usage error."""
    path, _, name = target.partition(":")
    if name:
        return [_load_single(target, "" if by_name and contract is None else contract, claims)]
    if path.endswith(".py"):
        raise UsageError(f"no function given for `{target}`", remedy="add its name, as in `file.py:function`")
    for point in entry_points(group=ENTRY_POINTS):
        if point.name == path:
            path = point.value
    make_importable(path)
    cases = [case for case in _find_declared_cases(import_module(path)) if contract in {None, case.contract}]
    if not cases:
        only = f" of contract `{contract}`" if contract else ""
        raise UsageError(f"no cases{only} in `{target}`", remedy="declare them in a list `CASES` in the package")
    return cases


def _load_single(target: str, contract: str | None, claims: Mapping[str, Any]) -> Case:
    if contract is None:
        remedy = "pass `--contract NAME` (see `harness list --contracts`) or a `--formula`"
        raise UsageError(f"no contract given for `{target}`", remedy=remedy)
    path, _, name = target.partition(":")
    make_importable(target)
    function = attribute(path, name) if contract in OBJECTS else load_callable(path, name)
    return Case(function, contract, style="foreign", name=get_single_name(path, name), target=target, **claims)


def _find_declared_cases(package: ModuleType) -> Iterator[Case]:
    """Yield the ``CASES`` of a package and of the packages below it, in order of name."""
    for module in packages(package):
        for case in getattr(module, "CASES", []):
            if not isinstance(case, Case):
                problem = f"cannot read `CASES` in `{module.__name__}`"
                raise UsageError(problem, rule="every entry must be a `Case`", value=type(case).__name__)
            yield case


class Loader(Protocol):
    """Loads cases in another process, which calls them."""

    def cases(self, target: str, contract: str | None, claims: Mapping[str, Any]) -> list[Case]:
        """Return the cases of a target, each with a stand-in for the function in the other process."""

    def begins_to_read_loaders(self) -> bool:
        """Let the process read loaders from now on; return whether that is new."""


@dataclass(frozen=True)
class Target(Question):
    """A question about the cases of a target, which this class loads."""

    target: str = SHIPPED
    root: str | None = field(default=None, kw_only=True)
    """Folder from which its package is imported, before all others; none by default."""

    def __post_init__(self) -> None:
        """Fill in the contract and the adapter of a library's function, if the user does not name another contract."""
        contract, call = complete_claim(entry(self.target), self.contract, self.call)
        object.__setattr__(self, "contract", contract)
        object.__setattr__(self, "call", call)

    @cached_property
    def is_foreign(self) -> bool:
        """Whether the code is not shipped, so that it runs in an isolated process."""
        return not is_shipped(self.target)

    def cases(self, remote: Loader | None = None) -> list[Case]:
        """Load the cases, or raise a usage error."""
        claims = {"declares": self.declares, "breaks": self.breaks, "call": self.call}
        if remote is not None:
            return remote.cases(self.target, self.contract, claims)
        if self.root is not None and self.root not in sys.path:
            sys.path.insert(0, self.root)
        return load(self.target, contract=self.contract, by_name=True, **claims)


# Known functions


def entry(target: str) -> Known | None:
    """Return the entry of a target, ``module:function`` or a wrapper ``file.py:function``."""
    module, _, name = target.partition(":")
    if module.endswith(".py"):
        return _match_wrapper(name, *_parse_signature(Path(module), name))
    return TABLES.get(module, {}).get(name)


def place_of(function: Any) -> str | None:
    """Return the target that names a known function, also if it is compiled and has neither module nor name."""
    for module, table in TABLES.items():
        loaded = sys.modules.get(module)
        for name in table if loaded is not None else ():
            if _get_attribute(loaded, name) is function:
                return f"{module}:{name}"
    return None


def find_known(function: Any) -> Known | None:
    """Return the entry of a library's function, or of a wrapper with the same name and parameters."""
    place = place_of(function)
    if place is not None:
        return entry(place)
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    names = code.co_varnames[: code.co_argcount]
    required = names[: len(names) - len(function.__defaults__ or ())]
    return _match_wrapper(function.__name__, required, frozenset(code.co_names))


def complete_claim(known: Known | None, contract: str | None, call: Any) -> tuple[str | None, Any]:
    """Return the contract and the adapter of a function: the user's choice, or the known ones.

    An adapter is known for its own contract only.
    """
    if known is None or (contract is not None and contract != known.claim):
        return contract, call
    return known.claim, (known.call or None) if call is None else call


def _get_attribute(module: Any, name: str) -> Any:
    value = module
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def _match_wrapper(name: str, required: tuple[str, ...], used: frozenset[str]) -> Known | None:
    """Return the entry of a function in a file, from its name, its required parameters and the names in its code."""
    entry_ = FUNCTIONAL.get(name)
    if entry_ is not None and entry_.required and entry_.required[1:] == required[1:]:
        return entry_
    entry_ = BOOK.get(name)
    return entry_ if entry_ is not None and entry_.required == required and used.issuperset(entry_.uses) else None


def _parse_signature(file: Path, name: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the parameters without a default of a function in a file, which is read and not run, and its names."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return (), frozenset()
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            parameters = [argument.arg for argument in (*statement.args.posonlyargs, *statement.args.args)]
            required = tuple(parameters[: len(parameters) - len(statement.args.defaults)])
            names = (getattr(node, "id", None) or getattr(node, "attr", None) for node in ast.walk(statement))
            return required, frozenset(filter(None, names))
    return (), frozenset()
