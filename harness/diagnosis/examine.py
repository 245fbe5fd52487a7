"""The examination of a case: its answers on ordinary inputs, and the mistake that they show.

The ordinary values of a wrong function may be right under another contract.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, combinations
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from harness.calling import bound
from harness.calling.adapter import NotApplicable
from harness.case import Case
from harness.contracts import contracts
from harness.diagnosis import marks
from harness.diagnosis.operation import Choice, Operation, Setting
from harness.diagnosis.search import (
    LEAST,
    NARROW,
    SQUARE,
    TOLERANCES,
    Diagnosis,
    Example,
    Seen,
    diagnose,
    examples,
    small,
)
from harness.diagnosis.table import DROPPED, OPERATIONS, operation_of
from harness.floats import FORMATS, Format
from harness.laws.case_error import CaseError
from harness.laws.contract import Contract
from harness.laws.subject import Subject
from harness.record import Fault


def examined(case: Case, contract: Contract, device: str) -> Diagnosis | None:
    """Return the mistake of a case that one of the known variants explains; None if there is none.

    Ordinary examples are computed in float64. Answers that have float32 accuracy only, or a case that does not accept
    float64, are compared with the tolerance of float32. The shapes of the answers are free.
    """
    operation = operation_of(contract)
    if operation is None:
        return None
    for name in ("float64", "float32"):
        if name in contract.dtypes and name in case.dtypes:
            with contextlib.suppress(CaseError, NotApplicable):
                found = _Examination(operation, case, contract, FORMATS[name], device).found()
                if found is not None or name == "float64":
                    return found
    return None


class _Examination:
    """The search for the mistake of a case in one format."""

    def __init__(self, operation: Operation, case: Case, contract: Contract, format_: Format, device: str) -> None:
        self._operation, self._contract, self._format = operation, contract, format_
        self._declares = dict(Subject(case, contract, format_, device=device).declares)
        free = {name: values for name, values in contract.conventions.items() if name != "reduction"}
        declares = {name: value for name, value in case.declares.items() if name != "reduction"}
        self._subject = Subject(
            replace(case, declares=declares), replace(contract, output=None, conventions=free), format_, device=device
        )

    def found(self) -> Diagnosis | None:
        """Return the mistake; None if there is none.

        Raises
        ------
        CaseError, NotApplicable
            If it answers ordinary examples not even where batches are square.
        """
        ordinary, far = (examples(self._contract, dtype=self._format.dtype, far=far) for far in (False, True))
        if not ordinary:
            return None
        try:
            first = self._call(ordinary[:4])
        except CaseError:
            return self._of_square_batches()
        is_narrow = self._format.name != "float64"
        found = diagnose(self._operation, self._declares, self._call, ordinary, far, narrow=is_narrow)
        if found is None and not is_narrow and _is_narrow(first):
            found = diagnose(self._operation, self._declares, self._call, ordinary, (), narrow=True)
        return found or self._detached(ordinary)

    def _call(self, given: Sequence[Example]) -> Sequence[Tensor]:
        """Call the case on examples, each with its own copies."""
        copies = [tuple(x.clone() if isinstance(x, Tensor) else x for x in one) for one in given]
        return small(self._subject.each(copies))

    def _of_square_batches(self) -> Diagnosis | None:
        """Return the missing `keepdim` of a case that raises unless a batch is square."""
        square = examples(self._contract, dtype=self._format.dtype, shapes=SQUARE)
        operation = replace(self._operation, slots={"shape": DROPPED})
        return diagnose(operation, self._declares, self._call, square, (), narrow=self._format.name != "float64")

    def _detached(self, ordinary: Sequence[Example]) -> Diagnosis | None:
        """Return the part that is detached from the input, if the values are right and have a gradient."""
        if all(law.group != "gradient" for law in self._contract.laws):
            return None
        results = [result.detach().to(torch.float64) for result in self._call(ordinary[:LEAST])]
        tolerance = TOLERANCES[0] if self._format.name == "float64" else NARROW
        seen = Seen(self._operation, self._declares, ordinary[:LEAST], results, tolerance)
        if seen.differs():
            return None
        setting = detached(self._operation, self._declares, self._gradient, ordinary)
        return None if setting is None else Diagnosis(setting)

    def _gradient(self, example: Example) -> Tensor:
        """Return the gradient of the case by its first tensor of numbers."""
        at = next(number for number, x in enumerate(example) if isinstance(x, Tensor) and x.is_floating_point())
        grouped = self._contract.grouped
        given = tuple(x[None] if grouped and isinstance(x, Tensor) else x for x in example)
        output = self._operation.value(Setting({}, {}, self._declares), *example)
        found = self._subject.gradient(given, weights(output)[None] if grouped else weights(output), of=at)
        return found[0] if grouped else found


def _is_narrow(results: Sequence[Tensor]) -> bool:
    """Whether all answers are float32 numbers."""
    return all(bool((y.float().double() == y.double()).all()) for y in results)


def imitations(contract: Contract, setting: Setting, format_: Format) -> list[Callable[..., Tensor]]:
    """Return the variant as implementations: computed in float64, and in the format if it does not overflow there."""
    operation = operation_of(contract)
    assert operation is not None, "only contracts with known variants are diagnosed"
    exact = _imitation(operation, setting, torch.float64, format_)
    return [exact, _imitation(operation, setting, format_.dtype, format_)] if operation.is_stable else [exact]


def _imitation(operation: Operation, setting: Setting, work: torch.dtype, format_: Format) -> Callable[..., Tensor]:
    """Return the variant computed in one format and rounded to another."""

    def function(*inputs: Any) -> Tensor:
        wide = [x.to(work) if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs]
        return operation.value(setting, *wide).to(format_.dtype)

    return function


# Other contracts under which the ordinary values are right

VALUE_EXAMPLES = 8
"""Examples on which the values are compared."""


def rival(case: Case, contract: Contract, device: str) -> Diagnosis | None:
    """Return that a case computes another operation with inputs of the same kinds; None if it does not."""
    expected = OPERATIONS.get(contract.name)
    if expected is not None and _is_right(case, contract, expected, {}, device):
        return None
    for other in contracts().values():
        operation = OPERATIONS.get(other.name)
        if operation is None or other.name == contract.name or _kinds(other) != _kinds(contract):
            continue
        for declares in _conventions(other):
            if _is_right(case, other, operation, declares, device):
                return Diagnosis(Setting({"instead": _choice(other, operation, declares)}, {}, {}))
    return None


def _kinds(contract: Contract) -> list[tuple[bool, int]]:
    """Return whether each input is an index, and its number of axes."""
    grouped = contract.grouped
    return [(axes.index_of is not None, len(axes.names) - grouped) for axes in contract.axes.values()]


def _conventions(contract: Contract) -> Iterator[dict[str, Any]]:
    """Yield the default conventions, then those with another reduction."""
    yield {}
    for reduction in contract.conventions.get("reduction", ())[1:]:
        yield {"reduction": reduction}


def _is_right(case: Case, contract: Contract, operation: Operation, declares: Mapping[str, Any], device: str) -> bool:
    """Whether the values of a case agree with a contract on ordinary examples."""
    conventions = {name: value for name, value in case.declares.items() if name in contract.conventions}
    tried = replace(case, contract=contract.name, declares={**conventions, **declares}, breaks={})
    formats = [FORMATS[name] for name in ("float64", "float32") if name in contract.dtypes and name in case.dtypes]
    with contextlib.suppress(CaseError, NotApplicable):
        return bool(formats) and _agrees(Subject(tried, contract, formats[0], device=device), operation, formats[0])
    return False


def _agrees(subject: Subject, operation: Operation, format_: Format) -> bool:
    given = examples(subject.contract, dtype=format_.dtype)[:VALUE_EXAMPLES]
    results = [result.detach().to(torch.float64) for result in small(subject.each(given))]
    is_narrow = all(bool((y.float().double() == y).all()) for y in results)
    seen = Seen(operation, dict(subject.declares), given, results, NARROW if is_narrow else TOLERANCES[0])
    return bool(given) and not seen.differs()


def _choice(contract: Contract, operation: Operation, declares: Mapping[str, Any]) -> Choice:
    setting = Setting({}, {}, {**contract.defaults, **declares})
    conventions = "".join(f" --declare {name}={value}" for name, value in declares.items())

    def value(*inputs: Any) -> Tensor:
        return operation.compute(setting, *inputs)

    return Choice(
        contract.name,
        f"{contract.name} is computed",
        "{op} is another operation",
        apply=value,
        contract=f"--contract {contract.name}{conventions}",
    )


# Gradients where the values are right: the result, or a part of it, is detached from the input

TOLERANCE = 1e-6
"""Relative difference within which gradients agree."""

GRADIENT_EXAMPLES = 4
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
    chosen = [one for one in examples if any(_is_differentiable(x) for x in one)][:GRADIENT_EXAMPLES]
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
        if all(
            _agree(actual_gradient, _of_value(operation, setting, one))
            for actual_gradient, one in zip(actual, chosen, strict=True)
        ):
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
