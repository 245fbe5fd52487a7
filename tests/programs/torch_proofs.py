"""The recorded proofs of torch's two-class functions, and their tables in the documentation.

``python tests/programs/torch_proofs.py FOLDER`` records the proofs of a run of ``harness prove``. It keeps earlier
records for the same torch and processor that the run lacks, and writes the tables again. The proofs take hours of a
core; the page has the commands.
"""

import argparse
import gzip
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from harness.record import Proof, RunFolder, Status
from harness.wording.proof import format_differences, format_witness, format_worst

HERE = Path(__file__).parent
RECORDED = HERE.parent / "recorded" / "proofs.jsonl.gz"
PAGE = HERE.parents[1] / "docs" / "what-is-proved-of-torch.md"
ORDERS = (
    ("softmax", "log_softmax", "cross_entropy"),
    ("value", "gradient"),
    ("0", "1"),
    ("float16", "bfloat16"),
    ("columns", "rows", "narrow", "tails"),
)
"""Order of contracts, quantities, labels, formats and layouts on the page."""

BEGIN, END = "<!-- table -->\n", "<!-- end -->\n"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, help="a run of `harness prove`")
    run = [proof for proof in RunFolder(parser.parse_args().folder).read(Proof) if proof.is_proved]
    if not run:
        parser.error("the run has no proof")
    kept = [proof for proof in recorded() if _where(proof) in map(_where, run)]
    proofs = sorted({_place(proof): proof for proof in (*kept, *run)}.values(), key=_place)
    # Without a time stamp, the same proofs give the same bytes.
    RECORDED.write_bytes(gzip.compress("".join(proof.model_dump_json() + "\n" for proof in proofs).encode(), mtime=0))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + tables(proofs) + END + rest.partition(END)[2], encoding="utf-8")
    print(f"{RECORDED}: {len(proofs)} proofs, {RECORDED.stat().st_size:,} bytes")


def _where(proof: Proof) -> tuple[str, str]:
    """Return torch's version and the processor capability of a proof."""
    return proof.torch, proof.cpu_capability


def _place(proof: Proof) -> tuple[int, ...]:
    """Return the position of a proof on the page."""
    names = (proof.contract, proof.quantity.split(",")[0], proof.quantity[-1], proof.dtype, proof.layout)
    return tuple(known.index(name) if name in known else 0 for known, name in zip(ORDERS, names, strict=True))


def recorded() -> list[Proof]:
    """Return the recorded proofs."""
    with gzip.open(RECORDED, "rt", encoding="utf-8") as lines:
        return [Proof.model_validate_json(line) for line in lines]


def tables(proofs: Sequence[Proof]) -> str:
    """Return a Markdown table for each function."""
    parts = []
    for case in dict.fromkeys(proof.case for proof in proofs):
        rows = [_row(proof) for proof in proofs if proof.case == case]
        table = tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
        parts.append(f"\n## `{case.removeprefix('torch.nn.')}`\n\n{table}\n")
    return "".join(parts) + "\n"


def _row(proof: Proof) -> dict[str, str]:
    broken = [outcome.law for outcome in proof.laws if outcome.status is not Status.HOLDS]
    return {
        "quantity": proof.quantity,
        "dtype": proof.dtype,
        "layout": proof.layout,
        "worst ulp": format_worst(proof),
        "worst input": f"`{format_witness(proof)}`",
        "> 1/2 ulp": f"{proof.not_correctly_rounded:,}",
        "> 1 ulp": f"{proof.beyond['1']:,}",
        "bits differ": format_differences(proof),
        "laws broken": ", ".join(broken) or "none",
    }


if __name__ == "__main__":
    main()
