"""List the proofs of some cases: one for each quantity, format and layout."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from harness.calling.adapter import bridge_case
from harness.case import Case
from harness.contracts import claimed, contract_named
from harness.dtype import PARAMETERS
from harness.error import UsageError, did_you_mean, join_names
from harness.floats.format import format_of
from harness.laws.contract import Contract
from harness.proof import every_value, pairs
from harness.proof.float32.kernel import LAYOUTS as FLOAT32_LAYOUTS
from harness.proof.float32.operation import OPERATIONS as EVERY_FLOAT32
from harness.proof.float32.operation import operation_of
from harness.proof.float32.task import Float32
from harness.proof.layout import VALUE_LAYOUTS, takes
from harness.proof.operation import OPERATIONS
from harness.proof.shards import Task
from harness.proof.sweep import ROW_BY_ROW

DTYPES = tuple(name for name in reversed(tuple(PARAMETERS)) if PARAMETERS[name].bits == 16)
"""The formats whose inputs can be enumerated, and checked for all contracts below."""

FLOAT32 = "float32"
"""The format whose inputs can be enumerated for some unary operations; it is proved on request, or if no other is."""

CONTRACTS = (*every_value.CONTRACTS, *pairs.CONTRACTS)


_ROWS = "return one number per row and pass `--declare reduction=none`, or use `--call` to get one number per row"
"""Remedy for a loss that returns only the mean or sum of many rows."""


def tasks_of(
    cases: Sequence[Case],
    target: str,
    *,
    dtypes: Sequence[str] = (),
    layouts: Sequence[str] = (),
    quantities: Sequence[str] = (),
) -> list[Task]:
    """List the proofs of some cases in a fixed order, restricted to the given names; an empty restriction allows all.

    Raises
    ------
    UsageError
        If a name matches nothing, or no case has inputs that can be enumerated.
    """
    for name in dtypes:
        if name not in (*DTYPES, FLOAT32):
            raise UsageError(
                f"cannot prove anything in `{name}`",
                rule=f"all inputs can be enumerated only in {join_names((*DTYPES, FLOAT32))}",
                remedy=did_you_mean(name, (*DTYPES, FLOAT32)),
            )
    cases = list(map(claimed, cases))
    tasks = [
        task
        for case in cases
        for dtype in dtypes or (DTYPES if case.contract in CONTRACTS else (FLOAT32,))
        if dtype in case.dtypes
        for task in _list_tasks(case, dtype)
    ]
    if not tasks and any(case.contract in CONTRACTS for case in cases):
        rule = "a proof needs the loss of each row, but it takes no `reduction`"
        raise UsageError(f"cannot prove anything about `{target}`", rule=rule, remedy=_ROWS)
    if not tasks:
        raise UsageError(
            f"cannot prove anything about `{target}`",
            rule=f"all inputs can be enumerated only for the contracts {join_names(CONTRACTS)}, "
            f"and in float32 for {join_names(EVERY_FLOAT32)}",
        )
    tasks = _select(tasks, "layouts", layouts, lambda task: task.layout.name)
    return _select(tasks, "of", quantities, lambda task: task.quantity.split(",")[0])


def _select(tasks: list[Task], option: str, wanted: Sequence[str], name: Callable[[Task], str]) -> list[Task]:
    """Return the tasks that match the values of an option, or all if there are no values."""
    names = list(dict.fromkeys(name(task) for task in tasks))
    for wish in wanted:
        if wish not in names:
            raise UsageError(
                f"unknown value `{wish}` of `--{option}`",
                rule=f"choose from {join_names(names)}",
                remedy=did_you_mean(wish, names),
            )
    return [task for task in tasks if not wanted or name(task) in wanted]


def _list_tasks(case: Case, dtype: str) -> Iterator[Task]:
    contract, format_ = contract_named(case.contract), format_of(dtype)
    if dtype == FLOAT32:
        if (unary := operation_of(case.contract)) is not None:
            for quantity in every_value.QUANTITIES:
                for kernel in FLOAT32_LAYOUTS:
                    yield Float32(bridge_case(case), contract, unary, kernel, quantity)
        return
    if contract.name in every_value.CONTRACTS:
        for quantity in every_value.QUANTITIES:
            for layout in VALUE_LAYOUTS:
                yield every_value.Values(bridge_case(case), contract, format_, layout, quantity)
    if contract.name in pairs.CONTRACTS and (by_row := _split_rows(case, contract)) is not None:
        answering = bridge_case(by_row)
        for operation in OPERATIONS[contract.name]:
            for pair_layout in operation.layouts(answering.function):
                yield pairs.Pairs(answering, contract, format_, pair_layout, operation)


def _split_rows(case: Case, contract: Contract) -> Case | None:
    """Return the case with one result per row, or ``None`` if it returns only the mean or the sum of several rows."""
    if "reduction" not in contract.conventions:
        return case
    unreduced = replace(case, declares={**case.declares, "reduction": "none"})
    if case.call is None and takes(case.function, "reduction"):
        return replace(unreduced, call=ROW_BY_ROW)
    # The output of an adapter is known only when it is called.
    return unreduced if case.call is not None or case.declares.get("reduction") == "none" else None
