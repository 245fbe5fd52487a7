"""The kept proofs of torch's operations in float32 and of its casts, which come with the package."""

from collections.abc import Sequence
from pathlib import Path

from harness.proof.float32.operation import OPERATIONS
from harness.record import Proof, RunFolder

FILE = Path(__file__).with_name("recorded.jsonl")
CASTS = FILE.with_name("casts.jsonl")
_ORDER = {name: place for place, name in enumerate(OPERATIONS)}


def read_recorded(file: Path | None = None) -> list[Proof]:
    """Return the kept proofs of a file; by default, the file of the operations."""
    return [Proof.model_validate_json(line) for line in (file or FILE).read_text(encoding="utf-8").splitlines()]


def read_run(folder: RunFolder) -> list[Proof]:
    """Return the proofs of a run, with their processor."""
    processor = folder.head().environment.processor
    return [proof.model_copy(update={"processor": processor}) for proof in folder.read(Proof)]


def sort_proofs(proofs: Sequence[Proof]) -> list[Proof]:
    """Return proofs in the order of the operations, values before gradients."""
    return sorted(proofs, key=lambda proof: (_get_place(proof), proof.quantity != "value", proof.layout, proof.key))


def names_of(proof: Proof) -> set[str]:
    """Return the names that select a proof: its function, case and contract."""
    return {proof.case.rpartition(".")[2], proof.case, proof.contract}


def operation_name(proof: Proof) -> str:
    """Return the name of the operation of a proof."""
    return proof.contract if proof.contract in OPERATIONS else proof.case.rpartition(".")[2]


def _get_place(proof: Proof) -> int:
    return _ORDER.get(operation_name(proof), len(_ORDER))
