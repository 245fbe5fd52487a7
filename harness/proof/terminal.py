"""What a person reads of proofs in the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.control import strip_control_codes
from rich.markup import escape
from rich.table import Table

from harness.record import Proof, Status, broken_blocks, differing, extent, laws_held, witness, worst

_MOST_BLOCKS = 5


def print_proofs(console: Console, proofs: Sequence[Proof]) -> None:
    """Print a table for each case, the laws that held, the kernels, the time, and what is broken."""
    if not proofs:
        return
    for case in dict.fromkeys(proof.case for proof in proofs):
        own = [proof for proof in proofs if proof.case == case]
        console.print(_table(case, own))
        for line in _laws(own):
            console.print(line, markup=False, soft_wrap=True)
    console.print("kernels:")
    for layout, kernel in dict.fromkeys((proof.layout, proof.kernel) for proof in proofs):
        console.print(f"  {layout}: {kernel}", markup=False, soft_wrap=True)
    one = proofs[0]
    console.print(f"on: torch {one.torch}, {one.cpu_capability}, one thread a process", markup=False, soft_wrap=True)
    console.print(_time(proofs), markup=False, soft_wrap=True)
    blocks = [block for proof in proofs for block in broken_blocks(proof)]
    for block in blocks[:_MOST_BLOCKS]:
        console.print(f"\n{strip_control_codes(block)}", markup=False, soft_wrap=True)
    if len(blocks) > _MOST_BLOCKS:
        console.print(f"\n{len(blocks) - _MOST_BLOCKS} further laws broken; `--dtypes` and `--layouts` show them.")
    if blocks:
        console.print()


def _table(case: str, proofs: Sequence[Proof]) -> Table:
    table = Table("of", "dtype", "layout", "extent", title=escape(case), title_justify="left")
    table.add_column("inputs", justify="right", no_wrap=True)
    table.add_column("worst ulp", justify="right", no_wrap=True)
    table.add_column("at", no_wrap=True)
    for heading in ("not correctly rounded", "> 1 ulp", "not finite", "bits differ"):
        table.add_column(heading, justify="right")
    table.add_column("laws", overflow="fold")
    for proof in proofs:
        counts = (proof.not_correctly_rounded, proof.beyond["1"], proof.not_finite)
        table.add_row(
            *(proof.quantity, proof.dtype, proof.layout, extent(proof), f"{proof.visited:,}"),
            *(worst(proof), witness(proof)),
            *(f"{number:,}" for number in counts),
            differing(proof),
            laws_held(proof) if proof.error is None else escape(proof.error),
        )
    return table


def _laws(proofs: Sequence[Proof]) -> list[str]:
    """Return a line on the laws that held in every proof of a quantity."""
    lines = []
    for quantity in dict.fromkeys(proof.quantity for proof in proofs):
        sets = [
            [outcome.law for outcome in proof.laws if outcome.status is Status.HOLDS]
            for proof in proofs
            if proof.quantity == quantity and proof.error is None
        ]
        everywhere = [law for law in (sets[0] if sets else ()) if all(law in laws for laws in sets)]
        if everywhere:
            lines.append(f"held by the {quantity} on every input visited: {', '.join(everywhere)}")
    return lines


def _time(proofs: Sequence[Proof]) -> str:
    total, floor = sum(proof.duration_s for proof in proofs), sum(proof.floor_s for proof in proofs)
    share = f"; all together takes {total / floor:.1f} times that" if floor else ""
    return f"time: {total:.1f} core-seconds, the implementation alone {floor:.1f}, the floor{share}"
