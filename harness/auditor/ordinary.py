"""The results of a step on ordinary inputs, with which a rewritten step is compared.

A step that overflows has no result to compare. Here it runs in float64, and its data is scaled down.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from harness.auditor.end import EngineHook
from harness.calling.discovery import find_attribute
from harness.compat.torch import DisableTorchFunction
from harness.exact.tape import tensors
from harness.execution.plan import Document

SCALES = (2.0**-5, 2.0**-10, 1.0)
"""Largest elements of the data of a step: two small ones, as it may multiply them, and 1, as it may add to them."""

ROUGHLY = 1e-3
"""Relative difference up to which results must agree for the first size: the original step may cancel there."""

SAMPLED = 256
"""Elements of a tensor that are compared."""

AGREES = 1e-9
"""Relative difference in float64 up to which results agree within rounding."""

_FLOATS = {torch.float16, torch.bfloat16, torch.float32}
_WIDE = {torch.Tensor.half: torch.Tensor.double, torch.Tensor.bfloat16: torch.Tensor.double}
_WIDE[torch.Tensor.float] = torch.Tensor.double


class Ordinary(TorchFunctionMode):
    """Computes in float64, and scales tensors that are made from no others, such as data, to a largest element."""

    def __init__(self, largest: float) -> None:
        super().__init__()
        self._largest = largest

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch in float64."""
        wide = {name: _wide(value) for name, value in (kwargs or {}).items()}
        result = _WIDE.get(func, func)(*map(_wide, args), **wide)
        is_new = isinstance(result, Tensor) and not list(tensors([*args, *wide.values()]))
        return self._scale_draws(result) if is_new and result.is_floating_point() else result

    def _scale_draws(self, new: Tensor) -> Tensor:
        new = new.double()
        finite = new.detach()[new.detach().isfinite()].abs()
        largest = float(finite.max()) if finite.numel() else 0.0
        if largest <= self._largest:
            return new
        return (new.detach() * (self._largest / largest)).requires_grad_(new.requires_grad)


def _wide(value: Any) -> Any:
    return torch.float64 if isinstance(value, torch.dtype) and value in _FLOATS else value


@dataclass(frozen=True)
class OrdinaryPlan:
    """A step, run once for each size of its data."""

    target: str

    pays_from: ClassVar[int] = 1
    is_foreign: ClassVar[bool] = True

    def longest_s(self, call_s: float) -> float:
        """Return the maximum duration of a call."""
        return 60.0 + 2.0 * call_s

    def load(self) -> Self:
        """Return the calls: the plan itself, since each of them imports the module again."""
        return self

    def about(self) -> list[Document]:
        """Return a label for each call."""
        return [{"case": self.target} for _ in SCALES]

    def do(self, index: int) -> Document:
        """Call the step, and return its losses, gradients and results."""
        file, _, name = self.target.rpartition(":")
        watching = _Results()
        with use_ordinary_data(SCALES[index]):
            step = find_attribute(file, name)
            try:
                with watching:
                    returned = step()
            except (Exception, SystemExit):  # noqa: BLE001 - a step that raises here cannot be compared
                return {"results": []}
        watching.add("result", tensors(list(returned.values()) if isinstance(returned, dict) else returned))
        return {"results": watching.found}


@contextmanager
def use_ordinary_data(largest: float) -> Iterator[None]:
    """Run the body with ordinary data and a fixed seed."""
    default, state = torch.get_default_dtype(), random.getstate()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng(devices=[]), Ordinary(largest):
            torch.manual_seed(0)
            random.seed(0)
            yield
    finally:
        torch.set_default_dtype(default)
        random.setstate(state)


@dataclass
class _Results(EngineHook):
    """Collects the losses and gradients of the backward passes in the body."""

    found: list[Document] = field(default_factory=list)

    def _backward(self, roots: Any, *args: Any, **kwargs: Any) -> Any:
        leaves = list(_iter_leaves(roots))
        result = self._engine(roots, *args, **kwargs)
        self.add("loss", roots)
        self.add("gradient", [leaf.grad for leaf in leaves if leaf.grad is not None])
        self.add("gradient", tensors(result))
        return result

    def add(self, kind: str, values: Any) -> None:
        """Add samples of tensors."""
        self.found += [{"kind": kind, "values": _sample(value)} for value in values if isinstance(value, Tensor)]


def _iter_leaves(roots: Sequence[Tensor]) -> Iterator[Tensor]:
    """Yield the leaves of a graph, each once."""
    pending, seen = [root.grad_fn for root in roots], set[Any]()
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            yield node.variable
        pending += [below for below, _ in node.next_functions]


def _sample(tensor: Tensor) -> list[str]:
    """Return elements of a tensor and its sum, in hexadecimal."""
    with DisableTorchFunction():
        flat = tensor.detach().double().flatten()
        elements = flat[:: max(1, flat.numel() // SAMPLED)]
        return [value.hex() for value in (*elements.tolist(), float(flat.sum()))]


@dataclass(frozen=True)
class Agreement:
    """The comparison of two versions of a step on ordinary inputs."""

    comparison: Mapping[str, int]
    """Numbers of losses, gradients and results with a finite element."""
    off: float
    """Largest difference, relative to the largest element of the tensor."""

    @property
    def is_close(self) -> bool:
        """Whether they agree within rounding."""
        return bool(self.comparison) and self.off <= AGREES


def compare_versions(before: Sequence[Document], after: Sequence[Document]) -> Agreement:
    """Compare the results of two versions where the first one has finite results."""
    comparisons = [_compare_results(old["results"], new["results"]) for old, new in zip(before, after, strict=True)]
    finite = [(counts, off) for counts, off in comparisons if counts]
    if not finite:
        return Agreement({}, 0.0)
    comparison, best = min(finite, key=lambda pair: (pair[1], -sum(pair[0].values())))
    worst = comparisons[0][1] if comparisons[0][0] else 0.0
    return Agreement(comparison, best if worst <= ROUGHLY else worst)


def _compare_results(old: Sequence[Document], new: Sequence[Document]) -> tuple[dict[str, int], float]:
    """Return the numbers of tensors with a finite element by kind, and the largest relative difference."""
    if [tensor["kind"] for tensor in old] != [tensor["kind"] for tensor in new]:
        return {tensor["kind"]: 1 for tensor in old}, math.inf
    pairs = [
        (before["kind"], _parse_numbers(before), _parse_numbers(after)) for before, after in zip(old, new, strict=True)
    ]
    finite = [pair for pair in pairs if any(map(math.isfinite, pair[1]))]
    largest = max((_find_largest(numbers) for _, numbers, _ in finite), default=0.0)
    counts = {kind: sum(name == kind for name, _, _ in finite) for kind, _, _ in finite}
    return counts, max((_compute_difference(numbers, rest, largest) for _, numbers, rest in finite), default=0.0)


def _parse_numbers(tensor: Document) -> list[float]:
    return [float.fromhex(text) for text in tensor["values"]]


def _find_largest(numbers: Sequence[float]) -> float:
    return max((abs(number) for number in numbers if math.isfinite(number)), default=0.0)


def _compute_difference(old: Sequence[float], new: Sequence[float], largest: float) -> float:
    """Return the largest difference, relative to the largest element; rounding of the largest tensor counts as zero."""
    if len(old) != len(new):
        return math.inf
    size = max(_find_largest(old), 1e-6 * largest) or 1.0
    pairs = [(before, after) for before, after in zip(old, new, strict=True) if math.isfinite(before)]
    return max(
        (abs(before - after) / size if math.isfinite(after) else math.inf for before, after in pairs), default=0.0
    )
