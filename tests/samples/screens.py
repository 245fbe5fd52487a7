"""The recorded output of commands for made-up records at 80 and 120 columns.

After an intended change of an output, record it with ``python -m samples.screens`` in the folder ``tests``.
"""

from io import StringIO
from pathlib import Path

import samples.run
from rich.console import Console

from harness.display.verdict import print_training
from harness.proof.display import print_proofs
from harness.surveyor.discovery import Discoveries
from harness.surveyor.display import print_survey

RECORDED = Path(__file__).parents[1] / "recorded" / "screens.txt"
WIDTHS = (80, 120)


def screens() -> str:
    """Return the output of ``train``, ``prove`` and ``survey`` at each width under a heading."""
    return "".join(
        f"==== {command}, {width} columns\n{screen(command, width)}"
        for command in ("train", "prove", "survey")
        for width in WIDTHS
    )


def screen(command: str, width: int) -> str:
    """Return the output of a command on a plain screen, or in a pipe, of the given width."""
    stream = StringIO()
    console = Console(file=stream, width=width, soft_wrap=True, highlight=False)
    if command == "train":
        print_training(console, [*samples.run.epochs(), *samples.run.estimates()])
    elif command == "prove":
        print_proofs(console, samples.run.proofs())
    else:
        found = Discoveries()
        found.add([*samples.run.breakings(), *samples.run.worst(), *samples.run.accumulators()])
        print_survey(console, found, single=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


if __name__ == "__main__":
    RECORDED.write_text(screens(), encoding="utf-8")
