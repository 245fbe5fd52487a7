"""The contracts: one module for each family of operations; each module is readable alone.

A module here that defines a :class:`~harness.laws.contract.Contract` adds a contract; no registration is needed. Shared
parts are in ``building_blocks``.

A function claims a contract by its name, which must consist of the words of the contract or of an alias, and of words
without meaning for the operation. ``my_softmax``, ``softmax_v2`` and ``FusedRMSNorm`` claim a contract.
``sigmoid_focal_loss`` and ``softmax_backward`` do not. If a name belongs to several contracts, the names of the
arguments decide.
"""

import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

from harness.calling.adapter import find_adapter_signature, passes_inputs_on
from harness.case import Case
from harness.error import UsageError, did_you_mean, nearest
from harness.formula.catalogue import CATALOGUE
from harness.formula.contract import contract_of as contract_of_formula
from harness.formula.signature import order_like_parameters
from harness.formula.spelling import is_formula
from harness.laws.contract import Contract


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
    if _has_formula(name):
        return contract_of_formula(name)
    if name in CATALOGUE:
        return contract_of_formula(CATALOGUE[name].spelling.text, name)
    all_contracts = contracts()
    if name not in all_contracts:
        otherwise = "see `harness list --contracts` and `harness list --formulas`, or pass a formula"
        raise UsageError(
            f"unknown contract `{name}`", remedy=did_you_mean(name, [*all_contracts, *CATALOGUE], otherwise)
        )
    return all_contracts[name]


def claimed(case: Case) -> Case:
    """Return a case with its contract, inferred from its name if it declares none.

    A formula's inputs are put into the order of the implementation's parameters.

    Raises
    ------
    UsageError
        If the name matches no contract, or several.
    """
    if case.contract:
        if not _has_formula(case.contract):
            return case
        adapter, named = find_adapter_signature(case), passes_inputs_on(case)
        return replace(case, contract=order_like_parameters(case.function, case.contract, adapter=adapter, named=named))
    name = _own_name(case)
    last = name.rpartition(".")[2]
    if last in CATALOGUE:
        return replace(case, contract=last)
    try:
        return replace(case, contract=contract_of(case.function, name, contracts().values()).name)
    except UsageError as error:
        raise _of_a_variant(error, last) from None


def _has_formula(contract: str) -> bool:
    """Whether a contract's name is a formula; other names have no colon."""
    return ":" in contract and is_formula(contract)


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
    near = [entry for entry in CATALOGUE.values() if set(entry.name.split("_")) <= set(words)]
    if not near or "did you mean" in str(error):
        return error
    entry = max(near, key=lambda candidate: len(candidate.name))
    remedy = f"if it is a variant of `{entry.name}`, pass its mathematics, such as `--formula '{entry.definition}'`"
    return UsageError(**{**error.parts, "remedy": remedy})  # type: ignore[arg-type]


# Claims

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")

SAY_NOTHING = frozenset({
    "a", "the", "my", "our", "own", "new", "old", "final", "v", "version", "test", "plain", "simple", "basic",
    "naive", "stable", "safe", "robust", "exact", "correct", "good", "bad", "broken", "wrong", "shifted", "fast",
    "slow", "faster", "quick", "optimized", "optimised", "fused", "online", "chunked", "blockwise", "rowwise",
    "batched", "vectorized", "vectorised", "custom", "manual", "manually", "scratch", "concise", "ref",
    "reference", "baseline", "torch", "pytorch", "jax", "jnp", "numpy", "np", "flax", "optax", "xla", "triton",
    "cuda", "cpu", "gpu", "llama", "liger", "eager", "compiled", "jit", "jitted", "scripted", "vmapped", "fn",
    "func", "function", "op", "kernel", "impl", "implementation", "layer", "module", "loss", "forward", "fwd",
    "mean", "sum", "elementwise", "batch", "fp", "bf", "f", "float", "half", "double",
})  # fmt: skip
"""Words that say how, by whom or for what, and not which operation."""

