"""The operations with known variants, by contract.

Every operation also has variants of the shape: an axis that is kept or not, another axis, and a reduced batch.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import combinations
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from harness.diagnosis import marks, of_elements, of_logits, of_losses, of_statistics
from harness.diagnosis.of_formulas import operation_of_formula
from harness.diagnosis.operation import Choice, Operation
from harness.laws.contract import Contract


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


def _dropped(numbers: Collection[int]) -> Choice:
    return Choice(
        "no keepdim",
        "`keepdim=True` is missing, so the numbers of the rows are taken for numbers of the columns",
        "{op} uses the number of each row in that row",
        (marks.without_keepdim,),
        is_plain=False,
        around=lambda: _WithoutKeepdim(numbers),
    )


_SOME = tuple(numbers for size in (3, 1, 2) for numbers in combinations(range(3), size))
"""All of the first three reductions, each one, and each two."""

DROPPED = tuple(map(_dropped, _SOME))
"""Reductions whose result does not fit to the rows; it fits by chance if a batch is square."""

_KEEPS = Choice(
    "keepdim",
    "the reduced axis is kept, so the result has the shape [n, 1]",
    "{op} returns the shape [n]",
    (marks.keyword("keepdim", "keepdims"),),
    is_plain=False,
    apply=lambda y: y[..., None],
)
_ADDED = Choice(
    "batch",
    "the results of the rows are added",
    "{op} returns one number for each row",
    (marks.no_axis,),
    is_plain=False,
    apply=lambda y: y.sum(),
)
_AVERAGED = Choice(
    "batch mean",
    "the mean of the results of the rows is taken",
    "{op} returns one number for each row",
    (marks.calls("mean"), marks.no_axis),
    is_plain=False,
    apply=lambda y: y.mean(),
)
_VECTOR = Choice(
    "vector",
    "the result has the shape [1]",
    "{op} returns a single number",
    (marks.keyword("keepdim", "keepdims"), marks.calls("reshape", "view", "unsqueeze")),
    is_plain=False,
    apply=lambda y: y.reshape(1),
)
_COLUMNS = Choice(
    "axis",
    "the columns of the batch are reduced (axis 0), so the result has the shape [k]",
    "{op} reduces each row (axis -1)",
    (marks.other_axis, marks.no_axis),
    is_plain=False,
    apply=lambda *inputs: tuple(x.transpose(0, 1) if isinstance(x, Tensor) and x.ndim == 2 else x for x in inputs),
)


def with_shapes(operation: Operation, contract: Contract) -> Operation:
    """Return an operation with the deviations that change the shape of its result."""
    slots = dict(operation.slots)
    if contract.output == ("n",):
        slots["shape"] = (_KEEPS, _ADDED, _AVERAGED)
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


def operation_of(contract: Contract) -> Operation | None:
    """Return the operation of a contract or of a formula; None if its variants are not known."""
    known = OPERATIONS.get(contract.name)
    return operation_of_formula(contract) if known is None else with_shapes(known, contract)
