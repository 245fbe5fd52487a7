"""The search for the variant that a function computes: one deviation, then two, with unknown numbers solved for.

Variants are compared on ordinary inputs: small batches of many shapes, and rows far out that show a cap.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor

from harness.diagnosis.operation import Choice, Example, Operation, Setting
from harness.floats import FORMATS
from harness.laws.contract import Axes, Contract

# Inputs

SHAPES = (
    *((3, 5), (4, 3), (2, 6), (5, 4), (7, 2), (3, 3), (6, 8), (2, 9), (4, 7), (1, 4), (5, 2), (8, 3)),
    *((3, 5), (2, 3), (6, 4), (5, 5), (3, 8), (4, 6), (1, 6), (9, 4), (2, 5), (7, 3), (3, 4), (5, 6)),
)
"""Rows and columns; few batches are square, and few have one row, because these hide mistakes."""

CLEAR = 40.0
"""Logit of the unlikely label in the clearest example; -ln of its probability is as large."""

STEP = 16.0
"""Numbers are multiples of one sixteenth, which all formats have and which are short to read."""

SCALES = (1.0, 2.0, 0.5, 1.5, 3.0)

FAR = (25.0, 14.0, 18.0, 9.0, 21.0)
"""Distances of logits in the rows that show a cap; several, because a clamp and a sum differ near the cap."""

_PROBABILITIES = {"p", "q", "probabilities"}

_INTO: Mapping[str, Callable[[Tensor], Tensor]] = {
    "distribution": lambda x: torch.softmax(x, -1),
    "unit": torch.sigmoid,
    "positive": torch.exp,
}
"""Functions that map numbers to inputs of a formula, by the kind of their domain."""

SQUARE = tuple((n, n) for n in (3, 4, 2, 5, 6, 7, 8))
"""Rows and columns of square batches, in which rows and columns fit to each other."""


def make_examples(
    contract: Contract, *, dtype: torch.dtype, far: bool = False, shapes: Sequence[tuple[int, int]] = SHAPES
) -> list[Example]:
    """Return the examples of a contract, the same ones each time; none if an input has an unknown kind."""
    has_domain = any(axes.domain in _INTO for axes in contract.axes.values())
    numbers = range(len(shapes) if not far else 12 if has_domain else 4)
    made = [_draw_example(contract, number, shapes[number], far=far) for number in numbers]
    return [tuple(_convert(x, dtype) for x in example) for example in made if example is not None]


def _convert(x: Any, dtype: torch.dtype) -> Any:
    return x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x


def _draw_example(contract: Contract, number: int, shape: tuple[int, int], *, far: bool) -> Example | None:
    """Draw the inputs of one call in the order of the signature."""
    generator = torch.Generator().manual_seed(1 + number)
    clear = far and number == 0
    n, k = (1, 2) if clear else shape
    sizes = {"n": n, "k": k, "d": k, "m": 2 + number % 3, "t": 1}
    scale = SCALES[number % len(SCALES)]
    names = _get_names(contract)
    # Inputs of a formula are far out at different places, because a small weight hides its factor.
    starts = {name: number + position for position, name in enumerate(names)} if far else {}
    drawn = {name: _draw_input(contract, name, sizes, scale, generator, far=starts.get(name)) for name in names}
    if any(x is None for x in drawn.values()):
        return None
    return tuple(_make_clear(contract, name, x) if clear else x for name, x in drawn.items())


def _make_clear(contract: Contract, name: str, x: Any) -> Any:
    """Make the inputs of the clearest example: one row in which the label, or the last entry, is very unlikely."""
    if name in {"labels", "targets"}:
        return torch.ones_like(x)
    domain = contract.axes[name].domain if name in contract.axes else ""
    into = _INTO.get("distribution" if name in _PROBABILITIES and not domain else domain)
    if into is None and name not in {"logits", "x"}:
        return x
    is_last = torch.arange(x.numel()).reshape(x.shape) == x.numel() - 1
    logits = torch.where(is_last, torch.tensor(-CLEAR, dtype=x.dtype), torch.zeros_like(x))
    return logits if into is None else into(logits)


def _get_names(contract: Contract) -> Sequence[str]:
    """Return the names of the inputs."""
    return next((law for law in contract.laws if law.group in {"value", "data"}), contract.laws[0]).reads


def _draw_input(
    contract: Contract, name: str, sizes: Mapping[str, int], scale: float, generator: Generator, *, far: int | None
) -> Any:
    """Draw one input by its name and its axes; `far` is the place from which entries are counted to move far out."""
    if name == "lr":
        return 0.1
    if name == "k":
        return sizes["k"]
    axes = contract.axes.get(name)
    if axes is None:
        return None
    names = axes.names[1:] if contract.grouped else axes.names
    if not set(names) <= sizes.keys():
        return None
    shape = [sizes[axis] for axis in names]
    if axes.index_of is not None:
        return torch.randint(sizes[axes.index_of], shape, generator=generator)
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
    if name == "keep":
        kept = drawn > -0.3
        kept[..., 0] = True
        return kept
    value = _convert_to_domain(name, axes, drawn, scale, far=far)
    # The inputs of a formula have their own domains, such as an interval.
    restored = axes.restore(value, FORMATS["float64"]) if axes.restore is not None and far is None else value
    return value if restored is None else restored


def _convert_to_domain(name: str, axes: Axes, drawn: Tensor, scale: float, *, far: int | None) -> Tensor:
    """Make numbers of the kind that the input is to have."""
    if axes.domain in _INTO and (far is not None or axes.domain != "positive"):
        return _INTO[axes.domain](_spread(drawn * scale, far=far is not None, start=far or 0))
    if name in _PROBABILITIES or name == "log_q":
        logs = torch.log_softmax(_spread(drawn * scale, far=far is not None and name != "p"), -1)
        return logs if name == "log_q" else logs.exp()
    if name == "variance":
        return (drawn * 0.5).exp()
    if name == "targets":
        return torch.where(drawn > 0.5, 1.0, torch.where(drawn < -0.5, 0.0, torch.sigmoid(drawn)))
    return (drawn * 0.5).exp() * scale if axes.positive else _spread(drawn * scale, far=far is not None)


def _spread(x: Tensor, *, far: bool, start: int = 0) -> Tensor:
    """Move one entry in three far out."""
    x = (x * STEP).round() / STEP
    if not far:
        return x
    place = start + torch.arange(x.numel()).reshape(x.shape)
    distance = torch.tensor(FAR, dtype=x.dtype)[place % len(FAR)]
    return torch.where(place % 3 == 0, x + torch.where(place % 2 == 0, distance, -distance), x)


def numbers(low: float, high: float, count: int = 31) -> tuple[float, ...]:
    """Return numbers spaced evenly in their logarithm."""
    step = (math.log(high) - math.log(low)) / (count - 1)
    return tuple(math.exp(math.log(low) + step * i) for i in range(count))


# The search

SECONDS = 1.2
"""CPU time for one search, so that a busy machine names the same mistakes."""

TOLERANCES = (1e-9, 1e-6)
"""Relative differences within which values agree that were computed in float64. The second admits float32 constants."""

NARROW = 2e-5
"""The same for values that were computed in float32."""

FINE = (1e-9, 1e-12)
"""The same for rows far out, where an epsilon in a logarithm changes small results very little."""

GUARDS = {"eps", "clamp"}
"""Deviations that keep a number away from zero."""

MOVED = {"eps inside", "eps outside"}
"""Deviations that add the formula's own epsilon at another place."""

