"""Laws of every operation, derived from the law of its value.

The result of a sound implementation does not depend on the other rows, the position of a row, the memory layout or an
earlier call. Its inputs do not change. Two runs may round differently, since torch chooses kernels by layout. Each may
deviate by the bound of the value, so their difference may be twice the bound. If both runs are wrong in the same way,
the law of the value reports it, and these laws hold.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.floats import Array, Measurement, compare_runs, to_array, view_bits
from harness.laws import derivation
from harness.laws.contract import Axes
from harness.laws.law import Example, Inputs, Law
from harness.laws.size import size_laws
from harness.laws.strategies import LONG_EXAMPLES
from harness.laws.subject import Answered, Subject

_BEGINNING = 256
"""Entries of a long row that are tried before all of them."""

_ROWS = 16
"""Rows that are called one at a time."""


def implementation_laws(
    value: Law, *, rows: bool = True, many: bool = True, ranks: bool = True, nan: bool = True, dtype: bool = True
) -> tuple[Law, ...]:
    """Derive the laws of the groups ``implementation`` and ``special`` that hold for every operation.

    Parameters
    ----------
    value
        The law of the value; its inputs are the arguments of the implementation.
    rows
        Whether rows are independent; false for a reduction over the rows.
    many, ranks
        Whether the laws of many rows and of several row axes apply to an operation with independent rows.
    nan
        Whether a NaN in the first input must appear in the output.
    dtype
        Whether the output must have the dtype of the inputs.

    Returns
    -------
    tuple of Law
        The laws that apply, in the order of the report.
    """
    laws = [any_position, any_layout, calls_agree, inputs_unmodified, output_is_its_own]
    laws += (
        [row_alone, no_rows] * rows + [nan_stays_in_its_row] * nan + [output_like_input] * dtype + [derivation.any_mode]
    )
    derived = tuple(derivation.bound_to(law, value) for law in laws)
    return (*derived, *(size_laws(value, many=many, ranks=ranks) if rows else ()))


def derive_long_rows(value: Law, inputs: Inputs, *, cause: str, examples: int = LONG_EXAMPLES) -> Law:
    """Derive the law of the group ``length``: the value on rows where narrow accumulators stall or blocks end.

    A reduction over rows that breaks on the first few hundred rows is not tried on more: broadcasting a column against
    a row would need tens of gigabytes.

    Parameters
    ----------
    value
        The law of the value.
    inputs
        Examples with long rows.
    cause
        Likely cause of a violation, and a remedy.
    examples
        Number of examples.

    Returns
    -------
    Law
        The law ``value_on_long_rows``, with the bound of the value.
    """

    def measure(subject: Subject, **example: Any) -> Measurement:
        if subject.contract.grouped:
            short = value.measure(subject, **_select_beginning(subject, example))
            if short.broken:
                return short
        return value.measure(subject, **example)

    return replace(
        value,
        measure=measure,
        name="value_on_long_rows",
        statement=f"{value.statement.rstrip('.')}, also on rows of dozens to tens of thousands of entries.",
        group="length",
        cause=cause,
        non_finite=cause,
        inputs=inputs,
        examples=examples,
    )


def _select_beginning(subject: Subject, example: Example) -> Example:
    """Return the first entries along the longest axis; labels are taken modulo their number."""
    tensors = [x for x in example.values() if isinstance(x, Tensor)]
    longest = max((length for x in tensors for length in x.shape), default=0)
    shortened = dict(example)
    for name, x in example.items():
        if isinstance(x, Tensor):
            for axis in (axis for axis, length in enumerate(x.shape) if length == longest > _BEGINNING):
                x = x.narrow(axis, 0, _BEGINNING)
            indexes = name in subject.contract.axes and subject.contract.axes[name].index_of is not None
            shortened[name] = x % _BEGINNING if indexes else x
    return shortened


# Two runs


@derivation.about_every_operation(
    "Reversing the order of the rows reverses the output and changes nothing else.",
    bound=derivation.TWICE,
    cause="the last elements take another path than the first, such as the tail of a vector loop or the edge of a "
    "block: use the same arithmetic for all elements",
)
def any_position(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Reverse every input along the rows, and the output back."""
    places, per_row = derivation.find_row_axes(subject, value)

    def flip(arguments: Sequence[Any]) -> list[Any]:
        return [x if axis is None else x.flip(axis) for x, axis in zip(arguments, places, strict=True)]

    def flip_back(output: Any) -> Any:
        return output.flip(0) if per_row and isinstance(output, Tensor) and output.ndim else output

    return derivation.compare_calls(subject, value, inputs, [subject.wrap_calls(flip, flip_back)])


