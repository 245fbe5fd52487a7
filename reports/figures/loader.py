"""Loaders: rates as a heat map and against workers, the share that waits, and the parts of the batch time."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from harness.record import DataSource
from harness.record.budget import PARTS
from harness.wording.number import FASTER, percent, rate, times

from ..page_part import Figure, Panel
from ..source import caveat_of
from ..style import DASHES, INK, MUTED, pen
from ..tables.loader import first_rows
from ..text import count, listing, shorten, workers_in_words
from .axis import End, categories, label_lines, legend_above, logarithmic, names_of, whiskers
from .chart import draw_panel, name_rows, panels_by, stack_bars, wide_and_narrow
from .speed_comparison import best_row, compare_workers

HEIGHT_IN = 2.5
"""Height of a panel of rates against workers."""

COLORS = {
    "index": "#999999",
    "read": "#0072b2",
    "decode": "#56b4e9",
    "transform": "#009e73",
    "fetch": "#7fc9a8",
    "collate": "#e69f00",
    "hand-over": "#d55e00",
    "pin": "#a85d0c",
    "around": "#f0e442",
    "DataLoader": "#c0427e",
    "wait": "#cc79a7",
    "epoch": "#6e6e6e",
    "step": "#6f5fd0",
    "not attributed": "#dddddd",
}
"""Colors of the parts of the batch time; each is named in the legend, and none is lost on dark paper."""

LEAST = 0.005
"""The smallest share of the batch time that is drawn."""

PLAIN = ("read", "decode", "transform", "step")
"""Parts of the batch time that need no explanation."""

FEW = 2
"""Up to this number of loaders, sentences are in the caption; otherwise in a table."""


def scaling(frame: pd.DataFrame, source: DataSource | None) -> Figure:
    """Return a panel for each loader that was measured with several numbers of workers."""
    scaled = frame.groupby("case", sort=False).filter(lambda group: len(group["workers"].unique()) > 1)
    span = [*scaled["samples_per_s"], *scaled["samples_per_s_low"].dropna(), *scaled["samples_per_s_high"].dropna()]

    def build_panels(case: str, group: pd.DataFrame, number: int) -> list[Panel]:
        best, sizes = best_row(group), count(group["batch_size"].nunique(), "batch size")
        label = (
            f"Throughput of {case} against workers, one line for each of {sizes}: "
            f"at most {rate(best['samples_per_s'])} samples per second, at batch {best['batch_size']} "
            f"with {count(int(best['workers']), 'worker')}."
        )
        draw = partial(_draw_scaling, frame=group, workers=sorted(scaled["workers"].unique()), span=span)
        return [draw_panel(case, draw, name=f"loader-scaling-{number}", label=label, height_in=HEIGHT_IN)]

    gains = [max(compare_workers(group), default=(0.0, ""))[1] for _, group in scaled.groupby("case", sort=False)]
    claim = f"More workers help {sum(FASTER in gain for gain in gains)} of {count(len(gains), 'loader')}"
    if len(gains) == 1:
        claim = f"{scaled['case'].iloc[0]}: {gains[0]}"
    title = "Loader throughput against the number of workers"
    panels, caption = panels_by(scaled, "case", build_panels), _explain_scaling(frame, scaled)
    return Figure("loader-scaling", title, panels, caption, ("loaders",), caveat_of(frame, source), claim=claim)


def _draw_scaling(axes: Axes, *, frame: pd.DataFrame, workers: Sequence[int], span: Sequence[float]) -> None:
    """Draw a line for each batch size, named at its end, with bars if the run has intervals."""
    places, ends = categories(axes, workers), []
    look = pen(str(frame["style"].iloc[0]))._asdict()
    for index, (batch_size, line) in enumerate(frame.groupby("batch_size")):
        best = line.sort_values("samples_per_s", ascending=False, kind="stable").drop_duplicates("workers")
        best = best.sort_values("workers", kind="stable")
        look |= {"linestyle": DASHES[index % len(DASHES)]} | ({} if index < len(DASHES) else {"color": MUTED})
        x, rates = [places[number] for number in best["workers"]], best["samples_per_s"]
        low, high = best["samples_per_s_low"], best["samples_per_s_high"]
        bars = None if low.isna().all() else whiskers(rates, low.fillna(rates), high.fillna(rates))
        axes.errorbar(x, rates, yerr=bars, elinewidth=1.0, capsize=2.5, **look)
        ends.append(End(float(rates.iloc[-1]), f"batch {batch_size:,}", INK))
    logarithmic(axes.yaxis, span, text=rate)
    axes.set(xlabel="workers (processes)", ylabel="samples/s")
    label_lines(axes, ends, height_in=HEIGHT_IN)


def _explain_scaling(frame: pd.DataFrame, scaled: pd.DataFrame) -> str:
    """Return the gain from workers at each batch size, and the loaders measured only without workers."""
    groups = scaled.groupby("case", sort=False)
    gains = [f"{case}: {'; '.join(gain for _, gain in compare_workers(group))}." for case, group in groups]
    single = [str(case) for case in frame["case"].unique() if case not in set(scaled["case"])]
    once = f"Measured without workers only: {listing(single)}. " if single else ""
    bars = "Points are medians of slices, bars 95 % intervals within one process."
    if scaled["samples_per_s_low"].isna().all():
        bars = "Points are medians of steady epochs; this run has no intervals."
    return f"{' '.join(gains)} {once}{bars}"


def waiting(frame: pd.DataFrame, source: DataSource | None) -> Figure:
    """Return the share that waits, with its interval and the limit up to which loading keeps ahead."""
    starves = (frame["verdict"] == "starves the step").groupby(frame["case"], sort=False).all()
    loaders = f"{int(starves.sum())} of {count(len(starves), 'loader')}"
    return Figure(
        name="balance-figure",
        title="Share of the training loop spent waiting for the next batch",
        panels=panels_by(
            frame.sort_values(["batch_size", "workers"], kind="stable"),
            ["batch_size", "workers"],
            _build_waiting_panels,
        ),
        caption=f"{_explain_starving(frame)} Bars show the estimate; whiskers are 95 % intervals within one process. "
        "Loading keeps ahead if the interval is below the dashed line.",
        frames=("balance",),
        caveat=caveat_of(frame, source),
        claim=f"{loaders} always keep the loop waiting over {100 * frame['most_waiting'].max():.0f} % of the time",
    )


def _explain_starving(frame: pd.DataFrame) -> str:
    """Return the number of loaders that starve the step without workers, and the range of this effect."""
    starving = frame[(frame["verdict"] == "starves the step") & (frame["load_to_step"] >= 1) & (frame["workers"] == 0)]
    if starving.empty:
        return ""
    names, rows = names_of(frame), starving.sort_values("load_to_step", kind="stable")
    least, highest = (
        f"{times(row['load_to_step'])} in {names[str(row['case'])]} at batch {row['batch_size']:,}"
        for row in (rows.iloc[0], rows.iloc[-1])
    )
    loaders = count(starving["case"].nunique(), "loader")
    span = f"from {least} to {highest}" if len(rows) > 1 else highest
    return f"Without workers, loading a batch takes longer than the step in {loaders}: {span}."


def _build_waiting_panels(_: object, frame: pd.DataFrame, number: int) -> list[Panel]:
    first = frame.iloc[0]
    title = f"batch {first['batch_size']}, {workers_in_words(int(first['workers']))}"
    low, high = percent(frame["wait_share"].min()), percent(frame["wait_share"].max())
    label = f"Share of the training loop spent waiting, {title}: {count(len(frame), 'loader')}, from {low} to {high}."
    draw, height_in = partial(_draw_waiting, frame=frame), 0.7 + 0.3 * len(frame)
    return [draw_panel(title, draw, name=f"balance-{number}", label=label, height_in=height_in)]


def _draw_waiting(axes: Axes, frame: pd.DataFrame) -> None:
    names = names_of(frame)
    for position, (_, row) in enumerate(frame.iterrows()):
        share, *ends = ([100 * row[name]] for name in ("wait_share", "wait_share_low", "wait_share_high"))
        axes.barh(position, share, height=0.6, color=pen(str(row["style"])).color, alpha=0.75)
        axes.errorbar(share, position, xerr=whiskers(share, *ends), color=INK, elinewidth=1.0, capsize=2.5)
    axes.axvline(100 * float(frame["most_waiting"].max()), color=MUTED, linestyle="--", linewidth=1.0)
    cases = [str(case) for case in frame["case"]]
    name_rows(axes, [names[case] for case in cases], cases=cases, xlim=(0, 100), xlabel="time spent waiting (%)")


def budgets(frame: pd.DataFrame, source: DataSource | None) -> Figure:
    """Return the shares of a batch's time; for few loaders, the caption has a sentence on each."""
    large, batch = (
        frame[frame["share"] >= LEAST].sort_values("workers", kind="stable"),
        int(frame["batch_size"].iloc[0]),
    )
    sentences = [f"{row['case']}: {row['sentence']}." for _, row in first_rows(frame).iterrows()]
    steps = frame[(frame["part"] == "step") & (frame["workers"] == frame["workers"].min())]
    slow = f"{int((steps['share'] < 0.5).sum())} of {count(len(steps), 'loader')}"
    parts = f"The parts are measured and do not overlap: {_explain_parts(large['part'])}."
    return Figure(
        name="budget-figure",
        title=f"Where the time of a batch of {batch} goes, in a training loop",
        panels=panels_by(large, "workers", partial(_build_budget_panels, names=names_of(frame))),
        caption=" ".join([*(sentences if len(sentences) <= FEW else []), parts]),
        frames=("budgets",),
        caveat=caveat_of(frame, source),
        columns=1,
        claim=f"With {slow}, the step has less than half of the time (batch {batch:,})" if len(steps) else "",
    )


