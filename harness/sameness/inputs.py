"""The inputs of functions, trainings and loaders: the examples of a contract, or random numbers of given shapes."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor

from harness.case import Case
from harness.contracts import claimed, contract_named
from harness.error import UsageError, join_names
from harness.floats import FORMATS
from harness.record import SEED
from harness.sameness.side import Side
from harness.verdict.draw import draw_all_examples

EXAMPLES = 4
"""Batches of a contract; of a function, each is followed by its rows in reverse order, so that a stale cache shows."""


def choose_inputs(sides: Sequence[Side], shapes: Sequence[Sequence[int]]) -> str | None:
    """Choose the batches on which functions are called, and return their contract if they need no shapes."""
    name = None if sides[0].is_step or shapes else _find_contract([side.case for side in sides])
    batches = _draw_shapes(shapes) if name is None else _draw_batches(name)
    for side in sides:
        side.form, side.batches = "function" if name is None else contract_named(name).form, batches
    return name


def _find_contract(cases: Sequence[Case]) -> str:
    """Return the one contract to which the names of the functions belong."""
    names = set()
    for case in cases:
        with suppress(UsageError):
            names.add(claimed(case).contract)
    if len(names) != 1:
        rule, value = "the names of the functions must belong to one contract", join_names(sorted(names)) or "none"
        remedy = "pass `--contract NAME`, or a `--shape` for each argument"
        raise UsageError("cannot choose the inputs", rule=rule, value=value, remedy=remedy)
    return names.pop()


def _draw_batches(name: str) -> list[list[Any]]:
    """Return inputs of a contract, as a check draws them in float32; of functions, each also in reverse order."""
    contract = contract_named(name)
    if contract.form == "delivery":
        raise UsageError(f"cannot compare `{name}`", rule="it must be a function of tensors or files")
    law = next((law for law in contract.laws if law.group == "value"), contract.laws[0])
    kinks = [law.inputs for law in contract.laws if law.name == "gradient_at_zero" and law.inputs]
    drawn = [(law.inputs or contract.inputs, EXAMPLES), *((inputs, 1) for inputs in kinks)]
    examples = [x for inputs, n in drawn for x in draw_all_examples(inputs, FORMATS["float32"], examples=n, seed=SEED)]
    batches = [[example[read][0] if contract.grouped else example[read] for read in law.reads] for example in examples]
    if contract.form != "function":
        return batches
    reversed_batches = [[x.flip(0) if isinstance(x, Tensor) and x.ndim else x for x in batch] for batch in batches]
    return [batch for pair in zip(batches, reversed_batches, strict=True) for batch in pair]


def _draw_shapes(shapes: Sequence[Sequence[int]]) -> list[list[Any]]:
    """Return two batches of normal random numbers, which other processors draw with equal bits.

    The second ones are smaller, because large numbers saturate a softmax, for example.
    """
    generator = torch.Generator().manual_seed(SEED)
    draw = partial(torch.randn, generator=generator, dtype=torch.float64)
    return [[(draw(*shape) * scale).float() for shape in shapes] for scale in (1.0, 0.125)]
