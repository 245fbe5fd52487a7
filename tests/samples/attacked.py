"""A run in which every text of every record is an attack, and every unrestricted number is extreme."""

import enum
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import samples.audit
import samples.benchmarks
import samples.run
from pydantic import ValidationError

from harness.record import FILES, Audit, Fix, Property, RunFolder

EVIL = "</script><img src=x onerror=alert(1)><b onmouseover='alert(2)'>&\"'`{{ 7*7 }}$x_1$|\x1b[31m\u202e漢字"
LONG = "W" * 160
"""A word that is longer than any line."""

TIMED = ("case", "family", "style", "data", "step", "choice", "reason")
"""Text fields in pytest-benchmark's files."""

EXTREMES = (math.inf, -math.inf, math.nan, 1.7976931348623157e308, 5e-324, -0.0)


def attacked_run(path: Path) -> RunFolder:
    """Write the sample of every kind of record with replaced texts and numbers, as far as the records accept them."""
    run = samples.run.full_run(path)
    run.write(Audit, [samples.audit.audit("train.step", samples.audit.finding())])
    run.write(Fix, [samples.audit.fix("train.step")])
    run.write(
        Property, [Property(case="c", name="returns", dtype="", value="float32", sentence="{case} does {dtypes}")]
    )
    kinds: tuple[Any, ...] = tuple(FILES)
    for kind in kinds:
        run.write(kind, [attacked(record, at) for at, record in enumerate(run.read(kind))])
    for suite, document in run.benchmarks():
        for entry in document["benchmarks"]:
            own = entry["extra_info"]
            own |= {key: _evil(own[key]) for key in TIMED if isinstance(own.get(key), str)}
        samples.benchmarks.write_suite(run, suite, document["benchmarks"])
    head = run.head()
    texts = {"name": _evil(head.name), "commands": tuple(map(_evil, head.commands))}
    run.write_head(head.model_copy(update=texts))
    return run


def attacked(record: Any, at: int) -> Any:
    """Return a record with replaced fields. A value that the record's model refuses is left unchanged."""
    whole: dict[str, Any] = record.model_dump()
    for place, (holder, key) in enumerate(list(_leaves(whole))):
        before = holder[key]
        # Some stay unchanged, so that figures, which need dtypes and scales, are drawn too.
        if (isinstance(before, float) or key in {"dtype", "device"}) and at % 3:
            continue
        if key == "pixels":  # the page refuses an invalid image with a message
            continue
        holder[key] = _evil(before) if isinstance(before, str) else EXTREMES[(at + place) % len(EXTREMES)]
        try:
            type(record).model_validate(whole)
        except ValidationError:
            holder[key] = before
    return type(record).model_validate(whole)


def _evil(text: str) -> str:
    return f"{text}{EVIL}{LONG}"


def _leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container of a text or a float with its key. Tuples become lists, which records accept too."""
    if isinstance(value, (dict, list)):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            inner = value[key] = list(value[key]) if isinstance(value[key], tuple) else value[key]
            if isinstance(inner, (dict, list)):
                yield from _leaves(inner)
            elif isinstance(inner, float) or (isinstance(inner, str) and not isinstance(inner, enum.Enum)):
                yield value, key
