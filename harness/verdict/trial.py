"""Trials: measure a law on examples and their rows, confirm violations by ball arithmetic, and count.

A changed example stays within the inputs of the law. A change keeps the kind of an entry. It is *ordinary*, or
*peculiar*: infinite or NaN, false in a mask, or zero among positive numbers. A row with both kinds keeps both, so an
example about masked entries has a masked one. The axes of an input describe further conditions, such as the sum 1:
:attr:`harness.laws.contract.Axes.restore`.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.floats import Format, Measurement, confirming
from harness.laws import Axes, CaseError, Example, Subject
from harness.record import Fault
from harness.verdict.job import Job
from harness.verdict.replay import make_json

ATTEMPTS = 16
"""Most repetitions of a law that broke, for failures that do not show each time."""

TRIES = 4
"""Repetitions in which a failure must show before the example is minimized."""

ADMITS_ALL = 40.0
"""Binary logarithm at which bounds are clipped: a bound this large admits everything."""

_TIERS_AGREE = 2.0**-10
"""Largest difference between the two tiers, relatively or in the unit of the law, that is not worth a word."""

_SHORT = 240
"""Characters up to which an example is part of a message."""


@dataclass
class Census:
    """Counts of examples and rows, and the worst deviation."""

    examples: int = 0
    rows: int = 0
    worst_ratio: float = -1.0
    deviation: float | None = None
    bound: float | None = None
    largest: float | None = None
    magnitudes: list[float] = field(default_factory=list)
    """Mean binary logarithm of the bounds, by example; bounds of zero and infinity are omitted."""
    digests: list[bytes] = field(default_factory=list)
    """Digests of the tried examples, in order."""
    cut_short: bool = False
    """Whether the time ran out before every example was drawn."""
    judges: bool = False
    """Whether any element was judged."""
    witness: tuple[Example, Measurement] | None = None
    """Example and measurement of the first failure of an intermittent law."""

    def count(self, measurement: Measurement) -> None:
        """Count one example and its rows."""
        self.examples += 1
        self.judges |= measurement.unjudged is None or not measurement.unjudged.all()
        if measurement.ratio.size:
            self.rows += len(measurement.ratio) if measurement.ratio.ndim else 1

    def note(self, measurement: Measurement) -> None:
        """Keep the worst ratio of a deviation to its bound, and the largest deviation."""
        if measurement.ratio.size == 0:
            return
        self.largest = max(self.largest or 0.0, float(measurement.deviation.max()))
        admitting = measurement.bound[(measurement.bound > 0.0) & np.isfinite(measurement.bound)]
        if admitting.size:
            self.magnitudes.append(float(np.minimum(np.log2(admitting), ADMITS_ALL).mean()))
        ratio = float(measurement.ratio[measurement.worst])
        if ratio > self.worst_ratio:
            self.worst_ratio = ratio
            self.deviation = float(measurement.deviation[measurement.worst])
            self.bound = measurement.get_bound(measurement.worst)

    @property
    def typical_bound(self) -> float | None:
        """Geometric mean of the bounds up to ``2**40``, each example counted once; zero without positive bounds."""
        if self.bound is None:
            return None
        return 0.0 if not self.magnitudes else math.exp2(math.fsum(self.magnitudes) / len(self.magnitudes))

    @property
    def inputs(self) -> str | None:
        """Digest of the tried examples; ``None`` if there were none."""
        return hashlib.blake2b(b"".join(self.digests), digest_size=3).hexdigest() if self.digests else None

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a verdict."""
        names = ("examples", "rows", "deviation", "bound", "largest", "typical_bound", "inputs", "cut_short")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Trials:
    """A law to try on one example after the other, with counts of the trials."""

    job: Job
    subject: Subject
    census: Census = field(default_factory=Census)

    def find_failing_row(self, example: Example) -> Example | None:
        """Measure an example; return its worst row if it breaks the law and ball arithmetic agrees."""
        measurement = self.measure(example)
        self.census.count(measurement)
        if measurement.broken and self.job.law.intermittent:
            self.census.note(measurement)
            self.census.witness = example, measurement
            return example
        if measurement.broken:
            row = self._select_worst_row(example, measurement)
            with confirming():
                confirmed = self.subject.measure(self.job.law, row)
            if confirmed.broken:
                self.census.note(measurement)
                return row
            self._agree(row, confirmed)
            measurement = confirmed
        self.census.note(measurement)
        return None

    def find_failing_rows(self, example: Example, *, unlike: bool) -> list[tuple[Example, float]]:
        """Return failing rows of an example, each with its severity on the screening oracle.

        If ``unlike``, they include the worst and the median row with a finite deviation, which may have other causes.
        """
        measurement = self.measure(example)
        rows = [self._select_worst_row(example, measurement)] if measurement.broken else []
        if unlike and (finite := _remove_rows_beyond(measurement, np.isinf)).broken:
            severity = _list_broken_severities(finite)
            if not math.isfinite(measurement.most_severe):
                rows.append(self._select_worst_row(example, finite))
            rows.append(
                self._select_worst_row(example, _remove_rows_beyond(finite, lambda rows: rows > np.median(severity)))
            )
        return [(row, self.measure(row).most_severe) for row in rows]

    def _select_worst_row(self, example: Example, measurement: Measurement) -> Example:
        peculiar = self.job.law.inputs is not None
        return select_worst_row(example, self.job.axes, measurement, self.breaks, peculiar=peculiar)

    def measure(self, example: Example) -> Measurement:
        """Measure; if the law cannot use an unchecked result, this is an error of the case.

        If the contract describes the result, the subject has checked it already.
        """
        try:
            return self.subject.measure(self.job.law, example)
        except (CaseError, NotApplicable):
            raise
        except (Exception, SystemExit) as error:
            if self.job.contract.output is not None:
                raise
            raise self.subject.misfit(error) from error

    def measure_until_broken(self, example: Example) -> Measurement:
        """Measure an example that should break the law; repeat this if the law is intermittent."""
        measurement = self.measure(example)
        for _ in range(ATTEMPTS - 1 if self.job.law.intermittent else 0):
            if measurement.broken:
                break
            measurement = self.measure(example)
        return measurement

    def breaks(self, example: Example) -> bool:
        """Whether an example breaks the law, on the current tier of the oracle."""
        return self.measure(example).broken

    def severity_of_rows(self, example: Example) -> NDArray[np.float64] | None:
        """Return the severities of the rows, zero if a row holds; ``None`` if the law does not measure row by row."""
        measurement = self.measure(example)
        return reduce_to_rows(np.where(measurement.ratio > 1.0, measurement.severity, 0.0))

    def shows_each_time(self, example: Example) -> bool:
        """Whether the examples that break the law do so in every measurement."""
        return not self.job.law.intermittent or all(self.breaks(example) for _ in range(TRIES))

    def _agree(self, row: Example, confirmed: Measurement) -> None:
        """Raise an error for a violation that only the screen found, unless rounding of the screen explains it.

        Raises
        ------
        CaseError
            If a second call gives another result, or the two tiers of the oracle disagree.
        """
        job = self.job
        first, second = self.measure(row), self.measure(row)
        with confirming():
            repeated = self.measure(row)
        pairs = ((first, second), (confirmed, repeated))
        same = all(np.array_equal(again.actual, once.actual, equal_nan=True) for again, once in pairs)
        if not (same and first.broken):
            raise CaseError(
                f"{job.case.name} gives a different result when it is called again on the same inputs",
                Fault.UNREPEATABLE,
            )
        worst = first.worst
        screened, exact = float(first.deviation[worst]), float(confirmed.deviation[worst])
        if not math.isclose(screened, exact, rel_tol=_TIERS_AGREE, abs_tol=_TIERS_AGREE):
            example = _format_short(make_json(row, job.contract, job.format))
            raise CaseError(
                f"internal error of the harness: the two tiers of the oracle disagree on {job.law.name}, "
                f"{screened:.6g} {job.law.unit} and {exact:.6g}{example}",
                Fault.ORACLE,
            )


