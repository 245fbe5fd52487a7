"""The text of proofs."""

from collections.abc import Sequence

from harness.record.proof import LawOutcome, Proof
from harness.record.schema import Status, TensorText
from harness.wording.number import count
from harness.wording.verdict import spell_input


def proof_line(proofs: Sequence[Proof]) -> str:
    """Return how far a run's proofs came as one plain sentence."""
    if not proofs:
        return "proofs: none, no input was visited"
    proved = [proof for proof in proofs if proof.is_proved]
    rest = [proof for proof in proofs if not proof.is_proved]
    parts = [f"{len(proved):,} of {len(proofs):,} proved" if rest else f"all {len(proofs):,} proved"]
    broken = {(proof.case, outcome.law) for proof in proofs for outcome in proof.laws if outcome.status.fails}
    parts += [f"{count(len(broken), 'law')} broken"] if broken else []
    silent = sum(proof.error is not None for proof in proofs)
    parts += [f"{silent:,} without an answer"] if silent else []
    visited = sum(proof.visited for proof in proofs)
    return f"proofs: {'; '.join(parts)} ({count(visited, 'input')} visited)"


def list_layouts(proofs: Sequence[Proof], among: Sequence[Proof]) -> str:
    """Name the dtypes and layouts of some proofs among others: a dtype alone where it is about all of its layouts."""
    if len(proofs) == len(among) > 1:
        return "everywhere"
    parts = []
    for dtype in dict.fromkeys(proof.dtype for proof in proofs):
        layouts = [proof.layout for proof in proofs if proof.dtype == dtype]
        is_whole = sum(proof.dtype == dtype for proof in among) == len(layouts) > 1
        parts.append(dtype if is_whole else f"{dtype} {', '.join(layouts)}")
    return "; ".join(parts)


def group_unanswered_proofs(proofs: Sequence[Proof]) -> list[str]:
    """Return each thing that an implementation did instead of answering, once, with the proofs that it concerns."""
    lines = []
    for error in dict.fromkeys(proof.error for proof in proofs if proof.error is not None):
        concerned = [proof for proof in proofs if proof.error == error]
        lines.append(f"{error}\n  affects  {'; '.join(_list_quantities(concerned, proofs))}")
    return lines


def _list_quantities(proofs: Sequence[Proof], among: Sequence[Proof]) -> list[str]:
    """Name the quantities of some proofs, each with where."""
    names = dict.fromkeys(proof.quantity for proof in proofs)
    return [f"{name} [{list_layouts(_select_quantity(proofs, name), _select_quantity(among, name))}]" for name in names]


def _select_quantity(proofs: Sequence[Proof], quantity: str) -> list[Proof]:
    return [proof for proof in proofs if proof.quantity == quantity]


def format_extent(proof: Proof) -> str:
    """Return ``proved``, or how much of the inputs was visited; a checksum that does not fit is named."""
    if proof.error is not None:
        return "error"
    if proof.is_proved:
        return "proved"
    if proof.visited < proof.inputs:
        return f"partial, {min(0.999, proof.visited / proof.inputs):.1%}"
    return "not proved: an input was skipped, visited twice, or changed by the implementation"


def list_held_laws(proof: Proof) -> str:
    """Return which laws held on every input visited, and which did not."""
    holding = [outcome.law for outcome in proof.laws if outcome.status is Status.HOLDS]
    broken = [f"{outcome.law} ({outcome.status})" for outcome in proof.laws if outcome.status is not Status.HOLDS]
    parts = [f"{len(holding)} hold" if holding else "none holds"]
    return ", ".join([*parts, *broken])


def format_witness(proof: Proof) -> str:
    """Return the input with the largest deviation, in hexadecimal; a dash where there is none."""
    if proof.witness is None:
        return "–"
    (value,) = list(proof.witness.example.values())[:1]
    return f"[{', '.join(value.values)}]" if isinstance(value, TensorText) else str(value)


def format_worst(proof: Proof) -> str:
    """Return the largest deviation in ulp."""
    return "≤ 0.5" if proof.witness is None else f"{proof.witness.deviation:.6g}"


def format_differences(proof: Proof) -> str:
    """Return on how many inputs the bits differ from the reference layout's."""
    return "–" if proof.differing is None else f"{proof.differing:,}"


def format_broken_laws(proofs: Sequence[Proof]) -> list[str]:
    """Return a block of text on each law of a case that broke and was not declared to, and where else it did."""
    first: dict[tuple[str, str], tuple[Proof, LawOutcome]] = {}
    similar: dict[tuple[str, str], list[Proof]] = {}
    for proof in proofs:
        for outcome in proof.laws:
            if outcome.status is Status.BROKEN:
                first.setdefault((proof.case, outcome.law), (proof, outcome))
                similar.setdefault((proof.case, outcome.law), []).append(proof)
    return [_format_block(*first[key], similar[key][1:]) for key in first]


REPLAYED = "the replay has this input only: torch may choose another kernel, on which the law holds"
"""Note next to a replay: a failure may depend on the layout."""


def _format_block(proof: Proof, outcome: LawOutcome, similar: Sequence[Proof]) -> str:
    violation = outcome.violation
    assert violation is not None
    rows = [
        ("statement", outcome.statement),
        ("kernel", proof.kernel),
        ("actual", f"{violation.actual!r} at ({', '.join(map(str, violation.place))})"),
        ("expected", f"{violation.expected!r}"),
        ("deviation", f"{violation.deviation:.6g}, bound {violation.bound:.6g}"),
        *(("example", f"{name} = {spell_input(value)}") for name, value in violation.example.items()),
        ("replay", violation.replay),
        ("", REPLAYED),
        ("look at", violation.cause),
        *([("also in", ", ".join(f"[{twin.dtype}, {twin.layout}]" for twin in similar))] if similar else []),
    ]
    lines = [f"{proof.case} breaks {outcome.law} [{proof.dtype}, {proof.layout}]"]
    return "\n".join([*lines, *(f"  {label:<9}  {text}" for label, text in rows)])
