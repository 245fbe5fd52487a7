"""The examination of a case: its answers on ordinary inputs, and the mistake that they show.

The ordinary values of a wrong function may be right under another contract.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from harness.calling.adapter import NotApplicable
from harness.case import Case
from harness.contracts import contracts
from harness.diagnosis import marks, of_elements, of_logits, of_losses, of_statistics
from harness.diagnosis.evidence import is_shown, read_code
from harness.diagnosis.of_formulas import build_operation
from harness.diagnosis.operation import Choice, Example, Operation, Setting, find_detached_part, mistake, weights
from harness.diagnosis.search import (
    LEAST,
    NARROW,
    SQUARE,
    TOLERANCES,
    Diagnosis,
    Seen,
    diagnose,
    make_examples,
    replace_large,
)
from harness.floats import FORMATS, Format
from harness.laws import CaseError, Contract, Subject
from harness.laws.subject import add_defaults


def find_mistake(case: Case, contract: Contract, device: str) -> Diagnosis | None:
    """Return the mistake of a case that one of the known variants explains; None if there is none.

    Ordinary examples are computed in float64. Answers that have float32 accuracy only, or a case that does not accept
    float64, are compared with the tolerance of float32. The shapes of the answers are free.
    """
    operation = find_operation(contract)
    if operation is None:
        return None
    for name in ("float64", "float32"):
        if name in contract.dtypes and name in case.dtypes:
            with contextlib.suppress(CaseError, NotApplicable):
                diagnosis = _Examination(operation, case, contract, FORMATS[name], device).run()
                if diagnosis is not None or name == "float64":
                    return diagnosis
    return None


class _Examination:
    """The search for the mistake of a case in one format."""

    def __init__(self, operation: Operation, case: Case, contract: Contract, format_: Format, device: str) -> None:
        self._operation, self._case, self._contract, self._format = operation, case, contract, format_
        self._declares = dict(Subject(case, contract, format_, device=device).declares)
        free = {name: values for name, values in contract.conventions.items() if name != "reduction"}
        declares = {name: value for name, value in case.declares.items() if name != "reduction"}
        self._subject = Subject(
            replace(case, declares=declares), replace(contract, output=None, conventions=free), format_, device=device
        )

    def run(self) -> Diagnosis | None:
        """Return the mistake; None if there is none.

        Raises
        ------
        CaseError, NotApplicable
            If it answers ordinary examples not even where batches are square.
        """
        ordinary, far = (make_examples(self._contract, dtype=self._format.dtype, far=far) for far in (False, True))
        if not ordinary:
            return None
        try:
            first = self._call(ordinary[:4])
        except CaseError:
            return self._diagnose_square_batches()
        code = read_code(self._case, self._subject, lambda: self._call([*ordinary[:2], *far[:2]]))
        self._operation = replace(self._operation, slots={
            slot: tuple(choice for choice in choices if is_shown(choice.sentence, code.names))
            for slot, choices in self._operation.slots.items()
        })  # fmt: skip
        is_narrow = self._format.name != "float64"
        search = partial(diagnose, self._operation, self._declares, self._call, ordinary, code=code.numbers)
        diagnosis = search(far, narrow=is_narrow)
        if diagnosis is None and not is_narrow and _is_narrow(first):
            diagnosis = search((), narrow=True)
        if diagnosis is None and code.cast and self._differs([*ordinary, *far], NARROW):
            return self._make_cast(f"{code.cast}; {{op}} has no integers")
        is_cast = diagnosis is None and not is_narrow and "_to_copy" in code.names
        if is_cast and self._differs(ordinary, TOLERANCES[0]) and not self._differs([*ordinary, *far], NARROW):
            cast = self._make_cast("numbers are rounded to float32 in between; {op} is computed in float64")
            return replace(cast, explains="float64")
        diagnosis = diagnosis or self._find_detached_part(ordinary)
        return diagnosis if diagnosis is None or is_shown(diagnosis.choices[0].sentence, code.names) else None

    def _make_cast(self, sentence: str) -> Diagnosis:
        return Diagnosis(Setting({"instead": mistake("cast", sentence, self._imitate)}))

    def _differs(self, examples: Sequence[Example], tolerance: float) -> bool:
        """Whether the values differ from the operation's by more than a relative difference."""
        results = [result.detach().to(torch.float64) for result in self._call(examples)]
        return Seen(self._operation, self._declares, examples, results, tolerance).differs()

    def _imitate(self, *inputs: Any) -> Tensor:
        """Return the answer of the case on one example."""
        return self._call([inputs])[0]

    def _call(self, examples: Sequence[Example]) -> Sequence[Tensor]:
        """Call the case on examples, each with its own copies."""
        copies = [tuple(x.clone() if isinstance(x, Tensor) else x for x in example) for example in examples]
        return replace_large(self._subject.each(copies))

    def _diagnose_square_batches(self) -> Diagnosis | None:
        """Return the missing `keepdim` of a case that raises unless a batch is square."""
        square = make_examples(self._contract, dtype=self._format.dtype, shapes=SQUARE)
        operation = replace(self._operation, slots={"shape": DROPPED})
        return diagnose(operation, self._declares, self._call, square, (), narrow=self._format.name != "float64")

    def _find_detached_part(self, ordinary: Sequence[Example]) -> Diagnosis | None:
        """Return the part that is detached from the input, if the values are right and have a gradient."""
        if all(law.group != "gradient" for law in self._contract.laws):
            return None
        results = [result.detach().to(torch.float64) for result in self._call(ordinary[:LEAST])]
        tolerance = TOLERANCES[0] if self._format.name == "float64" else NARROW
        seen = Seen(self._operation, self._declares, ordinary[:LEAST], results, tolerance)
        if seen.differs():
            return None
        setting = find_detached_part(self._operation, self._declares, self._compute_gradient, ordinary)
        return None if setting is None else Diagnosis(setting)

    def _compute_gradient(self, example: Example) -> Tensor:
        """Return the gradient of the case by its first tensor of numbers."""
        position = next(number for number, x in enumerate(example) if isinstance(x, Tensor) and x.is_floating_point())
        grouped = self._contract.grouped
        inputs = tuple(x[None] if grouped and isinstance(x, Tensor) else x for x in example)
        output = self._operation.value(Setting({}, {}, self._declares), *example)
        gradient = self._subject.gradient(inputs, weights(output)[None] if grouped else weights(output), of=position)
        return gradient[0] if grouped else gradient


