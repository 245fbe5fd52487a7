"""Operations and their variants: a value as a function of settings, and the settings that people choose by mistake.

A variant with the right values may have a wrong gradient: its result, or a part of it, is detached from the input.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, combinations
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from harness.calling.modes import grad
from harness.diagnosis.marks import Mark, detaches
from harness.laws.case_error import CaseError
from harness.record import Fault

Example = tuple[Any, ...]
"""The arguments of one call."""


@dataclass(frozen=True)
class Choice:
    """One deviation from a contract."""

    key: str
    sentence: str
    """The computed value; the required value. `{c}` stands for the number, `{op}` for the contract's name."""
    apply: Callable[..., Any] | None = None
    """The function that replaces the one in the slot. It receives the number as `c`."""
    marks: tuple[Mark, ...] = ()
    """Signs of the deviation in the source, the most telling first."""
    declare: str = ""
    """The convention that declares it, if the contract has one."""
    contract: str = ""
    """The options that name the contract under which it is right."""
    numbers: tuple[float, ...] = ()
    """Numbers between which the unknown number is searched; empty if there is none."""
    original: float | None = None
    """The number of the formula in whose place the unknown number is."""
    is_plain: bool = True
    """Whether it is also tried together with another deviation."""
    around: Callable[[], AbstractContextManager[Any]] | None = None
    """The context in which the value is computed."""
    cap: Callable[[float], float] | None = None
    """The largest absolute value that the result can have, as a function of the number."""

    @property
    def computation(self) -> str:
        """The clause that describes the function."""
        return self.sentence.partition("; ")[0]

    @property
    def requirement(self) -> str:
        """The clause that describes the contract."""
        return self.sentence.partition("; ")[2]


def mistake(key: str, sentence: str, apply: Callable[..., Any] | None = None, *marks: Mark, **fields: Any) -> Choice:
    """Return a deviation: one line of a table."""
    return Choice(key, sentence, apply, marks, **fields)


@dataclass(frozen=True)
class Setting:
    """The deviations of a variant by slot, their numbers, and the conventions that the case declares."""

    choices: Mapping[str, Choice] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    declares: Mapping[str, Any] = field(default_factory=dict)

    def key(self, slot: str) -> str:
        """Return the deviation in a slot; empty if there is none."""
        choice = self.choices.get(slot)
        return "" if choice is None else choice.key

    def replacing(self) -> str:
        """Return the slot of the deviation that replaces the usual function; empty if there is none."""
        return next((slot for slot in ("form", "eps", "fill") if slot in self.choices), "")

    def call(self, slot: str, usual: Callable[..., Any], *arguments: Any) -> Any:
        """Call the function of a slot: the usual one, or that of the deviation."""
        choice = self.choices.get(slot)
        if choice is None or choice.apply is None:
            return usual(*arguments)
        return choice.apply(*arguments, **({"c": self.numbers[slot]} if choice.numbers else {}))

    def change(self, slot: str, value: Any, *inputs: Any) -> Any:
        """Return a value as the deviation in a slot changes it."""
        return self.call(slot, lambda value, *_: value, value, *inputs)


@dataclass(frozen=True)
class Operation:
    """The value of a contract for one call, under a setting."""

    compute: Callable[..., Tensor]
    """``compute(setting, *inputs)``; the contract's own value if the setting has no deviation."""
    slots: Mapping[str, tuple[Choice, ...]]
    is_stable: bool = False
    """Whether the value is also computed without overflow in the format of a check, whatever the setting."""

    def value(self, setting: Setting, *inputs: Any) -> Tensor:
        """Return the value under a setting, with the generic changes of inputs and output."""
        with ExitStack() as stack:
            for choice in setting.choices.values():
                if choice.around is not None:
                    stack.enter_context(choice.around())
            for slot in ("before", "scale"):
                inputs = setting.call(slot, lambda *inputs: inputs, *inputs)
            output = setting.call("instead", partial(self.compute, setting), *inputs)
        return setting.change("shape", setting.change("after", output, *inputs))  # type: ignore[no-any-return]

    def singles(self) -> list[tuple[tuple[str, Choice], ...]]:
        """Return every single deviation, in the order in which people make them."""
        fixed = [((slot, choice),) for slot, choices in self.slots.items() for choice in choices if not choice.numbers]
        open_ = [((slot, choice),) for slot, choices in self.slots.items() for choice in choices if choice.numbers]
        return [*fixed, *open_]

    def pairs(self) -> list[tuple[tuple[str, Choice], ...]]:
        """Return every pair of deviations in different slots, with at most one unknown number."""
        candidates = [
            (*first, *second)
            for first, second in combinations(self.singles(), 2)
            if first[0][0] != second[0][0] and first[0][1].is_plain and second[0][1].is_plain
        ]
        unknown = [sum(bool(choice.numbers) for _, choice in pair) for pair in candidates]
        return [pair for number in (0, 1) for pair, count in zip(candidates, unknown, strict=True) if count == number]


