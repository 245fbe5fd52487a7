"""The frames of verdicts and of proofs."""

import math
from collections.abc import Iterator

from harness.record import Proof, RunFolder, Status, Verdict
from harness.wording.proof import format_witness

from .declaration import CASE, CONTRACT, DTYPE, LAW_CHECKED, REAL, TEXT, UNIT, WHOLE, Column, Row, frame


@frame(
    *LAW_CHECKED,
    Column("device", TEXT, "device of the check"),
    Column("status", TEXT, "holds, broken, expected, unexpected, skipped or error"),
    Column("examples", WHOLE, "number of examples"),
    Column("rows", WHOLE, "independent rows in those examples"),
    Column("deviation", REAL, "largest deviation relative to its bound, in `unit`"),
    Column("bound", REAL, "bound for that deviation, in `unit`"),
    Column("ratio", REAL, "deviation / bound; 0 without deviation, inf if an exact law is broken"),
    UNIT,
    Column("statement", TEXT, "the law as a sentence"),
    Column("source", TEXT, "source of the law"),
    Column("reason", TEXT, "declared reason, reason of a skip, or text of an error"),
    Column("actual", REAL, "output of the case at the worst place of the counterexample"),
    Column("expected", REAL, "value of the oracle at that place"),
    Column("magnitude", REAL, "largest absolute input element of the counterexample"),
    Column("cause", TEXT, "likely cause"),
    Column("replay", TEXT, "command that replays the counterexample"),
    Column("duration_s", REAL, "duration of the check, in seconds"),
    keys=("case", "law", "dtype", "device"),
)
def verdicts(run: RunFolder) -> Iterator[Row]:
    """One row for each case, law, dtype and device."""
    for location, verdict in run.places(Verdict):
        ratio, facts = share_of_bound(verdict.deviation, verdict.bound), {}
        if verdict.violation is not None:
            facts = verdict.violation.model_dump(include={"actual", "expected", "magnitude", "cause", "replay"})
        yield {**verdict.model_dump(), **facts, "ratio": ratio, "record": location}


def share_of_bound(deviation: float | None, bound: float | None) -> float | None:
    """Return deviation / bound: 0 without a deviation, inf for an infinite deviation."""
    if deviation is None or math.isnan(deviation):
        return None
    if deviation == 0 or math.isinf(deviation):
        return deviation
    if bound is None:
        return None
    return deviation / bound if bound else math.inf


LIMITS = (1, 2, 4, 8, 16, 64, 1024)
"""Deviations in ulp beyond which proofs count inputs."""


@frame(
    *CASE,
    CONTRACT,
    Column("quantity", TEXT, "value or gradient"),
    DTYPE,
    Column("device", TEXT, "device of the proof"),
    Column("layout", TEXT, "memory layout of the inputs"),
    Column("kernel", TEXT, "kernel that torch runs for the layout"),
    Column("proved", "bool", "whether every input was visited exactly once"),
    Column("inputs", WHOLE, "number of inputs"),
    Column("visited", WHOLE, "number of visited inputs"),
    Column("checksum", TEXT, "count and moments of the visited codes"),
    Column("deviation", REAL, "largest deviation, ulp; missing if every output is correctly rounded"),
    Column("at", TEXT, "input with the largest deviation, hexadecimal"),
    Column("not_correctly_rounded", WHOLE, "inputs with an output more than 1/2 ulp off"),
    *(Column(f"beyond_{limit}", WHOLE, f"inputs with an output more than {limit} ulp off") for limit in LIMITS),
    Column("not_finite", WHOLE, "inputs whose output is not finite but should be"),
    Column("differing", REAL, "inputs whose output bits differ from the reference layout"),
    Column("laws_held", TEXT, "laws that held on every visited input"),
    Column("laws_broken", TEXT, "laws that broke on some input"),
    Column("cpu_capability", TEXT, "CPU capability used by torch"),
    Column("torch", TEXT, "version of torch"),
    Column("threads", WHOLE, "threads within one operation"),
    Column("duration_s", REAL, "core time"),
    Column("floor_s", REAL, "core time in the implementation alone"),
    keys=("case", "quantity", "dtype", "device", "layout"),
)
def proofs(run: RunFolder) -> Iterator[Row]:
    """One row for each case, quantity, dtype and layout with visited inputs."""
    for location, proof in run.places(Proof):
        yield {
            **proof.model_dump(),
            **{f"beyond_{limit}": number for limit, number in proof.beyond.items()},
            "proved": proof.is_proved,
            "deviation": None if proof.witness is None else proof.witness.deviation,
            "at": None if proof.witness is None else format_witness(proof),
            "laws_held": " ".join(outcome.law for outcome in proof.laws if outcome.status is Status.HOLDS),
            "laws_broken": " ".join(outcome.law for outcome in proof.laws if outcome.status is not Status.HOLDS),
            "record": location,
        }
