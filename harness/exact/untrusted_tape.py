"""Read a tape from another process, and check its data before use."""

from typing import Any

import torch
from torch import Tensor

from harness.compat.torch import OpOverload, tree_leaves
from harness.exact.tape import MAX_ELEMENTS, MAX_STEPS, Line, Step, Tape, View

_WORDS = {"floor", "trunc", "none", "tanh", "mean", "sum"}
"""Texts that an operation on numbers takes; others would name files or devices."""


class UnfitTapeError(Exception):
    """The received data is not a tape of operations."""


def read_special(value: Any) -> Any:
    """Decode a view, an operator or a line."""
    match value:
        case ["view", int(storage), list(size), list(stride), int(offset), torch.dtype() as dtype]:
            return View(storage, tuple(size), tuple(stride), offset, dtype)
        case ["operator", str(name), str(overload)]:
            return _find_operator(name, overload)
        case ["line", str(text), int(instruction)]:
            return Line(text, instruction)
    raise ValueError("no part of a tape")


def _find_operator(name: str, overload: str) -> Any:
    """Return a torch operation."""
    namespace, _, operator_name = name.partition("::")
    if namespace not in {"aten", "prims"} or not operator_name.isidentifier() or "file" in operator_name:
        raise ValueError("no operation on numbers")
    return getattr(getattr(getattr(torch.ops, namespace), operator_name), overload or "default")


def read_tape(value: Any) -> Tape:
    """Decode a tape.

    Raises
    ------
    UnfitTapeError
        If the data is not a tape.
    """
    try:
        length = [int(count) for count in value["length"]]
        started = {int(number): x for number, x in value["started"]}
        steps = [Step(s[0], s[1], tuple(s[2]), tuple(s[3]), tuple(s[4]), s[5], s[6], s[7]) for s in value["steps"]]
        tape = Tape(steps, started, length)
        if len(steps) > MAX_STEPS or sum(length) > MAX_ELEMENTS or not all(_fits(s, length) for s in steps):
            raise UnfitTapeError
        if not all(_is_values(x) and x.numel() == length[number] for number, x in started.items()):
            raise UnfitTapeError
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UnfitTapeError from error
    return tape


def _fits(step: Step, length: list[int]) -> bool:
    """Whether a step only has numbers in storages of the tape."""
    leaves = tree_leaves((step.arguments, step.results, step.returned))
    views = [leaf for leaf in leaves if isinstance(leaf, View)]
    return (
        isinstance(step.operator, OpOverload)
        and isinstance(step.arguments[1], dict)
        and all(is_inside(view, length) for view in views)
        and all(map(_is_values, (*step.given, *step.values)))
        and len(step.given) == len(step.inputs)
        and [tuple(x.shape) for x in step.values] == [view.size for view in step.results]
        and all(leaf in _WORDS for leaf in leaves if isinstance(leaf, str))
        and (step.node is None or isinstance(step.node, str))
        and (step.line is None or isinstance(step.line, Line))
    )


def is_inside(view: View, length: list[int]) -> bool:
    """Whether a view lies is_inside a storage of the tape."""
    numbers = (*view.size, *view.stride, view.offset)
    if not (0 <= view.storage < len(length) and all(type(n) is int and 0 <= n < 2**40 for n in numbers)):
        return False
    if len(view.size) != len(view.stride) or not view.dtype.is_floating_point:
        return False
    last = view.offset + sum((n - 1) * step for n, step in zip(view.size, view.stride, strict=True))
    return 0 in view.size or last < length[view.storage]


def _is_values(x: Any) -> bool:
    return isinstance(x, Tensor) and x.dtype is torch.float64
