"""Isolated checks for a Python session: one process calls the function, and another one judges it."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.calling.importable import importable
from harness.error import UsageError
from harness.execution.progress import followed
from harness.execution.worker_pool import IsolatedPool
from harness.isolation.limits import Limits
from harness.record import SEED, Property, Verdict
from harness.verdict.campaign import Campaign
from harness.verdict.corpus import FOLDER


def campaign_of(
    function: Any,
    contract: str | None,
    *,
    call: str | Callable[..., Any] | None,
    corpora: Sequence[Path] = (FOLDER,),
    seed: int | None = None,
    **settings: Any,
) -> Campaign:
    """Return the campaign for a function that another process imports again.

    Parameters
    ----------
    function
        An importable function; see :func:`harness.calling.importable.importable`.
    contract
        The contract that it claims.
    call
        The name or text of an adapter.
    corpora
        Folders of counterexamples: the shipped one, and one more.
    seed
        Seed of the examples, and of the final re-check, which has a new seed by default.
    settings
        Further arguments of :class:`harness.verdict.campaign.Campaign`.

    Raises
    ------
    UsageError
        If the function cannot be imported, or if an argument exists only in this process.
    """
    target, root = importable(function)
    if call is not None and not isinstance(call, str):
        raise UsageError(
            "cannot use `call` together with `isolate`",
            rule="it must be a string: the name of an adapter, `file.py:adapter` or an expression",
            value=f"an object of type {type(call).__name__}",
        )
    further = [folder for folder in corpora if folder != FOLDER]
    if len(further) > 1:
        raise UsageError(
            "with `isolate`, only one folder of counterexamples can be added to the shipped one",
            value=str(len(further)),
        )
    return Campaign(
        target,
        contract,
        root=root,
        call=call,
        replay=FOLDER in corpora,
        corpus=further[0] if further else None,
        seed=SEED if seed is None else seed,
        recheck_seed=secrets.randbelow(2**31) if seed is None else seed,
        **settings,
    )


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
    """The processes for the items of a test, where each item checks one law; they end when it is closed.

    Parameters
    ----------
    settings
        Arguments of :func:`campaign_of` for all items.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._opened: dict[str, tuple[Campaign, IsolatedPool]] = {}

    def decide(self, function: Any, identity: Mapping[str, Any]) -> tuple[Verdict, list[Property]]:
        """Return the verdict on the law and dtype of an identity; the first verdict on a function starts its processes.

        Raises
        ------
        UsageError
            If it cannot be imported there.
        """
        campaign = campaign_of(function, **self._settings)
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
