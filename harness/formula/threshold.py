"""The thresholds of a formula: numbers at which a node changes character.

A node overflows, underflows, changes sign or is absorbed in a sum, a comparison changes its result, or a term becomes
smaller than the constant that is added to it. Thresholds are found by scanning rays over all binades of the format and
bisecting between neighbors of different character.
"""

from collections.abc import Callable, Collection
from functools import cache
from typing import Any

import numpy as np
import torch

from harness.floats import FORMATS, Array, Format, from_ordinal, portable, to_array, to_ordinal
from harness.formula.arithmetic import values
from harness.formula.grammar import Formula
from harness.formula.node import Node, order


@cache
def thresholds(formula: Formula, format_name: str) -> Array:
    """Return numbers of a format at which a node changes character, along rays on which the other inputs are one."""
    turns_by_input = _turns_of_inputs(formula, format_name, order(formula.definition, formula.form))
    unit = np.ones(1)
    return np.unique(np.concatenate([turns if len(turns) else unit for turns in turns_by_input] or [unit]))


@cache
def switching_points(formula: Formula, conditions: tuple[Node, ...], format_name: str) -> Array:
    """Return numbers of a format at which a condition changes, or the next number, along the rays of thresholds."""
    turns_by_input = _turns_of_inputs(formula, format_name, order(*conditions), conditions)
    return np.unique(np.concatenate([np.zeros(1), *turns_by_input]))


def _turns_of_inputs(
    formula: Formula, format_name: str, nodes: list[Node], subset: Collection[Node] | None = None
) -> list[Array]:
    """Return for each number among the inputs where some nodes change character, inside its domain."""
    turns_by_input = []
    for name, domain in formula.domains.items():
        if domain.kind in {"real", "positive", "range"}:
            rays = (_along(formula, name, shape) for shape in ("spike", "alike"))
            turns = np.concatenate([_turns(nodes, along, FORMATS[format_name], subset) for along in rays])
            turns_by_input.append(turns[(domain.ends[0] <= turns) & (turns <= domain.ends[1])])
    return turns_by_input


def _along(formula: Formula, input_name: str, shape: str) -> Callable[[Array], dict[str, Any]]:
    """Return a ray: one input is the number, in one entry or in all; the others are one."""

    def environment(t: Array) -> dict[str, Any]:
        inputs = {}
        for name, domain in formula.domains.items():
            width = 1 if domain.per_row or not formula.by_rows else 3
            x = np.full((len(t), width), 0.25 if domain.kind in {"unit", "distribution"} else 1.0)
            if domain.kind == "range":
                x[:] = (domain.low + domain.high) / 2.0
            if name == input_name:
                x[:, : width if shape == "alike" else 1] = t[:, None]
            ready: Any = x if domain.is_number else np.full((len(t), width), domain.kind == "mask")
            ready = ready.astype(int) if domain.kind == "index" else ready
            inputs[name] = ready if formula.by_rows else ready[:, 0]
        return inputs

    return environment


def _turns(
    nodes: list[Node], along: Callable[[Array], dict[str, Any]], format_: Format, subset: Collection[Node] | None = None
) -> Array:
    """Bisect between neighbors of different character on a grid of four numbers per binade and sign.

    The character is that of the nodes ``subset``; by default, of all.
    """
    printed = nodes if subset is None else subset

    def characters(t: Array) -> Array:
        return _characters(nodes, printed, along(t), format_)

    powers = np.arange(max(format_.emin, -300), min(format_.emax, 300) + 1)
    steps = portable.exp2(powers)[:, None] * (1.0 + np.arange(4) / 4.0)
    positive = np.unique(steps[steps <= format_.max])
    grid = np.concatenate([-positive[::-1], [0.0], positive])
    ordinals = to_ordinal(torch.from_numpy(grid).to(format_.dtype))
    seen = characters(to_array(from_ordinal(ordinals, format_)))
    places = np.flatnonzero((seen[1:] != seen[:-1]).any(-1))
    if len(places) > _MAX_PLACES:
        places = places[np.linspace(0, len(places) - 1, _MAX_PLACES).astype(int)]
    low, high = ordinals[places], ordinals[places + 1]
    low_characters = seen[places]
    for _ in range(64):
        if not len(low) or (np.abs(high - low) <= 1).all():
            break
        middle = low + (high - low) // 2
        same = (characters(to_array(from_ordinal(middle, format_))) == low_characters).all(-1)
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return to_array(from_ordinal(high, format_)) if len(high) else np.array([1.0])


_MAX_PLACES = 96


def _characters(nodes: list[Node], printed: Collection[Node], environment: dict[str, Any], format_: Format) -> Array:
    """Return the character of some nodes, row by row: sign, range, and whether a sum absorbs a term."""
    results = values(nodes, environment, same_everywhere=True)
    rows = len(next(iter(environment.values())))
    columns = []
    with np.errstate(all="ignore"):
        for node in printed:
            v = results[node]
            if not v.ndim or node.operation == "input":
                continue
            size = np.abs(v)
            kind = np.sign(v) if v.dtype != np.bool_ else v.astype(float)
            kind = kind + 4.0 * (size > format_.max) + 8.0 * (size < format_.tiny) + 16.0 * np.isnan(v)
            if node.operation in {"add", "sub", "larger"}:
                a, b = (np.abs(results[argument]) for argument in node.arguments)
                kind = kind + 32.0 * (a < format_.u * b) + 64.0 * (b < format_.u * a)
                if node.operation == "larger" or any(x.operation == "number" for x in node.arguments):
                    kind = kind + 128.0 * (a < b)
            columns.append(np.nan_to_num(np.broadcast_to(kind, v.shape)).reshape(rows, -1)[:, 0])
    return np.stack(columns, -1) if columns else np.zeros((rows, 1))
