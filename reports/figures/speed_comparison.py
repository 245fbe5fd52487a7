"""Sentences that compare the speeds of a figure: every "faster" is decided by the intervals that are drawn."""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from harness.wording.number import FASTER, compare_speed, duration, interval

from ..text import count, listing
from .axis import names_of

PLACE = ["contract", "device"]
"""Columns whose values have a panel each."""


class Speed(NamedTuple):
    """A speed and the ends of its interval, all in one unit."""

    middle: float
    low: float
    high: float

    @classmethod
    def of_time(cls, row: "pd.Series[float]") -> "Speed":
        """Return the reciprocals of the median time and of its quartiles."""
        return cls(1 / row["median_s"], 1 / row["q3_s"], 1 / max(row["q1_s"], 1e-12))

    @classmethod
    def of_rate(cls, row: "pd.Series[float]") -> "Speed":
        """Return a rate with its interval, or alone."""
        rate = row["samples_per_s"]
        low, high = (row[f"samples_per_s_{end}"] for end in ("low", "high"))
        return cls(rate, rate if pd.isna(low) else low, rate if pd.isna(high) else high)

    def over(self, other: "Speed") -> "Speed":
        """Return the ratio of two speeds, whose interval is wider than necessary."""
        return Speed(self.middle / other.middle, self.low / other.high, self.high / other.low)

    def compare(self, other: "Speed") -> str:
        """Return how this speed compares with another one, before its noun."""
        return compare_speed(*self.over(other))

    def is_higher(self, other: "Speed") -> bool:
        """Return whether the intervals prove that this speed is the higher one."""
        return self.compare(other).endswith(FASTER)


def _take_reciprocal(ratio: float, low: float, high: float) -> Speed:
    """Return the ratio of two speeds from the ratio of their times."""
    return Speed(1 / ratio, 1 / (ratio if pd.isna(high) else high), 1 / (ratio if pd.isna(low) else low))


def _name_device(device: object) -> str:
    return "the CPU" if device == "cpu" else str(device)


def compare_steps(frame: pd.DataFrame) -> tuple[str, str]:
    """Return how the steps with the smallest and largest median compare at the largest batch, long and short."""
    names, device = names_of(frame), frame["device"].iloc[0]
    largest = frame[frame["batch_size"] == frame["batch_size"].max()].sort_values("median_s", kind="stable")
    first, last = largest.iloc[0], largest.iloc[-1]
    fast, slow = names[str(first["case"])], names[str(last["case"])]
    sentence = f"On {_name_device(device)} at batch {first['batch_size']:,}, {fast} takes {duration(first['median_s'])}"
    if fast == slow:
        return f"{sentence}.", f"{fast} takes {duration(first['median_s'])} at batch {first['batch_size']:,}"
    claim = f"{fast} is {Speed.of_time(first).compare(Speed.of_time(last))} {slow}"
    return f"{sentence} and {slow} {duration(last['median_s'])}; {claim}.", claim


def compare_styles(frame: pd.DataFrame) -> str:
    """Compare the first scratch and concise cases at the largest common batch, for each family and device."""
    sentences = []
    for (family, device), group in frame.groupby(["family", "device"], sort=False):
        first = group.drop_duplicates(["batch_size", "style"]).set_index("style")
        if not {"scratch", "concise"} <= set(first.index):
            continue
        pairs = first.loc[["scratch"]].merge(first.loc[["concise"]], on="batch_size", suffixes=("", "_concise"))
        if pairs.empty:
            continue
        row = pairs.sort_values("batch_size", kind="stable").iloc[-1]
        scratch, concise = row, row[[f"{name}_concise" for name in TIMES]].set_axis(TIMES)
        times_ = f"{duration(scratch['median_s'])} (scratch) or {duration(concise['median_s'])} (concise)"
        # Interleaved steps have a figure of their ratio within the rounds.
        in_turns = group["floor_s"].notna().any()
        words = Speed.of_time(concise).compare(Speed.of_time(scratch))
        claim = "" if in_turns else f"; concise is {words} scratch"
        position = f"On {_name_device(device)} at batch {row['batch_size']:,}"
        sentences.append(f"{position}, one {family} step takes {times_}{claim}.")
    return " ".join(sentences)


TIMES = ["median_s", "q1_s", "q3_s"]
"""Columns of a time and its quartiles."""


