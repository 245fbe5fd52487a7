"""Draw examples of a law, known counterexamples first, until one breaks it or the time is up.

Hypothesis draws examples once from a seed, for all laws and cases. They depend only on the inputs, the format, the
number and the seed. They are drawn before any is used, and laws get copies, because an implementation may change its
inputs. The probe of an implementation looks at ordinary inputs only.
"""

import contextlib
import copy
import hashlib
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, Literal, NamedTuple
from unittest import mock

import hypothesis
import numpy as np
import torch
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from numpy.typing import NDArray
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.compat.hypothesis import providers
from harness.floats import Format, Measurement
from harness.floats.oracle import MEBIBYTE, Memory
from harness.laws import Axes, CaseError, Contract, Example, Inputs, Law, Subject
from harness.laws.strategies import batches_are_narrow, narrow_batches, shapes_are_few
from harness.record import Fault
from harness.verdict.trial import Trials

STAGES = (2, 32)
"""Sizes of the first two stages of drawing; most defects show in the first stage.

Each stage draws the earlier examples again, so it is omitted if it would have half of all examples or more.
"""


class Drawn(NamedTuple):
    """One example, and a digest of it that is the same on every machine."""

    example: Example
    digest: bytes


_memory: Memory[list[Drawn]] = Memory(64 * MEBIBYTE)


class _Enough(BaseException):
    """The end of the examples; no ``Exception``, which Hypothesis would run again."""


def draw_examples(inputs: Inputs, format_: Format, *, examples: int, seed: int) -> Iterator[Drawn]:
    """Yield some examples; repeated calls yield the same ones.

    Parameters
    ----------
    inputs
        Strategy of the examples.
    format_
        Format of the examples.
    examples
        Largest number of examples; finite strategies have fewer.
    seed
        Seed of the examples.
    """
    count_drawn = 0
    for count in (*(stage for stage in STAGES if 2 * stage < examples), examples):
        for example, digest in _draw_first(count, inputs, format_, examples, seed)[count_drawn:]:
            count_drawn += 1
            yield Drawn(_copy(example), digest)


def draw_all_examples(inputs: Inputs, format_: Format, *, examples: int, seed: int) -> list[Example]:
    """Return the same examples, drawn at once, for callers that need all of them."""
    return [_copy(example) for example, _ in _draw_first(examples, inputs, format_, examples, seed)]


def _draw_first(count: int, inputs: Inputs, format_: Format, examples: int, seed: int) -> list[Drawn]:
    """Return the first examples, and draw them if they are not cached."""
    # Long rows are of other lengths under another seed of torch's.
    key = inputs, format_, examples, seed, torch.initial_seed(), shapes_are_few(), batches_are_narrow()
    pool = _memory.get((count, *key)) or _memory.get((examples, *key))
    if pool is None:
        pool = [Drawn(example, compute_digest(example)) for example in draw(count, inputs, format_, examples, seed)]
        _memory.keep((count, *key), pool, sum(_count_bytes(list(example.values())) for example, _ in pool))
    return pool


def draw(count: int, inputs: Inputs, format_: Format, examples: int, seed: int) -> list[Example]:
    """Draw the first ``count`` of ``examples`` examples."""
    first_examples: list[Example] = []

    # Hypothesis reads the source of this function, and with decorators it would be longer.
    def collect(example: Example) -> None:
        first_examples.append(example)
        if len(first_examples) == count:
            raise _Enough

    seeded = hypothesis.seed(seed)(_make_settings(examples)(given(inputs(format_))(collect)))
    with draw_reproducibly(), suppress(_Enough):
        seeded()
    return first_examples


@cache
def _make_settings(examples: int) -> settings:
    """Return the settings of Hypothesis for this number of examples."""
    return settings(
        max_examples=examples,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )


def _copy(example: Example) -> Example:
    """Return a deep copy; torch copies a tensor in a tenth of the time of ``deepcopy``."""
    return {
        name: value.clone() if isinstance(value, Tensor) else copy.deepcopy(value) for name, value in example.items()
    }


def compute_digest(example: Example) -> bytes:
    """Return a digest of the names, types, shapes and values of an example; all NaN are alike."""
    content = hashlib.blake2b(digest_size=8)
    for name in sorted(example):
        content.update(name.encode())
        _feed(content, example[name])
    return content.digest()


