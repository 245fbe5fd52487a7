"""Loaders in the terminal: rates with intervals, each beside the limit of memory."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from harness.record import Estimate, median_ratio
from harness.show.number import rate

TORCH = "torch.utils.data.dataloader.DataLoader"
"""What a loader is called that is torch's own."""

_WORDS = (
    "Medians of slices of the steady state, with 95 % intervals within this process; CPU time counts the workers, and "
    "minds no other load. "
)
_LIMIT = "The limit gathers rows of tensors in memory and converts them, in turns with each loader."


def print_loaders(console: Console, document: Mapping[str, Any]) -> None:
    """Print a table of every loader and configuration, and what to remember of it.

    Parameters
    ----------
    console
        Where to.
    document
        What pytest-benchmark wrote of the suite ``loaders``.
    """
    infos = [entry["extra_info"] for entry in document["benchmarks"]]
    if infos:
        console.print(_table(infos))
        for sentence in remarks(infos):
            console.print(escape(sentence), soft_wrap=True)
        for remark in dict.fromkeys(info["remark"] for info in infos if info["remark"]):
            console.print(escape(remark), soft_wrap=True)
        console.print(_WORDS + _LIMIT, soft_wrap=True)


def remarks(infos: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield for each batch size what is fastest, of all and of torch's ``DataLoader``: beside the first loader."""
    for size, group in groupby(sorted(infos, key=_size), key=_size):
        own = list(group)
        base = min((info for info in own if info["case"] == infos[0]["case"]), key=lambda info: int(info["workers"]))
        best = min(own, key=_wall_us)
        yield from _compared(size, "the fastest", best, base)
        own = [info for info in own if info["loader"] == TORCH]
        if own and best["loader"] != TORCH:
            yield from _compared(size, "the fastest DataLoader", min(own, key=_wall_us), base)


def _compared(size: int, words: str, best: Mapping[str, Any], base: Mapping[str, Any]) -> Iterator[str]:
    line = f"batch {size}: {words} is {_place(best)}"
    if best is not base:
        rates, costs = _wall_us(base) / _wall_us(best), _median(base["cpu_us"]) / _median(best["cpu_us"])
        line += f", {rates:,.1f} times the rate of {_place(base)}, which takes {costs:,.1f} times its CPU time"
    yield line


def _place(info: Mapping[str, Any]) -> str:
    workers = info["workers"]
    return f"{_short(info['case'])} with {workers or 'no'} worker{'s' * (workers != 1)}"


def _short(case: str) -> str:
    """The name without the family; that of a data set as it is."""
    return case if ":" in case else case.partition(".")[2] or case


def _size(info: Mapping[str, Any]) -> int:
    return int(info["batch_size"])


def _wall_us(info: Mapping[str, Any]) -> float:
    return _median(info["wall_us"])


def _median(values: Sequence[float]) -> float:
    return float(statistics.median(values))


def _table(infos: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(Column("loader", overflow="fold", min_width=24))
    for heading in (
        "batch",
        "workers",
        "samples/s",
        "CPU us/sample",
        "of the limit",
        "CPU of the limit",
        "first batch",
        "memory",
    ):
        table.add_column(heading, justify="right")
    for _, group in groupby(infos, key=lambda info: info["case"]):
        for info in group:
            table.add_row(*_row(info))
        table.add_section()
    return table


def _row(info: Mapping[str, Any]) -> Iterator[str]:
    wall = median_ratio(info["wall_us"], [1.0] * len(info["wall_us"]))
    yield escape(_short(info["case"]))
    yield f"{info['batch_size']:,}"
    yield str(info["workers"]) + _settings(info)
    yield f"{rate(1e6 / wall.point)} [{rate(1e6 / wall.high)}, {rate(1e6 / wall.low)}]"
    yield f"{statistics.median(info['cpu_us']):.3g}"
    yield _share(median_ratio(info["limit_wall_us"], info["wall_us"]))
    yield _share(median_ratio(info["limit_cpu_us"], info["cpu_us"]))
    yield f"{1e3 * info['first_batch_s']:.0f} ms"
    yield "–" if info["pss_bytes"] is None else f"{info['pss_bytes'] / 2**20:,.0f} MiB"


def _settings(info: Mapping[str, Any]) -> str:
    """What differs from the usual settings."""
    words = [f"prefetch {info['prefetch']}"] * (info["prefetch"] != 2)
    words += ["ending with the epoch"] * (not info["persistent"])
    words += [str(info["start_method"])] * (info["start_method"] is not None)
    return "".join(f", {word}" for word in words + ["pinned"] * info["pin"])


def _share(share: Estimate) -> str:
    if not share.is_known:  # not known: a batch without a tensor has no limit
        return "–"
    return f"{share.point:.1%} [{share.low:.1%}, {share.high:.1%}]"
