"""Deviations of the gradient where the value is right: the result, or a part of it, is detached from the input."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, combinations
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from harness.calling import bound
from harness.diagnosis import marks
from harness.diagnosis.operation import Choice, Operation, Setting
from harness.diagnosis.ordinary import Example
from harness.laws.case_error import CaseError
from harness.record import Fault

TOLERANCE = 1e-6
"""Relative difference within which gradients agree."""

EXAMPLES = 4
"""Examples on which gradients are compared."""

MOST = 16
"""Operations of a value that are tried as detached."""

ALL = Choice(
    "detached",
    "the value is right, but it is detached from the input and has no gradient",
    "leave out what detaches it: `detach`, `item`, `data`, `numpy`, `torch.tensor` or `no_grad`",
    (marks.detaches,),
)


class _Detaching(TorchFunctionMode):
    """Detach the results of some operations, by their numbers, and count them."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        super().__init__()
        self._numbers, self.seen = set(numbers), 0

    def __torch_function__(
        self, function: Callable[..., Any], _: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        """Call a function, and detach its result if its number is among those."""
        output = function(*arguments, **(keywords or {}))
        if not isinstance(output, Tensor) or not output.requires_grad:
            return output
        self.seen += 1
        return output.detach() if self.seen - 1 in self._numbers else output


Gradients = Callable[[Example], Tensor]
"""Returns the gradient of a function by its first tensor of numbers."""


def detached(
    operation: Operation, declares: dict[str, Any], gradient: Gradients, examples: Sequence[Example]
) -> Setting | None:
    """Return the part of the value that is detached; None if none is, or if it is not known.

    The caller makes sure that the values are right.
    """
    chosen = [one for one in examples if any(_is_differentiable(x) for x in one)][:EXAMPLES]
    try:
        actual = [gradient(one) for one in chosen]
    except CaseError as error:
        return Setting({"gradient": ALL}, {}, declares) if error.fault is Fault.NO_GRADIENT else None
    exact = [_of_value(operation, Setting({}, {}, declares), one) for one in chosen]
    if not chosen or all(map(_agree, actual, exact)):
        return None
    if all(not bool(one.any()) for one in actual):
        return Setting({"gradient": ALL}, {}, declares)
    for choice in _parts(operation, declares, chosen[0]):
        setting = Setting({"gradient": choice}, {}, declares)
        if all(_agree(own, _of_value(operation, setting, one)) for own, one in zip(actual, chosen, strict=True)):
            return setting
    return None


def _parts(operation: Operation, declares: dict[str, Any], example: Example) -> Iterable[Choice]:
    """Yield the deviations in which one operation of the value is detached, then two."""
    arguments = _leaves(example)
    with torch.enable_grad(), _Detaching() as seen:
        operation.value(Setting({}, {}, declares), *arguments)
    # The last operation is the value itself.
    numbers = range(min(seen.seen - 1, MOST))
    for chosen in chain(combinations(numbers, 1), combinations(numbers, 2)):
        yield _part(chosen)


def _part(numbers: tuple[int, ...]) -> Choice:
    return Choice(
        "part detached",
        "the value is right, but a part of it is detached, so its share of the gradient is missing",
        "{op} differentiates every part: leave out `detach`, `item`, `data` or `no_grad`",
        (marks.detaches,),
        around=lambda: _Detaching(numbers),
    )


def _is_differentiable(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


def _leaves(example: Example) -> tuple[Any, ...]:
    """Return the arguments; the first tensor of numbers is a leaf with a gradient."""
    at = next(number for number, x in enumerate(example) if _is_differentiable(x))
    return tuple(x.detach().clone().requires_grad_() if number == at else x for number, x in enumerate(example))


def _of_value(operation: Operation, setting: Setting, example: Example) -> Tensor:
    """Return the gradient of a variant by the first tensor of numbers."""
    arguments = _leaves(example)
    leaf = next(x for x in arguments if isinstance(x, Tensor) and x.requires_grad)
    with torch.enable_grad():
        output = operation.value(setting, *arguments)
        if not output.requires_grad:
            return torch.zeros_like(leaf)
        (found,) = bound.grad([output], [leaf], [weights(output)])
    return torch.zeros_like(leaf) if found is None else found


def weights(output: Tensor) -> Tensor:
    """Return the weights of the outputs, all different, because a sum of all would hide a gradient of zero."""
    return torch.linspace(0.5, 1.5, output.numel(), dtype=output.dtype).reshape(output.shape)


def _agree(actual: Tensor, exact: Tensor) -> bool:
    actual, exact = actual.double(), exact.double()
    if actual.shape != exact.shape or not bool(exact.isfinite().all()):
        return False
    return bool(((actual - exact).abs() <= TOLERANCE * (1.0 + exact.abs())).all())
