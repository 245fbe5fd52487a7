"""Sections on loaders: their rates, and whether loading keeps ahead of the step."""

from collections.abc import Iterator

from harness.record.bench import BalanceRecord, LoaderRecord
from harness.wording.table.loader import balance_table

from ..figures.loader import FEW, budgets, scaling, waiting
from ..figures.loader_heat_map import loading
from ..page_part import Part
from ..reading import Reading
from ..section import section
from ..source import caveat_of
from ..table import page_table
from ..tables import loader


@section("Data loaders")
def loaders(reading: Reading) -> Iterator[Part]:
    """Yield the throughput of a loader against the workers, and as a table."""
    frame, source = reading.frames.loaders, reading.head.data
    if frame.empty:
        return
    if frame["workers"].nunique() > 1:
        yield scaling(frame, source)
    yield loader.loaders(reading.list_timed(LoaderRecord), frame, source)


@section("Data loaders")
def best(reading: Reading) -> Iterator[Part]:
    """Yield a comparison of the loaders: their best configurations, and the parts of the batch time."""
    frame, source = reading.frames.loaders, reading.head.data
    if frame.empty:
        return
    yield loading(frame, reading.frames.balance, source)
    yield loader.best_loaders(frame, source)
    if len(reading.frames.budgets):
        yield budgets(reading.frames.budgets, source)
        if reading.frames.budgets["case"].nunique() > FEW:
            yield loader.spent(reading.frames.budgets)
    if frame["share"].notna().any():
        yield loader.shares(frame, source)


@section("Loading compared with the step")
def balance(reading: Reading) -> Iterator[Part]:
    """Yield whether loading keeps ahead of the step."""
    frame, source = reading.frames.balance, reading.head.data
    if len(frame):
        yield waiting(frame, source)
        loops = [loop.record for loop in reading.list_timed(BalanceRecord)]
        yield page_table(balance_table(loops), caveat=caveat_of(frame, source))
