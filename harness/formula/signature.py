"""Match a formula's inputs with the parameters of an implementation."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from inspect import Signature
from typing import Any

from harness.error import UsageError, did_you_mean, join_names
from harness.formula.catalogue import CATALOGUE
from harness.formula.grammar import WORDS, parse
from harness.formula.spelling import Spelling, spelling


def order_like_parameters(
    function: Callable[..., Any], text: str, *, adapter: Signature | None = None, named: bool = False
) -> str:
    """Return a formula's line with its inputs in the order of an implementation's parameters.

    ``adapter`` is the signature of the adapter that calls it, without the function. ``named`` tells that this adapter
    passes its inputs on in order, as ``numpy`` and ``jax`` do.

    Raises
    ------
    UsageError
        If the implementation takes another number of inputs.
    """
    spelled = parse(spelling(text)).spelling
    names = [name for name, _ in spelled.inputs]
    is_direct = adapter is None
    takes = _parameters(function) if adapter is None or named else _accepted_parameters(adapter)
    if takes is None:
        return spelled.text
    needed = [name for name, optional in takes.items() if not optional]
    if set(names) <= takes.keys() and (is_direct or named or set(needed) <= set(names)):
        # The call itself reports missing parameters.
        return _order_inputs(spelled, list(takes))
    if not is_direct:
        if named or not set(names) & takes.keys():
            return spelled.text
        raise UsageError(
            f"cannot match the parameters of `--call`, {join_names(takes)}, "
            f"with the formula's inputs, {join_names(names)}",
            remedy=f"use the same names: `--call 'lambda f, {', '.join(names)}: f({', '.join(names)})'`",
        )
    if [spelled.definition] == names and names[0] in CATALOGUE:
        raise UsageError(
            f"cannot use `{names[0]}` as a formula: it is the name of a formula in the catalog",
            remedy=f"pass `--contract {names[0]}`",
        )
    if len(needed) == len(names) == 1:
        return spelled.text
    near = next((did_you_mean(name, WORDS) for name in names if name not in takes), None)
    raise UsageError(
        f"the inputs of the formula `{spelled.definition}` do not match the function",
        rule=f"its parameters are {join_names(takes)}",
        value=join_names(names),
        remedy=near or "use these names, or pass `--call 'lambda f, a, b: f(a, b)'`",
    )


def _order_inputs(spelling: Spelling, takes: list[str]) -> str:
    """Return the line with the inputs in the order of the parameters, which are passed by position."""
    inputs = dict(spelling.inputs)
    order = [name for name in takes if name in inputs]
    if order != takes[: len(order)]:
        skipped = next(name for name in takes if name not in inputs)
        by_name = ", ".join(f"{name}={name}" for name in order)
        raise UsageError(
            f"cannot pass {join_names(order)} by position: the parameter `{skipped}` comes before `{order[-1]}`",
            remedy=f"call the function with `--call 'lambda f, {', '.join(order)}: f({by_name})'`",
        )
    return replace(spelling, inputs=tuple((name, inputs[name]) for name in order)).text


def _parameters(function: Callable[..., Any]) -> dict[str, bool] | None:
    """Return the positional parameters and whether each has a default, or ``None`` if the signature is unknown."""
    if isinstance(function, type) or getattr(function, "is_object", False) is True:
        return None
    try:
        return _accepted_parameters(inspect.signature(function))
    except (TypeError, ValueError):
        return None


def _accepted_parameters(signature: Signature) -> dict[str, bool] | None:
    parameters = signature.parameters.values()
    if any(parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD} for parameter in parameters):
        return None
    return {
        parameter.name: parameter.default is not parameter.empty
        for parameter in parameters
        if parameter.kind is not parameter.KEYWORD_ONLY
    }