@derivation.about_every_operation(
    "Strided, transposed and expanded inputs give the same results as contiguous ones.",
    bound=derivation.TWICE,
    cause="strides are ignored when memory is read: use them, or call contiguous(); if only a few digits in 16 bits "
    "differ, the sum runs in another order: accumulate in float32",
)
def any_layout(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Change the layouts of the inputs, different ones for neighbors, and expand one row or one column to several."""

    def apply_layouts(first: int) -> Subject:
        return subject.wrap_calls(
            lambda arguments: [
                _LAYOUTS[(first + position) % len(_LAYOUTS)](x) if isinstance(x, Tensor) else x
                for position, x in enumerate(arguments)
            ]
        )

    measured = derivation.compare_calls(subject, value, inputs, map(apply_layouts, range(len(_LAYOUTS))))
    return derivation.select_worst(measured, *_compare_expanded(subject, value, inputs))


def _copy_sliced(x: Tensor) -> Tensor:
    """Return the same values, followed by others along the last axis."""
    return torch.cat([x, _make_others(x)], -1)[..., : x.shape[-1]] if x.ndim else x


def _copy_interleaved(x: Tensor) -> Tensor:
    """Return the same values, as every second element along the last axis of another tensor."""
    return torch.stack([_make_others(x), x], -1)[..., 1]


def _copy_transposed(x: Tensor) -> Tensor:
    """Return the same values, as every second element of a transposed tensor."""
    return torch.stack([x.mT, _make_others(x).mT], -1)[..., 0].mT if x.ndim > 1 else _copy_interleaved(x)


_LAYOUTS = (_copy_interleaved, _copy_sliced, _copy_transposed)
"""Layouts of an input; the next input has the next one."""

_FEW = 4
"""Number of rows that share their memory, and of groups of them."""


def _compare_expanded(subject: Subject, value: Law, inputs: Example) -> Iterator[Measurement]:
    """Compare inputs whose rows or columns share memory with contiguous copies."""
    arguments = tuple(inputs.values())
    places, _ = derivation.find_row_axes(subject, value)
    if subject.contract.grouped:
        places = [0 if isinstance(x, Tensor) else None for x in arguments]
    first_rows = derivation.select_rows(arguments, places, 0, _FEW)
    rows, columns = _find_axes_of_rows(subject, value), _find_axes_of_columns(subject, value, first_rows)
    first, rest = [*rows[:1], *(None for _ in rows[1:])], [None, *rows[1:]]
    for part, axes in (("rows of the first input", first), ("rows of the other inputs", rest), ("columns", columns)):
        if any(axis is not None for axis in axes):
            copies = [x.clone() if isinstance(x, Tensor) else x for x in _expand_first_entries(first_rows, axes)]
            usual, expanded = subject(*copies), subject.wrap_calls(partial(_expand_first_entries, axes=axes))(*copies)
            # Most results have equal bits, and then there is nothing to measure.
            if not _have_equal_bits(usual, expanded):
                example = dict(zip(inputs, copies, strict=True))
                measurement = derivation.compare_calls(
                    Answered(subject, usual), value, example, [Answered(subject, expanded)]
                )
                yield replace(measurement, circumstance=f"if the {part} share memory, as after expand()")


def _have_equal_bits(a: Tensor, b: Tensor) -> bool:
    return (a.dtype, a.shape) == (b.dtype, b.shape) and torch.equal(view_bits(a), view_bits(b))


def _find_axes_of_rows(subject: Subject, value: Law) -> list[int | None]:
    """Return the row axes of the inputs, counted from the end."""
    axes = subject.contract.axes
    names = [axes[name].names if name in axes else () for name in value.reads]
    return [axis_names.index("n") - len(axis_names) if "n" in axis_names else None for axis_names in names]


def _find_axes_of_columns(subject: Subject, value: Law, inputs: Sequence[Any]) -> list[int | None]:
    """Return the last axis for each input whose entries may be equal; ``None`` for other inputs."""

    def has_free_columns(axes: Axes | None) -> bool:
        return axes is not None and axes.restore is None and not axes.kept and axes.names[-1:] not in {(), ("n",)}

    axes = [subject.contract.axes.get(name) for name in value.reads]
    pairs = zip(axes, inputs, strict=True)
    return [-1 if has_free_columns(input_axes) and _is_float(x) else None for input_axes, x in pairs]


def _is_float(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


def _expand_first_entries(arguments: Sequence[Any], axes: Sequence[int | None]) -> list[Any]:
    """Expand the first entry along an axis to its whole length."""
    return [
        x if axis is None or not x.shape[axis] else x.narrow(axis, 0, 1).expand(x.shape)
        for x, axis in zip(arguments, axes, strict=True)
    ]


def _make_others(x: Tensor) -> Tensor:
    """Return values that must not be read: NaN, or another integer."""
    return torch.full_like(x, float("nan")) if x.is_floating_point() else torch.zeros_like(x)


def _find_places(subject: Subject, value: Law) -> list[int | None]:
    """Return the row axes of the arguments of an operation with independent rows."""
    places, per_row = derivation.find_row_axes(subject, value)
    if not per_row:
        raise NotApplicable(f"the reduction `{subject.declares['reduction']}` gives no result per row")
    return places


@derivation.about_every_operation(
    "A row gives the same result alone as in a batch.",
    bound=derivation.TWICE,
    cause="a statistic runs over the whole batch, such as one maximum for all rows, or the axis is wrong: reduce over "
    "the last axis only",
)
def row_alone(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Call once for each of the first rows."""
    places = _find_places(subject, value)
    first_rows = dict(zip(inputs, derivation.select_rows(tuple(inputs.values()), places, 0, _ROWS), strict=True))

    def call_each_row(*arguments: Any) -> Any:
        n = next(x.shape[axis] for x, axis in zip(arguments, places, strict=True) if axis is not None)
        rows = subject.run_each([derivation.select_rows(arguments, places, i, i + 1) for i in range(n)])
        return torch.cat(rows) if all(isinstance(row, Tensor) and row.ndim for row in rows) else rows

    return derivation.compare_calls(subject, value, first_rows, [subject.replace_function(call_each_row)])


@derivation.about_every_operation(
    "A NaN makes its own row of the output NaN and no other.",
    bound=derivation.TWICE,
    cause="a comparison drops the NaN, or a reduction over everything spreads it: reduce over the row only, and let "
    "NaN pass",
    group="special",
)
def nan_stays_in_its_row(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Poison one element of every third row, or group of rows, of the first input."""
    first = subject.measure(value, inputs)
    name = value.reads[0]
    poisoned = inputs[name].clone()
    rows = poisoned.reshape(len(poisoned), -1)
    index = torch.arange(0, len(rows), 3)
    rows[index, index % max(rows.shape[1], 1)] = float("nan")
    reference = first.actual.copy()
    where: Any = index.numpy()
    if subject.contract.grouped and derivation.find_row_axes(subject, value)[1]:
        # An answer a row within each group: the one row of the group that has the NaN.
        where = where, (index % rows.shape[1]).numpy() // (rows.shape[1] // reference.shape[1])
    reference[where] = np.nan
    actual = to_array(subject(*{**inputs, name: rows.reshape(poisoned.shape)}.values()))
    return compare_runs(actual, reference, first, subject.format)


def _repeat(subject: Subject, arguments: Sequence[Any]) -> Measurement | None:
    """Repeat the call and the backward pass while they are cheap; return how the results differ, if they do."""
    seen = subject.attempt(subject.case.name, lambda: list(subject.host.repeated_calls(subject.run, arguments)))
    measured: Measurement | None = None
    for description, answers in seen:
        runs = to_array(answers)
        first = np.broadcast_to(runs[:1], runs.shape)
        same = Measurement(np.zeros(first.shape), np.zeros(first.shape), first, first)
        measured = replace(
            compare_runs(runs, first, same, subject.format), circumstance=f"in {len(runs):,} {description}"
        )
        if measured.broken:
            break
    return measured


@derivation.repeatable("Repeated calls on the same inputs give the same bits, whatever freed memory contains.")
def calls_agree(subject: Subject, _: Law, inputs: Example) -> Measurement:
    """Call three times, with an additional call before the last one to detect results that alternate."""
    return derivation.compare_repeated_calls(
        lambda: to_array(subject(*inputs.values())),
        subject.format,
        between=lambda: _repeat(subject, _list_calls(subject, inputs)[0]),
        sizes={x.nbytes for x in inputs.values() if isinstance(x, Tensor)},
        device=subject.device,
        host=subject.host,
    )


# One run


def _list_calls(subject: Subject, inputs: Example) -> list[tuple[Any, ...]]:
    """Return the arguments of the calls for a batch of examples."""
    arguments = tuple(inputs.values())
    return list(zip(*arguments, strict=True)) if subject.contract.grouped else [arguments]


def _measure_faults(wrong: list[int], observation: str) -> Measurement:
    """Return a measurement of the number of faults in each call, with a fault in words; the bound is zero."""
    count: Array = np.array(wrong, dtype=np.float64)
    none = np.zeros(len(wrong))
    return Measurement(np.where(count > 0, np.inf, 0.0), none, count, none, circumstance=observation)


@derivation.about_every_operation(
    "The call does not change its inputs, bit for bit.", cause="an in-place operation: work on a copy"
)
def inputs_unmodified(subject: Subject, _: Law, inputs: Example) -> Measurement:
    """Count the elements that a call changes."""
    calls = _list_calls(subject, inputs)
    copies = [[x.clone() if isinstance(x, Tensor) else x for x in arguments] for arguments in calls]
    with subject.host.looking() as looks:
        subject.each(copies)
    counts = []
    for arguments, clones, look in zip(calls, copies, looks, strict=False):
        pairs = zip(look.after(clones), arguments, strict=True)
        counts.append(sum(_count_changes(a, b) for a, b in pairs if isinstance(a, Tensor)))
    return _measure_faults(counts, "the call changes its inputs")


def _count_changes(after: Tensor, before: Tensor) -> int:
    if after.shape != before.shape:
        return after.numel()
    return int(((after != before) & ~(after.isnan() & before.isnan())).sum())


@derivation.about_every_operation(
    "The output shares no memory with an input.",
    cause="a view is returned where nothing had to be computed: return a clone",
)
def output_is_its_own(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Count the inputs whose memory the output shares, also where all numbers are positive or negative."""
    calls = _list_calls(subject, inputs)
    of_one_sign = [] if subject.contract.grouped else [_select_sign(subject, value, inputs, sign) for sign in (1, -1)]
    copies = [
        [x.clone() if isinstance(x, Tensor) else x for x in call] for call in [*calls, *filter(None, of_one_sign)]
    ]
    with subject.host.looking() as looks:
        outputs = subject.each(copies)
    observed = zip(copies, outputs, looks, strict=False)
    shared = [look.shares(arguments, output) if output.numel() else 0 for arguments, output, look in observed]
    counts = [*shared[: len(calls) - 1], sum(shared[len(calls) - 1 :])]
    return _measure_faults(counts, "the output and an input share memory")


def _select_sign(subject: Subject, value: Law, inputs: Example, sign: int) -> list[Any] | None:
    """Return the rows whose first input has one sign, for which a function may have nothing to compute."""
    places, arguments = derivation.find_row_axes(subject, value)[0], list(inputs.values())
    if places[0] != 0 or not _is_float(arguments[0]):
        return None
    chosen = torch.nonzero((arguments[0] * sign > 0).reshape(len(arguments[0]), -1).all(-1)).flatten()
    if not len(chosen):
        return None
    return [x if axis is None else x.index_select(axis, chosen) for x, axis in zip(arguments, places, strict=True)]


@derivation.about_every_operation(
    "The output has the dtype and the device of the inputs.",
    cause="a constant of another dtype promotes the result, or a Python number is returned: keep the dtype of the "
    "inputs",
)
def output_like_input(subject: Subject, _: Law, inputs: Example) -> Measurement:
    """Count one if the output has another dtype or device."""
    faults = []
    calls = _list_calls(subject, inputs)
    for arguments, output in zip(calls, subject.each(calls), strict=True):
        like = next(x for x in arguments if _is_float(x))
        if output.dtype != like.dtype:
            faults.append(f"it returns {output.dtype}")
        else:
            faults.append("" if output.device == like.device else f"it returns a tensor on {output.device}")
    different = dict.fromkeys(filter(None, faults))
    return _measure_faults([int(bool(text)) for text in faults], " or ".join(different))


@derivation.about_every_operation(
    "An input without rows gives an output without rows.",
    cause="a maximum or mean over everything, a division by n, or a loop that needs at least one iteration: handle the "
    "empty input",
    group="special",
)
def no_rows(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Call on empty inputs."""
    places = _find_places(subject, value)
    with warnings.catch_warnings():
        # A warning that there is nothing to reduce is no failure.
        warnings.simplefilter("ignore")
        output = subject.once(*derivation.select_rows(_list_calls(subject, inputs)[0], places, 0, 0))
    return _measure_faults([output.numel()], "the output has rows although the input has none")
