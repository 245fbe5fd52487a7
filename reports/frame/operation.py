"""The frames of single calls and of surveys."""

from collections.abc import Iterator
from typing import Any

from harness.record import Accumulator, Breaking, Profile, RunFolder, Verdict, Worst
from harness.record.bench import OperationRecord, VectorizationRecord
from harness.wording.survey import format_certainty, format_closed_form, format_result, format_summing

from .declaration import (
    CASE,
    CONTRACT,
    DTYPE,
    LAW_CHECKED,
    LAW_MEASURED,
    REAL,
    TEXT,
    TIMING,
    TRUTH,
    UNIT,
    WHOLE,
    Column,
    Row,
    columns_of,
    frame,
    list_placed,
)
from .law import share_of_bound


@frame(
    *CASE,
    *columns_of(OperationRecord, "contract", "shape"),
    *TIMING,
    Column("ratio", REAL, "largest deviation of the float32 values / bound; missing if not checked"),
    keys=("case", "contract", "shape"),
)
def operations(run: RunFolder) -> Iterator[Row]:
    """One row for each timed operation and shape, with its largest float32 deviation relative to the bound."""
    calls = list_placed(run, OperationRecord)
    shares = {
        verdict.case: share_of_bound(verdict.deviation, verdict.bound)
        for verdict in (run.read(Verdict) if calls else ())
        if (verdict.law, verdict.dtype, verdict.device) == ("value", "float32", "cpu")
    }
    for location, call in calls:
        yield {**call.row(), "ratio": shares.get(call.record.case), "record": location}


@frame(
    *CASE,
    *columns_of(VectorizationRecord, "contract", "n"),
    *TIMING,
    keys=("case", "contract", "n"),
)
def vectorization(run: RunFolder) -> Iterator[Row]:
    """One row for each timed operation and length."""
    for location, call in list_placed(run, VectorizationRecord):
        yield {**call.row(), "record": location}


_NESTED = {"example", "kind", "place"}
"""Fields of a record that are no columns, and large."""


@frame(
    *LAW_CHECKED,
    Column("ray", TEXT, "name of the ray"),
    Column("formula", TEXT, "inputs as a function of the parameter t"),
    Column("value", REAL, "first parameter at which the law fails; missing if it holds to the end"),
    Column("value_hex", TEXT, "that parameter in hexadecimal"),
    Column("end", REAL, "the last parameter of the ray"),
    Column("certainty", TEXT, "exhausted, monotone or scanned"),
    Column("probes", WHOLE, "number of tried parameters"),
    Column("confirmed", TRUTH, "whether ball arithmetic confirms it, there and one float before"),
    Column("form", TEXT, "closed form"),
    Column("form_value", REAL, "value of the closed form"),
    Column("declared", TRUTH, "whether the case declares the closed form"),
    Column("expected_break", TRUTH, "whether the case declares that the law fails"),
    Column("agrees", TRUTH, "whether the breaking point is the first number at or beyond the closed form"),
    Column("actual", REAL, "output at the worst place"),
    Column("expected", REAL, "value of the oracle there"),
    Column("deviation", REAL, "deviation there, in `unit`"),
    Column("bound", REAL, "bound there, in `unit`"),
    UNIT,
    Column("closed_form", TEXT, "closed form and value in words"),
    Column("happens", TEXT, "result there in words"),
    Column("sure", TEXT, "certainty that nothing fails earlier"),
    Column("replay", TEXT, "command that measures only this breaking point"),
    Column("reason", TEXT, "text of an error"),
    keys=("case", "law", "dtype", "ray"),
)
def breakings(run: RunFolder) -> Iterator[Row]:
    """One row for each law, case, dtype and ray."""
    for location, breaking in run.places(Breaking):
        yield {
            **breaking.model_dump(exclude=_NESTED),
            "closed_form": format_closed_form(breaking),
            "happens": format_result(breaking),
            "sure": format_certainty(breaking),
            "record": location,
        }


@frame(
    *LAW_CHECKED,
    Column("objective", TEXT, "maximized quantity: deviation, or ratio to the bound"),
    Column("evidence", TEXT, "searched: a lower bound; proved: every input was tried"),
    Column("rows", WHOLE, "number of measured rows"),
    Column("deviation", REAL, "deviation of the witness, in `unit`"),
    Column("bound", REAL, "bound there, in `unit`"),
    UNIT,
    Column("actual", REAL, "output at the worst place"),
    Column("expected", REAL, "value of the oracle there"),
    Column("magnitude", REAL, "largest absolute input element of the witness"),
    Column("declared", TEXT, "declared reason why the law fails"),
    Column("replay", TEXT, "command that measures the witness"),
    keys=("case", "law", "dtype", "objective", "evidence"),
)
def worst(run: RunFolder) -> Iterator[Row]:
    """One row for each law, case, dtype and objective."""
    for location, witness in run.places(Worst):
        yield {**witness.model_dump(exclude=_NESTED), "record": location}


@frame(
    *LAW_MEASURED,
    Column("magnitude", REAL, "upper end of an interval of the largest absolute input"),
    Column("deviation", REAL, "worst deviation there relative to its bound, in `unit`"),
    Column("bound", REAL, "bound there, in `unit`"),
    UNIT,
    keys=("case", "law", "dtype", "magnitude"),
)
def profiles(run: RunFolder) -> Iterator[Row]:
    """One row for each interval of magnitude of each case and dtype."""
    for location, profile in run.places(Profile):
        for magnitude, deviation, bound in zip(profile.magnitudes, profile.deviations, profile.bounds, strict=True):
            yield {**_head(profile, location), "magnitude": magnitude, "deviation": deviation, "bound": bound}


@frame(
    *LAW_MEASURED,
    Column("up_to", REAL, "upper end of a bin of deviations, in `unit`"),
    Column("count", WHOLE, "elements in the bin"),
    Column("share", REAL, "share of the elements"),
    Column("unit", TEXT, "unit of the deviation"),
    keys=("case", "law", "dtype", "up_to"),
)
def histograms(run: RunFolder) -> Iterator[Row]:
    """One row for each bin of deviations of each case and dtype."""
    for location, profile in run.places(Profile):
        total = sum(profile.counts)
        for edge, count in zip(profile.edges, profile.counts, strict=True):
            share = count / total if total else None
            yield {**_head(profile, location), "up_to": edge, "count": count, "share": share}


def _head(profile: Profile, location: str) -> dict[str, Any]:
    head = profile.model_dump(include={"case", "family", "style", "contract", "law", "dtype", "unit"})
    return {**head, "record": location}


@frame(
    *CASE,
    CONTRACT,
    DTYPE,
    Column("width", TEXT, "format of the sum"),
    Column("order", TEXT, "order of the sum, if identifiable"),
    Column("sums", TEXT, "format and order in words"),
    Column("evidence", TEXT, "observation"),
    keys=("case", "dtype"),
)
def accumulators(run: RunFolder) -> Iterator[Row]:
    """One row for each case and dtype."""
    for location, accumulator in run.places(Accumulator):
        words = {"sums": format_summing(accumulator), "evidence": "; ".join(accumulator.evidence)}
        yield {**accumulator.model_dump(), **words, "record": location}