PRINTED = 5e-7
"""Relative difference up to which a sentence may print two numbers alike."""

NEUTRAL = 1e-4
"""Numbers this near to 1 are no deviation: as a factor they change nothing that a reader would see."""

BISECTIONS = 80
"""Number of bisections for an unknown number."""

LEAST = 6
"""Fewest examples on which a variant must have a value."""

MAX_ELEMENTS = 2**16
"""Most elements of an answer; ordinary examples have some dozens."""

Deviations = Sequence[tuple[str, Choice]]


@dataclass(frozen=True)
class Diagnosis:
    """A named mistake: the setting under which the operation agrees with the function."""

    setting: Setting
    is_far: bool = False
    """Whether it shows only on rows far out."""
    explains: str = ""
    """The only format whose violations it explains; empty for every format."""

    @property
    def choices(self) -> list[Choice]:
        """The deviations."""
        return list(self.setting.choices.values())


@dataclass(frozen=True)
class Seen:
    """The answers of a function on some examples, and how closely values must agree with them."""

    operation: Operation
    declares: dict[str, Any]
    examples: Sequence[Example]
    answers: Sequence[Tensor]
    tolerance: float
    is_fine: bool = False
    """Whether values agree relative to the largest result of an example; otherwise small differences are ignored."""
    is_far: bool = False
    """Whether the examples are rows far out."""
    code: frozenset[float] = frozenset()
    """The numbers in the code of the function."""

    def setting(self, deviations: Deviations, numbers: dict[str, float] | None = None) -> Setting:
        """Return the setting of some deviations."""
        return Setting(dict(deviations), numbers or {}, self.declares)

    def value(self, setting: Setting, number: int) -> Tensor | None:
        """Return the value of a variant on an example; None if it has none there."""
        try:
            result = self.operation.value(setting, *self.examples[number])
        except (RuntimeError, ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError):
            return None
        return result

    def differences(self, setting: Setting, number: int) -> float | None:
        """Return the largest difference in units of the tolerance; None if the variant has no value there."""
        value, result = self.value(setting, number), self.answers[number]
        if value is None or value.shape != result.shape:
            return math.inf
        value = value.to(torch.float64)
        if not bool(value.isfinite().all()):
            return None
        if not value.numel():
            return None
        return float(((value - result).abs() / self._compute_tolerance(value, result)).max())

    def agrees(self, setting: Setting) -> bool:
        """Whether the variant agrees on all examples on which it has a value."""
        count = 0
        for number in range(len(self.examples)):
            difference = self.differences(setting, number)
            if difference is not None and difference > 1.0:
                return False
            count += difference is not None
        return count >= min(LEAST, len(self.examples))

    @cached_property
    def worst(self) -> tuple[int, int] | None:
        """The example and the element at which the contract's own value differs most, relative to the tolerance."""
        candidates = []
        for number, result in enumerate(self.answers):
            value = self.value(self.setting(()), number)
            if value is not None and value.shape == result.shape and value.numel() and bool(value.isfinite().all()):
                share = ((value - result).abs() / self._compute_tolerance(value, result)).reshape(-1)
                candidates.append((float(share.max()), number, int(share.argmax())))
        return max(candidates)[1:] if candidates else None

    def _compute_tolerance(self, value: Tensor, result: Tensor) -> Tensor:
        """Return the differences within which values agree."""
        least = float(result.abs().max()) if self.is_fine else 1.0
        return self.tolerance * (torch.maximum(value.abs(), result.abs()) + 0.1 * least)

    def differs(self) -> bool:
        """Whether the contract's own value differs on some example."""
        return not self.agrees(self.setting(()))