ALSO_CALLED = {
    "logits": {"input", "x", "X", "scores", "outputs"},
    "probabilities": {"y_hat", "probs", "probability", "p"},
    "log_q": {"input", "log_probs", "log_input"},
}
"""Other usual names of the arguments of contracts; ``y_hat`` is a softmax's name in the book."""


def contract_of(function: Callable[..., Any], name: str, contracts: Iterable[Contract]) -> Contract:
    """Return the contract that a function claims by its name.

    Raises :class:`UsageError` if the name fits no contract, or several; the message names similar contracts.
    """
    candidates = list(contracts)
    for part in reversed(name.split(".")):
        claimed = _claimed(part, candidates)
        if len(claimed) > 1:
            claimed = _by_arguments(function, claimed)
        if len(claimed) > 1:
            name_key = "".join(_words(part))
            claimed = [contract for contract in claimed if _names(contract)[0] == name_key] or claimed
        if len(claimed) == 1:
            return claimed[0]
        if claimed:
            raise _unclear(name, [contract.name for contract in claimed])
    raise _unclear(name, _near(name.rpartition(".")[2], candidates))


def decisive_parameter(function: Callable[..., Any], name: str, contracts: Iterable[Contract]) -> str:
    """Return the first parameter of a function if the contract depends on it, since several have the name; else ''."""
    candidates = list(contracts)
    claimed = next(filter(None, (_claimed(part, candidates) for part in reversed(name.split(".")))), [])
    if len(claimed) < 2 or len(_by_arguments(function, claimed)) == len(claimed):
        return ""
    return next(iter(inspect.signature(function).parameters), "")


def _words(name: str) -> list[str]:
    """Return the words of a name in snake or camel case."""
    return [word.lower() for word in _WORD.findall(name)]


def _names(contract: Contract) -> list[str]:
    """Return the names of a contract as keys: lower case, without separators."""
    return ["".join(_words(name)) for name in (contract.name, *contract.aliases)]


def _claimed(name: str, contracts: Sequence[Contract]) -> list[Contract]:
    """Return the contracts that match the longest part of a name, if its other words have no meaning."""
    words = _words(name)
    for length in range(len(words), 0, -1):
        for start in range(len(words) - length + 1):
            rest = words[:start] + words[start + length :]
            key = "".join(words[start : start + length])
            matches = [contract for contract in contracts if key in _names(contract)]
            if matches and all(word in SAY_NOTHING or word.isdecimal() for word in rest):
                return matches
    return []


def _by_arguments(function: Callable[..., Any], contracts: Sequence[Contract]) -> list[Contract]:
    """Return the contracts whose first argument is the function's; all of them if there is none."""
    try:
        first = next(iter(inspect.signature(function).parameters), "")
    except (TypeError, ValueError):
        return list(contracts)
    arguments = {contract.name: next(iter(contract.axes), "") for contract in contracts}
    fitting = [c for c in contracts if first in {arguments[c.name], *ALSO_CALLED.get(arguments[c.name], ())}]
    return fitting or list(contracts)


def _near(name: str, contracts: Sequence[Contract]) -> list[str]:
    """Return the contracts whose names are part of a name, or else are spelled similarly."""
    key = "".join(_words(name))
    keys = [(name_key, contract.name) for contract in contracts for name_key in _names(contract) if len(name_key) > 3]
    parts = [(len(name_key), contract_name) for name_key, contract_name in keys if name_key in key]
    longest = max(parts, default=(0, ""))[0]
    near = [contract_name for length, contract_name in parts if length == longest]
    return near or nearest(name, [contract.name for contract in contracts])


def _unclear(name: str, near: Sequence[str]) -> UsageError:
    options = " or ".join(f"`--contract {contract}`" for contract in dict.fromkeys(near))
    otherwise = "pass `--contract NAME` (see `harness list --contracts`) or a `--formula`"
    remedy = f"did you mean {options}?" if options else otherwise
    return UsageError(f"cannot infer the contract of `{name}` from its name", remedy=remedy)
