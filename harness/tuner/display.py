"""The result of a tuning for the terminal and as JSON."""

import json
import math
from typing import Any

from rich.console import Console

from harness.display.table import make_rich_table, print_sentence, show_table
from harness.record import LEVEL, Estimate
from harness.record.budget import PARTS, Budget
from harness.tuner.loader_choice import Choice
from harness.tuner.loop import MAX_WAITING
from harness.tuner.remark import compare_workers, remarks
from harness.tuner.search import SearchState
from harness.tuner.tuning import TuningResult
from harness.wording.number import count
from harness.wording.table import Cell, Column, Table, build_table

SHOWN = 0.0005
"""Smallest share that is shown; smaller ones would print as 0.0 %."""


def budget_table(budget: Budget) -> Table:
    """Return a table of the parts of a batch's time with their descriptions."""
    columns: list[Column[tuple[str, float, float]]] = [
        Column("part", lambda line: line[0]),
        Column("description", lambda line: PARTS[line[0]]),
        Column("per batch", lambda line: f"{1e3 * line[1]:.3g} ms", "number"),
        Column("share", lambda line: f"{line[2]:.1%}", "number"),
    ]
    lines = [line for line in budget.table() if abs(line[2]) >= SHOWN]
    return build_table("budget", "Time budget", lines, columns)


def print_tuning(console: Console, tuning: TuningResult) -> None:
    """Print the measured rates, the choice with its reason, notes on the data set, and the line to paste."""
    assert tuning.standing is not None
    best, shuffle = tuning.standing.best, tuning.shuffles
    show_table(console, _make_table(tuning.standing))
    budget = [] if tuning.budget is None else tuning.budget.sentences(compare_workers(tuning))
    notes = [*(f"time: {line}" for line in budget), *(f"note: {sentence}" for sentence in remarks(tuning))]
    for line in (*_write_verdict(tuning), *notes):
        print_sentence(console, line)
    if tuning.budget is not None:
        # Its four short columns can be folded on every screen.
        console.print(make_rich_table(budget_table(tuning.budget)))
    console.print()
    for line in (best.imports(shuffle=shuffle), best.line(shuffle=shuffle)):
        console.print(line, markup=False, soft_wrap=True)


def _make_table(state: SearchState) -> Table:
    """Return the measured rates, the highest first; those without an interval, which are not compared, at the end."""
    rates, best = state.rates, state.rates[state.best].point
    columns: list[Column[Choice]] = [
        Column("configuration", lambda choice: Cell(str(choice), "best" * (choice == state.best))),
        Column("samples/s", lambda choice: f"{rates[choice].point:,.0f}", "number"),
        Column(f"{LEVEL:.0%} interval", lambda choice: _format_interval(rates[choice]), "number"),
        Column(
            "relative rate",
            lambda choice: f"{rates[choice].point / best:.2f}{' ~' * (choice in state.similar_choices)}",
            "number",
        ),
    ]
    lines = sorted(rates, key=lambda choice: (math.isinf(rates[choice].high), -rates[choice].point))
    return build_table("rates", "Rates", lines, columns)


def _format_interval(estimate: Estimate, digits: str = ",.0f") -> str:
    """Return the interval; two slices, and one, give intervals too wide to be of use."""
    if estimate.high > _WIDEST * estimate.low:
        return "too few slices"
    return f"{estimate.low:{digits}} to {estimate.high:{digits}}"


_WIDEST = 100.0
"""Largest ratio of the ends of an interval that is shown."""


def _write_verdict(tuning: TuningResult) -> list[str]:
    state = tuning.standing
    assert state is not None
    lines = [f"choice: {state.best}, {state.rate.point:,.0f} samples/s ({_format_interval(state.rate)})"]
    if state.second is not None and state.lead is not None:
        ratio = f"{state.lead.point:.3g} times as fast ({_format_interval(state.lead, '.3g')})"
        lines.append(f"second: {state.second}; the choice is {ratio}")
    lines.append(f"why: {state.reason}")
    if state.similar_choices:
        lines.append("~: not distinguishable from the choice by these measurements")
    lines += _write_step(tuning)
    slices, configurations = count(state.slices, "slice"), count(len(state.rates), "configuration")
    lines.append(f"measured: {slices} of {configurations} in {tuning.spent_s:.1f} s")
    return lines


def _write_step(tuning: TuningResult) -> list[str]:
    if tuning.waiting is None:
        return []
    waiting = tuning.waiting
    step_ms = 1e3 * waiting.step_s / waiting.batches
    times = f"a step takes {step_ms:.3g} ms, and the loop waits for data {waiting.share:.0%} of the time"
    if waiting.share <= MAX_WAITING:
        return [f"training loop: loading keeps up with the step: {times}"]
    return [f"training loop: the wait for data takes {waiting.starvation:.3g} times as long as the step: {times}"]


def make_json(tuning: TuningResult) -> str:
    """Return the result as JSON; unknown values are null."""
    state, shuffle = tuning.standing, tuning.shuffles
    assert state is not None
    document: dict[str, Any] = {
        "line": state.best.line(shuffle=shuffle),
        "imports": state.best.imports(shuffle=shuffle),
        "choice": state.best.arguments() | {"kind": state.best.kind},
        "reason": state.reason.name.lower(),
        "samples_per_s": _numbers(state.rate),
        "lead": None if state.lead is None else _numbers(state.lead),
        "second": None if state.second is None else state.second.line(shuffle=shuffle),
        "measured": [
            {"line": choice.line(shuffle=shuffle), "samples_per_s": _numbers(rate)}
            for choice, rate in sorted(state.rates.items(), key=lambda entry: -entry[1].point)
        ],
        "step_s": {str(size): seconds for size, seconds in tuning.step_s.items()},
        "wait_share": None if tuning.waiting is None else tuning.waiting.share,
        "budget": None if tuning.budget is None else _list_shares(tuning.budget, compare_workers(tuning)),
        "notes": remarks(tuning),
        "slices": state.slices,
        "spent_s": tuning.spent_s,
    }
    return json.dumps(document, indent=1) + "\n"


def _list_shares(budget: Budget, on_workers: str | None) -> dict[str, Any]:
    return {
        "sentence": budget.sentence if on_workers is None else budget.sentence_with(on_workers),
        "batch_s": budget.batch_s,
        "closed": budget.is_closed,
        "shares": budget.shares,
        "lines": [line.model_dump() for line in budget.lines],
    }


def _numbers(estimate: Estimate) -> dict[str, float | None]:
    high = None if math.isinf(estimate.high) else estimate.high
    return {"value": estimate.point, "low": estimate.low or None, "high": high}
