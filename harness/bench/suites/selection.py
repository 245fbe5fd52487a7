"""Selection of cases: a suite runs on the cases of the target that have its contracts."""

from collections.abc import Sequence
from typing import Any, NoReturn

import pytest

from harness.calling.discovery import SHIPPED, load
from harness.case import Case
from harness.contracts import claimed, contract_named
from harness.error import UsageError

NAME = "harness-progress"
"""Registered name of the plugin that writes the progress of the suite."""

DTYPE = "float32"
"""Floating-point format of all timings."""

SECONDS = 0.5
"""Measuring time per benchmark in seconds, without warm-up and validation."""

_LOADED = pytest.StashKey[list[Case]]()
_SELECTED = pytest.StashKey[dict[str, None]]()


def cases_of(config: pytest.Config, *contracts: str) -> dict[str, Case]:
    """Return the cases of some contracts that support float32, by name and in order of declaration.

    The session ends with a message if the target cannot be loaded, or if two cases of these contracts share a name.
    """
    selected: dict[str, Case] = {}
    config.stash.setdefault(_SELECTED, {}).update(dict.fromkeys(contracts))
    for case in _loaded(config):
        if case.contract not in contracts or DTYPE not in case.dtypes:
            continue
        if case.name in selected:
            give_up(
                config,
                UsageError(f"two cases have the name `{case.name}`", remedy="give each case its own `name`"),
            )
        selected[case.name] = case
    return selected


def give_up(config: pytest.Config, error: UsageError, *, idle: bool = False) -> NoReturn:
    """End the session with a message, for the process that started it or on the last line of pytest.

    An ``idle`` session has no error, but nothing to do.
    """
    progress = config.pluginmanager.get_plugin(NAME)
    if progress is not None:
        progress.refuse(error, idle=idle)
    pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)


def give_up_if_idle(session: pytest.Session) -> None:
    """End the session if the loaded cases leave the suite without an item."""
    contracts = session.config.stash.get(_SELECTED, {})
    if not contracts or not session.items or not all(map(_stands_for_none, session.items)):
        return
    wanted = " or ".join(f"`{name}`" for name in contracts) if len(contracts) < _MANY else "an operation"
    error = UsageError(
        "nothing to time",
        rule=f"this suite times cases of {wanted} in {DTYPE}",
        place=f"`{option(session.config, 'cases', SHIPPED)}`",
        remedy="choose other suites, or omit the names to run all suites that apply",
    )
    give_up(session.config, error, idle=True)


_MANY = 10
"""Number of contracts from which a general word replaces their names."""


def _stands_for_none(item: pytest.Item) -> bool:
    """Whether an item is the skip by which pytest replaces an empty set of parameters."""
    return item.get_closest_marker("skip") is not None


def option(config: pytest.Config, name: str, default: Any) -> Any:
    """Return the value of an option, or the default if it is absent."""
    value = config.getoption(f"harness_{name}")
    return default if value is None else value


def parametrize(metafunc: pytest.Metafunc, cases: Sequence[str], **axes: Sequence[Any]) -> None:
    """Make one item for each case and point of the axes; its id joins their values by dashes."""
    metafunc.parametrize("case", cases)
    for axis, values in axes.items():
        metafunc.parametrize(axis, values, ids=str)


def _loaded(config: pytest.Config) -> list[Case]:
    if _LOADED not in config.stash:
        contract = option(config, "contract", None)
        try:
            if contract is not None:
                contract_named(contract)
            config.stash[_LOADED] = [
                claimed(case) for case in load(option(config, "cases", SHIPPED), contract=contract, by_name=True)
            ]
        except UsageError as error:
            give_up(config, error)
    return config.stash[_LOADED]
