"""What a person reads of proofs in the terminal."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.control import strip_control_codes
from rich.markup import escape
from rich.table import Table

from harness.record import Proof, Status, broken_blocks, differing, extent, witness, worst

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
            _counts(proof) if proof.error is None else escape(proof.error),
        )
    return table


def _laws(proofs: Sequence[Proof]) -> list[str]:
    """Return a line on the laws that held in every proof of a quantity, and one on each that did not."""
    lines = []
    for quantity in dict.fromkeys(proof.quantity for proof in proofs):
        own = [proof for proof in proofs if proof.quantity == quantity and proof.error is None]
        everywhere = [law for law in _names(own, Status.HOLDS) if all(law in _names([it], Status.HOLDS) for it in own)]
        if everywhere:
            lines.append(f"{quantity}: held on every input visited: {', '.join(everywhere)}")
        for status, word in ((Status.EXPECTED, "broken, as declared"), (Status.BROKEN, "broken")):
            for law in _names(own, status):
                where = ", ".join(f"{it.dtype} {it.layout}" for it in own if law in _names([it], status))
                lines.append(f"{quantity}: {word}: {law} [{where}]")
    return lines


def _names(proofs: Sequence[Proof], status: Status) -> list[str]:
    """Return the laws of a status in any of the proofs."""
    outcomes = (outcome for proof in proofs for outcome in proof.laws)
    return list(dict.fromkeys(outcome.law for outcome in outcomes if outcome.status is status))


def _counts(proof: Proof) -> str:
    """Return how many laws hold, fail as declared, and are broken."""
    counts = Counter(outcome.status for outcome in proof.laws)
    words = {Status.HOLDS: "hold", Status.EXPECTED: "expected", Status.BROKEN: "broken"}
    return ", ".join(f"{counts[status]} {word}" for status, word in words.items() if counts[status])


def _time(proofs: Sequence[Proof]) -> str:
    total, floor = sum(proof.duration_s for proof in proofs), sum(proof.floor_s for proof in proofs)
    # Of 65,536 inputs the implementation takes no time at all.
    share = f", {total / floor:.1f} times the floor: the implementation alone took {floor:.1f}" if floor >= 1 else ""
    return f"time: {total:.1f} core-seconds{share}"