def _format_short(example: str) -> str:
    """Return an example as the end of a sentence, or an empty text if it has many rows."""
    return f", on {example}" if len(example) <= _SHORT else ""


def _list_broken_severities(measurement: Measurement) -> NDArray[np.float64]:
    """Return the severities of the broken rows."""
    severity, ratio = reduce_to_rows(measurement.severity), reduce_to_rows(measurement.ratio)
    return np.array([measurement.most_severe]) if severity is None or ratio is None else severity[ratio > 1.0]


def _remove_rows_beyond(
    measurement: Measurement, excluded: Callable[[NDArray[np.float64]], NDArray[np.bool_]]
) -> Measurement:
    """Return the measurement without the rows that are this far beyond their bounds."""
    severity = reduce_to_rows(measurement.severity)
    return ignore_rows(measurement, excluded(np.array([measurement.most_severe]) if severity is None else severity))


def ignore_rows(measurement: Measurement, rows: NDArray[np.bool_]) -> Measurement:
    """Return the measurement with no deviation in some rows."""
    left_out = expand_along_rows(rows, measurement.ratio.ndim)
    return replace(measurement, deviation=np.where(left_out, 0.0, measurement.deviation))


def expand_along_rows(rows: NDArray[np.bool_], axes: int) -> NDArray[np.bool_]:
    """Return one flag per row in the shape that broadcasts to an output with this number of axes."""
    return rows.reshape(-1, *(1,) * (axes - 1)) if axes else rows[0]