def _feed(content: hashlib.blake2b, value: Any) -> None:
    if isinstance(value, Tensor):
        content.update(f"{value.dtype}{tuple(value.shape)}".encode())
        if value.is_floating_point() and bool(value.isnan().any()):
            value = value.masked_fill(value.isnan(), torch.nan)
        content.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
    elif isinstance(value, (list, tuple)):
        for entry in value:
            _feed(content, entry)
    else:
        content.update(repr(value).encode())


def _count_bytes(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.nbytes
    return sum(map(_count_bytes, value)) if isinstance(value, (list, tuple)) else 64


@contextmanager
def draw_reproducibly() -> Iterator[None]:
    """Draw the same examples in the body, regardless of the loaded modules.

    Hypothesis mixes constants of the loaded local modules into its draws. They help tests of the surrounding code, but
    would make a verdict depend on the process and its folder. Hypothesis has no setting to disable them, so the
    collector is replaced. Older versions of Hypothesis have none.
    """
    collector = getattr(providers, "_get_local_constants", None)
    if collector is None:
        yield
        return
    with (
        mock.patch.object(providers, "_get_local_constants", type(providers.GLOBAL_CONSTANTS)),
        mock.patch.object(providers, "CONSTANTS_CACHE", _make_constants_cache()),
    ):
        yield


@cache
def _make_constants_cache() -> Any:
    """Return a cache for the constants that Hypothesis may draw; its own one includes local constants."""
    return type(providers.CONSTANTS_CACHE)(1024)


WAITING = 1.0 / 16.0
"""Share of the elapsed time that counts at least, because code that waits uses no processor time."""


class Deadline:
    """The end of a search after some processor time, which does not depend on the load of the machine."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.process_time) -> None:
        self._seconds, self._clock = seconds, clock
        self._started = clock(), time.perf_counter()

    @property
    def remaining_s(self) -> float:
        """The remaining seconds."""
        if math.isinf(self._seconds):
            return self._seconds
        spent, waited = self._clock() - self._started[0], time.perf_counter() - self._started[1]
        return self._seconds - max(spent, WAITING * waited)

    @property
    def is_up(self) -> bool:
        """Whether the deadline has passed."""
        return self.remaining_s < 0.0


FURTHER = 8
"""Examples that are drawn after one has failed, to see how bad it gets."""


def find_failing_example(
    trials: Trials, remembered: Iterable[Example], *, examples: int, seed: int, deadline: Deadline
) -> Example | None:
    """Replay known counterexamples, then draw, until both tiers of the oracle see a violation or the time is up.

    Parameters
    ----------
    trials
        The law, on a subject.
    remembered
        Known counterexamples.
    examples
        Number of examples to draw.
    seed
        Seed of the examples.
    deadline
        Deadline; at least one row is tried.

    Returns
    -------
    example
        An example that fails; ``None`` without one.

    Raises
    ------
    CaseError, NotApplicable
        If the implementation does not return a result.
    """
    counterexamples = (Drawn(example, compute_digest(example)) for example in remembered)
    for example, digest in chain(counterexamples, _draw_equally(trials, examples=examples, seed=seed)):
        if deadline.is_up and trials.census.rows:
            trials.census.cut_short = True
            return None
        trials.census.digests.append(digest)
        if (failing := trials.find_failing_row(example)) is not None:
            return failing
    return None


def find_failing_rows(
    trials: Trials, failing: Example, *, examples: int, seed: int, deadline: Deadline, unlike: bool = False
) -> list[tuple[Example, float]]:
    """Draw further examples, and return failing rows without confirmation.

    Parameters
    ----------
    trials
        The law, on a subject; these examples do not count in its census.
    failing
        A row that fails.
    examples
        Number of examples to draw; may be zero.
    seed
        Seed of the examples.
    deadline
        Deadline.
    unlike
        Whether to return several rows of an example; see :meth:`~harness.verdict.trial.Trials.find_failing_rows`.

    Returns
    -------
    The rows with their severity, the worst first.
    """
    rows = [(failing, trials.measure(failing).most_severe)]
    # The law is broken, whatever else the implementation does.
    with contextlib.suppress(CaseError, NotApplicable):
        # Use another seed than for the failing example.
        for example, _ in _draw_equally(trials, examples=examples, seed=seed + 1) if examples else ():
            if deadline.is_up:
                break
            rows += trials.find_failing_rows(example, unlike=unlike)
    return sorted(rows, key=lambda row: -row[1])


def _draw_equally(trials: Trials, *, examples: int, seed: int) -> Iterator[Drawn]:
    """Yield examples of the law; before each, reset the global random generators."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global generator is what is meant
    try:
        for item in draw_examples(trials.job.inputs, trials.job.format, examples=examples, seed=seed):
            random.seed(0)
            np.random.seed(0)  # noqa: NPY002
            trials.subject.host.repeat_start()
            yield item
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


# Ordinary inputs: a few drawn examples, the rows of moderate size in them, and how many of those hold

EXAMPLES = 4
"""Examples drawn of a law: the first is the simplest there is, the others have a hundred rows or more each."""

MODERATE = 4.0
"""Largest absolute value of an input on an ordinary row."""

SMALL = 2.0**-60
"""Smallest nonzero number; no format with the range of float32 needs to flush its square."""

NEARLY_ALL, HALF = 0.95, 0.5
"""Share of rows that must hold under a found property, and largest share that may hold without it."""

ENOUGH = 8
"""Fewest numbers that establish a property."""

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """The results of an implementation on one example.

    Parameters
    ----------
    example
        The inputs.
    ordinary
        Which rows are ordinary.
    holds
        Which rows keep the law.
    measurement
        The measurement; ``None`` if the result does not fit the contract.
    """

    example: Example
    ordinary: Rows
    holds: Rows
    measurement: Measurement | None


def draw_few_examples(inputs: Inputs, format_: Format) -> list[Example]:
    """Draw a few examples, the same ones each time."""
    with narrow_batches():
        return draw_all_examples(inputs, format_, examples=EXAMPLES, seed=0)


def measure_sample(subject: Subject, law: Law, example: Example) -> Sample:
    """Measure a law on an example, row by row.

    Raises
    ------
    NotApplicable
        If there is nothing to measure.
    CaseError
        If there is no result; a result of another shape may follow another convention.
    """
    rows = _count_rows(subject.contract, law.reads, example)
    ordinary = _find_moderate_rows(law.reads, example, rows)
    # The call may change its inputs, which must not affect the next one.
    inputs = {name: x.clone() if isinstance(x, Tensor) else x for name, x in example.items()}
    try:
        measurement = subject.measure(law, inputs)
    except CaseError as error:
        if error.fault is not Fault.SHAPE:
            raise
        return Sample(example, ordinary, np.zeros(rows, dtype=bool), None)
    ratio = measurement.ratio
    if not ratio.ndim or len(ratio) != rows:
        return Sample(example, ordinary, np.full(rows, not measurement.broken), measurement)
    return Sample(example, ordinary, np.asarray((ratio.reshape(rows, -1) <= 1.0).all(-1)), measurement)


def compute_share(samples: Sequence[Sample]) -> float:
    """Share of the ordinary rows on which the law holds; one if there are none."""
    holding = np.concatenate([sample.holds[sample.ordinary] for sample in samples])
    return float(holding.mean()) if holding.size else 1.0


def join_numbers(samples: Sequence[Sample], name: Literal["actual", "expected"]) -> NDArray[np.float64]:
    """Return all results, or all exact values, in one array."""
    arrays = [np.ravel(getattr(sample.measurement, name)) for sample in samples if sample.measurement is not None]
    return np.concatenate(arrays) if arrays else np.zeros(0)


def is_float(x: Any) -> bool:
    """Whether an input is a tensor of floating-point numbers."""
    return isinstance(x, Tensor) and x.is_floating_point()


def _count_rows(contract: Contract, reads: Iterable[str], example: Example) -> int:
    """Return the number of rows, or of groups of rows."""
    axis = "g" if contract.grouped else "n"
    for name in reads:
        axes = contract.axes.get(name, Axes(()))
        if isinstance(example[name], Tensor) and axes.names[:1] == (axis,):
            return len(example[name])
    return 1


def _find_moderate_rows(reads: Iterable[str], example: Example, rows: int) -> Rows:
    """Return which rows have only moderate numbers; an input without rows affects all."""
    chosen = np.ones(rows, dtype=bool)
    for name in reads:
        x = example[name]
        if is_float(x) and x.numel():
            least = max(SMALL, torch.finfo(x.dtype).tiny)
            moderate = ((x.abs() <= MODERATE) & ((x.abs() >= least) | (x == 0.0))).numpy()
            chosen &= moderate.reshape(rows, -1).all(-1) if x.ndim and len(x) == rows else moderate.all()
    return chosen
