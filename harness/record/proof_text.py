"""What proofs say in words."""

from collections.abc import Sequence

from harness.record.proof import LawOutcome, Proof
from harness.record.schema import Status, TensorText
from harness.record.text import count, spelled


def proof_line(proofs: Sequence[Proof]) -> str:
    """Return how far a run's proofs came as one plain sentence."""
    if not proofs:
        return "proofs: none, no input was visited"
    proved = [proof for proof in proofs if proof.proved]
    rest = [proof for proof in proofs if not proof.proved]
    parts = [f"{len(proved):,} of {len(proofs):,} proved" if rest else f"all {len(proofs):,} proved"]
    parts += [f"broken: {name}" for name in _broken(proofs)]
    visited = sum(proof.visited for proof in proofs)
    return f"proofs: {'; '.join(parts)} ({count(visited, 'input')} visited)"


def _broken(proofs: Sequence[Proof]) -> list[str]:
    names = [
        f"{proof.case} {outcome.law} [{proof.dtype}, {proof.layout}]"
        for proof in proofs
        for outcome in proof.laws
        if outcome.status is Status.BROKEN
    ]
    names += [f"{proof.case} [{proof.dtype}, {proof.layout}]: {proof.error}" for proof in proofs if proof.error]
    return names


def extent(proof: Proof) -> str:
    """Return ``proved``, or how much of the inputs was visited; a checksum that does not fit is named."""
    if proof.error is not None:
        return "error"
    if proof.proved:
        return "proved"
    if proof.visited < proof.inputs:
        return f"a part, {min(0.999, proof.visited / proof.inputs):.1%}"
    return "not proved: an input was left out, visited twice, or changed by the implementation"


def laws_held(proof: Proof) -> str:
    """Return which laws held on every input visited, and which did not."""
    held = [outcome.law for outcome in proof.laws if outcome.status is Status.HOLDS]
    broken = [f"{outcome.law} ({outcome.status})" for outcome in proof.laws if outcome.status is not Status.HOLDS]
    parts = [f"{len(held)} hold" if held else "none holds"]
    return ", ".join([*parts, *broken])


def witness(proof: Proof) -> str:
    """Return the input with the largest deviation, in hexadecimal; a dash where there is none."""
    if proof.witness is None:
        return "–"
    (value,) = list(proof.witness.example.values())[:1]
    return f"[{', '.join(value.values)}]" if isinstance(value, TensorText) else str(value)


def worst(proof: Proof) -> str:
    """Return the largest deviation in ulp."""
    return "≤ 0.5" if proof.witness is None else f"{proof.witness.deviation:.6g}"


def differing(proof: Proof) -> str:
    """Return on how many inputs the bits differ from the reference layout's."""
    return "–" if proof.differing is None else f"{proof.differing:,}"


def broken_blocks(proof: Proof) -> list[str]:
    """Return a block of text on each law that broke and was not declared to."""
    return [_block(proof, outcome) for outcome in proof.laws if outcome.status is Status.BROKEN]


def _block(proof: Proof, outcome: LawOutcome) -> str:
    found = outcome.violation
    assert found is not None
    facts = [
        ("statement", outcome.statement),
        ("kernel", proof.kernel),
        ("actual", f"{found.actual!r} at ({', '.join(map(str, found.place))})"),
        ("expected", f"{found.expected!r}"),
        ("deviation", f"{found.deviation:.6g}, bound {found.bound:.6g}"),
        *(("example", f"{name} = {spelled(value)}") for name, value in found.example.items()),
        ("look at", found.cause),
    ]
    lines = [f"{proof.case} breaks {outcome.law} [{proof.dtype}, {proof.layout}]"]
    return "\n".join([*lines, *(f"  {label:<9}  {text}" for label, text in facts)])
