"""Find the declarations that an implementation lacks: its convention, and that it has no subnormal numbers.

A convention is accepted only if most ordinary rows hold under it, and fewer than half of the distinguishing rows hold
under the default. An implementation that is wrong under all conventions stays wrong.

Flushing returns zero for subnormal results only. A rounding before the result, and a lower limit of a norm, also lose
numbers that are far from subnormal.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from operator import itemgetter
from typing import Any

import numpy as np
import torch

from harness.calling.adapter import NotApplicable
from harness.case import Case
from harness.floats import Format
from harness.laws import AnyNumber, CaseError, Contract, Example, Law, Subject
from harness.record.property import SUBNORMALS
from harness.verdict.draw import (
    ENOUGH,
    HALF,
    NEARLY_ALL,
    Rows,
    Sample,
    compute_share,
    draw_few_examples,
    is_float,
    join_numbers,
    measure_sample,
)
from harness.verdict.job import Job

MIN_DISTINGUISHED = 4
"""Minimum number of rows that distinguish the two."""

CLEAR_SHARE = 0.85
"""Share of the ordinary rows that must hold under a convention; another defect, such as a variance that cancels at an
offset, is then found under it.
"""

STEPS = 60
"""Bisections within which a number is found to the last bit that shows."""

DIGITS = (1, 2, 3)
"""Numbers of digits to which a number is rounded before it is tried."""

Declared = Mapping[str, Any]


def find_convention(case: Case, contract: Contract, format_: Format, device: str) -> dict[str, Any]:
    """Return the declarations that the case needs; none if the defaults hold, or no convention does."""
    convention: dict[str, Any] = {}
    looking = _Looking(case, contract, format_, device)
    try:
        value = next((law for law in contract.laws if law.name == "value"), contract.laws[0])
        convention |= looking.find_value_convention(value)
        if not looking.is_right(value, convention):
            return convention
        for law in contract.laws:
            if law.group == "special" and law.inputs is not None:
                convention |= looking.find_policy(law, convention)
    except (CaseError, NotApplicable):
        return {}
    return convention


def own_eps(format_: Format) -> float:
    """Return the default eps of torch's normalizations, which is the eps of the accumulator's format."""
    return 2.0 * format_.u_accumulator


@dataclass(frozen=True)
class _Looking:
    """The search for the convention of a case in a format."""

    case: Case
    contract: Contract
    format: Format
    device: str

    def measure_under(self, declared: Declared, law: Law, drawn: Sequence[Example]) -> list[Sample]:
        """Measure a law under a convention."""
        case = replace(self.case, declares={**self.case.declares, **declared})
        subject = Subject(case, self.contract, self.format, device=self.device)
        return [measure_sample(subject, law, example) for example in drawn]

    def _measure_every_row(self, declared: Declared, law: Law, drawn: Sequence[Example]) -> list[Sample]:
        """Measure a law under a convention, with every row as an ordinary one."""
        samples = self.measure_under(declared, law, drawn)
        return [replace(sample, ordinary=np.ones(len(sample.ordinary), dtype=bool)) for sample in samples]

    @property
    def open(self) -> dict[str, Any]:
        """The conventions that the case leaves to its contract's default."""
        conventions = self.contract.conventions
        return {name: values for name, values in conventions.items() if name not in self.case.declares}

    def is_right(self, law: Law, found: Declared) -> bool:
        """Return whether the value is right on ordinary rows, without which no policy is determined."""
        drawn = draw_few_examples(law.inputs or self.contract.inputs, self.format)
        return compute_share(self.measure_under(found, law, drawn)) >= NEARLY_ALL

    def find_value_convention(self, law: Law) -> dict[str, Any]:
        """Return the convention under which ordinary rows and distinguishing rows are right."""
        drawn = draw_few_examples(law.inputs or self.contract.inputs, self.format)
        default, distinguishing = self.measure_under({}, law, drawn), self._draw_distinguishing_rows()
        if not self.open or (
            compute_share(default) >= NEARLY_ALL and self._compute_share_held({}, law, distinguishing) >= HALF
        ):
            return {}
        best: tuple[float, dict[str, Any]] = (0.0, {})
        for declared in self._list_combinations():
            for tried in self._fit_combination(declared, law, drawn):
                if self.explains(tried, law, drawn, default, distinguishing):
                    best = max(best, (self._compute_share_held(tried, law, distinguishing), tried), key=itemgetter(0))
                    # The first convention that explains all rows; without distinguishing rows, the first.
                    if best[0] >= NEARLY_ALL:
                        return best[1]
        return self._refine(best, law, distinguishing)

    def _draw_distinguishing_rows(self) -> list[Example]:
        return draw_few_examples(self.contract.telling, self.format)[1:] if self.contract.telling is not None else []

    def _compute_share_held(self, declared: Declared, law: Law, distinguishing: Sequence[Example]) -> float:
        """Return the share of the distinguishing rows that hold under a convention."""
        return compute_share(self._measure_every_row(declared, law, distinguishing)) if distinguishing else 1.0

    def _refine(
        self, best: tuple[float, dict[str, Any]], law: Law, distinguishing: Sequence[Example]
    ) -> dict[str, Any]:
        """Return the best convention, or a similar one with an unusual number."""
        if not best[1]:
            return {}
        for declared in (best[1], dict.fromkeys(self.open, 0.0)):
            for name in (name for name, values in self.open.items() if isinstance(values, AnyNumber)):
                for number in self._find_numbers(name, declared, law, distinguishing, whole=True):
                    tried = {**declared, name: number}
                    changed = {option: value for option, value in tried.items() if value != self.open[option][0]}
                    best = max(
                        best, (self._compute_share_held(changed, law, distinguishing), changed), key=itemgetter(0)
                    )
        return best[1]

    def _list_combinations(self) -> Iterator[dict[str, Any]]:
        """Yield every combination of usual values, the closest to the defaults first."""
        names = list(self.open)
        combinations = [dict(zip(names, values, strict=True)) for values in product(*self.open.values())]
        changed = [
            {name: value for name, value in combination.items() if value != self.open[name][0]}
            for combination in combinations
        ]
        yield from sorted(filter(None, changed), key=len)

    def _fit_combination(
        self, declared: dict[str, Any], law: Law, drawn: Sequence[Example]
    ) -> Iterator[dict[str, Any]]:
        """Yield the combination, also with numbers that are fitted to the results."""
        yield declared
        for name, values in self.open.items():
            # Optional parts matter only for the inputs of their policy.
            if isinstance(values, AnyNumber) and values[0] and declared.get(name) == values[-1]:
                yield {**declared, name: own_eps(self.format)}
                yield from ({**declared, name: number} for number in self._find_numbers(name, declared, law, drawn))

    def _find_numbers(
        self, name: str, declared: Declared, law: Law, drawn: Sequence[Example], *, whole: bool = False
    ) -> Iterator[float]:
        """Yield numbers for which the exact values agree with the implementation, the fewest digits first."""
        values = self.open[name]
        low, high = math.log(max(values.least, self.format.u**2)), math.log(min(values.most, 1.0))

        def excess(at: float) -> float:
            measure = self._measure_every_row if whole else self.measure_under
            return _sum_excess(measure({**declared, name: math.exp(at)}, law, drawn))

        rising = excess(low) < excess(high)
        for _ in range(STEPS):
            # All numbers between the two have this spelling.
            if _list_roundings(low) == _list_roundings(high):
                break
            middle = (low + high) / 2.0
            if (excess(middle) > 0.0) == rising:
                high = middle
            else:
                low = middle
        yield from _list_roundings(low)

    def explains(
        self,
        declared: Declared,
        law: Law,
        drawn: Sequence[Example],
        default: Sequence[Sample],
        distinguishing: Sequence[Example],
    ) -> bool:
        """Whether most ordinary rows hold under a convention, and the default fails where the two differ."""
        if compute_share(self.measure_under(declared, law, drawn[1:2])) < CLEAR_SHARE:
            return False
        tried = self.measure_under(declared, law, drawn)
        if compute_share(tried) < CLEAR_SHARE:
            return False
        distinguished = _compare_samples(default, tried)
        if compute_share(default) >= NEARLY_ALL:
            return (
                self._compute_share_held({}, law, distinguishing) < HALF
                and self._compute_share_held(declared, law, distinguishing) >= NEARLY_ALL
            )
        return distinguished.size >= min(MIN_DISTINGUISHED, len(drawn)) and float(distinguished.mean()) < HALF

    def find_policy(self, law: Law, found: Declared) -> dict[str, Any]:
        """Return the policy of a law about points that mathematics does not define."""
        undecided = [name for name in self.open if name not in found]
        if not undecided:
            return {}
        drawn = draw_few_examples(law.inputs or self.contract.inputs, self.format)
        default = self._measure_every_row(found, law, drawn)
        if all(sample.holds.all() for sample in default):
            return {}
        for name in undecided:
            for value in self.open[name][1:]:
                tried = self._measure_every_row({**found, name: value}, law, drawn)
                by_default, changed = _compare_samples(default, tried), _compare_samples(tried, default)
                if by_default.size < MIN_DISTINGUISHED or float(by_default.mean()) >= HALF:
                    continue
                if float(changed.mean()) >= NEARLY_ALL and compute_share(tried) >= NEARLY_ALL:
                    return {name: value}
        return {}


