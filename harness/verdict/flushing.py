"""Detect implementations without subnormal numbers, from their results or from their treatment of inputs.

Flushing returns zero for subnormal results only. A rounding before the result, and a lower limit of a norm, also lose
numbers that are far from subnormal.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from harness.laws.case_error import CaseError
from harness.laws.law import Example, Law
from harness.laws.subject import Subject
from harness.record.property import SUBNORMALS
from harness.verdict.draw import ENOUGH, HALF, NEARLY_ALL, Sample, examples, is_float, numbers, sampled, share
from harness.verdict.job import Job


@dataclass
class Flushing:
    """An observation of a case in a dtype.

    Parameters
    ----------
    job
        The case, in a dtype.
    subject
        The subject of its laws.
    value
        The law of its value.
    samples
        Its results on ordinary inputs.
    """

    job: Job
    subject: Subject
    value: Law
    samples: Sequence[Sample]

    def is_seen(self) -> bool:
        """Whether the implementation has no subnormal numbers."""
        return self._answers_zero() or self._takes_for_zero()

    def _takes_for_zero(self) -> bool:
        """Return whether wrong results of tiny numbers are right for zeros, and no result is subnormal.

        Results of subnormal numbers may be normal, such as ``p ln p``, and exponentials are subnormal only for some
        inputs.
        """
        if share(self.samples) <= HALF:
            return False
        tiny = [*self._tiny(), *self._exponents()]
        kept = self._sampled(self.subject, tiny)
        answers = np.abs(numbers(kept, "actual"))
        if all(sample.holds.all() for sample in kept) or ((answers > 0.0) & (answers < self.job.format.tiny)).any():
            return False
        # Flushing gives zeros for subnormal results; over many steps the bound admits a constant as well.
        exact = np.abs(numbers(kept, "expected"))
        answered = answers[(exact > 0.0) & (exact < self.job.format.tiny)] != 0.0
        if answered.size and answered.mean() > HALF:
            return False
        declares = {**self.job.case.declares, SUBNORMALS: "flushed"}
        flushed = self._sampled(replace(self.job, case=replace(self.job.case, declares=declares)).subject, tiny)
        # An input that fails both ways is outside the domain, such as minus infinity for a probability.
        pairs = [pair for pair in zip(kept, flushed, strict=False) if any(one.holds.any() for one in pair)]
        right, explained = (_held([pair[which] for pair in pairs]) for which in (0, 1))
        if len(kept) != len(flushed) or int((~right).sum()) < ENOUGH:
            return False
        # A lower limit of a norm also affects numbers with normal squares.
        normal = _held(self._sampled(self.subject, [self._scaled((self.job.format.emin + 16) // 2)]))
        if normal.size and normal.mean() <= HALF:
            return False
        return min(float(explained.mean()), float(explained[~right].mean())) >= NEARLY_ALL

    def _sampled(self, subject: Subject, drawn: Iterable[Example]) -> list[Sample]:
        """Measure the value on unusual inputs; the laws report a missing result."""
        samples = []
        for example in drawn:
            # NumPy warns about a variance of zero, which is not judged here.
            with contextlib.suppress(CaseError), np.errstate(all="ignore"):
                samples.append(sampled(subject, self.value, example))
        return samples

    def _exponents(self) -> Iterator[Example]:
        """Examples whose first numbers have exponentials that are subnormal or just not, on both sides of zero."""
        example, format_ = self.samples[-1].example, self.job.format
        first = next((name for name, x in example.items() if is_float(x)), None)
        if first is not None:
            x = example[first]
            low, high = math.log(2.0 * format_.smallest), math.log(2.0**12 * format_.tiny)
            ramp = torch.linspace(low, high, max(x.numel(), 1), dtype=torch.float64)[: x.numel()].reshape(x.shape)
            yield {**example, first: ramp.to(x.dtype)}
            yield {**example, first: -ramp.to(x.dtype)}

    def _answers_zero(self) -> bool:
        """Return whether subnormal numbers give zero, for drawn inputs or for exponentials."""
        extreme = next((law for law in self.job.contract.laws if law.name == "value_on_extreme_numbers"), None)
        samples = list(self.samples)
        if extreme is not None and extreme.inputs is not None:
            samples += [sampled(self.subject, extreme, x) for x in examples(extreme.inputs, self.job.format)]
        # The last is of normal numbers that are hardly larger.
        samples += self._sampled(self.subject, [*self._tiny(), self._scaled(self.job.format.emin + 4)])
        return self._are_flushed(samples) or self._are_flushed(samples + self._sampled(self.subject, self._exponents()))

    def _are_flushed(self, samples: Sequence[Sample]) -> bool:
        """Return whether all subnormal numbers give zero, and hardly any normal number near them does.

        No such number means no flushing: a sum that absorbs a small term is zero too.
        """
        actual, expected = numbers(samples, "actual"), np.abs(numbers(samples, "expected"))
        format_ = self.job.format
        subnormal = (expected >= 2.0 * format_.smallest) & (expected <= 0.875 * format_.tiny)
        # Numbers below half an ulp of 1 may be zero because of rounding, which laws must show.
        near = min(2.0**12 * format_.tiny, 2.0 ** (-1 - format_.precision))
        normal = (expected >= 2.0 * format_.tiny) & (expected <= near)
        if int(subnormal.sum()) < ENOUGH or actual[subnormal].any() or not normal.any():
            return False
        return float(np.mean(actual[normal] != 0.0)) >= NEARLY_ALL

    def _scaled(self, exponent: int) -> Example:
        """An ordinary example times a power of two."""
        return {
            name: (x.double() * 2.0**exponent).to(x.dtype) if is_float(x) else x
            for name, x in self.samples[-1].example.items()
        }

    def _tiny(self) -> Iterator[Example]:
        """Return examples with subnormal numbers, and with subnormal squares; and the first with zeros elsewhere.

        A sum of exponentials is subnormal only if it has a single term.
        """
        emin = self.job.format.emin
        for exponent in ((emin - 3) // 2, emin - 3):
            tiny = self._scaled(exponent)
            yield tiny
        yield {name: self._first_column(name, x) for name, x in tiny.items()}
        first = next((name for name, x in tiny.items() if is_float(x)), None)
        yield {name: torch.full_like(x, -torch.inf) if is_float(x) and name != first else x for name, x in tiny.items()}

    def _first_column(self, name: str, x: Any) -> Any:
        """Return the same for one input; labels, which refer to columns, get one column."""
        if is_float(x) and x.ndim > 1:
            return x[..., :1]
        axes = self.job.contract.axes.get(name)
        return torch.zeros_like(x) if axes is not None and axes.index_of is not None else x


def _held(samples: Sequence[Sample]) -> Any:
    """Return which rows hold."""
    return np.concatenate([sample.holds for sample in samples]) if samples else np.zeros(0, dtype=bool)
