"""The kept proofs of torch's operations in float32, and their table and picture in the documentation.

``python tests/programs/float32_accuracy.py FOLDER...`` keeps the proofs of runs of ``harness prove``. It replaces
earlier ones of the same operation, quantity, layout and processor capability, and writes the table and the picture.
Without a folder, it only writes the table and the picture again.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from harness.proof.float32.display import draw_accuracy
from harness.proof.float32.operation import OPERATIONS
from harness.proof.float32.recorded import FILE, names_of, operation_name, read_recorded, read_run, sort_proofs
from harness.record import Proof, RunFolder
from harness.wording.accuracy import list_builds, make_accuracy_row, select_float32
from harness.wording.number import count

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PICTURE = DOCS / "accuracy-of-torch.md", DOCS / "accuracy-of-torch.png"
BEGIN, END = "<!-- table -->\n", "<!-- end -->\n"
CONTRACTS = {"log": "formula(x: positive): log(x)", "sqrt": "formula(x: positive): sqrt(x)"}
CONTRACTS |= {"sin": "formula(x): sin(x)", "cos": "formula(x): cos(x)"}

PUBLISHED = {
    "exp": ("oneMKL `vmsExp`", "0.54 to 0.68"),
    "log": ("oneMKL `vmsLn`", "0.50 to 0.52"),
    "sqrt": ("oneMKL `vmsSqrt`", "at most 1"),
    "tanh": ("oneMKL `vmsTanh`", "0.50 to 0.53"),
    "erf": ("oneMKL `vmsErf`", "0.69 to 0.98"),
    "erfc": ("oneMKL `vmsErfc`", "0.75"),
    "sin": ("oneMKL `vmsSin`", "0.57"),
    "cos": ("oneMKL `vmsCos`", "0.59"),
    "expm1": ("SLEEF `expm1f16_u10`", "at most 1"),
    "log1p": ("SLEEF `log1pf16_u10`", "at most 1"),
}
"""The library function that torch calls for contiguous float32 numbers, and its published largest error in ulp."""

PUBLISHED_TEXT = """\
For contiguous numbers, torch calls a library function for these operations. The function, called directly, has the same
bits as torch at 262,144 inputs each. Intel publishes measured errors of the mode of high accuracy, which torch uses, on
four Xeon processors with oneMKL 2021.1. This torch contains oneMKL 2024.2, and on this processor its three modes have
the same bits at 16,384 inputs. Errors above Intel's figures are below its documented bound of 1 ulp. At subnormal
inputs, `log1p` exceeds the bound by less than 2^-100 ulp. If only a bound is published, the table says "at most".
No measured error of `vmsSqrt` was found. IEEE 754 requires a correctly rounded square root, which it does not return.
"""
TIMES_TEXT = """\
The time of the operation alone includes writing its inputs to memory. For all values, and for the gradients of
`gelu_tanh` and `reciprocal`, it is estimated from one of 16 calls, which are repeated and timed together. The other
gradients were timed before by single calls, which gives too long times on a busy machine.
"""

SOURCES = """\
Sources: Intel, [Vector Mathematics Performance and Accuracy Data](https://www.intel.com/content/www/us/en/docs/onemkl/developer-reference-vector-math-performance-accuracy-data/2021-1/overview.html);
N. Shibata, [SLEEF](https://sleef.org), functions with the suffix `u10`. The figures of Zimmermann et al.,
[Accuracy of Mathematical Functions](https://inria.hal.science/hal-03141101), are those of scalar libraries, which torch
does not call here."""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folders", nargs="*", type=Path, help="runs of `harness prove`")
    found = (proof for folder in parser.parse_args().folders for proof in read_run(RunFolder(folder)))
    new = [proof for proof in select_float32([*found]) if proof.is_proved]
    kept = sort_proofs([*{_key(proof): proof for proof in (*read_recorded(), *new)}.values()])
    FILE.write_text("".join(proof.model_dump_json() + "\n" for proof in kept), encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + tables(kept) + END + rest.partition(END)[2], encoding="utf-8")
    draw_accuracy(kept, PICTURE)
    print(f"{FILE}: {count(len(kept), 'proof')}, {FILE.stat().st_size:,} bytes")


def _key(proof: Proof) -> tuple[str, ...]:
    return proof.case, proof.contract, proof.quantity, proof.layout, proof.cpu_capability


def tables(proofs: Sequence[Proof]) -> str:
    """Return the accuracy, the laws, the times, and what has not run, as Markdown."""
    if not proofs:
        return "\nNo proof is kept yet.\n\n"
    rows = [make_accuracy_row(proof) for proof in proofs]
    accuracy = [_some(row, "operation", "quantity", "kernel", "worst ulp", "worst input") for row in rows]
    shares = [_some(row, "correctly rounded", "> 1 ulp", "> 2 ulp", "evidence") for row in rows]
    laws = [_some(row, "operation", "quantity", "kernel", "holds", "breaks") for row in rows]
    parts = [
        _table([{**first, **second} for first, second in zip(accuracy, shares, strict=True)]),
        *(f"Valid for {environment}." for environment in list_builds(proofs)),
        "## Laws",
        _table(laws),
        "## Times",
        TIMES_TEXT,
        _table([_time(proof) for proof in proofs]),
        "## Published figures",
        PUBLISHED_TEXT + "\n" + _table([row for proof in proofs for row in _published(proof)]) + "\n\n" + SOURCES,
        "## Not run yet",
        _missing(proofs),
    ]
    return "\n" + "\n\n".join(parts) + "\n\n"


def _table(rows: Sequence[dict[str, str]]) -> str:
    return tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)


def _some(row: dict[str, str], *names: str) -> dict[str, str]:
    return {name: row[name] for name in names}


def _time(proof: Proof) -> dict[str, str]:
    """Return core-seconds of a proof, and those of the operation alone."""
    row = _some(make_accuracy_row(proof), "operation", "quantity", "kernel")
    ratio = proof.duration_s / proof.floor_s
    return {
        **row,
        "proof, core-s": f"{proof.duration_s:.0f}",
        "operation alone, core-s": f"{proof.floor_s:.1f}",
        "ratio": f"{ratio:.1f}",
    }


def _published(proof: Proof) -> list[dict[str, str]]:
    """Return the line of a value next to the published figure, if there is one."""
    name = operation_name(proof)
    if proof.quantity != "value" or proof.layout != "contiguous" or name not in PUBLISHED:
        return []
    function, figure = PUBLISHED[name]
    row = make_accuracy_row(proof)
    return [
        {"operation": row["operation"], "function": function, "published, ulp": figure, "proved here": row["worst ulp"]}
    ]


def _missing(proofs: Sequence[Proof]) -> str:
    """Return the operations without a proof in the vector body."""
    lines = []
    for quantity in ("value", "gradient"):
        done = {name for proof in proofs if proof.quantity == quantity for name in names_of(proof)}
        missing = [f"`{name}`" for name in OPERATIONS if not {name, CONTRACTS.get(name, name)} & done]
        lines.append(f"* {quantity}: {', '.join(missing) or 'nothing'}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