def vary(usual: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the computation of a function of rows whose result a deviation replaces; an axis takes other rows."""

    def compute(s: Setting, *inputs: Any) -> Tensor:
        return apply_by_rows(s, lambda *rows: s.change(s.replacing(), usual(*rows), *rows), *inputs)

    return compute


def apply_by_rows(s: Setting, of_rows: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """Apply a function of rows along the axis of a deviation."""
    return s.call("axis", lambda of_rows, *inputs: of_rows(*inputs), of_rows, *inputs)  # type: ignore[no-any-return]


# Gradients where the values are right: the result, or a part of it, is detached from the input

TOLERANCE = 1e-6
"""Relative difference within which gradients agree."""

GRADIENT_EXAMPLES = 4
"""Examples on which gradients are compared."""

MOST = 16
"""Operations of a value that are tried as detached."""

ALL = Choice(
    "detached",
    "the value is right, but it is detached from the input and has no gradient; "
    "leave out what detaches it: `detach`, `item`, `data`, `numpy`, `torch.tensor` or `no_grad`",
    marks=(detaches,),
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


def find_detached_part(
    operation: Operation, declares: dict[str, Any], gradient: Gradients, examples: Sequence[Example]
) -> Setting | None:
    """Return the part of the value that is detached; None if none is, or if it is not known.

    The caller makes sure that the values are right.
    """
    chosen = [example for example in examples if any(_is_differentiable(x) for x in example)][:GRADIENT_EXAMPLES]
    try:
        actual = [gradient(example) for example in chosen]
    except CaseError as error:
        return Setting({"gradient": ALL}, {}, declares) if error.fault is Fault.NO_GRADIENT else None
    exact = [_compute_gradient(operation, Setting({}, {}, declares), example) for example in chosen]
    if not chosen or all(map(_agree, actual, exact)):
        return None
    if all(not bool(value.any()) for value in actual):
        return Setting({"gradient": ALL}, {}, declares)
    for choice in _iter_parts(operation, declares, chosen[0]):
        setting = Setting({"gradient": choice}, {}, declares)
        if all(
            _agree(actual_gradient, _compute_gradient(operation, setting, example))
            for actual_gradient, example in zip(actual, chosen, strict=True)
        ):
            return setting
    return None


def _iter_parts(operation: Operation, declares: dict[str, Any], example: Example) -> Iterable[Choice]:
    """Yield the deviations in which one operation of the value is detached, then two."""
    arguments = _make_leaves(example)
    with torch.enable_grad(), _Detaching() as seen:
        operation.value(Setting({}, {}, declares), *arguments)
    # The last operation is the value itself.
    numbers = range(min(seen.seen - 1, MOST))
    for chosen in chain(combinations(numbers, 1), combinations(numbers, 2)):
        yield _make_part(chosen)


def _make_part(numbers: tuple[int, ...]) -> Choice:
    return Choice(
        "part detached",
        "the value is right, but a part of it is detached, so its share of the gradient is missing; "
        "{op} differentiates every part: leave out `detach`, `item`, `data` or `no_grad`",
        marks=(detaches,),
        around=lambda: _Detaching(numbers),
    )


def _is_differentiable(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


def _make_leaves(example: Example) -> tuple[Any, ...]:
    """Return the arguments; the first tensor of numbers is a leaf with a gradient."""
    position = next(number for number, x in enumerate(example) if _is_differentiable(x))
    return tuple(x.detach().clone().requires_grad_() if number == position else x for number, x in enumerate(example))


def _compute_gradient(operation: Operation, setting: Setting, example: Example) -> Tensor:
    """Return the gradient of a variant by the first tensor of numbers."""
    arguments = _make_leaves(example)
    leaf = next(x for x in arguments if isinstance(x, Tensor) and x.requires_grad)
    with torch.enable_grad():
        output = operation.value(setting, *arguments)
        if not output.requires_grad:
            return torch.zeros_like(leaf)
        (gradient,) = grad([output], [leaf], [weights(output)])
    return torch.zeros_like(leaf) if gradient is None else gradient


def weights(output: Tensor) -> Tensor:
    """Return the weights of the outputs, all different, because a sum of all would hide a gradient of zero."""
    return torch.linspace(0.5, 1.5, output.numel(), dtype=output.dtype).reshape(output.shape)


def _agree(actual: Tensor, exact: Tensor) -> bool:
    actual, exact = actual.double(), exact.double()
    if actual.shape != exact.shape or not bool(exact.isfinite().all()):
        return False
    return bool(((actual - exact).abs() <= TOLERANCE * (1.0 + exact.abs())).all())
