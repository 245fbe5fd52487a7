"""Frames: the records of a run as tidy tables, with a row per observation and units in the names of the columns.

The module that makes the rows of a frame also declares it; no other list exists. A frame keeps its columns if the run
has no such records. Unknown numbers are NaN, unknown texts are missing.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from harness.record import RunFolder

from . import gate, law, loader, operation, training
from .declaration import Frame

THEMES = (law, training, loader, operation, gate)
"""Modules that declare frames, in the order of the data files."""

FRAMES: Mapping[str, Frame] = {
    frame.name: frame for theme in THEMES for frame in vars(theme).values() if isinstance(frame, Frame)
}
"""Every frame by its name."""


class Frames(Mapping[str, pd.DataFrame]):
    """The frames of a run by name, each also an attribute: ``frames.loaders`` is ``frames["loaders"]``.

    Parameters
    ----------
    frames
        The frames by name.
    """

    def __init__(self, frames: Mapping[str, pd.DataFrame]) -> None:
        vars(self).update(frames)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> pd.DataFrame: ...

    def __getitem__(self, name: str) -> pd.DataFrame:
        frame: pd.DataFrame = vars(self)[name]
        return frame

    def __iter__(self) -> Iterator[str]:
        return iter(vars(self))

    def __len__(self) -> int:
        return len(vars(self))

    def __repr__(self) -> str:
        return "\n".join(f"{name}, {len(frame):,} rows: {FRAMES[name].meaning}" for name, frame in self.items())


def frames(run: RunFolder) -> Frames:
    """Read every frame of a run.

    Parameters
    ----------
    run
        The run; each part except its head may be missing.

    Returns
    -------
    Frames
        One frame for each kind of record; empty if the run has no such record.

    Raises
    ------
    UsageError
        If a record or a benchmark is damaged.
    """
    return Frames({name: frame(run) for name, frame in FRAMES.items()})
