"""Add 10 % more work to every case: real work, done by the case at each call.

The experiment copies this module into a copy of the package ``cases``, whose families slow down their cases with it.
The file ``injected.json`` in the same folder has the number of additional additions for each case.
"""

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.case import Case


@functools.cache
def extra() -> dict[str, int]:
    """Return the number of additions per call for each case."""
    counts: dict[str, int] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return counts


def work(count: int) -> int:
    """Add numbers."""
    return sum(range(count))


def slowed(case: Case) -> Case:
    """Return the case with more work at each call; a case without an entry is returned unchanged."""
    count = extra().get(case.name)
    if count is None:
        return case
    slower = {"loader": _loader}.get(case.contract, _step if case.contract.endswith("_step") else _function)
    return replace(case, function=functools.wraps(case.function)(slower(case.function, count)))


def _function(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    def more(*arguments: Any) -> Any:
        work(count)
        return function(*arguments)

    return more


def _step(factory: Callable[..., Any], count: int) -> Callable[..., Any]:
    def made(*arguments: Any) -> Any:
        step, parameters = factory(*arguments)
        return _function(step, count), parameters

    return made


class _Loader:
    def __init__(self, batches: Any, count: int) -> None:
        self.batches = batches
        self.count = count

    def __iter__(self) -> Iterator[Any]:
        work(self.count)
        yield from self.batches


def _loader(factory: Callable[..., Any], count: int) -> Callable[..., Any]:
    def made(*arguments: Any) -> Any:
        return _Loader(factory(*arguments), count)

    return made
