"""Assert that a result is within the derived error bound of its operation, for the inputs that it was computed from."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.case import Case
from harness.contracts import contract_named
from harness.error import UsageError, join_names
from harness.formula.spelling import written
from harness.laws.contract import Contract
from harness.laws.law import Law
from harness.record import Status, Verdict
from harness.timing.clock import threads
from harness.verdict.decide import decide
from harness.verdict.job import list_jobs
from harness.verdict.replay import add_groups


def assert_within_bound(
    actual: Any,
    contract: str,
    *inputs: Any,
    form: str | None = None,
    domains: Mapping[str, str] | None = None,
    over: str = "rows",
    **named: Any,
) -> None:
    """Fail unless a result is as near to the exact one as a sound implementation comes for these inputs.

    Parameters
    ----------
    actual
        The result: a tensor, an array of NumPy or JAX, or a number. It has the leading axes of the inputs.
    contract
        Name of a contract or of a formula, such as ``"softmax"``, or a formula, such as ``"x * sigmoid(x)"``.
    *inputs
        The inputs from which it was computed, in the order of the contract's signature; their numbers have the
        dtype of the computation.
    form, domains, over
        For a formula: the form that the code evaluates, the values that an input may have, and the elements that its
        reductions cover; see ``inputs`` of :func:`harness.check`.
    **named
        Inputs by name, and conventions of the contract, such as ``reduction="sum"``.

    Raises
    ------
    AssertionError
        If an element differs from the exact value by more than the bound, or if the shape is another one. The message
        states the element with the largest share of its bound, both values, and the error in units in the last place.
    UsageError
        If the contract or a name does not exist, if an input is missing or does not belong to the contract, if the
        dtypes differ, or if no bound is known for these inputs.

    Notes
    -----
    The exact value comes from double-double arithmetic, and from ball arithmetic where that is not enough. The bound is
    that of the contract's law of the value (``harness explain value --contract NAME``), derived from the standard model
    of rounding; it holds for any order of summation, any processor and any number of threads.

    Examples
    --------
    .. code-block:: python

        def test_fused_softmax():
            x = torch.randn(64, 1000, dtype=torch.bfloat16)
            harness.assert_within_bound(fused_softmax(x), "softmax", x)
    """
    __tracebackhide__ = True
    text = contract if contract.isidentifier() else written(contract, form, domains, over=over).text
    verdict, rows, axes = judge_result(actual, text, inputs, named, title=contract)
    if verdict.status is not Status.HOLDS:
        raise AssertionError(f"{contract}: {_describe(verdict, rows, axes)}")


def judge_result(
    actual: Any, contract: str, inputs: Sequence[Any], named: Mapping[str, Any], *, title: str = ""
) -> tuple[Verdict, tuple[int, ...], int]:
    """Return the verdict on a result, the shape of its leading axes, and the number of its axes in the contract.

    Raises
    ------
    AssertionError
        If the shape is another one.
    UsageError
        As :func:`assert_within_bound`.
    """
    claim = contract_named(contract)
    law = next((law for law in claim.laws if law.group == "value"), None)
    if law is None or claim.form != "function":
        raise UsageError(f"cannot assert the bound of `{contract}`", rule="it is no function of tensors")
    example, declares = _read_inputs(claim, law, inputs, named)
    rows, flat = _flatten_rows(claim, example)
    result = _to_tensor(actual)
    dtype = _require_one_dtype(example, result)
    axes = ("n",) if declares.get("reduction") == "none" else claim.output or ()
    shape = _compute_shape(claim, flat, axes, rows)
    if tuple(result.shape) != shape:
        shapes = f"the result has the shape {list(result.shape)}, expected {list(shape)}"
        raise AssertionError(f"{title or contract}: {shapes}")
    if "n" in axes:
        result = result.reshape(math.prod(rows), *shape[len(rows) :])
    case = Case(lambda *_: result, contract, style="foreign", name="the result", declares=declares)
    (job,) = list_jobs([case], laws=[law.name], dtypes=[dtype], strict=True)
    with threads(1):
        verdict = decide(job, example=add_groups(flat, claim), corpora=())
    if verdict.status is Status.SKIPPED:
        raise UsageError("cannot assert the bound", rule=verdict.reason)
    return verdict, rows, len(axes)


def _read_inputs(
    contract: Contract, law: Law, inputs: Sequence[Any], named: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the inputs of the law by name, and the declared conventions."""
    if len(inputs) > len(law.reads):
        rule = f"`{contract.name}` takes {join_names(law.reads)}"
        raise UsageError("cannot assert the bound", rule=rule, value=f"{len(inputs)} inputs")
    declares = {name: value for name, value in named.items() if name not in law.reads}
    values = {**dict(zip(law.reads, inputs, strict=False)), **{n: x for n, x in named.items() if n in law.reads}}
    if missing := [name for name in law.reads if name not in values]:
        raise UsageError("cannot assert the bound", rule=f"`{contract.name}` also takes {join_names(missing)}")
    axes = contract.axes
    example = {name: _to_tensor(values[name]) if name in axes else values[name] for name in law.reads}
    for name in example.keys() & axes.keys():
        if axes[name].index_of is None and not (example[name].is_floating_point() or example[name].dtype is torch.bool):
            rule, got = f"`{name}` has floating-point numbers", str(example[name].dtype)
            raise UsageError("cannot assert the bound", rule=rule, value=got)
    return example, declares


