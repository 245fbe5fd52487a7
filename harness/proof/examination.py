"""Examine the pairs that the table rejects: count the deviations and keep the worst."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.calling.watch import TimeOnlyWatch
from harness.floats import Array, DoubleDouble, Measurement, confirming, remembering
from harness.floats.double_double import two_sum
from harness.laws import Example, Law, Subject
from harness.proof.every_value import bind_replay, witness_of
from harness.proof.pairs import Codes, Pairs
from harness.proof.tally import LIMITS, Tally
from harness.proof.threshold import Flags, compare_with_limit
from harness.record import Violation, Witness
from harness.verdict.decide import decide
from harness.verdict.job import Job

_MANY = 2**14
"""Number of pairs that are examined together."""

_CLOSE = 1.0 - 2.0**-20
"""Fraction of the bound above which ball arithmetic confirms a deviation."""


@dataclass(frozen=True)
class Suspects:
    """Pairs that the table rejected: codes of the operands and of the outputs, and places, each ``[2, n]``."""

    operands: Codes
    outputs: Codes
    places: NDArray[np.int64]
    """Places of both operands in the space."""

    def __len__(self) -> int:
        return int(self.operands.shape[1])

    def at(self, index: Any) -> "Suspects":
        """Return the pairs at an index."""
        return Suspects(self.operands[:, index], self.outputs[:, index], self.places[:, index])


def concatenate_pairs(parts: Sequence[Suspects]) -> Suspects:
    """Concatenate pairs."""
    return Suspects(
        np.concatenate([part.operands for part in parts], axis=1),
        np.concatenate([part.outputs for part in parts], axis=1),
        np.concatenate([part.places for part in parts], axis=1),
    )


class Examination:
    """The findings of one shard of a proof."""

    def __init__(self, task: Pairs) -> None:
        self.task = task
        self.half, self.whole = ([spec.interval(task.format_, limit) for spec in task.outputs] for limit in (0.5, 1.0))
        self.pending: list[Suspects] = []
        self.waiting = 0
        self.not_correctly_rounded = self.not_finite = 0
        self.beyond = np.zeros(len(LIMITS), dtype=np.int64)
        self.worst = 0.0
        self.worst_one: Suspects | None = None
        self.broken: dict[str, Violation] = {}

    def add(self, suspects: Suspects) -> None:
        """Queue pairs; they are examined in large batches."""
        self.pending.append(suspects)
        self.waiting += len(suspects)
        if self.waiting >= _MANY:
            self.settle()

    def settle(self) -> None:
        """Examine the queued pairs."""
        if not self.pending:
            return
        suspects = concatenate_pairs(self.pending)
        self.pending.clear()
        self.waiting = 0
        first, second = (self.task.pairs.values(codes) for codes in suspects.operands)
        is_half, is_one, undecided = self._find_within(two_sum(first, -second), suspects.outputs)
        off, far = np.flatnonzero(~is_half & ~undecided), np.flatnonzero(~is_one & ~undecided)
        self.not_correctly_rounded += len(off)
        if len(far):
            self._measure(suspects.at(far))
        elif len(off) and self.worst < 1.0:
            self._keep_worst(self._compute_deviation(suspects.at(off)), suspects.at(off))
        if undecided.any():
            self._confirm(suspects.at(undecided))

    def tally(self, **fields: Any) -> Tally:
        """Return the findings, with the worst deviation confirmed by ball arithmetic."""
        self.settle()
        return Tally(
            not_correctly_rounded=self.not_correctly_rounded,
            beyond=tuple(int(number) for number in self.beyond),
            not_finite=self.not_finite,
            witness=None if self.worst_one is None else self._build_witness(self.worst_one),
            order=() if self.worst_one is None else tuple(self.worst_one.places[:, 0].tolist()),
            broken=self.broken,
            **fields,
        )

    def _find_within(self, gap: DoubleDouble, outputs: Codes) -> tuple[Flags, Flags, Flags]:
        """Return which pairs have both outputs within half an ulp, which within one, and which are undecided."""
        inside = [np.ones(gap.shape, dtype=bool), np.ones(gap.shape, dtype=bool)]
        undecided = np.zeros(gap.shape, dtype=bool)
        for spec, codes, *intervals in zip(self.task.outputs, outputs, self.half, self.whole, strict=True):
            argument = spec.argument.evaluate(gap)
            for within_limit, interval in zip(inside, intervals, strict=True):
                is_inside, is_open = compare_with_limit(argument, codes.astype(np.int64), interval)
                within_limit &= is_inside
                undecided |= is_open
        return inside[0], inside[1], undecided

    def _measure(self, far: Suspects) -> None:
        """Count the pairs that are more than one ulp off, and measure every law that is not broken yet on them."""
        nan = np.isnan(self.task.pairs.values(far.outputs)).any(0)
        # One pair with a NaN output is enough, because all of them break the same laws.
        first = np.flatnonzero(nan)[: int(len(self.broken) < len(self.task.laws))]
        self._count(np.full(np.count_nonzero(nan) - len(first), np.inf))
        examined = far.at(np.sort(np.append(np.flatnonzero(~nan), first)))
        if not len(examined):
            return
        example = self._build_example(examined)
        with remembering():
            measured = {law.name: self._measure_law(law, examined, example) for law in self._open_laws()}
        deviation = _find_largest(measured[self.task.main.name], len(examined))
        self._count(deviation)
        self._keep_worst(deviation, examined)
        for law in self.task.laws:
            if law.name not in self.broken:
                self._judge(law, measured[law.name], examined)

    def _open_laws(self) -> list[Law]:
        """Return the law that counts deviations, and the laws that are not broken yet."""
        return [law for law in self.task.laws if law is self.task.main or law.name not in self.broken]

    def _count(self, deviation: Array) -> None:
        self.beyond += [np.count_nonzero(deviation > limit) for limit in LIMITS]
        self.not_finite += int(np.count_nonzero(np.isinf(deviation)))

    def _keep_worst(self, deviation: Array, suspects: Suspects) -> None:
        """Keep the worst pair; among equal deviations, the first in the space."""
        worst = float(deviation.max())
        if worst == 0.0 or worst < self.worst:
            return
        tied = suspects.at(deviation == worst)
        if worst == self.worst and self.worst_one is not None:
            tied = concatenate_pairs([tied, self.worst_one])
        self.worst, self.worst_one = worst, tied.at(np.lexsort(tied.places[::-1])[:1])

    def _confirm(self, undecided: Suspects) -> None:
        """Decide pairs by ball arithmetic."""
        with confirming():
            deviation = self._compute_deviation(undecided)
        self.not_correctly_rounded += int(np.count_nonzero(deviation > 0.5))
        self._count(deviation)
        self._keep_worst(deviation, undecided)

    def _compute_deviation(self, suspects: Suspects) -> Array:
        """Return the largest output deviation for each pair."""
        return _find_largest(self._measure_main(suspects), len(suspects))

    def _measure_main(self, suspects: Suspects) -> Measurement:
        return self._measure_law(self.task.main, suspects, self._build_example(suspects))

    def _measure_law(self, law: Law, suspects: Suspects, example: Example) -> Measurement:
        job = self._make_job(law, suspects)
        return Subject(job.case, job.contract, job.format, TimeOnlyWatch()).measure(law, example)

    def _build_example(self, suspects: Suspects) -> Example:
        return self.task.operation.example(self._tensor(suspects.operands))

    def _judge(self, law: Law, measurement: Measurement, suspects: Suspects) -> None:
        """Keep the worst violation of a law that ball arithmetic confirms, among the pairs near or beyond its bound."""
        ratio = measurement.ratio.reshape(len(suspects), -1).max(-1)
        close = np.flatnonzero(ratio > _CLOSE)
        for i in close[np.argsort(-ratio[close], kind="stable")]:
            suspect = suspects.at([i])
            job, example = self._make_job(law, suspect), self._build_example(suspect)
            violation = decide(job, example=example, corpora=()).violation
            if violation is not None:
                self.broken[law.name] = bind_replay(violation, replace(job, case=self.task.case), example)
                return

    def _build_witness(self, suspect: Suspects) -> Witness:
        with confirming():
            measured = self._measure_main(suspect)
        position = tuple(int(i) for i in np.unravel_index(int(np.argmax(measured.deviation)), measured.deviation.shape))
        return witness_of({"logits": self._tensor(suspect.operands)}, measured, position, place=position)

    def _make_job(self, law: Law, suspects: Suspects) -> Job:
        """Return a job whose case replays the outputs that it returned in the sweep."""
        case = replace(self.task.case, function=self.task.operation.answering(self._tensor(suspects.outputs)))
        return Job(case, self.task.contract, law, self.task.format_)

    def _tensor(self, codes: Codes) -> Tensor:
        """View codes ``[k, n]`` as numbers ``[n, k]`` in the same memory; sums over classes use full columns."""
        return torch.from_numpy(np.ascontiguousarray(codes).view(np.int16)).view(self.task.format_.dtype).T


def _find_largest(measurement: Measurement, count: int) -> Array:
    """Return the largest output deviation for each pair."""
    return np.asarray(measurement.deviation.reshape(count, -1).max(-1))
