"""The inputs of functions: the examples of a contract, or random numbers of given shapes."""

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
from harness.sameness.side import Batches, Side
from harness.verdict.draw import draw_all_examples

EXAMPLES = 4
"""Batches of a contract; each is followed by its rows in reverse order, so that a stale cache is noticed."""


def choose_inputs(sides: Sequence[Side], shapes: Sequence[Sequence[int]]) -> tuple[str | None, Batches]:
    """Return the contract of functions without shapes, and the batches on which functions are called."""
    name = None if sides[0].is_step or shapes else _find_contract([side.case for side in sides])
    return name, _draw_shapes(shapes) if name is None else _draw_batches(name)


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
    """Return inputs of a contract, as a check draws them in float32, each also in reverse order of rows."""
    contract = contract_named(name)
    law = next((law for law in contract.laws if law.group == "value"), None)
    if law is None or contract.form != "function":
        raise UsageError(f"cannot compare `{name}`", rule="it must be a function of tensors")
    examples = draw_all_examples(law.inputs or contract.inputs, FORMATS["float32"], examples=EXAMPLES, seed=SEED)
    batches = [[example[read][0] if contract.grouped else example[read] for read in law.reads] for example in examples]
    reversed_batches = [[x.flip(0) if isinstance(x, Tensor) and x.ndim else x for x in batch] for batch in batches]
    return [batch for pair in zip(batches, reversed_batches, strict=True) for batch in pair]


def _draw_shapes(shapes: Sequence[Sequence[int]]) -> list[list[Any]]:
    """Return two batches of normal random numbers, which other processors draw with equal bits."""
    generator = torch.Generator().manual_seed(SEED)
    draw = partial(torch.randn, generator=generator, dtype=torch.float64)
    return [[draw(*shape).float() for shape in shapes] for _ in range(2)]