def _list_roundings(logarithm: float) -> list[float]:
    """Return the number with this logarithm, rounded to several numbers of digits, fewest first."""
    return [float(f"{math.exp(logarithm):.{digits - 1}e}") for digits in DIGITS]


def _compare_samples(default: Sequence[Sample], tried: Sequence[Sample]) -> Rows:
    """Return which distinguishing ordinary rows hold under the first of two conventions."""
    return np.concatenate([_compare_sample_pair(*pair) for pair in zip(default, tried, strict=True)])


def _compare_sample_pair(one: Sample, other: Sample) -> Rows:
    chosen = one.ordinary
    if one.measurement is not None and other.measurement is not None:
        a, b = one.measurement.expected, other.measurement.expected
        if a.shape == b.shape and a.ndim and len(a) == len(chosen):
            with np.errstate(invalid="ignore"):
                equal = (a == b) | (np.isnan(a) & np.isnan(b))
            chosen = chosen & ~equal.reshape(len(a), -1).all(-1)
            # If they differ by less than the bound, both hold.
            chosen = chosen & ~(one.holds & other.holds)
    return one.holds[chosen]


def _sum_excess(samples: Sequence[Sample]) -> float:
    """Return the sum of the exact values minus the sum of the results, on ordinary rows."""
    total = 0.0
    for sample in samples:
        if sample.measurement is not None and sample.measurement.actual.shape[:1] == sample.ordinary.shape:
            arrays = (sample.measurement.expected, sample.measurement.actual)
            expected, actual = (np.abs(x[sample.ordinary]) for x in arrays)
            with np.errstate(invalid="ignore"):
                difference = expected - actual
            total += float(difference[np.isfinite(difference)].sum())
    return total


