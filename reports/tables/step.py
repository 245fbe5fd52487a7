"""Tables on training steps: times, ratios to the chapter's steps, the floor, phases, agreement, and the accelerator."""

import pandas as pd

from harness.wording.number import UNKNOWN, approximate, duration, plain, rate, times
from harness.wording.table.call import SCATTER

from ..table import Header, Table, codes, headers, numbers, texts
from ..text import count, listing, tick


def steps(frame: pd.DataFrame, *, accelerator: str | None) -> Table:
    """Return the step times, a row for each case, batch size, dtype and number of threads; CPU next to accelerator.

    Constant values are in the caption. A missing accelerator has no column.
    """
    keys = ["case", "batch_size", *(name for name in ("dtype", "threads") if len(frame[name].unique()) > 1)]
    wide = accelerator is not None or any(frame["device"] != "cpu")
    rows = [
        (*(str(part) for part in key), *_format_cpu(group), *(_format_accelerator(group) if wide else ()))
        for key, group in frame.groupby(keys, sort=False)
    ]
    columns = headers(
        (Header(name.replace("_", " "), "code" if name in {"case", "dtype"} else "number") for name in keys),
        numbers("CPU step", "CPU, quartiles", "CPU samples/s", "CPU first call"),
        _ACCELERATED if wide else (),
    )
    dtype = "several dtypes" if "dtype" in keys else str(frame["dtype"].iloc[0])
    threads = "several numbers of threads" if "threads" in keys else count(int(frame["threads"].iloc[0]), "thread")
    reasons = frame[frame["graph_absent"].notna()].groupby("graph_absent", sort=False)["case"].unique()
    named = "".join(f"No CUDA graph of {listing([*map(str, cases)])}: {why}. " for why, cases in reasons.items())
    caption = f"Forward, loss, backward and update; {dtype}, {threads}. {named}{SCATTER}"
    return Table("steps-table", "Time per training step", columns, tuple(rows), caption)


_GRAPHS = ("CUDA graph", "CUDA graph, events", "copy to device")
_LOOPS = ("cold cache", "step with copy", "with pinned copy", "CPU / accelerator")
_ACCELERATED = numbers("accelerator step", "launch time", "device events", *_GRAPHS, *_LOOPS)


def floors(frame: pd.DataFrame) -> Table:
    """Return the floor for each contract, device and batch size: the work, its shortest time, and the binding limit."""
    rows, groups = [], frame[frame["floor_s"].notna()].groupby(["contract", "device", "batch_size"], sort=False)
    for (contract, device, size), group in groups:
        row = group.iloc[0]
        moving_s, multiplying_s = row["bytes"] / row["bytes_per_s"], row["operations"] / row["operations_per_s"]
        best = group.sort_values("over_floor", kind="stable").iloc[0]
        work = (tick(f"{rate(row['bytes'])}B"), f"{rate(row['bytes_per_s'])}B/s", tick(rate(row["operations"])))
        binds = "memory" if moving_s > multiplying_s else "arithmetic"
        cells = (*work, f"{rate(row['operations_per_s'])}/s", duration(row["floor_s"]), binds)
        rows.append((str(contract), str(device), f"{size:,}", *cells, times(best["over_floor"]), str(best["case"])))
    columns = headers(
        codes("contract"),
        texts("device"),
        numbers("batch size", "bytes", "bandwidth", "operations", "rate", "floor"),
        texts("limited by"),
        numbers("closest step / floor"),
        codes("closest step"),
    )
    caption = (
        "The step reads features and targets once, and reads and writes parameters once: "
        "4 (n d + 2 (m d + m)) + n t + 4 bytes; both products take 4 n d m multiplications and additions. The "
        "bandwidth is the faster of a sum and a copy of that many bytes, in the cache that holds them; the rate is "
        "measured with 512 x 512 matrices; one thread."
    )
    return Table("floor-table", "The floor of a step", columns, tuple(rows), caption, folded=True)


def phases(frame: pd.DataFrame, steps: pd.DataFrame) -> Table:
    """Return the phases of every step, and the whole step."""
    whole = steps.groupby(["case", "device", "batch_size", "dtype", "threads"])["median_s"].first()
    rows = []
    for key, group in frame.groupby(["case", "device", "batch_size", "dtype", "threads"], sort=False):
        parts = group.groupby("phase")["median_s"].first()
        cells = (*(duration(parts.get(name)) for name in _PHASES), duration(parts.sum()), duration(whole.get(key)))
        rows.append((str(key[0]), str(key[1]), f"{key[2]:,}", *cells))
    columns = headers(codes("case"), texts("device"), numbers("batch size", *_PHASES, "sum", "whole step"))
    caption = "Medians. Phases are timed in separate rounds; their sum includes the clock reads between them."
    return Table("phases-table", "Phases of a step", columns, tuple(rows), caption, folded=True)


_PHASES = ("forward", "loss", "backward", "update")


def equality(frame: pd.DataFrame) -> Table:
    """Return the distance of every step's parameters from gradient descent, and the allowed rounding error."""
    rows = []
    for _, row in frame[frame["deviation"].notna()].iterrows():
        place = (str(row["case"]), str(row["device"]), f"{row['batch_size']:,}", f"{row['steps_compared']:.0f}")
        rows.append((*place, plain(row["deviation"]), plain(row["bound"])))
    title = "Parameters after several steps, compared with gradient descent in float64"
    columns = headers(codes("case"), texts("device"), numbers("batch size", "steps", "difference (2-norm)", "bound"))
    caption = (
        "Both start from the same parameters and use the same minibatches. A step beyond its bound is wrong "
        "and has no recorded time."
    )
    return Table("step-equality", title, columns, tuple(rows), caption, folded=True)


def _format_cpu(group: pd.DataFrame) -> tuple[str, str, str, str]:
    """Return step time, quartiles, throughput and first call on the CPU."""
    rows = group[group["device"] == "cpu"]
    if rows.empty:
        return (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
    row = rows.iloc[0]
    quartiles = f"{duration(row['q1_s'])} – {duration(row['q3_s'])}"
    return (duration(row["median_s"]), quartiles, approximate(row["samples_per_s"]), duration(row["cold_s"]))


def _format_accelerator(group: pd.DataFrame) -> tuple[str, ...]:
    """Return the times on the accelerator by the host's clock and by events, and the ratio of the CPU's to it."""
    rows = group[group["device"] != "cpu"]
    if rows.empty:
        return (UNKNOWN,) * len(_ACCELERATED)
    row = rows.iloc[0]
    cpu = group[group["device"] == "cpu"]["median_s"]
    ratio = cpu.iloc[0] / row["median_s"] if len(cpu) else float("nan")
    measured = ("graph_s", "graph_device_s", "transfer_s", "flushed_s", "loop_s", "pinned_loop_s")
    events = duration(row["device_s"])
    if pd.notna(row["on_device_low"]):
        events += f" ({duration(row['on_device_low'])} – {duration(row['on_device_high'])})"
    host = (duration(row["median_s"]), duration(row["launch_s"]))
    return (*host, events, *(duration(row[name]) for name in measured), times(ratio))
