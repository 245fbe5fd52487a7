"""Frames: the records of a run as tidy tables, one row an observation, units in the names of the columns.

Each frame has a documented schema (:data:`reports.schema.SCHEMAS`) and keeps its columns where the run has no such
records. Unknown numbers are NaN, unknown texts are missing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from harness.record import (
    Comparison,
    Epoch,
    Estimate,
    Finding,
    Proof,
    RunFolder,
    Slices,
    Status,
    Verdict,
    witness,
)
from reports import benchmark, loading, surveyed, timed
from reports.schema import SCHEMAS

SLICE = ("slice", "start_s", "minimum_s", "median_s", "cpu_s")
"""Columns of one slice: its number and what was measured of it."""


@dataclass(frozen=True)
class Frames:
    """The frames of one run; see :data:`reports.schema.SCHEMAS`."""

    verdicts: pd.DataFrame
    proofs: pd.DataFrame
    epochs: pd.DataFrame
    estimates: pd.DataFrame
    steps: pd.DataFrame
    step_ratios: pd.DataFrame
    phases: pd.DataFrame
    agreement: pd.DataFrame
    loaders: pd.DataFrame
    balance: pd.DataFrame
    tuner: pd.DataFrame
    operations: pd.DataFrame
    vectorization: pd.DataFrame
    screening: pd.DataFrame
    breakings: pd.DataFrame
    worst: pd.DataFrame
    profiles: pd.DataFrame
    histograms: pd.DataFrame
    accumulators: pd.DataFrame
    search: pd.DataFrame
    gate: pd.DataFrame
    gate_times: pd.DataFrame
    gate_slices: pd.DataFrame


def frames(run: RunFolder) -> Frames:
    """Read every frame of a run.

    Raises
    ------
    UsageError
        If a record or a benchmark is damaged.
    """
    checked = verdicts(run)
    made = (proofs, epochs, estimates, steps, step_ratios, phases, agreement, loaders, balance, tuner)
    times = (partial(operations, checked=checked), vectorization, screening)
    survey = (breakings, worst, profiles, histograms, accumulators, search)
    gated = (gate, gate_times, gate_slices)
    return Frames(checked, *(make(run) for make in (*made, *times, *survey, *gated)))


def verdicts(run: RunFolder) -> pd.DataFrame:
    """Return one row for each case, law, dtype and device."""
    found = run.places(Verdict)
    rows = [{**verdict.model_dump(), **_counterexample(verdict), "record": place} for place, verdict in found]
    frame = _frame("verdicts", rows)
    return frame.assign(ratio=_ratio(frame["deviation"].to_numpy(), frame["bound"].to_numpy()))


def proofs(run: RunFolder) -> pd.DataFrame:
    """Return one row for each case, quantity, dtype and layout whose inputs were visited."""
    found = run.places(Proof)
    return _frame("proofs", [{**proof.model_dump(), **_derived(proof), "record": place} for place, proof in found])


def epochs(run: RunFolder) -> pd.DataFrame:
    """Return one row for each epoch of each training run."""
    return _frame("epochs", [{**epoch.model_dump(), "record": place} for place, epoch in run.places(Epoch)])


def estimates(run: RunFolder) -> pd.DataFrame:
    """Return one row for each learned parameter, with its error in standard errors."""
    found = run.places(Estimate)
    frame = _frame("estimates", [{**estimate.model_dump(), "record": place} for place, estimate in found])
    error = (frame["learned"] - frame["true"]) / frame["standard_error"].where(frame["standard_error"] > 0)
    return frame.assign(error=error)


def steps(run: RunFolder) -> pd.DataFrame:
    """Return one row for each timed training step."""
    frame = _frame("steps", timed.steps(run))
    return frame.assign(samples_per_s=frame["batch_size"] / frame["median_s"])


def step_ratios(run: RunFolder) -> pd.DataFrame:
    """Return one row for each timed step and each reference it was measured in turns with."""
    return _frame("step_ratios", timed.ratios(run))


def phases(run: RunFolder) -> pd.DataFrame:
    """Return one row for each phase of each timed step that tells its phases."""
    return _frame("phases", timed.phases(run))


def agreement(run: RunFolder) -> pd.DataFrame:
    """Return one row for each step that torch's own timer timed too."""
    return _frame("agreement", timed.agreement(run))


def loaders(run: RunFolder) -> pd.DataFrame:
    """Return one row for each timed loader configuration."""
    frame = _frame("loaders", loading.loaders(run))
    return frame.assign(
        samples_per_s=frame["samples"] / frame["median_s"],
        samples_per_s_q1=frame["samples"] / frame["q3_s"],
        samples_per_s_q3=frame["samples"] / frame["q1_s"].where(frame["q1_s"] > 0),
    )


def balance(run: RunFolder) -> pd.DataFrame:
    """Return one row for each training loop of a loader and a step."""
    frame = _frame("balance", benchmark.rows(run, "balance"))
    ahead = frame["wait_share_high"] <= frame["most_waiting"]
    undecided = ~ahead & (frame["wait_share_low"] <= frame["most_waiting"])
    words = np.select([ahead, undecided], ["keeps ahead", "not decided"], "starves the step")
    return frame.assign(verdict=pd.Series(words, index=frame.index, dtype="string"))