# Implementations without subnormal numbers


@dataclass
class Flushing:
    """An observation of a case in a dtype: the law of its value, and its results on ordinary inputs."""

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
        if compute_share(self.samples) <= HALF:
            return False
        tiny = [*self._make_tiny_examples(), *self._make_exponents()]
        plain = self._measure_samples(self.subject, tiny)
        answers = np.abs(join_numbers(plain, "actual"))
        if all(sample.holds.all() for sample in plain) or ((answers > 0.0) & (answers < self.job.format.tiny)).any():
            return False
        # Flushing gives zeros for subnormal results; over many steps the bound admits a constant as well.
        exact = np.abs(join_numbers(plain, "expected"))
        answered = answers[(exact > 0.0) & (exact < self.job.format.tiny)] != 0.0
        if answered.size and answered.mean() > HALF:
            return False
        declares = {**self.job.case.declares, SUBNORMALS: "flushed"}
        flushed = self._measure_samples(replace(self.job, case=replace(self.job.case, declares=declares)).subject, tiny)
        # An input that fails both ways is outside the domain, such as minus infinity for a probability.
        pairs = [pair for pair in zip(plain, flushed, strict=False) if any(entry.holds.any() for entry in pair)]
        right, explained = (_find_holding_rows([pair[which] for pair in pairs]) for which in (0, 1))
        if len(plain) != len(flushed) or int((~right).sum()) < ENOUGH:
            return False
        # A lower limit of a norm also affects numbers with normal squares.
        normal = _find_holding_rows(
            self._measure_samples(self.subject, [self._scale_example((self.job.format.emin + 16) // 2)])
        )
        if normal.size and normal.mean() <= HALF:
            return False
        return min(float(explained.mean()), float(explained[~right].mean())) >= NEARLY_ALL

    def _measure_samples(self, subject: Subject, drawn: Iterable[Example]) -> list[Sample]:
        """Measure the value on unusual inputs; the laws report a missing result."""
        samples = []
        for example in drawn:
            # NumPy warns about a variance of zero, which is not judged here.
            with contextlib.suppress(CaseError), np.errstate(all="ignore"):
                samples.append(measure_sample(subject, self.value, example))
        return samples

    def _make_exponents(self) -> Iterator[Example]:
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
            samples += [
                measure_sample(self.subject, extreme, x) for x in draw_few_examples(extreme.inputs, self.job.format)
            ]
        # The last is of normal numbers that are hardly larger.
        samples += self._measure_samples(
            self.subject, [*self._make_tiny_examples(), self._scale_example(self.job.format.emin + 4)]
        )
        return self._are_flushed(samples) or self._are_flushed(
            samples + self._measure_samples(self.subject, self._make_exponents())
        )

    def _are_flushed(self, samples: Sequence[Sample]) -> bool:
        """Return whether all subnormal numbers give zero, and hardly any normal number near them does.

        No such number means no flushing: a sum that absorbs a small term is zero too.
        """
        actual, expected = join_numbers(samples, "actual"), np.abs(join_numbers(samples, "expected"))
        format_ = self.job.format
        subnormal = (expected >= 2.0 * format_.smallest) & (expected <= 0.875 * format_.tiny)
        # Numbers below half an ulp of 1 may be zero because of rounding, which laws must show.
        near = min(2.0**12 * format_.tiny, 2.0 ** (-1 - format_.precision))
        normal = (expected >= 2.0 * format_.tiny) & (expected <= near)
        if int(subnormal.sum()) < ENOUGH or actual[subnormal].any() or not normal.any():
            return False
        return float(np.mean(actual[normal] != 0.0)) >= NEARLY_ALL

    def _scale_example(self, exponent: int) -> Example:
        """An ordinary example times a power of two."""
        return {
            name: (x.double() * 2.0**exponent).to(x.dtype) if is_float(x) else x
            for name, x in self.samples[-1].example.items()
        }

    def _make_tiny_examples(self) -> Iterator[Example]:
        """Return examples with subnormal numbers, and with subnormal squares; and the first with zeros elsewhere.

        A sum of exponentials is subnormal only if it has a single term.
        """
        emin = self.job.format.emin
        for exponent in ((emin - 3) // 2, emin - 3):
            tiny = self._scale_example(exponent)
            yield tiny
        yield {name: self._select_first_column(name, x) for name, x in tiny.items()}
        first = next((name for name, x in tiny.items() if is_float(x)), None)
        yield {name: torch.full_like(x, -torch.inf) if is_float(x) and name != first else x for name, x in tiny.items()}

    def _select_first_column(self, name: str, x: Any) -> Any:
        """Return the same for one input; labels, which refer to columns, get one column."""
        axes = self.job.contract.axes.get(name)
        widest = max((others.names for others in self.job.contract.axes.values()), key=len, default=())
        if is_float(x) and x.ndim > 1 and (axes is None or axes.names[-1] == widest[-1]):
            return x[..., :1]
        return torch.zeros_like(x) if axes is not None and axes.index_of is not None else x


def _find_holding_rows(samples: Sequence[Sample]) -> Any:
    """Return which rows hold."""
    return np.concatenate([sample.holds for sample in samples]) if samples else np.zeros(0, dtype=bool)
