"""The frame of proofs."""

from collections.abc import Iterator
from typing import Any

from harness.record import Proof, RunFolder, Status
from harness.wording import format_witness

from .column import CASE, CONTRACT, DTYPE, REAL, TEXT, WHOLE, Column
from .declaration import Row, frame

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
        yield {**proof.model_dump(), **_dump(proof), "record": location}


def _dump(proof: Proof) -> dict[str, Any]:
    """Return a proof in nested form."""
    holding = [outcome.law for outcome in proof.laws if outcome.status is Status.HOLDS]
    broken = [outcome.law for outcome in proof.laws if outcome.status is not Status.HOLDS]
    return {
        "proved": proof.is_proved,
        "deviation": None if proof.witness is None else proof.witness.deviation,
        "at": None if proof.witness is None else format_witness(proof),
        **{f"beyond_{limit}": number for limit, number in proof.beyond.items()},
        "laws_held": " ".join(holding),
        "laws_broken": " ".join(broken),
    }
