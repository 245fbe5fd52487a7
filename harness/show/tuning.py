"""What a person reads of a tuning, and what a program does."""

import json
import math
from typing import Any

from rich.console import Console
from rich.control import strip_control_codes
from rich.table import Table

from harness.record.ratio import LEVEL
from harness.tuner.estimate import IntervalEstimate
from harness.tuner.loop import MOST_WAITING
from harness.tuner.tuning import Tuning


def print_tuning(console: Console, tuning: Tuning) -> None:
    """Print what was measured, what is best and why, what to know about the data set, and the line to paste."""
    assert tuning.standing is not None
    console.print(_table(tuning))
    for line in (*_verdict(tuning), *_advice(tuning)):
        console.print(strip_control_codes(line), markup=False, soft_wrap=True)
    console.print()
    for line in _paste(tuning):
        console.print(line, markup=False, soft_wrap=True)


def _table(tuning: Tuning) -> Table:
    assert tuning.standing is not None
    rates = tuning.standing.rates
    table = Table("configuration")
    for heading in ("samples/s", f"{LEVEL:.0%} interval", "to the choice"):
        table.add_column(heading, justify="right", no_wrap=True)
    best = rates[tuning.standing.best].value
    for one in sorted(rates, key=lambda one: -rates[one].value):
        style = "bold" if one == tuning.standing.best else None
        row = (f"{rates[one].value:,.0f}", _interval(rates[one]), f"{rates[one].value / best:.2f}")
        table.add_row(str(one), *row, style=style)
    return table


def _interval(found: IntervalEstimate, digits: str = ",.0f") -> str:
    """The interval, where more than one slice says something about scatter."""
    return "one slice" if math.isinf(found.high) else f"{found.low:{digits}} to {found.high:{digits}}"


def _verdict(tuning: Tuning) -> list[str]:
    found = tuning.standing
    assert found is not None
    lines = [f"choice: {found.best}, {found.rate.value:,.0f} samples/s ({_interval(found.rate)})"]
    if found.second is not None and found.lead is not None:
        ratio = f"{found.lead.value:.3g} times its rate ({_interval(found.lead, '.3g')})"
        lines.append(f"second: {found.second}; the choice has {ratio}")
    lines.append(f"why: {found.reason}")
    lines += _on_step(tuning)
    lines.append(f"measured: {found.slices} slices of {len(found.rates)} configurations in {tuning.spent_s:.1f} s")
    return lines


def _on_step(tuning: Tuning) -> list[str]:
    if tuning.waiting is None:
        return []
    waiting = tuning.waiting
    step_ms = 1e3 * waiting.step_s / waiting.batches
    took = f"a step takes {step_ms:.3g} ms, and the loop waits {waiting.share:.0%} of its time"
    if waiting.share <= MOST_WAITING:
        return [f"training loop: loading keeps ahead: {took}"]
    return [f"training loop: loading starves the step by {waiting.starvation:.3g}: {took}"]


def _advice(tuning: Tuning) -> list[str]:
    return [f"note: {one}" for one in tuning.advice.sentences()] if tuning.advice is not None else []


def _paste(tuning: Tuning) -> list[str]:
    assert tuning.standing is not None
    best = tuning.standing.best
    return [best.imports(), best.line()]


def as_json(tuning: Tuning) -> str:
    """Return the outcome as JSON; what is not known is null."""
    found = tuning.standing
    assert found is not None
    document: dict[str, Any] = {
        "line": found.best.line(),
        "imports": found.best.imports(),
        "choice": found.best.arguments() | {"kind": found.best.kind},
        "reason": found.reason.name.lower(),
        "samples_per_s": _numbers(found.rate),
        "lead": None if found.lead is None else _numbers(found.lead),
        "second": None if found.second is None else found.second.line(),
        "measured": [
            {"line": one.line(), "samples_per_s": _numbers(rate)}
            for one, rate in sorted(found.rates.items(), key=_rate)
        ],
        "step_s": {str(size): seconds for size, seconds in tuning.step_s.items()},
        "wait_share": None if tuning.waiting is None else tuning.waiting.share,
        "notes": [] if tuning.advice is None else tuning.advice.sentences(),
        "slices": found.slices,
        "spent_s": tuning.spent_s,
    }
    return json.dumps(document, indent=1) + "\n"


def _rate(entry: tuple[Any, IntervalEstimate]) -> float:
    return -entry[1].value


def _numbers(found: IntervalEstimate) -> dict[str, float | None]:
    return {"value": found.value, "low": found.low or None, "high": None if math.isinf(found.high) else found.high}
