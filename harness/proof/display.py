"""Terminal output for proofs."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from harness.display.table import print_sentence, show_table
from harness.error import printable
from harness.findings.merging import group_by
from harness.record import Proof, Status
from harness.wording.accuracy import explain_departures
from harness.wording.number import count
from harness.wording.proof import format_broken_laws, group_unanswered_proofs, list_layouts
from harness.wording.table.proof import proof_table

_MAX_BLOCKS = 5


def print_proofs(console: Console, proofs: Sequence[Proof]) -> None:
    """Print a table for each case, the laws that held, the kernels, the time, and the broken laws."""
    answered = [proof for proof in proofs if proof.error is None and proof.skipped is None]
    for case, selected in group_by(answered, lambda proof: proof.case).items():
        show_table(console, replace(proof_table(selected, case), caption=""), with_title=True)
        for line in (*_list_laws(selected), *explain_departures(selected)):
            print_sentence(console, line)
    if answered:
        console.print("kernels:")
        for layout, kernel in dict.fromkeys((proof.layout, proof.kernel) for proof in answered):
            print_sentence(console, f"  {layout}: {kernel}")
        first = answered[0]
        print_sentence(console, f"environment: torch {first.torch}, {first.cpu_capability}, one thread per process")
        print_sentence(console, _time(answered))
    for line in (*_explain_skipped(proofs), *group_unanswered_proofs(proofs)):
        console.print(printable(line), markup=False, soft_wrap=True)
    blocks = format_broken_laws(answered)
    for block in blocks[:_MAX_BLOCKS]:
        console.print(f"\n{printable(block)}", markup=False, soft_wrap=True)
    if len(blocks) > _MAX_BLOCKS:
        hidden_count = len(blocks) - _MAX_BLOCKS
        console.print(f"\n{count(hidden_count, 'more broken law')}; use `--dtypes` and `--of` to show them.")
    if blocks:
        console.print()


def _explain_skipped(proofs: Sequence[Proof]) -> list[str]:
    """Return why there was nothing to prove, without repeated reasons."""
    lines = []
    for reason in dict.fromkeys(proof.skipped for proof in proofs if proof.skipped is not None):
        selected = [proof for proof in proofs if proof.skipped == reason]
        names = dict.fromkeys(f"{proof.quantity} [{proof.dtype}]" for proof in selected)
        lines.append(f"not proved, {reason}: {', '.join(names)}")
    return lines


def _list_laws(proofs: Sequence[Proof]) -> list[str]:
    """Return for each quantity a line with the laws that held in every proof, and a line for each that did not."""
    lines = []
    for quantity, selected in group_by(proofs, lambda proof: proof.quantity).items():
        holding = [_list_names([proof], Status.HOLDS) for proof in selected]
        everywhere = [law for law in _list_names(selected, Status.HOLDS) if all(law in names for names in holding)]
        if everywhere:
            lines.append(f"{quantity}: these laws hold on every input visited: {', '.join(everywhere)}")
        for status, word in _FAILURES.items():
            for law in _list_names(selected, status):
                broken = [proof for proof in selected if law in _list_names([proof], status)]
                lines.append(f"{quantity}: {word}: {law} [{list_layouts(broken, selected)}]")
    return lines


_FAILURES = {Status.EXPECTED: "broken, as declared", Status.LOST: "loses digits", Status.BROKEN: "broken"}
"""Statuses of laws that do not hold, in words."""


def _list_names(proofs: Sequence[Proof], status: Status) -> list[str]:
    """Return the laws of a status in any of the proofs."""
    outcomes = (outcome for proof in proofs for outcome in proof.laws)
    return list(dict.fromkeys(outcome.law for outcome in outcomes if outcome.status is status))


def _time(proofs: Sequence[Proof]) -> str:
    total, floor = sum(proof.duration_s for proof in proofs), sum(proof.floor_s for proof in proofs)
    # The implementation's time is negligible for 65,536 inputs.
    share = (
        f", {total / floor:.1f} times the {floor:.1f} core-seconds of the implementation alone" if floor >= 1 else ""
    )
    return f"time: {total:.1f} core-seconds{share}"
