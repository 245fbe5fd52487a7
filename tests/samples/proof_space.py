"""Small spaces of pairs, and implementations of the softmax, for the tests of proofs."""

import numpy as np
import torch
from torch import Tensor

from harness.case import Case
from harness.contracts import contract_named
from harness.contracts.building_blocks.exponential_sums import softmax_oracle
from harness.floats.format import format_of, round_to
from harness.proof.operation import OPERATIONS
from harness.proof.pairs import Pairs, Space, every_pair
from harness.proof.sweep import Sweep
from harness.proof.tally import Tally


def small(dtype: str, *, first: int = 12, second: int = 64, shards: int = 4, seed: int = 5) -> Space:
    """Return some pairs of ordinary numbers, both zeros, and the largest and smallest numbers."""
    whole = every_pair(format_of(dtype))
    rng = np.random.default_rng(seed)
    ordinary = np.flatnonzero(np.abs(whole.values(whole.first)) < 16.0)
    zero = len(whole.first) // 2
    always = [0, zero - 1, zero, len(whole.first) - 1]

    def some(count: int) -> list[int]:
        return sorted({*always, *rng.choice(ordinary, 2 * count, replace=False).tolist()})

    return Space(whole.format_, whole.first[some(first)[:first]], whole.first[some(second)[:second]], shards)


def task(
    function: object, contract: str, dtype: str, layout: str, space: Space | None = None, *, quantity: str = "value"
) -> Pairs:
    """Return the task to prove a function on a small space that counts as complete."""
    assert callable(function)
    declares = {"reduction": "none"} if contract == "cross_entropy" else {}
    name, target = "foreign.function", "foreign:function"
    case = Case(function, contract, declares=declares, style="foreign", name=name, target=target)
    (operation,) = [known for known in OPERATIONS[contract] if known.quantity == quantity]
    (found,) = [known for known in operation.layouts(function) if known.name == layout]
    return Pairs(case, contract_named(contract), format_of(dtype), found, operation, space or small(dtype))


def tallied(pairs: Pairs) -> Tally:
    """Visit every shard."""
    total = Sweep(pairs).tally(0)
    for shard in range(1, pairs.shards):
        total = total + Sweep(pairs).tally(shard)
    return total


def correctly_rounded(logits: Tensor) -> Tensor:
    """The softmax, rounded once."""
    (format_,) = [format_of(name) for name in ("float16", "bfloat16") if format_of(name).dtype == logits.dtype]
    return round_to(softmax_oracle(logits), format_)


def as_defined(logits: Tensor) -> Tensor:
    """The softmax without a shift."""
    exponentials = logits.exp()
    return exponentials / exponentials.sum(-1, keepdim=True)


def torch_softmax(logits: Tensor) -> Tensor:
    """Torch's softmax."""
    return torch.nn.functional.softmax(logits, dim=-1)
