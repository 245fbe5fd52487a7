"""Runs built from the recorded run, which the tests of the report read."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import samples.benchmarks
from samples.recorded import STAND_IN, records

from harness.record import (
    FILES,
    Accumulator,
    Breaking,
    ClassWeights,
    Comparison,
    Confusion,
    DataSource,
    Environment,
    Epoch,
    FitData,
    GateFinding,
    Image,
    LearnedParameter,
    Profile,
    Proof,
    RayTrace,
    Run,
    RunFolder,
    Slices,
    Status,
    Verdict,
    Violation,
    Worst,
)

verdicts = partial(records, Verdict)
"""Twelve cases, eight laws and four dtypes, with declared failures and skips."""
proofs = partial(records, Proof)
"""The proof of every pair of a two-class softmax in float16, and a partial one."""
epochs = partial(records, Epoch)
"""Ten epochs of softmax and linear regression, and thirty of a model that overfits."""
estimates = partial(records, LearnedParameter)
"""Weight and bias of linear regression, from scratch and concise."""
fits = partial(records, FitData)
"""Samples near the book's line, off by a hundredth."""
images = partial(records, Image)
"""24 samples, of which every seventh is classified wrongly."""
weights = partial(records, ClassWeights)
"""A ramp of weights for each class."""
confusions = partial(records, Confusion)
"""A model that takes every shirt for a coat, without other errors."""
breakings = partial(records, Breaking)
"""A ray for each of four cases and each dtype; a softmax as defined overflows."""
worst = partial(records, Worst)
"""The largest deviation and the largest share for each case and dtype."""
profiles = partial(records, Profile)
"""Deviations that grow with the magnitude, up to infinity for the softmax as defined."""
traces = partial(records, RayTrace)
"""Two softmaxes along a ray in two dtypes; one of the functions overflows."""
accumulators = partial(records, Accumulator)
"""The accumulator of each case."""
gate_findings = partial(records, GateFinding)
"""A regression and an unchanged case."""
comparisons = partial(records, Comparison)
"""Both cases in both arms, and the control."""
slices = partial(records, Slices)
"""The slices of the slower case."""


def head(**changes: Any) -> Run:
    """Return the head of the run, which does not say what data it read."""
    (known,) = records(Run)
    return Run(**(dict(known) | {"data": None} | changes))


def environment(**changes: Any) -> Environment:
    """Return an environment of a two-core machine without accelerator."""
    return Environment(**(dict(head().environment) | changes))


def data_source(*, genuine: bool) -> DataSource:
    """Return the published data set, or its stand-in."""
    known = records(Run)[0].data
    assert known is not None
    note = "Fashion-MNIST was not found; a small deterministic set stands in."
    changes = {"name": STAND_IN, "origin": "synthetic", "location": "", "genuine": False, "note": note}
    return DataSource(**(dict(known) | ({} if genuine else changes)))


def violation(**changes: Any) -> Violation:
    """Return the overflow of a softmax as defined."""
    known = next(each.violation for each in verdicts() if each.violation is not None)
    return Violation(**(dict(known) | changes))


def verdict(status: Status = Status.HOLDS, **changes: Any) -> Verdict:
    """Return a verdict on the sums of a softmax; failures have a violation, skips and errors a reason."""
    known = next(each for each in verdicts() if (each.law, each.dtype) == ("rows_sum_to_one", "float32"))
    facts = dict(known) | {"status": status, "deviation": 3.2, "bound": 12.0}
    broken: dict[str, Any] = {"deviation": math.inf, "bound": 64.0, "violation": violation()}
    unmeasured: dict[str, Any] = {"deviation": None, "bound": None}
    declared = {"reason": "exp overflows above log(max)"}
    of_status: dict[Status, dict[str, Any]] = {
        Status.BROKEN: broken,
        Status.EXPECTED: broken | declared,
        Status.UNEXPECTED: declared,
        Status.SKIPPED: unmeasured | {"examples": 0, "rows": 0, "reason": "the contract has no gradient in this dtype"},
        Status.ERROR: unmeasured | {"reason": "RuntimeError: expected a floating-point tensor"},
    }
    return Verdict(**(facts | of_status.get(status, {}) | changes))


def breaking(case: str, contract: str, dtype: str, **changes: Any) -> Breaking:
    """Return the breaking point of a case in a dtype."""
    (known,) = [each for each in breakings() if (each.case, each.contract, each.dtype) == (case, contract, dtype)]
    return Breaking(**(dict(known) | changes))


def proof(**changes: Any) -> Proof:
    """Return the proof of every pair of a two-class softmax in float16."""
    return Proof(**(dict(proofs()[0]) | changes))


def refutation() -> Proof:
    """Return the proof record of an implementation that breaks a law."""
    broken = proof().laws[0].model_copy(update={"status": Status.BROKEN, "violation": violation()})
    return proof(case="homework.softmax", family="homework", style="foreign", laws=(broken,), not_finite=1_450_000_000)


def full_run(path: Path, *, genuine: bool = True, **changes: Any) -> RunFolder:
    """Write a run with every kind of record.

    ``genuine`` is false for a stand-in data set, which labels its results. ``changes`` replace fields of the head.
    """
    run = RunFolder(path)
    source = data_source(genuine=genuine)
    run.write_head(head(data=source, **changes))
    kinds: tuple[Any, ...] = tuple(FILES)
    for kind in kinds:
        if known := records(kind, data=source.name):
            run.write(kind, known)
    samples.benchmarks.write_suite(run, "steps", samples.benchmarks.step_entries())
    for suite in ("agreement", "loaders", "balance", "operations", "vectorization"):
        samples.benchmarks.write_suite(run, suite, samples.benchmarks.entries(suite, data=source.name))
    return run