def _to_tensor(value: Any) -> Tensor:
    """Return a tensor of this process: of a tensor, of an array of any library, or of a number."""
    if isinstance(value, Tensor):
        return value.detach().cpu()
    try:
        if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray):
            return torch.utils.dlpack.from_dlpack(value).cpu()
        # A copy, because torch takes no array that is read-only.
        return torch.as_tensor(np.array(value))
    except TypeError:
        rule = "values are tensors, arrays or numbers"
        raise UsageError("cannot assert the bound", rule=rule, value=type(value).__name__) from None


def _require_one_dtype(example: Mapping[str, Any], result: Tensor) -> str:
    """Return the dtype of the numbers among the inputs; of the result, if there are none."""
    numbers = [x for x in example.values() if isinstance(x, Tensor) and x.is_floating_point()] or [result]
    dtypes = {x.dtype for x in numbers}
    is_narrower = result.is_floating_point() and any(result.itemsize < x.itemsize for x in numbers)
    if len(dtypes) != 1 or is_narrower:
        got = join_names(sorted({str(x.dtype).removeprefix("torch.") for x in (*numbers, result)}))
        rule = "inputs have the dtype in which the result was computed"
        raise UsageError("cannot assert the bound", rule=rule, value=got)
    return str(dtypes.pop()).removeprefix("torch.")


def _flatten_rows(contract: Contract, example: Mapping[str, Any]) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Return the shape of the leading axes, and the inputs with one axis in their place."""
    leading: dict[str, tuple[int, ...]] = {}
    flat = dict(example)
    for name in example.keys() & contract.axes.keys():
        value, axes = example[name], contract.axes[name].names[contract.grouped :]
        inner = len(axes) - 1 if axes[:1] == ("n",) else len(axes)
        if axes == ("k",):  # a reduction over all elements, wherever they are
            flat[name] = value.flatten()
        elif axes[:1] == ("n",) and value.ndim >= inner:
            leading[name] = tuple(value.shape[: value.ndim - inner])
            flat[name] = value.reshape(math.prod(leading[name]), *value.shape[value.ndim - inner :])
        elif value.ndim != inner:
            rule = f"`{name}` has the axes {', '.join(axes)}"
            raise UsageError("cannot assert the bound", rule=rule, value=f"the shape {list(value.shape)}")
    if len(set(leading.values())) > 1:
        shapes = ", ".join(f"{list(shape)} of `{name}`" for name, shape in sorted(leading.items()))
        raise UsageError("cannot assert the bound", rule="inputs have the same leading axes", value=shapes)
    return next(iter(leading.values()), ()), flat


def _compute_shape(
    contract: Contract, flat: Mapping[str, Any], axes: Sequence[str], rows: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the shape of the result for inputs with these leading axes."""
    lengths: dict[str, int] = {name: value for name, value in flat.items() if isinstance(value, int)}
    for name in flat.keys() & contract.axes.keys():
        for axis, length in zip(contract.axes[name].names[contract.grouped :], flat[name].shape, strict=True):
            if lengths.setdefault(axis, length) != length:
                got = f"{lengths[axis]} and {length}"
                raise UsageError("cannot assert the bound", rule=f"the axis `{axis}` has one length", value=got)
    return tuple(length for axis in axes for length in (rows if axis == "n" else (lengths[axis],)))


def _describe(verdict: Verdict, rows: tuple[int, ...], count: int) -> str:
    """Describe the error of a result that is not within its bound."""
    violation = verdict.violation
    if violation is None:
        return verdict.reason or ""
    # Grouped contracts have the axis of groups first, which the result of a call lacks.
    place = violation.place[len(violation.place) - count :] if count else ()
    index = [*(int(i) for i in np.unravel_index(place[0], rows)), *place[1:]] if place and rows else [*place[1:]]
    unit = f"{verdict.unit} of {verdict.dtype}" if verdict.unit == "ulp" else verdict.unit
    others = f"; {violation.over} of {violation.of} elements exceed their bound" if violation.of > 1 else ""
    return (
        f"{violation.actual!r}{f' at {index}' if index else ''}, expected {violation.expected!r}: the error is "
        f"{violation.deviation:.4g} {unit}, and a sound implementation stays within {violation.bound:.4g}{others}"
    )
