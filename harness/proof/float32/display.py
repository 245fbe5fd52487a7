"""Terminal output and a picture of the accuracy in float32."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from harness.display.table import print_sentence, show_table
from harness.error import UsageError, require
from harness.record import Proof
from harness.wording.accuracy import CAST_LAWS, LAWS, format_operation, list_builds, make_accuracy_row, make_cast_row
from harness.wording.table import Header, Table

_RIGHT = ("worst ulp", "worst input", "correctly rounded", "> 1 ulp", "> 2 ulp")
_CLASSES = 24
"""Number of classes of an eighth of an ulp in the picture."""


def print_accuracy(console: Console, proofs: Sequence[Proof], *, are_casts: bool = False) -> None:
    """Print a line for each proof, the meaning of the laws, and where they are valid."""
    print_rows(console, list(map(make_cast_row if are_casts else make_accuracy_row, proofs)))
    for name, statement in CAST_LAWS.items() if are_casts else LAWS.values():
        print_sentence(console, f"{name}: {statement}")
    for environment in list_builds(proofs):
        print_sentence(console, f"environment: {environment}")


def print_rows(console: Console, rows: Sequence[dict[str, str]]) -> None:
    """Print a table whose columns have the keys of its rows as headings."""
    show_table(console, accuracy_table([{key: cell.replace("`", "") for key, cell in row.items()} for row in rows]))


def accuracy_table(rows: Sequence[dict[str, str]]) -> Table:
    """Return a table whose columns have the keys of its rows as headings."""
    columns = tuple(Header(name, "number" if name in _RIGHT else "text") for name in rows[0])
    return Table("accuracy", "Accuracy", columns, tuple(tuple(row.values()) for row in rows))


def draw_accuracy(proofs: Sequence[Proof], file: Path) -> None:
    """Draw a histogram of the deviations for each proof.

    Raises
    ------
    UsageError
        If matplotlib is missing, or the file cannot be written.
    """
    require("report", "the picture")
    from matplotlib.figure import Figure

    columns = min(4, len(proofs))
    rows = -(-len(proofs) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.2 * rows), layout="constrained")
    for axes, proof in zip(figure.subplots(rows, columns, squeeze=False).flat, proofs, strict=False):
        total = sum(proof.histogram)
        counts = [*proof.histogram[:_CLASSES], *[0] * (_CLASSES - len(proof.histogram))]
        rest = total - sum(counts)
        bars = [number / total for number in (*counts, rest)]
        colors = ["tab:blue"] * 4 + ["tab:orange"] * (_CLASSES - 4) + ["tab:red"]
        axes.bar([(i + 0.5) / 8 for i in range(_CLASSES + 1)], bars, width=0.115, color=colors)
        axes.set_yscale("log")
        axes.set_ylim(1e-10, 2.0)
        axes.set_title(f"{format_operation(proof)}, {proof.quantity}", fontsize=8)
        axes.tick_params(labelsize=7)
    for axes in figure.axes[len(proofs) :]:
        axes.set_visible(False)
    figure.supxlabel("deviation in ulp; the last bar has all larger ones", fontsize=8)
    figure.supylabel("share of inputs", fontsize=8)
    try:
        figure.savefig(file, dpi=120, metadata={"Software": None} if file.suffix == ".png" else None)
    except (OSError, ValueError) as error:
        rule = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot write the picture `{file}`", rule=rule) from error
