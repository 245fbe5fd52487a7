"""Finding cases: by package, by file, by module, by entry point; never by an import at the top of a module."""

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from harness.calling.importing import attribute, called_by_name, imported, packages, single_name
from harness.calling.own_cases import SHIPPED, is_named_cases, make_importable, own_cases
from harness.case import Case
from harness.error import UsageError

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
    place, _, name = target.partition(":")
    if name:
        return [_single(target, "" if by_name and contract is None else contract, claims)]
    if place.endswith(".py"):
        raise UsageError(f"no function given for `{target}`", remedy="add its name, as in `file.py:function`")
    for point in entry_points(group=ENTRY_POINTS):
        if point.name == place:
            place = point.value
    make_importable(place)
    cases = _declared(imported(place))
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
    place, _, name = target.partition(":")
    make_importable(target)
    function = attribute(place, name) if contract in OBJECTS else called_by_name(place, name)
    return Case(function, contract, style="foreign", name=single_name(place, name), target=target, **claims)


def named(place: str, name: str) -> Any:
    """Return the attribute of a file or module with a name; see :func:`harness.calling.importing.attribute`."""
    make_importable(f"{place}:{name}")
    return attribute(place, name)


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
