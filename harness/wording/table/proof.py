"""The table of proofs."""

from collections.abc import Sequence

from harness.record.proof import Proof
from harness.wording.proof import format_differences, format_extent, format_witness, format_worst, list_held_laws
from harness.wording.table import Column, Table, build_table


def proof_table(proofs: Sequence[Proof], title: str = "Exhaustive checks: every input visited") -> Table:
    """Return one row for each case, quantity, dtype and layout."""
    columns: list[Column[Proof]] = [
        Column("case", lambda proof: proof.case, "code", "page"),
        Column("quantity", lambda proof: f"{proof.quantity} [{proof.dtype}]"),
        Column("layout", lambda proof: proof.layout),
        Column("extent", format_extent),
        Column("inputs visited", lambda proof: f"{proof.visited:,}", "number"),
        Column("worst, ulp", format_worst, "number"),
        Column("> 1/2 ulp", lambda proof: f"{proof.not_correctly_rounded:,}", "number"),
        Column("> 1 ulp", lambda proof: f"{proof.beyond['1']:,}", "number"),
        Column("not finite", lambda proof: f"{proof.not_finite:,}", "number"),
        Column("bits differ", format_differences, "number"),
        Column("laws", lambda proof: list_held_laws(proof) if proof.error is None else proof.error, "text", "page"),
        Column("worst at", format_witness, "code"),
    ]
    caption = (
        "Proved: every input was visited exactly once; checksums of the visited codes confirm this. A proof "
        "covers the kernel that torch runs for this layout, on the CPU capability named below, with one thread. Ball "
        "arithmetic confirms the worst error; the worst error of a part is a lower bound. The counts are numbers of "
        "inputs: output that far from the exact value, output not finite although it should be, or bits different "
        "from the first layout."
    )
    return build_table("proofs-table", title, proofs, columns, caption=caption)
