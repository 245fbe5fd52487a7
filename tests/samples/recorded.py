"""The recorded run that tests of records, tables and pages read: made-up results of every kind, all from one machine.

``recorded/run.txt.gz`` has a line for each record and for each benchmark: its class or its suite, and its JSON. After a
change of a class, change these lines, and record the frames again with ``python -m samples.frames``.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

FILE = Path(__file__).parents[1] / "recorded" / "run.txt.gz"
PUBLISHED, STAND_IN = "Fashion-MNIST", "synthetic stand-in"

R = TypeVar("R", bound=BaseModel)


@cache
def _lines() -> Mapping[str, list[str]]:
    """Return the JSON of all records and benchmarks, by class and by suite."""
    found = defaultdict(list)
    for line in gzip.decompress(FILE.read_bytes()).decode().splitlines():
        name, _, text = line.partition(" ")
        found[name].append(text)
    return found


def _relabel(text: str, data: str) -> str:
    return text.replace(f'"data":"{PUBLISHED}"', f'"data":"{data}"')


def records(kind: type[R], *, data: str = PUBLISHED) -> list[R]:
    """Return the records of a class; ``data`` replaces the label of the published data set."""
    return [kind.model_validate_json(_relabel(text, data)) for text in _lines().get(kind.__name__, [])]


def entries(suite: str, *, data: str = PUBLISHED) -> list[dict[str, Any]]:
    """Return the benchmarks of a suite in pytest-benchmark's format."""
    return [json.loads(_relabel(text, data)) for text in _lines()[suite]]
