"""Everything a report reads from a run, read once."""

from dataclasses import dataclass

from harness.record import Image, Proof, Run, RunFolder, Verdict
from reports.frame import Frames, frames


@dataclass(frozen=True)
class Reading:
    """Head, verdicts, proofs, images and frames of one run."""

    head: Run
    verdicts: tuple[Verdict, ...]
    proofs: tuple[Proof, ...]
    images: tuple[Image, ...]
    frames: Frames


def read(run: RunFolder) -> Reading:
    """Read a run; what it does not hold is empty.

    Raises
    ------
    UsageError
        If the folder is no run, or a record in it is damaged.
    """
    verdicts, proofs, images = tuple(run.read(Verdict)), tuple(run.read(Proof)), tuple(run.read(Image))
    return Reading(run.head(), verdicts, proofs, images, frames(run))
