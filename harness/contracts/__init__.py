"""The contracts: one module for each family of operations; each module is readable alone.

A module here that defines a :class:`~harness.laws.contract.Contract` adds a contract; no registration is needed. Shared
parts are in ``building_blocks``.
"""

import pkgutil
from dataclasses import replace
from functools import cache
from importlib import import_module

from harness.calling.adapter import adapter_signature, passes_inputs_on
from harness.case import Case
from harness.error import UsageError, did_you_mean
from harness.formula.catalogue import catalogue
from harness.formula.contract import contract_of as contract_of_formula
from harness.formula.signature import in_order_of
from harness.formula.spelling import is_formula
from harness.laws import Contract
from harness.laws.claim import contract_of, decisive_parameter


@cache
def contracts() -> dict[str, Contract]:
    """Return every contract by name, in the order of the modules' names and of definition."""
    by_name: dict[str, Contract] = {}
    for module_info in pkgutil.iter_modules(__path__, prefix=f"{__name__}."):
        module = import_module(module_info.name)
        for value in vars(module).values():
            if isinstance(value, Contract):
                by_name.setdefault(value.name, value)
    return by_name


def contract_named(name: str) -> Contract:
    """Return the contract with a name, or the contract of a formula.

    Raises
    ------
    UsageError
        If there is no contract of that name; the message suggests similar names.
    """
    if is_formula(name):
        return contract_of_formula(name)
    if name in catalogue():
        return contract_of_formula(catalogue()[name].spelling.text, name)
    known = contracts()
    if name not in known:
        raise UsageError(
            f"unknown contract `{name}`",
            remedy=did_you_mean(
                name,
                [*known, *catalogue()],
                "see `harness list --contracts` and `harness list --formulas`, or pass a formula",
            ),
        )
    return known[name]


def claimed(case: Case) -> Case:
    """Return a case with its contract, inferred from its name if it declares none.

    A formula's inputs are put into the order of the implementation's parameters.

    Raises
    ------
    UsageError
        If the name matches no contract, or several.
    """
    if is_formula(case.contract):
        adapter, named = adapter_signature(case), passes_inputs_on(case)
        return replace(case, contract=in_order_of(case.function, case.contract, adapter=adapter, named=named))
    if case.contract:
        return case
    name = _own_name(case)
    if name.rpartition(".")[2] in catalogue():
        return replace(case, contract=name.rpartition(".")[2])
    try:
        return replace(case, contract=contract_of(case.function, name, contracts().values()).name)
    except UsageError as error:
        raise _of_a_variant(error, name.rpartition(".")[2]) from None


def _own_name(case: Case) -> str:
    """Return the name of a case without its module and without an enclosing function."""
    return case.target.rpartition(":")[2].rpartition("<locals>.")[2]


def deciding(case: Case) -> str:
    """Return what decided the contract of a case that declared none, as a phrase."""
    parameter = decisive_parameter(case.function, _own_name(case), contracts().values())
    return f"its name and its parameter `{parameter}`" if parameter else "its name"


def _of_a_variant(error: UsageError, name: str) -> UsageError:
    """Name the formula to start from if a name contains the name of a formula, as ``quick_gelu`` does."""
    words = name.lower().split("_")
    near = [entry for entry in catalogue().values() if set(entry.name.split("_")) <= set(words)]
    if not near or "did you mean" in str(error):
        return error
    entry = max(near, key=lambda one: len(one.name))
    remedy = f"if it is a variant of `{entry.name}`, pass its mathematics, such as `--formula '{entry.definition}'`"
    return UsageError(**{**error.parts, "remedy": remedy})  # type: ignore[arg-type]
