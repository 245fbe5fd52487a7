"""Isolated checks for a Python session: one process calls the function, and another one judges it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.calling.importable import importable
from harness.error import UsageError
from harness.execution.progress import followed
from harness.execution.worker_pool import IsolatedPool
from harness.isolation.limits import Limits
from harness.record import Property, Verdict
from harness.verdict.campaign import Campaign


def importable_campaign(function: Any, campaign: Campaign) -> Campaign:
    """Return the campaign about a function that another process imports again.

    Raises
    ------
    UsageError
        If the function cannot be imported, or if its adapter exists only in this process.
    """
    target, root = importable(function)
    if campaign.call is not None and not isinstance(campaign.call, str):
        raise UsageError(
            "cannot use `call` together with `isolate`",
            rule="it must be a string: the name of an adapter, `file.py:adapter` or an expression",
            value=f"an object of type {type(campaign.call).__name__}",
        )
    return replace(campaign, target=target, root=root).rechecked()


def checked(campaign: Campaign) -> tuple[list[Verdict], list[Property]]:
    """Reach all verdicts of a campaign in separate processes, and return them with the properties of the function.

    Raises
    ------
    UsageError
        If the function cannot be loaded there, or its contract does not exist.
    """
    properties: dict[Any, Property] = {}
    with IsolatedPool(campaign, Limits(), 1) as pool:
        reached = campaign.verdicts(pool, properties)
        name = pool.pieces[0]["case"] if pool.pieces else campaign.target
        verdicts = [verdict for _, verdict in zip(followed(pool.pieces, f"checking {name}"), reached, strict=True)]
    return verdicts, list(properties.values())


class Isolated:
    """The processes of a test, whose items check one law each; they end when it is closed."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._opened: dict[str, tuple[Campaign, IsolatedPool]] = {}

    def decide(self, function: Any, identity: Mapping[str, Any]) -> tuple[Verdict, list[Property]]:
        """Return the verdict on the law and dtype of an identity; the first verdict on a function starts its processes.

        Raises
        ------
        UsageError
            If it cannot be imported there.
        """
        campaign = importable_campaign(function, self._campaign)
        if campaign.target not in self._opened:
            self._opened[campaign.target] = campaign, IsolatedPool(campaign, Limits(), 1).__enter__()
        campaign, pool = self._opened[campaign.target]
        wanted = [all(piece["unreached"][name] == identity[name] for name in ("law", "dtype")) for piece in pool.pieces]
        properties: dict[Any, Property] = {}
        (verdict,) = campaign.verdicts(pool, properties, [wanted.index(True)])
        return verdict, list(properties.values())

    def close(self) -> None:
        """End the processes."""
        for _, pool in self._opened.values():
            pool.__exit__()
        self._opened.clear()
