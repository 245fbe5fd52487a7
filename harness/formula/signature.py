"""In which order an implementation takes a formula's inputs."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.error import UsageError, did_you_mean, listed
from harness.formula.catalogue import catalogue
from harness.formula.grammar import WORDS, parsed
from harness.formula.spelling import spelling


def in_order_of(function: Callable[..., Any], text: str, *, called: bool = True) -> str:
    """Return a formula's line with all its inputs in the order of an implementation's parameters.

    Parameters
    ----------
    function
        The implementation.
    text
        The line.
    called
        Whether it is called with the inputs as they are, and not through an adapter.

    Raises
    ------
    UsageError
        If the implementation takes another number of inputs.
    """
    spelled = parsed(spelling(text)).spelling
    names = [name for name, _ in spelled.inputs]
    takes = _parameters(function) if called else None
    if takes is None:
        return spelled.text
    needed = [name for name, optional in takes.items() if not optional]
    if set(names) <= takes.keys() and set(needed) <= set(names):
        inputs = dict(spelled.inputs)
        return replace(spelled, inputs=tuple((name, inputs[name]) for name in takes if name in inputs)).text
    if [spelled.definition] == names and names[0] in catalogue():
        raise UsageError(
            f"cannot use `{names[0]}` as a formula: it is the name of a formula in the catalog",
            remedy=f"pass `--contract {names[0]}`",
        )
    if len(needed) == len(names) == 1:
        return spelled.text
    near = next((did_you_mean(name, WORDS) for name in names if name not in takes), None)
    raise UsageError(
        f"the inputs of the formula `{spelled.definition}` do not match the function",
        rule=f"its parameters are {listed(takes)}",
        value=listed(names),
        remedy=near or "use these names, or pass `--call 'lambda f, a, b: f(a, b)'`",
    )


def _parameters(function: Callable[..., Any]) -> dict[str, bool] | None:
    """What a function is called with, and whether it may be left out; ``None`` where that cannot be asked."""
    if isinstance(function, type):
        return None
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(one.kind in {one.VAR_POSITIONAL, one.VAR_KEYWORD} for one in parameters):
        return None
    return {one.name: one.default is not one.empty for one in parameters if one.kind is not one.KEYWORD_ONLY}
