"""Verdicts on data loaders: a law makes its requests in order, until a request breaks it.

No tensors are drawn or shrunk. Later laws reuse the batches that were read.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from harness.calling.adapter import NotApplicable
from harness.calling.discovery import attribute
from harness.calling.host import host_of
from harness.case import Case
from harness.error import UsageError
from harness.floats.format import Measurement
from harness.isolation.loader_client import RemoteReader, RemoteReference
from harness.isolation.remote import RemoteHost
from harness.isolation.spawned_workers import fork_spawned_workers
from harness.laws.law import Example
from harness.loading.delivery import Deliveries
from harness.loading.fault import FaultKind, LoadingError
from harness.loading.reader import Reader, reference_samples
from harness.loading.source import Source
from harness.record import Fault, Status, Verdict, Violation
from harness.verdict.job import Job
from harness.verdict.violation import make_witness

FAULTS = {
    FaultKind.DIED: Fault.KILLED, FaultKind.RAISED: Fault.RAISED, FaultKind.LENGTH: Fault.RAISED,
    FaultKind.SHARED_MEMORY: Fault.MEMORY, FaultKind.HUNG: Fault.HUNG, FaultKind.UNPICKLABLE: Fault.RAISED,
    FaultKind.EMPTY: Fault.NOTHING, FaultKind.LEFT: Fault.STATE, FaultKind.SHARED_FILE: Fault.STATE,
}  # fmt: skip
"""Faults in a record, by kind of loading fault."""


ENOUGH_S = 15.0
"""Seconds after which a law is checked with its first applicable request only."""

MAX_S = 60.0
"""Seconds after which no further law is checked."""


_last: list[tuple[Case, Deliveries]] = []
"""The case that was judged last, with its deliveries."""


def forget() -> None:
    """Discard the batches, so that the next law reads again."""
    _last.clear()


def get_deliveries(case: Case) -> Deliveries:
    """Return the reader of the loaders of a case, which all its laws share.

    Raises
    ------
    UsageError
        If the case does not make loaders.
    """
    if not any(previous.function is case.function and previous.declares == case.declares for previous, _ in _last):
        _last[:] = [(case, _make_deliveries(case))]
    return _last[0][1]


def _make_deliveries(case: Case) -> Deliveries:
    reference = case.declares.get("reference")
    path, _, name = reference.rpartition(":") if isinstance(reference, str) else ("", "", "")
    if isinstance(reference, str) and not path:
        raise UsageError(
            f"cannot load the reference `{reference}`", remedy="name it as `file.py:function` or `module:function`"
        )
    host = host_of(case)
    if not isinstance(host, RemoteHost):
        loaded = attribute(path, name) if path else reference
        here = None if loaded is None else partial(reference_samples, loaded)
        return Deliveries(Reader(Source(case.function, case.name), fork_spawned_workers), case.declares, here)
    function: Any = case.function
    reader = RemoteReader(host.child, function.index, case.name)
    remote = RemoteReference(host.child, str(reference)).samples if path else None
    return Deliveries(reader, case.declares, remote)


def decide_loader_law(job: Job, unreached: Verdict, *, example: Example | None = None) -> Verdict:
    """Return the verdict on a law of loaders.

    Parameters
    ----------
    job
        The job.
    unreached
        The verdict before the law is decided.
    example
        A single request to make; all requests of the law when absent.
    """
    started = time.perf_counter()
    requests = [example] if example is not None else getattr(job.law.inputs, "several", ())
    fields = _check_requests(job, requests)
    return unreached.model_copy(update={"reason": None, **fields, "duration_s": time.perf_counter() - started})


def _check_requests(job: Job, requests: Sequence[Example]) -> dict[str, Any]:
    """Check the law on each request in turn."""
    deliveries = get_deliveries(job.case)
    read, holding, reasons = deliveries.read, 0, []
    for request in requests:
        if deliveries.age_s > (ENOUGH_S if holding else MAX_S):
            reasons.append(f"its loaders are slow: {deliveries.age_s:.0f} s had passed before this law was checked")
            break
        try:
            measurement = job.law.measure(deliveries, **{name: request[name] for name in job.law.reads})
        except NotApplicable as why:
            reasons.append(str(why))
            continue
        except LoadingError as error:
            return {"status": Status.ERROR, "fault": FAULTS[error.fault.kind], "reason": f"{job.case.name}: {error}"}
        holding += 1
        rows = max(deliveries.read - read, measurement.ratio.size)
        if measurement.broken:
            status, reason = job.when_broken
            fields = {"status": status, "reason": reason, "violation": _make_violation(job, request, measurement)}
            return {**fields, **_make_census_fields(holding, rows, measurement)}
    if not holding:
        # A missing property says more than a missing name.
        return {"reason": next((why for why in reasons if "has no parameter" not in why), reasons[0])}
    if declared := job.case.declared_break(job.law.name, job.format.name):
        return {"status": Status.UNEXPECTED, "reason": declared, "examples": holding, "rows": rows}
    return {"status": Status.HOLDS, **_make_census_fields(holding, rows, measurement)}


def _make_census_fields(holding: int, rows: int, measurement: Measurement) -> dict[str, Any]:
    deviation = float(measurement.deviation.max())
    bounds = {"bound": 0.0, "typical_bound": 0.0}
    return {"examples": holding, "rows": rows, "deviation": deviation, "largest": deviation, **bounds}


def _make_violation(job: Job, request: Example, measurement: Measurement) -> Violation:
    fields = {**make_witness(job, request, measurement, 0, ""), "bound": 0.0, "magnitude": 0.0}
    return Violation(**fields, place=(), over=1, of=1, cause=job.law.cause, seen=measurement.circumstance)
