"""The tables of training steps: the time relative to the chapter's steps and to the floor, and agreement with torch."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from harness.findings.merging import group_by
from harness.record import Estimate, median_ratio
from harness.record.bench import AgreementRecord, Benchmark, FormatRecord, StepRecord
from harness.record.crossing import Crossing, DeviceComparison
from harness.wording.number import UNKNOWN, count, duration, interval, plain, rate, times
from harness.wording.table import Column, Table, build_table

INTERVALS = (
    "Medians of the ratios within the rounds, with 95 % intervals over the rounds in one process; differences between "
    "processes are not included."
)
"""Caption below tables of ratios."""

Step = Benchmark[StepRecord]


def step_table(steps: Sequence[Step]) -> Table:
    """Return each step as a multiple of the first from scratch, of the first concise one, and of the floor.

    If the steps have neither style, and there are several, each is a multiple of the first.
    """
    groups = group_by(steps, lambda step: step.record.turn)
    group_of = {id(step): group for group in groups.values() for step in group}
    styles = [style for style in ("scratch", "concise") if any(step.record.style == style for step in steps)]
    if not styles and len({step.record.case for step in steps}) > 1:
        styles = [steps[0].record.style]

    devices = list(dict.fromkeys(step.record.device for step in steps))

    def format_ratio(step: Step, style: str) -> str | None:
        reference = next((candidate for candidate in group_of[id(step)] if candidate.record.style == style), None)
        if reference is None:
            return None
        return times(1.0) if reference is step else estimate_text(step.over(reference.stats.rounds_s))

    columns: list[Column[Step]] = [
        Column("case", lambda step: step.record.case, "code"),
        Column("device", lambda step: step.record.device if devices != ["cpu"] else None),
        Column("batch size", lambda step: f"{step.record.batch_size:,}", "number"),
        Column("step", lambda step: duration(step.stats.median_s), "number"),
        Column("samples/s", lambda step: rate(step.record.batch_size / step.stats.median_s), "number", "terminal"),
        *(
            Column(f"time / {style.replace('foreign', 'first')}", partial(format_ratio, style=style), "number")
            for style in styles
        ),
        Column("time / floor", lambda step: times(step.over(step.record.floor_s).point), "number", "terminal"),
        Column("time / floor", lambda step: estimate_text(step.over(step.record.floor_s)), "number", "page"),
        Column("first call", lambda step: duration(step.record.cold_s), "number", "terminal"),
    ]
    title = "Steps relative to the steps of the chapter and to the floor"
    caption = (
        f"The steps of the chapter are the first scratch step and the first concise step. {INTERVALS} The floor is the "
        "time for the minimum number of bytes and operations at the rates measured in the same rounds."
    )
    return build_table("step-ratios", title, steps, columns, caption=" ".join([caption, *_list_remarks(steps)]))


Pair = Mapping[str, Mapping[str, Step]]
"""The first case from scratch and the first concise case, by device and style."""


def pair_table(steps: Sequence[Step], *, accelerator: str | None) -> Table:
    """Return the first step from scratch next to the first concise one, on the CPU and on ``accelerator``."""
    pairs: dict[tuple[object, ...], dict[str, dict[str, Step]]] = {}
    for step in steps:
        record = step.record
        pair = pairs.setdefault((record.contract, record.batch_size), {}).setdefault(record.device, {})
        pair.setdefault(record.style, step)

    def read(pair: Pair, device: str, style: str) -> str | None:
        step = pair.get(device, {}).get(style)
        return None if step is None else duration(step.stats.median_s)

    def compare(pair: Pair, device: str) -> str | None:
        scratch, concise = (pair.get(device, {}).get(style) for style in ("scratch", "concise"))
        return None if scratch is None or concise is None else estimate_text(scratch.over(concise.stats.rounds_s))

    def get_record(pair: Pair) -> StepRecord:
        return next(step.record for by_style in pair.values() for step in by_style.values())

    columns: list[Column[Pair]] = [
        Column("contract", lambda pair: get_record(pair).contract, "code"),
        Column("batch size", lambda pair: f"{get_record(pair).batch_size:,}", "number"),
    ]
    devices = dict.fromkeys(step.record.device for step in steps)
    for device in devices:
        columns += [
            Column(f"{style}, {device}", partial(read, device=device, style=style), "number")
            for style in ("scratch", "concise")
        ]
        columns.append(Column(f"scratch / concise, {device}", partial(compare, device=device), "number"))
    if devices.keys() <= {"cpu"}:
        reason = f"{accelerator} was not timed" if accelerator else "no accelerator on this machine"
        columns.append(Column("accelerator", lambda _: reason))
    both: list[Pair] = [
        pair for pair in pairs.values() if any(by_style.keys() >= {"scratch", "concise"} for by_style in pair.values())
    ]
    caption = f"A ratio above one means that the first concise case is faster than the first from scratch. {INTERVALS}"
    return build_table("step-pairs", "Steps from scratch and concise", both, columns, caption=caption)


def format_table(steps: Sequence[Step]) -> Table:
    """Return the steps in float32 and in other formats, each time with its error; without rows if there are none."""
    compared = [step for step in steps if step.record.formats]
    names = dict.fromkeys(name for step in compared for name in step.record.formats)

    def read(step: Step, name: str) -> FormatRecord:
        return step.record.formats.get(name, FormatRecord())

    def compare(step: Step, name: str) -> str:
        record = read(step, name)
        return record.absent or estimate_text(median_ratio(record.rounds_s, step.stats.rounds_s))

    def format_error(step: Step, name: str) -> str | None:
        error = read(step, name).error_ulp
        return None if error is None else plain(error)

    columns: list[Column[Step]] = [
        Column("case", lambda step: step.record.case, "code"),
        Column("device", lambda step: step.record.device),
        Column("batch size", lambda step: f"{step.record.batch_size:,}", "number"),
        Column("float32", lambda step: duration(step.stats.median_s), "number"),
    ]
    for name in names:
        if name != "float32":
            columns.append(Column(f"{name} / float32", partial(compare, name=name), "number"))
        columns.append(Column(f"{name} error", partial(format_error, name=name), "number"))
    caption = (
        f"The first case from scratch and the first concise case. Times are relative to float32. {INTERVALS} "
        "The error is the largest error of a parameter after one step at a learning rate of 64, compared with "
        "float64, in ulp of the largest parameter in float32."
    )
    return build_table("step-formats", "Time and error of a step in other formats", compared, columns, caption=caption)


def _list_remarks(steps: Sequence[Step]) -> list[str]:
    """Return what times on an accelerator include or leave out, with the batch sizes for which it was seen."""
    seen: dict[str, list[str]] = {}
    for step in steps:
        for remark in step.record.remarks:
            seen.setdefault(f"{step.record.case}: {remark}", []).append(f"{step.record.batch_size:,}")
    return [f"{remark} (batch {', '.join(dict.fromkeys(sizes))})." for remark, sizes in seen.items()]


def crossing_table(comparisons: Sequence[DeviceComparison]) -> Table:
    """Return the batch sizes from which an accelerator is faster than the CPU, and from which it is busy."""
    columns: list[Column[DeviceComparison]] = [
        Column("case", lambda each: each.case, "code"),
        Column("device", lambda each: each.device),
        Column("waits for Python below", lambda each: format_crossing(each.working), "number"),
        Column("faster from batch size", lambda each: format_crossing(each.faster), "number"),
        Column("with copies from", lambda each: format_crossing(each.copying), "number"),
    ]
    caption = (
        "Synchronized steps with the data already on the device, and with a copy of each minibatch. Brackets have the "
        "interval of the crossing: it contains the 95 % intervals of the medians, and all times between measured batch "
        "sizes if times are convex in the batch size."
    )
    title = "Batch size from which the accelerator is faster"
    return build_table("crossover-table", title, comparisons, columns, caption=caption)


def format_crossing(crossing: Crossing | None) -> str:
    """Return a batch size with its interval: ``5,200 [4,800, 5,700]``."""
    if crossing is None:
        return UNKNOWN
    if crossing.point <= crossing.first:
        return f"{crossing.first:,} or less"
    if math.isinf(crossing.point):
        return f"not up to {crossing.last:,}"
    point = _round(crossing.point)
    if math.isnan(crossing.low) or math.isnan(crossing.high):
        return point
    low = _round(crossing.low, math.floor)
    high = f"more than {crossing.last:,}" if math.isinf(crossing.high) else _round(crossing.high, math.ceil)
    return f"{point} [{low}, {high}]"


def _round(rows: float, direction: Callable[[float], int] = round) -> str:
    """Return a number of rows with two significant digits; the ends of an interval are rounded outwards."""
    unit = 10 ** max(0, math.floor(math.log10(rows)) - 1)
    return f"{direction(rows / unit) * unit:,}"


def compare_in_words(comparison: DeviceComparison) -> str:
    """Return from which batch size on the accelerator does not wait for Python, and is faster; empty if unknown."""
    device, working, faster = comparison.device, comparison.working, comparison.faster
    parts = []
    if working is not None and math.isinf(working.point):
        parts.append(f"{device} waits for Python up to {working.last:,} rows")
    elif working is not None and working.point > working.first:
        parts.append(f"below {_round(working.point)} rows {device} waits for Python")
    if faster is not None and math.isinf(faster.point):
        parts.append(f"{device} is not faster up to {faster.last:,} rows")
    elif faster is not None and faster.point <= faster.first:
        parts.append(f"{device} is faster from {count(faster.first, 'row')} on")
    elif faster is not None:
        parts.append(f"from {format_crossing(faster)} rows on {device} is faster")
    return "; ".join(parts)


def estimate_text(ratio: Estimate) -> str:
    """Return a ratio with its interval, or a dash if it is unknown."""
    return f"{times(ratio.point)} {interval(ratio.low, ratio.high)}" if ratio.is_known else UNKNOWN


def agreement_table(steps: Sequence[Benchmark[AgreementRecord]]) -> Table:
    """Return the measured times next to the times of torch's timer."""

    def compute_ratio(step: Benchmark[AgreementRecord]) -> Estimate:
        return step.over(step.record.timer_s)

    def ratio_text(step: Benchmark[AgreementRecord]) -> str:
        estimate = compute_ratio(step)
        return f"{plain(estimate.point, digits=4)} {interval(estimate.low, estimate.high, digits=4)}"

    columns: list[Column[Benchmark[AgreementRecord]]] = [
        Column("case", lambda step: step.record.case, "code"),
        Column("batch size", lambda step: f"{step.record.batch_size:,}", "number"),
        Column("ours", lambda step: duration(step.stats.median_s), "number"),
        Column("Timer", lambda step: duration(statistics.median(step.record.timer_s)), "number"),
        Column("ours / Timer", ratio_text, "number"),
        Column("rounds", lambda step: f"{step.stats.rounds:,}", "number"),
        Column("apart", lambda step: compare_times(compute_ratio(step), step.record.tolerance)),
    ]
    title = "Step times compared with torch.utils.benchmark.Timer"
    caption = f"Both measure the same step, interleaved and with the same number of calls. {INTERVALS}"
    return build_table("agreement-table", title, steps, columns, caption=caption)


def compare_times(ratio: Estimate, tolerance: float) -> str:
    """Return whether two times agree within a tolerance, judged by the interval of their ratio."""
    if abs(ratio.low - 1) <= tolerance and abs(ratio.high - 1) <= tolerance:
        return f"within {tolerance:.0%}"
    return "undecided" if ratio.low <= 1 + tolerance and ratio.high >= 1 - tolerance else f"beyond {tolerance:.0%}"
