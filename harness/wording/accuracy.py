"""The text of proofs in float32: accuracy, the laws that hold, and the laws that some results break."""

from collections.abc import Sequence

from harness.record.proof import Proof
from harness.wording.number import count
from harness.wording.proof import format_extent, format_witness, format_worst

LAWS = {
    "monotone": ("monotone", "neighbors are in order where the function is monotone"),
    "symmetric": ("symmetric", "results for x and -x have the same bits, up to the sign that the function changes"),
    "lost": ("no digits lost", "no result is NaN, infinite or zero if the exact one is a normal number"),
    "flushed": ("subnormals kept", "no result is zero if the exact one is a subnormal number"),
    "limit": ("limits", "infinities and poles have the limit as result"),
    "not_nan": ("NaN", "the result is NaN for NaN and outside of the domain"),
    "not_infinite": ("overflow", "the result is infinite if the exact one is too large for float32"),
}
"""The laws of float32 numbers by the name of their departure: a short name if it holds, and its statement."""

CAST_LAWS = {
    "nearest": "the result is the nearest number",
    "ties": "halfway between two numbers, the result is the declared one",
    "overflow": "the result for a number beyond the largest one is the declared one",
    "infinity": "the result for infinity is the declared one",
    "nan": "the result for NaN is NaN",
    "sign": "the sign is kept, and zero has the declared sign",
    "flushed": "no result is zero if the nearest number is not zero",
    "back": "the cast back to float32 changes no number, and keeps NaN",
    "round trip": "the cast to float32 and back gives the same number",
}
"""The laws of casts by the name of their departure, each with its statement."""


def select_float32(proofs: Sequence[Proof]) -> list[Proof]:
    """Return the proofs in float32 that have visited any inputs."""
    return [proof for proof in proofs if proof.histogram and proof.error is None]


def format_operation(proof: Proof) -> str:
    """Return the name of the case, with its contract if the name does not contain it."""
    name = proof.case.rpartition(".")[2]
    is_named = name == proof.contract or proof.contract.startswith("formula")
    return proof.case if is_named else f"{proof.case} ({proof.contract})"


def format_correct_share(wrong: int, total: int) -> str:
    """Return the share of results that are correctly rounded, never rounded up to 100 %."""
    return f"{min(100.0 * (1.0 - wrong / total), 99.9999):.4f} %" if wrong else "100 %"


def list_holding_laws(proof: Proof) -> str:
    """Return the names of the laws that hold for each visited input."""
    compared = {law for law in ("monotone", "symmetric") if not proof.compared.get(law)}
    inapplicable = compared | ({"not_nan"} if proof.quantity != "value" else set())
    return ", ".join(LAWS[law][0] for law in LAWS if law not in proof.departures and law not in inapplicable)


def list_departures(proof: Proof) -> str:
    """Return the laws that some results break, each with the number of results and the first input."""
    departures = ((LAWS[law][0], proof.departures[law]) for law in LAWS if law in proof.departures)
    return "; ".join(f"{name}: {departure.count:,} (first `{departure.x}`)" for name, departure in departures) or "none"


def make_accuracy_row(proof: Proof) -> dict[str, str]:
    """Return the line of the accuracy table for a proof."""
    return {
        "operation": format_operation(proof),
        "quantity": proof.quantity,
        "kernel": f"{proof.layout}, {proof.cpu_capability}",
        "worst ulp": format_worst(proof),
        "worst input": f"`{format_witness(proof)[1:-1]}`" if proof.witness else "–",
        "correctly rounded": format_correct_share(sum(proof.histogram[4:]), sum(proof.histogram)),
        "> 1 ulp": f"{proof.beyond['1']:,}",
        "> 2 ulp": f"{proof.beyond['2']:,}",
        "holds": list_holding_laws(proof),
        "breaks": list_departures(proof),
        "evidence": format_extent(proof),
    }


def make_cast_row(proof: Proof) -> dict[str, str]:
    """Return the line of a cast."""
    departures = ((law, proof.departures[law]) for law in CAST_LAWS if law in proof.departures)
    texts = (
        f"{law}: {record.count:,} (first `{record.x}`: actual {record.actual:.6g}, expected {record.expected:.6g})"
        for law, record in departures
    )
    return {
        "cast to": proof.dtype,
        "kernel": f"{proof.layout}, {proof.cpu_capability}",
        "correctly rounded": format_correct_share(proof.not_correctly_rounded, proof.visited),
        "policies": proof.contract,
        "deviations": "; ".join(texts) or "none",
        "evidence": format_extent(proof),
    }


def explain_departures(proofs: Sequence[Proof]) -> list[str]:
    """Return a sentence for each law of float32 numbers that some results break."""
    lines = []
    for proof in select_float32(proofs):
        for law, record in proof.departures.items():
            results = count(record.count, "result")
            first = f"first {float.fromhex(record.x):.9g}: actual {record.actual:.9g}, expected {record.expected:.9g}"
            lines.append(f"{proof.quantity} [float32 {proof.layout}]: {results} against: {LAWS[law][1]} ({first})")
    return lines


def list_builds(proofs: Sequence[Proof]) -> list[str]:
    """Return the builds and processors of some proofs."""
    places = ((proof.torch, proof.processor or "an unknown processor", proof.cpu_capability) for proof in proofs)
    return [
        f"torch {torch} on {processor} with {capability}, one thread"
        for torch, processor, capability in dict.fromkeys(places)
    ]
