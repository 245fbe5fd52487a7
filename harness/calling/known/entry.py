"""An entry of the tables: what a library's function computes, and how it is called."""

from typing import NamedTuple


class Known(NamedTuple):
    """What a function claims if the user names neither a contract nor a formula.

    Parameters
    ----------
    claim
        Name of a contract or of a formula in the catalog; or a formula, as ``formula(x: positive): log(x)``.
    call
        Adapter, as ``--call`` takes it; empty if the function takes the inputs of the contract.
    required
        Names of the parameters without a default, if a function of the user's with the same name and the same
        parameters is called in the same way.
    """

    claim: str
    call: str = ""
    required: tuple[str, ...] = ()


Table = dict[str, Known]
"""Entries by the name of the function."""


def plain(names: str) -> Table:
    """Return entries of functions that have the name of their contract and are called as it is."""
    return {name: Known(name) for name in names.split()}


def with_call(table: Table, call: str) -> Table:
    """Return the same claims with another adapter."""
    return {name: Known(entry.claim, call) for name, entry in table.items()}
