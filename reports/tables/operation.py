"""Tables on proofs and on accumulators."""

from collections.abc import Sequence
from operator import attrgetter

import pandas as pd

from harness.dtype import PARAMETERS
from harness.findings.merging import group_by
from harness.record import Proof, Status
from harness.wording.number import UNKNOWN, duration

from ..table import Table, codes, headers, numbers, prose, texts


def kernels(proofs: Sequence[Proof]) -> Table:
    """Return the layouts and kernels of the proofs, with the number of proofs and the times."""
    rows = []
    for key, selected in group_by(proofs, attrgetter("layout", "kernel", "cpu_capability", "torch")).items():
        total, floor = sum(proof.duration_s for proof in selected), sum(proof.floor_s for proof in selected)
        rows.append((*key, f"{len(selected)}", duration(total), duration(floor)))
    columns = headers(
        codes("layout"),
        prose("kernel"),
        texts("CPU capability", "torch"),
        numbers("proofs", "core time", "implementation alone"),
    )
    caption = "The time of the implementation alone is the minimum time of a proof."
    return Table("kernels-table", "Layouts and kernels", columns, tuple(rows), caption)


def list_held(proofs: Sequence[Proof]) -> Table:
    """Return the laws that held on every input, and the evidence."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for proof in proofs:
        for outcome in proof.laws:
            if outcome.status is Status.HOLDS:
                evidence = "follows from the value" if outcome.follows else "measured"
                place = f"{proof.dtype} {proof.layout}" + ("" if proof.is_proved else " (a part)")
                key = (proof.case, proof.quantity, outcome.law, outcome.statement, evidence)
                rows.setdefault(key, []).append(place)
    title = "Laws that held on every input visited"
    columns = headers(codes("case"), texts("of"), codes("law"), prose("statement"), texts("how"), prose("where"))
    return Table(
        "held-table", title, columns, tuple((*key, ", ".join(where)) for key, where in rows.items()), folded=True
    )


DTYPES = tuple(PARAMETERS)


def accumulators(frame: pd.DataFrame) -> Table:
    """Return the width and the number of parts of the sums of every case."""
    rows = []
    for case, group in frame.groupby("case", sort=False):
        cells = {str(row["dtype"]): str(row["sums"]) for _, row in group.iterrows()}
        rows.append((str(case), *(cells.get(dtype, UNKNOWN) for dtype in DTYPES)))
    title = "Precision and order of sums, inferred from the terms that they lose"
    caption = (
        "The inputs are one large term and thousands of small ones. A sum in a narrow format loses a small "
        "term that is added to the large one; the missing part of the output shows how many were lost."
    )
    return Table("accumulators", title, headers(codes("case"), texts(*DTYPES)), tuple(rows), caption)
