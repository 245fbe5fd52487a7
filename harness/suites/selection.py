"""Which cases a suite runs on: those of its contracts among the ones the target names."""

from collections.abc import Sequence
from typing import Any

import pytest

from harness.case import Case
from harness.discovery import SHIPPED, load
from harness.error import UsageError

DTYPE = "float32"
"""What is timed."""

SECONDS = 0.5
"""Seconds measured a benchmark, warm-up and validation apart."""

_LOADED = pytest.StashKey[list[Case]]()


def cases_of(config: pytest.Config, *contracts: str) -> dict[str, Case]:
    """Return the cases of some contracts that work in float32, by name, in the order they are declared.

    Raises
    ------
    pytest.Collector.CollectError
        If the target cannot be loaded, or two cases of these contracts have one name: of all that is raised while
        items are made, pytest shows the message alone of this.
    """
    found: dict[str, Case] = {}
    for case in _loaded(config):
        if case.contract not in contracts or DTYPE not in case.dtypes:
            continue
        if case.name in found:
            raise pytest.Collector.CollectError(
                f"cases have different names, got `{case.name}` twice; give one a `name`"
            )
        found[case.name] = case
    return found


def option(config: pytest.Config, name: str, default: Any) -> Any:
    """Return what an option says, or the default where it is absent."""
    value = config.getoption(f"harness_{name}")
    return default if value is None else value


def parametrize(metafunc: pytest.Metafunc, cases: Sequence[str], **axes: Sequence[Any]) -> None:
    """Make one item for each case and each point of the axes; their values, joined by dashes, are its id."""
    metafunc.parametrize("case", cases)
    for axis, values in axes.items():
        metafunc.parametrize(axis, values, ids=str)


def _loaded(config: pytest.Config) -> list[Case]:
    if _LOADED not in config.stash:
        try:
            config.stash[_LOADED] = load(option(config, "cases", SHIPPED), contract=option(config, "contract", None))
        except UsageError as error:
            raise pytest.Collector.CollectError(str(error)) from error
    return config.stash[_LOADED]
