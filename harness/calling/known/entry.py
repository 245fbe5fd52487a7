"""An entry of the tables: the claim and the adapter of a library's function."""

from typing import NamedTuple


class Known(NamedTuple):
    """The claim and the adapter of a function, if the user names neither.

    Parameters
    ----------
    claim
        Name of a contract or of a formula in the catalog; or a formula, as ``formula(x: positive): log(x)``.
    call
        Adapter, as ``--call`` takes it; empty if the function takes the inputs of the contract.
    required
        Names of the parameters without a default. A user's function with this name and these parameters gets the same
        entry; empty if it does not.
    uses
        Names that must occur in the code of a user's function.
    why
        Reason for the claim; empty for a library's function.
    """

    claim: str
    call: str = ""
    required: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    why: str = ""


Table = dict[str, Known]
"""Entries by the name of the function."""


def plain(names: str, call: str = "") -> Table:
    """Return entries of functions that have the name of their contract, with a common adapter."""
    return {name: Known(name, call) for name in names.split()}


def replace_call(table: Table, call: str) -> Table:
    """Return the same claims with another adapter."""
    return {name: Known(entry.claim, call) for name, entry in table.items()}