def select_near_256(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows at the batch size nearest to the chapter's 256."""
    size = min(frame["batch_size"].unique(), key=lambda size: (abs(size - 256), size))
    near: pd.DataFrame = frame[frame["batch_size"] == size]
    return near


def compare_with_reference(frame: pd.DataFrame) -> str:
    """Return how the step with the smallest ratio compares with the reference near batch 256.

    The result is empty for several contracts or devices.
    """
    if frame.groupby(PLACE).ngroups > 1:
        return ""
    first = select_near_256(frame).sort_values("ratio", kind="stable").iloc[0]
    reference, names, size = str(first["reference"]), names_of(frame), first["batch_size"]
    words = compare_speed(*_take_reciprocal(first["ratio"], first["low"], first["high"]))
    if str(first["case"]) == reference or not words.endswith(FASTER):
        return f"No step is faster than {names[reference]} at batch {size:,}"
    return f"{names[str(first['case'])]} is {words} {names[reference]} at batch {size:,}"


def compare_closed_forms(frame: pd.DataFrame) -> str:
    """Compare the step with the smallest ratio with each reference near batch 256, for each contract and device."""
    sentences, names = [], names_of(frame)
    for (contract, device), group in frame.groupby(PLACE, sort=False):
        subset = select_near_256(group)
        others = subset[subset["case"] != subset["reference"]].sort_values("ratio", kind="stable")
        fastest = others["case"].iloc[0]
        selected = others[(others["case"] == fastest) & (others["reference"] != fastest)]
        gains = []
        for reference, *times_ in selected[["reference", "ratio", "low", "high"]].itertuples(index=False):
            gain = _take_reciprocal(*times_)
            gains.append(f"{compare_speed(*gain)} {names[reference]} {interval(gain.low, gain.high)}")
        title = f"{title_of_place(contract, device)}, batch {subset['batch_size'].iloc[0]}"
        sentences.append(f"{title}: {names[fastest]} is {listing(gains)}.")
    return " ".join(sentences)


def title_of_place(contract: object, device: object) -> str:
    """Return a contract and a device as the title of a panel."""
    return f"{str(contract).removesuffix('_step')}, {'CPU' if device == 'cpu' else device}"


def compare_with_loop(points: pd.DataFrame) -> str:
    """Return how the vectorized operation with the largest ratio compares with its loop."""
    largest = points.sort_values("ratio", ascending=False, kind="stable").iloc[0]
    words = compare_speed(*largest[["ratio", "low", "high"]])
    return f"A vectorized operation is up to {words} a loop" if words.endswith(FASTER) else "No loop is slower"


def best_row(frame: pd.DataFrame) -> "pd.Series[float]":
    """Return the row with the highest rate."""
    return frame.sort_values("samples_per_s", ascending=False, kind="stable").iloc[0]


def compare_loaders(frame: pd.DataFrame, names: dict[str, str]) -> str:
    """Return how the loader with the highest rate compares with the next one, or the rate's owner if it is alone."""
    first = best_row(frame)
    others = frame[frame["case"] != first["case"]]
    if others.empty:
        return "Throughput against batch size and workers"
    second = best_row(others)
    name, words = names[str(first["case"])], Speed.of_rate(first).compare(Speed.of_rate(second))
    if words.endswith(FASTER):
        return f"{name} is the fastest data loader"
    return f"{name} is {words} {names[str(second['case'])]}, the next data loader"


def compare_with_step(row: "pd.Series[float]") -> str:
    """Return how reading compares with the training step in a row of the balance."""
    ratio = _take_reciprocal(row["load_to_step"], row["load_to_step_low"], row["load_to_step_high"])
    return f"reading is {compare_speed(*ratio)} the step"


def compare_workers(loader: pd.DataFrame) -> Iterator[tuple[float, str]]:
    """Yield the highest rate at each batch size, and how more workers compare with the fewest there."""
    for size, group in loader.groupby("batch_size"):
        is_more = group["workers"] > group["workers"].min()
        if not is_more.any():
            continue
        more, fewest = (best_row(group[chosen]) for chosen in (is_more, ~is_more))
        words = Speed.of_rate(more).compare(Speed.of_rate(fewest))
        verb = "is" if more["workers"] == 1 else "are"
        workers, none = count(int(more["workers"]), "worker"), int(fewest["workers"]) or "none"
        yield float(group["samples_per_s"].max()), f"at batch {size:,}, {workers} {verb} {words} {none}"


def find_fastest(frame: pd.DataFrame) -> "pd.Series[float] | None":
    """Return the row that is faster than each other one; ``None`` without one."""
    if len(frame) < 2:
        return None
    first, *others = (row for _, row in frame.sort_values("median_s", kind="stable").iterrows())
    is_fastest = all(Speed.of_time(first).is_higher(Speed.of_time(other)) for other in others)
    return first if is_fastest else None


def compare_with_less_accurate(frame: pd.DataFrame) -> str:
    """Return how the fastest implementation compares with the slowest less accurate one; empty without one."""
    if frame.empty:
        return ""
    first, *others = (row for _, row in frame.sort_values("median_s", kind="stable").iterrows())
    for other in reversed(others):
        words = Speed.of_time(first).compare(Speed.of_time(other))
        if other["ratio"] > first["ratio"] and words.endswith(FASTER):
            return f"{first['case']} is {words} {other['case']}, and more accurate"
    return ""