def _explain_parts(parts: pd.Series) -> str:
    """Return the meaning of each part in the legend whose name does not say it."""
    seen = [part for part in PARTS if part in set(parts) and part not in PLAIN]
    return "; ".join(f"{part} is {PARTS[part]}" for part in seen)


def _build_budget_panels(_: object, frame: pd.DataFrame, number: int, *, names: dict[str, str]) -> list[Panel]:
    """Return the shares of the loaders with one number of workers; many loaders have a legend at the side."""
    legend_in, bars_in = 0.2 * frame["part"].nunique(), 0.28 * frame["case"].nunique()
    side_legend = bars_in >= legend_in
    title = workers_in_words(int(frame["workers"].iloc[0]))
    largest = frame.sort_values("share", ascending=False, kind="stable").drop_duplicates("case")
    shares = "; ".join(f"{row['case']} {row['part']} {percent(row['share'])}" for _, row in largest.iterrows())
    draw = partial(_draw_parts, frame=frame, names=names)
    panel = wide_and_narrow(
        title,
        partial(draw, limit=36, side_legend=side_legend),
        draw_narrow=partial(draw, limit=26, side_legend=False),
        name=f"budget-{number}",
        label=f"Shares of the batch time, {title}, largest part by loader: {shares}.",
        height_in=0.8 + bars_in + (0.0 if side_legend else 0.5 + legend_in),
        narrow_height_in=1.3 + legend_in + bars_in,
    )
    return [panel]


def _draw_parts(axes: Axes, *, frame: pd.DataFrame, names: dict[str, str], limit: int, side_legend: bool) -> None:
    """Draw the parts of every loader end to end, with a legend at the side or above."""
    cases = stack_bars(axes, frame, "part", 100 * frame["share"], colors={part: COLORS[part] for part in PARTS})
    rows = [shorten(names[case], limit=limit) for case in cases]
    limits = {"xlim": (0, 100), "ylim": (len(cases) - 0.5, -0.5)}
    name_rows(axes, rows, cases=cases, xlabel="share of the batch time (%)", **limits)
    if side_legend:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), ncols=1)
    else:  # the names leave room for one column
        legend_above(axes, columns=1)