# Rows of an example

Kinds = set[tuple[bool, bool]]
"""For each row: whether it has ordinary entries, and whether it has special ones."""


class Members:
    """The members of the inputs that are like a given one."""

    def __init__(self, example: Example, axes: Mapping[str, Axes], format_: Format) -> None:
        self.axes, self.format = axes, format_
        self._kinds = {name: _find_kinds(example[name], axes[name]) for name in axes}
        # A law about other inputs than the contract's may have some that are no distribution, say, to begin with.
        self._restored = [name for name in axes if self._is_whole(example[name], axes[name])]
        self._last = {name: example[name] for name in axes}
        """The tensors of the latest member; most candidates differ from it in one tensor."""

    def _is_whole(self, value: Any, axes: Axes) -> bool:
        if axes.restore is None:
            return False
        restored = axes.restore(value, self.format)
        return restored is not None and torch.equal(restored, value)

    def nearest(self, candidate: Example) -> Example | None:
        """Return the member for a candidate; ``None`` if there is none."""
        member = dict(candidate)
        for name, axes in self.axes.items():
            if member[name] is self._last[name]:
                continue
            if axes.restore is not None and name in self._restored:
                member[name] = axes.restore(member[name], self.format)
            if member[name] is None or not self._is_like(name, member[name]):
                return None
            self._last[name] = member[name]
        return member

    def _is_like(self, name: str, value: Tensor) -> bool:
        kinds = _find_kinds(value, self.axes[name])
        return kinds <= self._kinds[name] and _merge_kinds(kinds) == _merge_kinds(self._kinds[name])


def _find_kinds(value: Tensor, axes: Axes) -> Kinds:
    peculiar = is_peculiar(value, axes)
    if peculiar is None:
        return set()
    if not peculiar.any():
        return {(True, False)}
    rows = peculiar.reshape(-1, peculiar.shape[-1] if peculiar.ndim else 1)
    return set(zip((~rows).any(-1).tolist(), rows.any(-1).tolist(), strict=True))


def _merge_kinds(kinds: Kinds) -> tuple[bool, bool]:
    return any(ordinary for ordinary, _ in kinds), any(peculiar for _, peculiar in kinds)


def is_peculiar(value: Any, axes: Axes) -> Tensor | None:
    """Return which entries are peculiar; ``None`` if the input has no such kind."""
    if not isinstance(value, Tensor) or not value.numel() or axes.index_of is not None:
        return None
    if value.dtype == torch.bool:
        return ~value
    if not value.is_floating_point():
        return None
    return ~value.isfinite() | (value == 0.0) if axes.positive else ~value.isfinite()


def find_peculiar_rows(example: Example, axes: Mapping[str, Axes], leading: str) -> NDArray[np.bool_]:
    """Return which positions along the leading axis have a peculiar entry in any input."""
    flags = [
        peculiar.reshape(len(peculiar), -1).any(-1).numpy()
        for name, input_axes in axes.items()
        if input_axes.names[:1] == (leading,) and (peculiar := is_peculiar(example[name], input_axes)) is not None
    ]
    return np.any(flags, axis=0) if flags else np.array([], dtype=bool)


