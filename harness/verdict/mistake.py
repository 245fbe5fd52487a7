"""Recognizing a frequent mistake: an implementation that returns the values of a known wrong function.

The contract lists the wrong functions. An implementation makes a mistake if nearly all its values on ordinary inputs
equal the values of the wrong function. Many of them must also differ from the exact values. A violation comes from the
mistake if the wrong function breaks the same law in the same way.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.floats import Array, Format
from harness.laws.law import Example, Law, Mistake
from harness.laws.subject import Subject
from harness.record import Violation
from harness.verdict.job import Job
from harness.verdict.ordinary import ENOUGH, NEARLY_ALL, examples, moderate_rows
from harness.verdict.rows import take

ROWS = 64
"""Ordinary rows of an example that are compared."""


def with_mistake(job: Job, violation: Violation, shown: Sequence[Example]) -> Violation:
    """Return the violation with the mistake that explains it on one of some examples, if the case makes a known one."""
    for mistake in job.contract.mistakes:
        # The second question takes longer.
        if any(_breaks_alike(mistake, job, example) for example in shown) and _is_made(mistake, job):
            return _explained(violation, mistake.what, mistake.remedy)
    return violation


def _explained(violation: Violation, what: str, remedy: str) -> Violation:
    return violation.model_copy(update={"mistake": what, "cause": f"{what}: {remedy}", "event": None})


def _is_made(mistake: Mistake, job: Job) -> bool:
    """Whether the values on ordinary rows equal the values of the wrong function, and not the exact values."""
    if (value := _value(job)) is None:
        return False
    wrong = agreeing = entries = 0
    for example in examples(value.inputs or job.contract.inputs, job.format):
        few = _ordinary(job, {name: example[name] for name in value.reads})
        if few is None:
            continue
        answered = job.subject.measure(value, few)
        assumed = _subject(mistake, job).measure(value, few).actual
        if assumed.shape != answered.actual.shape:
            return False
        is_wrong = ~_close(answered.actual, answered.expected, job.format)
        entries += is_wrong.size
        wrong += int(is_wrong.sum())
        agreeing += int(_close(answered.actual, assumed, job.format).sum())
    return wrong >= ENOUGH and agreeing >= NEARLY_ALL * entries


def _ordinary(job: Job, example: Example) -> Example | None:
    """Return some ordinary rows of an example; ``None`` if it has none."""
    axes = {name: axes for name, axes in job.contract.axes.items() if name in example}
    leading = next(iter(axes.values())).names[0]
    rows = np.flatnonzero(moderate_rows(job.contract, example))[:ROWS].tolist()
    return take(example, axes, leading, rows) if rows else None


def _breaks_alike(mistake: Mistake, job: Job, example: Example) -> bool:
    """Whether the wrong function breaks the law on an example, with the same value at the worst place."""
    own, assumed = job.subject.measure(job.law, example), _subject(mistake, job).measure(job.law, example)
    if not assumed.broken or own.actual.shape != assumed.actual.shape:
        return False
    return bool(_close(own.actual, assumed.actual, job.format)[own.worst])


def _subject(mistake: Mistake, job: Job) -> Subject:
    """Return the wrong function as an implementation that computes in float64 and rounds once."""
    subject = job.subject

    def computed(*inputs: Any) -> Tensor:
        wide = [x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs]
        return mistake.function(*wide, **subject.declares).to(job.format.dtype)

    return subject.calling(computed)


def _close(first: Array, second: Array, format_: Format) -> Any:
    """Whether numbers agree in half of the digits of a format, relative to each number or to the largest."""
    half = math.ldexp(1.0, -(format_.precision // 2))
    largest = float(np.abs(second[np.isfinite(second)]).max(initial=0.0))
    return np.isclose(first, second, rtol=half, atol=half / 4.0 * largest, equal_nan=True)


CAPPED = 1.2
"""Factor by which the exact values exceed a cap that is recognized, and by which they differ among themselves."""


def with_cap(job: Job, violation: Violation) -> Violation:
    """Return the violation with the number that the output cannot exceed, if there is one below the exact values.

    Another law than that of the value is broken by it if the wrong value is that number.
    """
    value = _value(job)
    is_candidate = job.law is value or 0.0 < violation.actual < violation.expected
    if value is None or value.unit != "ulp" or not is_candidate or not math.isfinite(violation.actual):
        return violation
    cap = _cap(value, job)
    if cap is None or (job.law is not value and not _is_at(violation.actual, cap, job.format)):
        return violation
    what = f"the output cannot exceed {_spelled(cap, job.format)}, although the exact value does"
    return _explained(violation, what, "remove the epsilon or clamp that limits it")


def _value(job: Job) -> Law | None:
    return next((law for law in job.contract.laws if law.name == "value"), None)


def _cap(value: Law, job: Job) -> float | None:
    """Return the largest output, if many outputs are equal to it where the exact values differ and exceed it by far."""
    drawn = [*examples(value.inputs or job.contract.inputs, job.format), *_near_zero(value, job)]
    measured = [job.subject.measure(value, example) for example in drawn]
    actual = np.concatenate([np.ravel(one.actual) for one in measured])
    expected = np.concatenate([np.ravel(one.expected) for one in measured])
    cap = float(actual[np.isfinite(actual)].max(initial=0.0))
    if cap == 0.0 or job.subject.declares.get("reduction") == "sum":
        # The cap of a sum of several rows depends on their number.
        return None
    beyond = np.isfinite(expected) & (expected > CAPPED * cap)
    exact = expected[beyond & _is_at(actual, cap, job.format)]
    return cap if exact.size >= ENOUGH and exact.max() > CAPPED * exact.min() else None


def _near_zero(value: Law, job: Job) -> list[Example]:
    """Return positive numbers down to the smallest normal one, for a function of one such number."""
    names = [(name, job.contract.axes.get(name)) for name in value.reads]
    if len(names) != 1 or names[0][1] is None or not names[0][1].positive or names[0][1].names != ("n",):
        return []
    least = math.log2(job.format.tiny)
    return [{names[0][0]: torch.linspace(least, 0.0, ROWS, dtype=torch.float64).exp2().to(job.format.dtype)}]


def _is_at(actual: Any, cap: float, format_: Format) -> Any:
    """Whether outputs are equal to a cap, near which an epsilon still changes them."""
    return np.abs(actual - cap) <= max(_AT, 4.0 * format_.u) * cap


_AT = 1e-3
"""Relative distance within which an output is equal to a cap."""


def _spelled(cap: float, format_: Format) -> str:
    """Return a cap in five digits, and as the logarithm of a short decimal number if it is one."""
    epsilon = f"{math.exp(-cap):.0e}" if cap < _LARGEST else "0e+0"
    number, _, exponent = epsilon.partition("e")
    exact = -math.log(float(epsilon)) if float(epsilon) else 0.0
    is_logarithm = math.isclose(cap, exact, rel_tol=8.0 * max(format_.u, 2.0**-40))
    return f"{cap:.5g}{f' = -ln({number}e{int(exponent)})' if is_logarithm else ''}"


_LARGEST = 700.0
"""Caps up to which the exponential of the negative is a normal float64 number."""
