"""Isolated checks for a Python session: one process calls the function, and another one judges it."""

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.calling.target import place_of
from harness.error import UsageError
from harness.execution.progress import show_progress
from harness.execution.worker_pool import WorkerPool
from harness.isolation.limits import Limits
from harness.record import Property, Verdict
from harness.verdict.campaign import Campaign

RULE = "an isolated process must be able to import it by name from a file"
"""The rule for every object that another process uses."""

_REMEDY = "move it to the top level of a separate file, or leave out `isolate`"


def find_import_target(function: Any) -> tuple[str, str | None]:
    """Return the target that names a living object, and the folder from which its package is imported.

    Returns
    -------
    target, root
        ``file.py:name``, without a folder; or ``package.module:name``, with the one in which the package lies.

    Raises
    ------
    UsageError
        If no module defines the object under its name: closures, lambdas, instances, replaced functions, and objects of
        a notebook or of the running program.
    """
    if (place := place_of(function)) is not None:
        return place, None
    name, home = getattr(function, "__qualname__", None), getattr(function, "__module__", None)
    if not isinstance(name, str) or not isinstance(home, str):
        raise _make_refusal(f"an object of {type(function).__name__} without a name")
    if "<lambda>" in name:
        raise _make_refusal("a lambda")
    if "<locals>" in name:
        raise _make_refusal(f"`{name.replace('.<locals>', '')}`, which is defined inside a function")
    if home == "__main__":
        raise _make_refusal(f"`{name}`, which is defined in the running program or notebook")
    module = sys.modules.get(home)
    file = _find_source(module)
    if module is None or file is None:
        raise _make_refusal(f"`{name}` of `{home}`, which has no source file")
    if _resolve_name(module, name) is not function:
        raise _make_refusal(f"`{name}`, which is another object in `{home}`")
    parts = home.split(".")
    if len(parts) == 1 and not hasattr(module, "__path__"):
        return f"{file}:{name}", None
    root = file.parents[len(parts) - (file.name != "__init__.py")]
    if file.with_suffix("").relative_to(root).parts[: len(parts)] != tuple(parts):
        raise _make_refusal(f"`{name}` of `{home}`, whose file does not match its module name")
    return f"{home}:{name}", str(root)


def _find_source(module: ModuleType | None) -> Path | None:
    """The file of Python that a module was loaded from."""
    file = getattr(module, "__file__", None)
    path = Path(file).absolute() if isinstance(file, str) and file.endswith(".py") else None
    return path if path is not None and path.is_file() else None


def _resolve_name(module: ModuleType, name: str) -> Any:
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def _make_refusal(value: str) -> UsageError:
    return UsageError("cannot isolate the object", rule=RULE, value=value, remedy=_REMEDY)


def make_importable_campaign(function: Any, campaign: Campaign) -> Campaign:
    """Return the campaign about a function that another process imports, again or, by its target, for the first time.

    Raises
    ------
    UsageError
        If the function cannot be imported, or if its adapter exists only in this process.
    """
    target, root = (function, None) if isinstance(function, str) else find_import_target(function)
    if campaign.call is not None and not isinstance(campaign.call, str):
        raise UsageError(
            "cannot use `call` together with `isolate`",
            rule="it must be a string: the name of an adapter, `file.py:adapter` or an expression",
            value=f"an object of type {type(campaign.call).__name__}",
        )
    return replace(campaign, target=target, root=root).add_recheck()


def check_campaign(campaign: Campaign) -> tuple[list[Verdict], list[Property]]:
    """Reach all verdicts of a campaign in separate processes, and return them with the properties of the function.

    Raises
    ------
    UsageError
        If the function cannot be loaded there, or its contract does not exist.
    """
    properties: dict[Any, Property] = {}
    with WorkerPool(campaign, Limits(), 1) as pool:
        reached = campaign.verdicts(pool, properties)
        name = pool.pieces[0]["case"] if pool.pieces else campaign.target
        verdicts = [verdict for _, verdict in zip(show_progress(pool.pieces, f"checking {name}"), reached, strict=True)]
    return verdicts, list(properties.values())


class Isolated:
    """The processes of a test, whose items check one law each; they end when it is closed."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign, self._stack = campaign, ExitStack()
        self._pools: dict[str, WorkerPool] = {}

    def decide(self, function: Any, identity: Mapping[str, Any]) -> tuple[Verdict, list[Property]]:
        """Return the verdict on the law and dtype of an identity; the first verdict on a function starts its processes.

        Raises
        ------
        UsageError
            If it cannot be imported there.
        """
        campaign = make_importable_campaign(function, self._campaign)
        if campaign.target not in self._pools:
            self._pools[campaign.target] = self._stack.enter_context(WorkerPool(campaign, Limits(), 1))
        pool = self._pools[campaign.target]
        wanted = [all(piece["unreached"][name] == identity[name] for name in ("law", "dtype")) for piece in pool.pieces]
        properties: dict[Any, Property] = {}
        (verdict,) = campaign.verdicts(pool, properties, [wanted.index(True)])
        return verdict, list(properties.values())

    def close(self) -> None:
        """End the processes."""
        self._stack.close()
        self._pools.clear()
