"""Loader throughput against the number of workers: a panel per loader, a line per batch size, intervals as bars."""

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from harness.record import DataSource

from ..figure import Figure, Panel
from ..number import percent, rate
from ..source import caveat_of
from ..style import DASHES, INK, MUTED, pen
from ..svg import draw_svg
from ..text import count, listing
from .axis import End, categories, label_lines, logarithmic, whiskers
from .panel import panels_by

HEIGHT_IN = 2.5


def scaling(frame: pd.DataFrame, source: DataSource | None) -> Figure:
    """Return a panel for each loader that was measured with several numbers of workers."""
    scaled = frame.groupby("case", sort=False).filter(lambda group: len(group["workers"].unique()) > 1)
    span = [*scaled["samples_per_s"], *scaled["samples_per_s_low"].dropna(), *scaled["samples_per_s_high"].dropna()]
    draw = partial(_draw, workers=sorted(scaled["workers"].unique()), span=span)
    title = "Loader throughput against the number of workers"
    panels = panels_by(scaled, "case", partial(_build_panels, draw=draw))
    caption = _explain(frame, scaled)
    claim = _count_gains(scaled)
    return Figure("loader-scaling", title, panels, caption, ("loaders",), caveat_of(frame, source), claim=claim)


def _count_gains(scaled: pd.DataFrame) -> str:
    """Return the number of loaders that are faster with more workers, beyond their intervals."""
    gains = {str(case): _is_gain(group) for case, group in scaled.groupby("case", sort=False)}
    if len(gains) == 1:
        return f"More workers {'make' if all(gains.values()) else 'do not make'} {next(iter(gains))} faster"
    return f"More workers help {sum(gains.values())} of {count(len(gains), 'loader')}"


def _is_gain(group: pd.DataFrame) -> bool:
    """Whether the interval of a rate with more workers is above that of the best rate with the fewest."""
    is_more = group["workers"] > group["workers"].min()
    best = group[~is_more].sort_values("samples_per_s", kind="stable").iloc[-1]
    limit = best["samples_per_s"] if pd.isna(best["samples_per_s_high"]) else best["samples_per_s_high"]
    low = group["samples_per_s_low"].fillna(group["samples_per_s"])
    return bool((low[is_more] > limit).any())


def _build_panels(case: str, frame: pd.DataFrame, number: int, *, draw: Callable[..., None]) -> list[Panel]:
    best = frame.sort_values("samples_per_s", ascending=False, kind="stable").iloc[0]
    sizes = count(len(frame["batch_size"].unique()), "batch size")
    label = (
        f"Throughput of {case} against workers, one line for each of {sizes}: "
        f"at most {rate(best['samples_per_s'])} samples per second, at batch {best['batch_size']} "
        f"with {count(int(best['workers']), 'worker')}."
    )
    name = f"loader-scaling-{number}"
    return [Panel(case, draw_svg(partial(draw, frame=frame), name=name, label=label, height_in=HEIGHT_IN))]


def _draw(axes: Axes, *, frame: pd.DataFrame, workers: Sequence[int], span: Sequence[float]) -> None:
    """Draw a line with bars for each batch size, named at its end."""
    places, ends = categories(axes, workers), []
    look = pen(str(frame["style"].iloc[0]))._asdict()
    for index, (batch_size, line) in enumerate(frame.groupby("batch_size")):
        best = line.sort_values("samples_per_s", ascending=False, kind="stable").drop_duplicates("workers")
        best = best.sort_values("workers", kind="stable")
        look |= {"linestyle": DASHES[index % len(DASHES)]} | ({} if index < len(DASHES) else {"color": MUTED})
        x = [places[number] for number in best["workers"]]
        axes.errorbar(x, best["samples_per_s"], yerr=_get_bars(best), elinewidth=1.0, capsize=2.5, **look)
        ends.append(End(float(best["samples_per_s"].iloc[-1]), f"batch {batch_size:,}", INK))
    logarithmic(axes.yaxis, span, text=rate)
    axes.set(xlabel="workers (processes)", ylabel="samples/s")
    label_lines(axes, ends, height_in=HEIGHT_IN)


def _get_bars(frame: pd.DataFrame) -> list[list[float]] | None:
    """Return the lengths of the bars; ``None`` if a run has no intervals."""
    if frame["samples_per_s_low"].isna().all():
        return None
    rates = frame["samples_per_s"]
    return whiskers(rates, *(frame[f"samples_per_s_{end}"].fillna(rates) for end in ("low", "high")))


def _explain(frame: pd.DataFrame, scaled: pd.DataFrame) -> str:
    """Return the efficiency of the largest number of workers, and the loaders measured only without workers."""
    max_workers = scaled["workers"].max()
    best = scaled[scaled["workers"] == max_workers].groupby("case", sort=False)["efficiency"].max().dropna()
    phrases = [f"{case} {percent(value)}" for case, value in best.items()]
    words = f"Efficiency with {count(int(max_workers), 'worker')}, at the best batch size per loader: "
    single = [str(case) for case in frame["case"].unique() if case not in set(scaled["case"])]
    once = f"Measured without workers only: {listing(single)}. " if single else ""
    bars = "Points are medians of slices, bars 95 % intervals within one process."
    if scaled["samples_per_s_low"].isna().all():
        bars = "Points are medians of steady epochs; this run has no intervals."
    return f"{f'{words}{listing(phrases)}. ' if phrases else ''}{once}{bars}"