def tuner(run: RunFolder) -> pd.DataFrame:
    """Return one row for each run of the tuner whose data set was measured exhaustively too."""
    rows = benchmark.rows(run, "tuner")
    everything = {row["case"]: row for row in rows if row["way"] == "exhaustive"}
    tuned = [row for row in rows if row["way"] != "exhaustive" and row["case"] in everything]
    return _frame("tuner", [{**row, **_beside(row, everything[row["case"]])} for row in tuned])


def _beside(tuned: Mapping[str, Any], everything: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a choice of the tuner compares with the best of all."""
    rates = everything["rates"] or {}
    return {
        "best": everything["choice"],
        "share_of_best": rates.get(tuned["choice"], float("nan")) / max(rates.values(), default=float("nan")),
        "exhaustive_s": everything["spent_s"],
        "share_of_time": tuned["spent_s"] / everything["spent_s"],
    }


def operations(run: RunFolder, checked: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return one row for each timed operation, with the share of its bound that its values reach in float32.

    The verdicts that say so are read where they are not given.
    """
    frame = _frame("operations", benchmark.rows(run, "operations"))
    found = verdicts(run) if checked is None else checked
    values = found.query("law == 'value' and dtype == 'float32' and device == 'cpu'")
    return frame.assign(ratio=frame["case"].map(values.set_index("case")["ratio"]).astype("float64"))


def vectorization(run: RunFolder) -> pd.DataFrame:
    """Return one row for each timed operation and length."""
    return _frame("vectorization", benchmark.rows(run, "vectorization"))


def screening(run: RunFolder) -> pd.DataFrame:
    """Return one row for each case and way of checking."""
    frame = _frame("screening", benchmark.rows(run, "screening"))
    return frame.assign(rows_per_s=frame["rows"] / frame["median_s"])


def breakings(run: RunFolder) -> pd.DataFrame:
    """Return one row for each law, case, dtype and ray."""
    return _frame("breakings", surveyed.breakings(run))


def worst(run: RunFolder) -> pd.DataFrame:
    """Return one row for each law, case, dtype and objective."""
    return _frame("worst", surveyed.worst(run))


def profiles(run: RunFolder) -> pd.DataFrame:
    """Return one row for each interval of magnitude of each case and dtype."""
    return _frame("profiles", surveyed.profiles(run))


def histograms(run: RunFolder) -> pd.DataFrame:
    """Return one row for each class of deviations of each case and dtype."""
    return _frame("histograms", surveyed.histograms(run))


def accumulators(run: RunFolder) -> pd.DataFrame:
    """Return one row for each case and dtype."""
    return _frame("accumulators", surveyed.accumulators(run))


def search(run: RunFolder) -> pd.DataFrame:
    """Return one row for each case, way of drawing and seed."""
    return _frame("search", benchmark.rows(run, "search"))


def gate(run: RunFolder) -> pd.DataFrame:
    """Return one row for each finding of the gate."""
    return _frame("gate", [{**found.model_dump(), "record": place} for place, found in run.places(Finding)])


def gate_times(run: RunFolder) -> pd.DataFrame:
    """Return one row for each case and arm whose time was compared with another commit's."""
    return _frame("gate_times", [{**found.model_dump(), "record": place} for place, found in run.places(Comparison)])


def gate_slices(run: RunFolder) -> pd.DataFrame:
    """Return one row for each slice that these comparisons rest on."""
    rows = [
        {**found.model_dump(), **dict(zip(SLICE, (number, *times), strict=True)), "record": place}
        for place, found in run.places(Slices)
        for number, times in enumerate(zip(found.starts_s, found.minima_s, found.medians_s, found.cpu_s, strict=True))
    ]
    return _frame("gate_slices", rows)


def _frame(name: str, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows under the columns and types of a schema; what a row lacks is missing."""
    schema = SCHEMAS[name]
    frame = pd.DataFrame([{column.name: row.get(column.name) for column in schema} for row in rows])
    frame = frame.reindex(columns=[column.name for column in schema])
    return frame.astype({column.name: column.dtype for column in schema})


def _derived(proof: Proof) -> dict[str, Any]:
    """Return what a proof says in nested form."""
    held = [outcome.law for outcome in proof.laws if outcome.status is Status.HOLDS]
    broken = [outcome.law for outcome in proof.laws if outcome.status is not Status.HOLDS]
    return {
        "proved": proof.proved,
        "deviation": None if proof.witness is None else proof.witness.deviation,
        "at": None if proof.witness is None else witness(proof),
        **{f"beyond_{limit}": number for limit, number in proof.beyond.items()},
        "laws_held": " ".join(held),
        "laws_broken": " ".join(broken),
    }


def _counterexample(verdict: Verdict) -> dict[str, Any]:
    """Return the scalar facts of a violation; none where the law holds."""
    if verdict.violation is None:
        return {}
    return verdict.violation.model_dump(include={"actual", "expected", "magnitude", "cause", "replay"})


def _ratio(deviation: "np.ndarray[Any, Any]", bound: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return deviation / bound: 0 where nothing deviates, inf where an infinite deviation meets any bound."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = deviation / bound
    ratio = np.where(deviation == 0, 0.0, ratio)
    return np.where(np.isposinf(deviation), np.inf, ratio)
