"""The timed call of a case: one call on a standard input, with its gradient if the contract has a law on it.

The inputs follow from the signature of the contract, so that a new contract is timed at once. Trainers, steps and
loaders do not return a tensor; each has a builder.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.calling.adapter import call_case
from harness.case import Case
from harness.contracts import contract_named
from harness.laws.contract import Contract, Form

Workload = Callable[[], Any]
"""A single call; its result stays alive until the clock has been read."""

SIZES: Mapping[str, int] = {"n": 256, "k": 10, "d": 64, "m": 10, "t": 4}
"""Lengths of the axes."""

VECTOR = 1024
"""Length of vectors, if all inputs are vectors."""

SCALARS: Mapping[str, Any] = {"k": 10, "lr": 0.01, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True}
"""Numbers by their name in the signature."""

PIXELS, CLASSES, FEATURES = 784, 10, 2
BATCH, BATCHES, EPOCHS = 256, 4, 5
_INPUT = re.compile(r"(?P<name>\w+)(?:\[(?P<axes>[\w,]*)\])?(?P<bool> bool)?(?:, |$)")


def is_timed(case: Case) -> bool:
    """Whether a case is timed: it claims float32, and its contract has standard inputs or a builder."""
    if "float32" not in case.dtypes:
        return False
    contract = contract_named(case.contract)
    return contract.form in _BUILDERS or (contract.output is not None and standard_inputs(contract) is not None)


def is_operation(case: Case) -> bool:
    """Whether a case is timed by calling it on the standard inputs of its contract."""
    return is_timed(case) and contract_named(case.contract).form not in _BUILDERS


def loads_images(case: Case) -> bool:
    """Whether the timed call is a pass over images."""
    return contract_named(case.contract).form == "loader"


def workload(case: Case, images: Path, sizes: Mapping[str, int] | None = None) -> Workload:
    """Return the call that is timed for a case.

    Loaders read ``images``, a folder; an operation has axes of the given ``sizes``, or of the standard ones.
    """
    builder = _BUILDERS.get(contract_named(case.contract).form)
    return _make_call(case, sizes) if builder is None else builder(case, images)


def _make_call(case: Case, sizes: Mapping[str, int] | None) -> Workload:
    contract = contract_named(case.contract)
    named = standard_inputs(contract, sizes)
    assert named is not None
    inputs = tuple(named.values())
    # Without an adapter, no code of the harness is timed.
    call: Callable[..., Any] = case.function if case.call is None else lambda *inputs: call_case(case, inputs)
    if not any(law.group == "gradient" for law in contract.laws):
        return lambda: call(*inputs)
    leaf = next(x for x in inputs if isinstance(x, Tensor) and x.is_floating_point()).requires_grad_()
    output = call(*inputs)
    if not (isinstance(output, Tensor) and output.requires_grad):
        leaf.requires_grad = False
        return lambda: call(*inputs)
    weights = torch.ones_like(output)
    return lambda: torch.autograd.grad(call(*inputs), leaf, weights, allow_unused=True)


def sizes_of(contract: Contract, rows: int, columns: int) -> dict[str, int]:
    """Return the lengths of the axes for a shape; vectors have as many elements."""
    if _takes_vectors(contract) and not contract.signature.endswith("k]"):
        return {"n": rows * columns}
    return {"n": rows, "k": columns, "d": columns}


def _takes_vectors(contract: Contract) -> bool:
    """Whether the inputs are vectors and numbers only."""
    return all((match["axes"] or "n") == "n" for match in _INPUT.finditer(_list_inputs(contract)))


def _list_inputs(contract: Contract) -> str:
    """Return the inputs in the signature of a contract."""
    return contract.signature.partition("(")[2].partition(") ->")[0]


def standard_inputs(
    contract: Contract, sizes: Mapping[str, int] | None = None, generator: torch.Generator | None = None
) -> dict[str, Any] | None:
    """Return the arguments of a call by name; ``None`` if one is neither a tensor nor a number.

    All values lie between 0.01 and 0.99, which suits logits, targets, variances and, after division by their sum,
    probabilities. The ``sizes`` replace standard lengths of axes. Without a ``generator`` the values are always the
    same.
    """
    inner = _list_inputs(contract)
    arguments = list(_INPUT.finditer(inner))
    if "".join(match.group() for match in arguments) != inner:
        return None
    sizes = {**SIZES, **({"n": VECTOR} if _takes_vectors(contract) else {}), **(sizes or {})}
    generator = generator or torch.Generator().manual_seed(0)
    inputs = {match["name"]: _make_input(match, contract, sizes, generator) for match in arguments}
    return None if any(value is None for value in inputs.values()) else inputs


def _make_input(
    match: re.Match[str], contract: Contract, sizes: Mapping[str, int], generator: torch.Generator
) -> Tensor | Any | None:
    name, axes = match["name"], contract.axes.get(match["name"])
    if match["axes"] is None:
        return sizes.get(name, SCALARS.get(name))
    shape = tuple(sizes.get(axis, 1) for axis in match["axes"].split(",") if axis)
    if match["bool"]:
        return torch.rand(shape, generator=generator) > 0.25
    if axes is not None and axes.index_of is not None:
        return torch.randint(sizes[axes.index_of], shape, generator=generator)
    values = 0.01 + 0.98 * torch.rand(shape, generator=generator)
    return values / values.sum(-1, keepdim=True) if axes is not None and axes.positive else values


def _make_problem(case: Case, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return features, targets and a start: the line of the chapter, or 784 pixels to ten classes."""
    generator = torch.Generator().manual_seed(0)
    if contract_named(case.contract).task == "classification":
        X, y = torch.rand(n, PIXELS, generator=generator), torch.randint(CLASSES, (n,), generator=generator)
        return X, y, torch.zeros(CLASSES, PIXELS), torch.zeros(CLASSES)
    X = torch.randn(n, FEATURES, generator=generator)
    return X, X.sum(1), torch.zeros(1, FEATURES), torch.zeros(1)


def _make_step(case: Case, _images: Path) -> Workload:
    X, y, weight, bias = _make_problem(case, BATCH)
    step, _parameters = case.function(weight, bias, 0.001)
    return lambda: step(X, y)


def _make_training(case: Case, _images: Path) -> Workload:
    X, y, weight, bias = _make_problem(case, BATCH * BATCHES)
    batches = list(torch.arange(len(X)).split(BATCH))
    return lambda: case.function(X, y, batches, 0.001, (weight.clone(), bias.clone()))


def _fit(case: Case, _images: Path) -> Workload:
    X, y, *_ = _make_problem(case, BATCH * BATCHES)
    return lambda: case.function(X, y)


def _make_curves(case: Case, _images: Path) -> Workload:
    generator = torch.Generator().manual_seed(0)
    X, y = torch.rand(BATCH, 64, generator=generator), torch.randint(CLASSES, (BATCH,), generator=generator)
    return lambda: case.function(X, y, X, y, CLASSES, EPOCHS, 0.1)


def _make_epoch(case: Case, images: Path) -> Workload:
    """Return one epoch without workers, so that only the loader itself takes time."""
    batches = case.function(images, False, BATCH, 0, True)  # noqa: FBT003 - the contract's signature
    return lambda: sum(len(labels) for _, labels in batches)


_BUILDERS: Mapping[Form, Callable[[Case, Path], Workload]] = {
    "step": _make_step,
    "training": _make_training,
    "fit": _fit,
    "curves": _make_curves,
    "loader": _make_epoch,
}
"""Workloads by form of contract; other contracts are called on the standard inputs."""
