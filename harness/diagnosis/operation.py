"""Operations and their variants: a value as a function of settings, and the settings that people choose by mistake."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from typing import Any

from torch import Tensor

Mark = Callable[[Any, float | None], bool]
"""``mark(node, number)``: whether a node of the source looks like a variant."""


@dataclass(frozen=True)
class Choice:
    """One deviation from a contract."""

    key: str
    computed: str
    """A clause that describes the function; `{c}` stands for a number that the search finds."""
    wanted: str
    """A clause that describes the contract; `{op}` stands for its name."""
    marks: tuple[Mark, ...] = ()
    """Signs of the deviation in the source, the most telling first."""
    declare: str = ""
    """The convention that declares it, if the contract has one."""
    contract: str = ""
    """The options that name the contract under which it is right."""
    numbers: tuple[float, ...] = ()
    """Numbers between which the unknown number is searched; empty if there is none."""
    apply: Callable[..., Any] | None = None
    """The change of the inputs or the output, for the generic slots `before` and `after`."""
    is_plain: bool = True
    """Whether it is also tried together with another deviation."""
    around: Callable[[], AbstractContextManager[Any]] | None = None
    """The context in which the value is computed."""
    cap: Callable[[float], float] | None = None
    """The largest absolute value that the result can have, as a function of the number."""


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

    def number(self, slot: str) -> float:
        """Return the number of the deviation in a slot."""
        return self.numbers[slot]


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
        before, after = setting.choices.get("before"), setting.choices.get("after")
        if before is not None and before.apply is not None:
            inputs = before.apply(*inputs)
        with ExitStack() as stack:
            for choice in setting.choices.values():
                if choice.around is not None:
                    stack.enter_context(choice.around())
            instead = setting.choices.get("instead")
            compute = partial(self.compute, setting) if instead is None or instead.apply is None else instead.apply
            output = compute(*inputs)
        shape = setting.choices.get("shape")
        if shape is not None and shape.apply is not None:
            return shape.apply(output)  # type: ignore[no-any-return]
        if after is None or after.apply is None:
            return output
        if after.numbers:
            return after.apply(output, setting.number("after"))  # type: ignore[no-any-return]
        return after.apply(output, *inputs)  # type: ignore[no-any-return]

    def singles(self) -> list[tuple[tuple[str, Choice], ...]]:
        """Return every single deviation, in the order in which people make them."""
        fixed = [((slot, choice),) for slot, choices in self.slots.items() for choice in choices if not choice.numbers]
        open_ = [((slot, choice),) for slot, choices in self.slots.items() for choice in choices if choice.numbers]
        return [*fixed, *open_]

    def pairs(self) -> list[tuple[tuple[str, Choice], ...]]:
        """Return every pair of deviations in different slots, with at most one unknown number."""
        found = [
            (*one, *other)
            for one, other in combinations(self.singles(), 2)
            if one[0][0] != other[0][0] and one[0][1].is_plain and other[0][1].is_plain
        ]
        unknown = [sum(bool(choice.numbers) for _, choice in pair) for pair in found]
        return [pair for number in (0, 1) for pair, many in zip(found, unknown, strict=True) if many == number]


def along(axis: str, of_rows: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a function of rows along the axis of a deviation; the function keeps the number of columns."""
    if axis == "axis":
        return of_rows(x.transpose(0, -1)).transpose(0, -1)
    if axis == "all":
        return of_rows(x.reshape(1, -1)).reshape(x.shape)
    return of_rows(x)