def is_same(first: float, second: float) -> bool:
    """Whether two finite numbers are equal, including the signs of zeros."""
    return first == second and bool(np.signbit(first) == np.signbit(second))


def select_worst_row(
    example: Example,
    axes: Mapping[str, Axes],
    measurement: Measurement,
    fails: Callable[[Example], bool],
    *,
    peculiar: bool = False,
) -> Example:
    """Return the row with the largest ratio if it fails alone, and otherwise the whole example.

    If the law is about ``peculiar`` entries, such as masked ones, a row with one is preferred, or kept in addition.
    """
    leading = next((input_axes.names[0] for input_axes in axes.values()), None)
    if leading is None or not measurement.worst or len(measurement.ratio) != count_positions(example, axes, leading):
        return example
    rows = [measurement.worst[0]]
    special = find_peculiar_rows(example, axes, leading) if peculiar else np.array([])
    if special.any() and not special[rows[0]]:
        ratios = measurement.ratio.reshape(len(special), -1).max(-1)
        first = int(np.where(special, ratios, -1.0).argmax())
        rows = [first] if ratios[first] > 1.0 else [rows[0], first]
    row = take(example, axes, leading, rows)
    return row if row is not None and fails(row) else example


def take(example: Example, axes: Mapping[str, Axes], name: str, selected: Sequence[int]) -> Example | None:
    """Keep the given positions of an axis in every input; ``None`` if an index refers to a dropped one."""
    result, is_prefix = dict(example), selected == range(len(selected))
    index = torch.arange(len(selected)) if is_prefix else torch.tensor(list(selected), dtype=torch.long)
    for key, input_axes in axes.items():
        value: Tensor = result[key]
        if input_axes.index_of == name:
            if not set(value.flatten().tolist()) <= set(selected):
                return None
            renumbered = {old: new for new, old in enumerate(selected)}
            value = value.clone().apply_(lambda old, to=renumbered: to[old])
        for position, axis_name in enumerate(input_axes.names):
            if axis_name == name:
                value = value.index_select(position, index)
        result[key] = value
    return result


def count_positions(example: Example, axes: Mapping[str, Axes], name: str) -> int:
    """Count the positions along an axis."""
    key, input_axes = next((key, input_axes) for key, input_axes in axes.items() if name in input_axes.names)
    return len(example[key].movedim(input_axes.names.index(name), 0))


def stack_rows(rows: Sequence[Example], axes: Mapping[str, Axes]) -> Example | None:
    """Stack examples with a single row; ``None`` if one has more rows, or if they share no leading axis."""
    leading = next((input_axes.names[0] for input_axes in axes.values() if input_axes.names), None)
    batch = dict(rows[0])
    for name, input_axes in axes.items():
        if input_axes.index_of == leading or leading in input_axes.names[1:]:
            return None
        values = [row[name] for row in rows]
        if input_axes.names[:1] == (leading,):
            if len(values[0]) != 1 or any(value.shape != values[0].shape for value in values):
                return None
            batch[name] = torch.cat(values)
        elif not all(torch.equal(value, values[0]) for value in values):
            return None
    return None if leading is None else batch


def make_row_of_each(
    example: Example, axes: Mapping[str, Axes], name: str, index: tuple[int, ...], values: Tensor
) -> Example | None:
    """Return an example with a row for each value of an entry; ``None`` if the example has several rows."""
    if stack_rows([example], axes) is None or not index:
        return None
    leading, batch = axes[name].names[0], dict(example)
    for key, input_axes in axes.items():
        if input_axes.names[:1] == (leading,):
            batch[key] = example[key].repeat(len(values), *[1] * (example[key].ndim - 1))
    batch[name][(slice(None), *index[1:])] = values
    return batch


def reduce_to_rows(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the largest number per row; ``None`` without rows."""
    return np.fmax.reduce(values.reshape(len(values), -1), axis=-1) if values.ndim and values.size else None