def _is_narrow(results: Sequence[Tensor]) -> bool:
    """Whether all answers are float32 numbers."""
    return all(bool((y.float().double() == y.double()).all()) for y in results)


def make_imitations(contract: Contract, setting: Setting, format_: Format) -> list[Callable[..., Tensor]]:
    """Return the variant as implementations: computed in float64, and in the format if it does not overflow there."""
    operation = find_operation(contract)
    assert operation is not None, "only contracts with known variants are diagnosed"
    exact = _make_imitation(operation, setting, torch.float64, format_)
    return [exact, _make_imitation(operation, setting, format_.dtype, format_)] if operation.is_stable else [exact]


def _make_imitation(
    operation: Operation, setting: Setting, work: torch.dtype, format_: Format
) -> Callable[..., Tensor]:
    """Return the variant computed in one format and rounded to another."""

    def function(*inputs: Any) -> Tensor:
        wide = [x.to(work) if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs]
        return operation.value(setting, *wide).to(format_.dtype)

    return function


# Other contracts under which the ordinary values are right

VALUE_EXAMPLES = 8
"""Examples on which the values are compared."""


def find_rival(case: Case, contract: Contract, device: str) -> Diagnosis | None:
    """Return that a case computes another operation with inputs of the same kinds; None if it does not."""
    expected = find_operation(contract)
    if expected is not None and _is_right(case, contract, expected, {}, device):
        return None
    for candidate in contracts().values():
        operation = OPERATIONS.get(candidate.name)
        if operation is None or candidate.name == contract.name or _list_kinds(candidate) != _list_kinds(contract):
            continue
        for declares in _iter_conventions(candidate):
            if _is_right(case, candidate, operation, declares, device):
                return Diagnosis(Setting({"instead": _make_choice(candidate, operation, declares)}, {}, {}))
    return None


def _list_kinds(contract: Contract) -> list[tuple[bool, int]]:
    """Return whether each input is an index, and its number of axes."""
    grouped = contract.grouped
    return [(axes.index_of is not None, len(axes.names) - grouped) for axes in contract.axes.values()]


def _iter_conventions(contract: Contract) -> Iterator[dict[str, Any]]:
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
    examples = make_examples(subject.contract, dtype=format_.dtype)[:VALUE_EXAMPLES]
    results = [result.detach().to(torch.float64) for result in replace_large(subject.each(examples))]
    is_narrow = all(bool((y.float().double() == y).all()) for y in results)
    seen = Seen(operation, dict(subject.declares), examples, results, NARROW if is_narrow else TOLERANCES[0])
    return bool(examples) and not seen.differs()


