"""Observations: every number of one or many runs in one tidy frame, with a row for each number.

A notebook starts with these lines::

    from harness import reports

    observations = reports.load("report")
    rates = observations.query("frame == 'loaders' and measure == 'samples_per_s'")
    rates.pivot_table(index="batch_size", columns="workers", values="value")
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.error import UsageError
from harness.record import Run, RunFolder, early, sort_by_age

from .frame import FRAMES, Frames, frames
from .frame.declaration import REAL, RECORD, TEXT, WHOLE, Column

_HEAD = (
    Column("run", TEXT, "name of the run"),
    Column("created", "datetime64[ns, UTC]", "start time of the run"),
    Column("machine", TEXT, "processor of the machine"),
    Column("torch", TEXT, "version of torch"),
    Column("commit", TEXT, "commit of the code"),
    Column("frame", TEXT, "frame that holds the number"),
)
_CONSTANT = ("family", "style", "contract", "status")
_TAIL = (
    Column("measure", TEXT, "measured quantity: the column of the frame"),
    Column("value", REAL, "value"),
    Column("unit", TEXT, "unit; 1 for dimensionless values"),
    RECORD,
)


def _list_keys() -> tuple[Column, ...]:
    """Return the columns that identify a row of any frame; integers may be missing."""
    named = {column.name: column for frame in FRAMES.values() for column in frame.columns}
    wanted = dict.fromkeys(["case", *_CONSTANT, *(key for frame in FRAMES.values() for key in frame.keys)])
    columns = (named[name] for name in wanted)
    return tuple(column._replace(dtype="Int64") if column.dtype == WHOLE else column for column in columns)


OBSERVATIONS = (*_HEAD, *_list_keys(), *_TAIL)
"""The columns of :func:`load`, in order."""


def load(*runs: str | Path) -> pd.DataFrame:
    """Read runs into one tidy frame.

    Parameters
    ----------
    *runs
        Each the name of a run below ``.harness/runs``, the folder of a run, or a folder of runs.

    Returns
    -------
    observations
        One row for each number: the run, the subject of the number, ``measure``, ``value``, ``unit``, and its
        ``record``. The columns are :data:`OBSERVATIONS`; columns that do not concern a number are missing. The rows
        follow the order of the runs' creation.

    Raises
    ------
    UsageError
        If there is no such run, or a record in one is damaged.

    Warns
    -----
    UserWarning
        If a command that filled a run ended early.
    """
    run_folders = find(*runs)
    for run in run_folders:
        if reason := early(run.head().work):
            warnings.warn(f"{run.head().name}: {reason}; the observations are incomplete", stacklevel=2)
    observations = [build_observations(run.head(), frames(run)) for run in run_folders]
    return pd.concat(observations, ignore_index=True) if observations else _convert_types(pd.DataFrame())


def find(*runs: str | Path) -> list[RunFolder]:
    """Return the runs for names, run folders and folders of runs, oldest first and without duplicates.

    Raises
    ------
    UsageError
        If an argument is neither a run nor a folder of runs.
    """
    return sort_by_age(folder for run in runs for folder in _find_folders(run))


def _find_folders(run: str | Path) -> list[RunFolder]:
    folder = RunFolder(Path(run)) if isinstance(run, Path) or Path(run).is_dir() else RunFolder.find(run)
    if folders := folder.runs():
        return folders
    raise UsageError(
        f"not a run: `{folder.path}`",
        rule="a run is a folder with a `run.json`, or a folder of such folders",
        remedy="pass a run made by `harness check`, `harness survey`, `harness train` or `harness bench`",
    )


def build_observations(head: Run, frames: Frames) -> pd.DataFrame:
    """Return the observations of a run."""
    long = [_melt(name, frame) for name, frame in frames.items() if len(frame)]
    rows = _convert_types(pd.concat([part for part in long if len(part)] or [pd.DataFrame()], ignore_index=True))
    environment = head.environment
    about: dict[str, Any] = {"run": head.name, "created": pd.Timestamp(head.created), "machine": environment.processor}
    about |= {"torch": environment.torch, "commit": environment.git_commit}
    return rows.assign(**about).astype({column.name: column.dtype for column in _HEAD})


def _melt(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each number of a frame that is not missing."""
    kind = FRAMES[name]
    measures = [
        column.name for column in kind.columns if column.name not in kind.keys and column.dtype in {REAL, WHOLE}
    ]
    names = {column.name for column in OBSERVATIONS}
    about = [column for column in frame.columns if column in names and column not in measures and column != "unit"]
    values = frame[measures].to_numpy(dtype=float, na_value=np.nan)
    place, row = np.nonzero(~np.isnan(values.T))  # measure by measure
    units = np.array([_get_unit(measure) for measure in measures], dtype=object)[place]
    if "unit" in frame:  # it is that of deviation and bound
        own = np.isin(measures, ("deviation", "bound"))[place]
        units = np.where(own, frame["unit"].to_numpy(dtype=object)[row], units)
    long = frame[about].iloc[row].assign(frame=name, measure=np.array(measures, dtype=object)[place])
    return long.assign(value=values[row, place], unit=units)


def _get_unit(measure: str) -> str:
    """Return the unit at the end of a name."""
    units = (("_per_s_", "1/s"), ("_bytes_", "B"), ("_us_", "µs"), ("_s_", "s"))
    return next((unit for part, unit in units if part in f"{measure}_"), "1")


def _convert_types(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of an observation with their types; the columns of the run are still empty."""
    wanted = frame.reindex(columns=[column.name for column in OBSERVATIONS])
    return wanted.astype({column.name: column.dtype for column in OBSERVATIONS})


def list_columns() -> Iterator[tuple[str, str, str, str]]:
    """Yield frame, column, type and meaning of every column, first the columns of :func:`load`."""
    declared = {name: frame.columns for name, frame in FRAMES.items()}
    for name, columns in {"observations": OBSERVATIONS, **declared}.items():
        for column in columns:
            yield (name, *column)
