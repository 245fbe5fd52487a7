"""The kept proofs of torch's casts to 16 and 8 bits, and their table in the documentation.

``python tests/programs/float32_casts.py bfloat16 float8_e5m2`` proves casts in each memory layout, and keeps the
proofs. It replaces earlier ones of the same cast, layout and processor capability, and writes the table. Without a
name, it only writes the table again.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from harness.execution.environment import environment
from harness.proof.float32.casts import ENCODINGS
from harness.proof.float32.kernel import LAYOUTS
from harness.proof.float32.recorded import CASTS, read_recorded
from harness.proof.shards import prove_cast
from harness.record import Proof
from harness.timing.clock import threads
from harness.wording.accuracy import list_builds, make_cast_row

PAGE = Path(__file__).parents[2] / "docs" / "accuracy-of-torch.md"
BEGIN, END = "<!-- casts -->\n", "<!-- end of casts -->\n"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", help="dtypes of the results")
    for name in parser.parse_args().names:
        for layout in LAYOUTS:
            with threads(1):
                proof = prove_cast(ENCODINGS[name], layout)
            _keep(proof.model_copy(update={"processor": environment().processor}))
            print(make_cast_row(proof), f"{proof.duration_s:.1f} s", flush=True)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + table(read_recorded(CASTS)) + END + rest.partition(END)[2], encoding="utf-8")


def _keep(new: Proof) -> None:
    """Write a proof to the file."""
    known = {_key(proof): proof for proof in (*read_recorded(CASTS), new)}
    order = [(name, layout.name) for name in ENCODINGS for layout in LAYOUTS]
    kept = sorted(known.values(), key=lambda proof: order.index((proof.dtype, proof.layout)))
    CASTS.write_text("".join(proof.model_dump_json() + "\n" for proof in kept), encoding="utf-8")


def _key(proof: Proof) -> tuple[str, ...]:
    return proof.dtype, proof.layout, proof.cpu_capability


def table(proofs: Sequence[Proof]) -> str:
    """Return the casts as Markdown, with the time of each proof."""
    rows = [{**make_cast_row(proof), "core-s": f"{proof.duration_s:.0f}"} for proof in proofs]
    lines = tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
    valid = "".join(f"Valid for {environment}.\n\n" for environment in list_builds(proofs))
    return f"\n{lines}\n\n{valid}"


if __name__ == "__main__":
    main()