def _make_choice(contract: Contract, operation: Operation, declares: Mapping[str, Any]) -> Choice:
    setting = Setting({}, {}, add_defaults(contract, declares))
    conventions = "".join(f" --declare {name}={value}" for name, value in declares.items())

    def value(*inputs: Any) -> Tensor:
        return operation.compute(setting, *inputs)

    sentence = f"{contract.name} is computed; {{op}} is another operation"
    return mistake(contract.name, sentence, value, contract=f"--contract {contract.name}{conventions}")


# The operations with known variants, by contract. Each one also has variants of the shape: an axis that is kept or not,
# another axis, and a reduced batch.


class _WithoutKeepdim(TorchFunctionMode):
    """Let some reductions drop their axis, by their numbers."""

    def __init__(self, numbers: Collection[int]) -> None:
        super().__init__()
        self._numbers, self._seen = numbers, 0

    def __torch_function__(
        self, function: Callable[..., Any], _: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        """Call a function; remove `keepdim` from the chosen calls."""
        keywords = dict(keywords or {})
        if keywords.get("keepdim"):
            if self._seen in self._numbers:
                del keywords["keepdim"]
            self._seen += 1
        return function(*arguments, **keywords)


def _make_missing_keepdim(numbers: Collection[int]) -> Choice:
    return mistake(
        "no keepdim", "`keepdim=True` is missing, so the numbers of the rows are taken for numbers of the columns; "
        "{op} uses the number of each row in that row",
        None, marks.no_keepdim, is_plain=False, around=lambda: _WithoutKeepdim(numbers),
    )  # fmt: skip


_SOME = tuple(numbers for size in (3, 1, 2) for numbers in combinations(range(3), size))
"""All of the first three reductions, each one, and each two."""

DROPPED = tuple(map(_make_missing_keepdim, _SOME))
"""Reductions whose result does not fit to the rows; it fits by chance if a batch is square."""

_OF_EACH_ROW = (
    mistake("keepdim", "the reduced axis is kept, so the result has the shape [n, 1]; {op} returns the shape [n]",
            lambda y: y[..., None], marks.keyword("keepdim", "keepdims"), is_plain=False),
    mistake("batch", "the results of the rows are added; {op} returns one number for each row",
            lambda y: y.sum(), marks.no_axis, is_plain=False),
    mistake("batch mean", "the mean of the results of the rows is taken; {op} returns one number for each row",
            lambda y: y.mean(), marks.calls("mean"), marks.no_axis, is_plain=False),
)  # fmt: skip
_VECTOR = mistake(
    "vector", "the result has the shape [1]; {op} returns a single number", lambda y: y.reshape(1),
    marks.keyword("keepdim", "keepdims"), marks.calls("reshape", "view", "unsqueeze"), is_plain=False,
)  # fmt: skip
_COLUMNS = mistake(
    "axis", "the columns of the batch are reduced (axis 0), so the result has the shape [k]; "
    "{op} reduces each row (axis -1)",
    lambda *inputs: tuple(x.transpose(0, 1) if isinstance(x, Tensor) and x.ndim == 2 else x for x in inputs),
    marks.other_axis, marks.no_axis, is_plain=False,
)  # fmt: skip


def add_shape_deviations(operation: Operation, contract: Contract) -> Operation:
    """Return an operation with the deviations that change the shape of its result."""
    slots = dict(operation.slots)
    if contract.output == ("n",):
        slots["shape"] = _OF_EACH_ROW
        slots["before"] = (*slots.get("before", ()), _COLUMNS)
    elif contract.output == ():
        slots["shape"] = (_VECTOR,)
    else:
        slots["shape"] = DROPPED
    return replace(operation, slots=slots)


OPERATIONS: dict[str, Operation] = {
    **of_logits.OPERATIONS,
    **of_losses.OPERATIONS,
    **of_statistics.OPERATIONS,
    **of_elements.OPERATIONS,
}
"""By contract."""


def find_operation(contract: Contract) -> Operation | None:
    """Return the operation of a contract or of a formula; None if its variants are not known."""
    entry, formula = OPERATIONS.get(contract.name), build_operation(contract)
    has_rows = any(len(axes.names) - contract.grouped > 1 for axes in contract.axes.values())
    operation = entry or formula
    if operation is None or (entry is None and not has_rows):
        return formula
    return add_shape_deviations(operation, contract)