def diagnose(
    operation: Operation,
    declares: dict[str, Any],
    call: Callable[[Sequence[Example]], Sequence[Tensor]],
    ordinary: Sequence[Example],
    far: Sequence[Example],
    *,
    narrow: bool = False,
    seconds: float = SECONDS,
    code: frozenset[float] = frozenset(),
) -> Diagnosis | None:
    """Return the mistake of a function, or None if no variant agrees with it.

    `call` returns the answers of the function on examples. Rows far out are looked at only if ordinary ones agree
    with the contract.
    """
    deadline = time.thread_time() + seconds
    results = [result.detach().to(torch.float64) for result in call(ordinary)]
    tolerances = (NARROW,) if narrow else TOLERANCES
    for tolerance in tolerances:
        seen = _select_finite(Seen(operation, declares, ordinary, results, tolerance, code=code))
        if seen is None:
            return None
        if not seen.differs():
            break
        if setting := _search(seen, deadline):
            return Diagnosis(setting)
    else:
        return None
    if not far:
        return None
    results = [result.detach().to(torch.float64) for result in call(far)]
    limited = [
        single for single in operation.singles() if single[0][1].numbers and single[0][1].key not in {"factor", "term"}
    ]
    guards = [single for single in operation.singles() if single[0][1].key in GUARDS | MOVED]
    for tolerance in (NARROW,) if narrow else (NARROW, *FINE):
        is_fine = tolerance < NARROW
        seen = Seen(operation, declares, far, results, tolerance, is_fine=is_fine, is_far=True, code=code)
        seen = _select_finite(seen, least=1)
        if seen is None or not seen.differs():
            continue
        setting = _find_single(seen, guards if is_fine else limited, deadline)
        if setting is not None or not is_fine:
            return None if setting is None else Diagnosis(setting, is_far=True)
    return None


