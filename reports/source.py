"""The label of the data: it marks tables and figures that do not use the published data set."""

from collections.abc import Iterable

import pandas as pd

from harness.record import DataSource

STAND_IN = "stand-in"
"""Text in the label of stand-in data."""


def caveat(label: str | None, source: DataSource | None) -> str:
    """Return the caveat for a caption on data; empty for none.

    ``label`` is the label in the record, or ``None`` if the run's own ``source`` was used.
    """
    if label is not None and STAND_IN in label:
        return "made from the synthetic stand-in, not from the published data set"
    if source is None or source.genuine or label not in {None, source.name}:
        return ""
    if source.origin == "synthetic":
        return "made from the synthetic stand-in, not from the published data set"
    return "made from files whose checksums differ from the published data set"


def caveats(labels: Iterable[str | None], source: DataSource | None) -> str:
    """Return the caveats of several labels, each once."""
    return "; ".join(dict.fromkeys(text for label in labels if (text := caveat(label, source))))


def caveat_of(frame: pd.DataFrame, source: DataSource | None) -> str:
    """Return the caveats of the data in the column ``data`` of a frame, each once."""
    return caveats([None if pd.isna(label) else str(label) for label in frame["data"].unique()], source)
