"""The recorded frames of the sample run: names, order, types and values of all columns.

After an intended change of a frame or of the sample, record them with ``python -m samples.frames`` in the folder
``tests``.
"""

import gzip
import json
import tempfile
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import samples.run

from harness.reports.frame import frames

RECORDED = Path(__file__).parents[1] / "recorded" / "frames.json.gz"


def contents(folder: Path) -> dict[str, dict[str, Any]]:
    """Return types and rows of every frame of the sample run, by name."""
    return {name: _content(frame) for name, frame in frames(samples.run.full_run(folder)).items()}


def _content(frame: pd.DataFrame) -> dict[str, Any]:
    types = {str(column): str(dtype) for column, dtype in frame.dtypes.items()}
    return {"types": types, "rows": frame.to_csv(index=False)}


def recorded() -> dict[str, dict[str, Any]]:
    """Return the recorded frames."""
    return dict(json.loads(gzip.decompress(RECORDED.read_bytes())))


def table(content: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows of recorded content as a frame."""
    return pd.read_csv(StringIO(content["rows"]), dtype=content["types"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        # Without a time stamp, the same frames give the same bytes.
        RECORDED.write_bytes(gzip.compress(json.dumps(contents(Path(temporary))).encode(), mtime=0))