def replace_large(results: Sequence[Tensor]) -> list[Tensor]:
    """Replace answers with too many elements to look at, such as views that repeat one element, by NaN."""
    nan = torch.tensor(math.nan, dtype=torch.float64)
    return [result if result.numel() <= MAX_ELEMENTS else nan for result in results]


def _select_finite(seen: Seen, least: int = LEAST) -> Seen | None:
    """Return the observations on the examples with finite answers; None if they are too few."""
    finite = [number for number, result in enumerate(seen.answers) if bool(result.isfinite().all())]
    if len(finite) < min(least, len(seen.examples)):
        return None
    examples, results = [seen.examples[i] for i in finite], [seen.answers[i] for i in finite]
    return replace(seen, examples=examples, answers=results)


def _search(seen: Seen, deadline: float) -> Setting | None:
    """Return the first single deviation that agrees, with numbers of the code before others, else the first pair."""
    return _find_single(seen, seen.operation.singles(), deadline) or _find_first(seen, seen.operation.pairs(), deadline)


def _find_single(seen: Seen, singles: Sequence[Deviations], deadline: float) -> Setting | None:
    return (
        _find_first(seen, [single for single in singles if not single[0][1].numbers], deadline)
        or _find_with_numbers_of_code(seen, singles, deadline)
        or _find_first(seen, [single for single in singles if single[0][1].numbers], deadline)
    )


def _find_with_numbers_of_code(seen: Seen, singles: Iterable[Deviations], deadline: float) -> Setting | None:
    """Return the first deviation that agrees with a number of the code, or its negative, for the unknown one."""
    for ((slot, choice),) in (single for single in singles if single[0][1].numbers):
        least, largest = min(choice.numbers), max(choice.numbers)
        for value in (sign * number for number in sorted(seen.code) for sign in (1.0, -1.0)):
            if time.thread_time() > deadline:
                return None
            setting = seen.setting([(slot, choice)], {slot: value})
            if least <= value <= largest and seen.agrees(setting):
                return setting
    return None


def is_of_code(seen: Seen, choice: Choice, value: float) -> bool:
    """Whether a number follows from a number of the code; a sentence about another one would puzzle."""
    if not seen.code or choice.key not in {"number", "eps"}:
        return True
    forms = (
        form
        for number in map(abs, seen.code)
        # A power beyond the largest number is an error of Python, and a product is infinity.
        for form in (number, 1 - number, *((1 / number, math.sqrt(number), number * number) if number else ()))
    )
    return any(math.isclose(abs(value), abs(form), rel_tol=1e-3) for form in forms)


def _find_first(seen: Seen, variants: Iterable[Deviations], deadline: float) -> Setting | None:
    for deviations in variants:
        if time.thread_time() > deadline:
            return None
        unknown = next((slot for slot, choice in deviations if choice.numbers), None)
        setting = _check_plain(seen, deviations) if unknown is None else _solve(seen, deviations, unknown)
        if setting is not None:
            return setting
    return None


def _check_plain(seen: Seen, deviations: Deviations) -> Setting | None:
    setting = seen.setting(deviations)
    return setting if seen.agrees(setting) else None


def _solve(seen: Seen, deviations: Deviations, slot: str) -> Setting | None:
    """Return the setting with the number under which the variant agrees on all examples."""
    choice = dict(deviations)[slot]
    place = _find_distinguishing_element(seen, deviations, slot, choice)
    if place is None:
        return None
    # A floor may show on few elements only; in float32 and on ordinary rows, these may also show roundings.
    is_clear = seen.is_far or seen.tolerance < NARROW
    worst = seen.worst if is_clear and choice.key in GUARDS and len(deviations) == 1 else None
    settings = (_solve_at(seen, deviations, slot, *element) for element in dict.fromkeys((worst or place, place)))
    return next((setting for setting in settings if setting is not None), None)


def _solve_at(seen: Seen, deviations: Deviations, slot: str, number: int, position: int) -> Setting | None:
    """Return the setting whose number gives an element of an answer, if the variant agrees on all examples."""

    def excess(value: float) -> float:
        result = seen.value(seen.setting(deviations, {slot: value}), number)
        if result is None or result.shape != seen.answers[number].shape:
            return math.nan
        return float(result.reshape(-1)[position]) - float(seen.answers[number].reshape(-1)[position])

    choice = dict(deviations)[slot]
    tried = [(value, excess(value)) for value in choice.numbers]
    for (low, below), (high, above) in pairwise(tried):
        if below == 0.0 or (below < 0.0 < above) or (above < 0.0 < below):
            root = low if below == 0.0 else _bisect(excess, low, high, below)
            for value in [*dict.fromkeys(float(f"{root:.{digits}g}") for digits in (1, 2, 3, 4, 6)), root]:
                if choice.key == "factor" and abs(value - 1.0) < NEUTRAL:
                    continue
                if choice.original is not None and math.isclose(value, choice.original, rel_tol=PRINTED):
                    continue
                setting = seen.setting(deviations, {slot: value})
                if is_of_code(seen, choice, value) and seen.agrees(setting):
                    return setting
    return None


def _find_distinguishing_element(
    seen: Seen, deviations: Deviations, slot: str, choice: Choice
) -> tuple[int, int] | None:
    """Return the example and the element at which the number matters most, of the first few examples."""
    best: tuple[float, tuple[int, int] | None] = (0.0, None)
    middle = choice.numbers[len(choice.numbers) // 2]
    for number in range(min(3, len(seen.examples))):
        high, low = (
            seen.value(seen.setting(deviations, {slot: value}), number) for value in (choice.numbers[-1], middle)
        )
        if high is None or low is None or high.shape != seen.answers[number].shape:
            return None
        change = (high - low).abs().nan_to_num(0.0, 0.0).reshape(-1)
        if change.numel() and float(change.max()) > best[0]:
            best = (float(change.max()), (number, int(change.argmax())))
    return best[1]


def _bisect(excess: Callable[[float], float], low: float, high: float, below: float) -> float:
    for _ in range(BISECTIONS):
        middle = math.sqrt(low * high) if low > 0 else (low + high) / 2
        if not low < middle < high:
            break
        difference = excess(middle)
        if difference == 0.0:
            return middle
        low, high = (middle, high) if (difference < 0) == (below < 0) else (low, middle)
    return low
