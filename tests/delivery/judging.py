"""Judge wrong and sound loaders by the laws: detected defects and false alarms."""

import gc
import time
from collections.abc import Mapping, Sequence
from typing import Any

from delivery import sound
from delivery.known import BLIND, BLIND_SOUND, FRESH, FRESH_SOUND, SOUND, UNSEEN, UNSEEN_SOUND, WRONG, Known
from delivery.shipped import SHIPPED
from rich.console import Console

from harness.case import Case
from harness.loading.accounting import cpu_s
from harness.record import Verdict
from harness.verdict.decide import decide
from harness.verdict.delivery import forget
from harness.verdict.job import list_jobs

IN_TIME_S = 20.0
"""Seconds that a check may take on two cores."""


def name_of(target: Any) -> str:
    """Return the name of a specimen."""
    named = getattr(target, "__name__", None)
    return named or next(name for name, value in vars(sound).items() if value is target)


def verdicts(target: Any, declares: Mapping[str, Any], laws: Sequence[str] = ()) -> list[Verdict]:
    """Decide laws of a specimen, by default all."""
    forget()
    case = Case(target, "data_loader", declares=dict(declares), name=name_of(target), style="foreign", target="x:y")
    return [decide(job) for job in list_jobs([case], laws=laws)]


def said(verdict: Verdict) -> str:
    """Return the reason that a verdict gives."""
    return (verdict.violation.seen if verdict.violation else verdict.reason) or ""


def is_found(known: Known, reached: Sequence[Verdict]) -> bool:
    """Return whether the defect was found and described as expected."""
    failing = [verdict for verdict in reached if verdict.status.fails]
    return any(known.law in {one.law, str(one.fault)} and known.says in said(one) for one in failing)


def main(names: Sequence[str]) -> int:
    """Judge the named specimens, by default all of `WRONG` and `SOUND`, and return the exit code.

    ``fresh``, ``unseen`` and ``blind`` name the sets that were written later.
    """
    sets = {"fresh": (FRESH, FRESH_SOUND), "unseen": (UNSEEN, UNSEEN_SOUND), "blind": (BLIND, BLIND_SOUND)}
    usual = WRONG, [*SOUND, *((target, {}) for target in SHIPPED)]
    wrong, sound_ = next((sets[name] for name in names if name in sets), usual)
    names = [name for name in names if name not in sets]
    out = Console(highlight=False, soft_wrap=True)
    gc.collect()
    gc.freeze()  # as in the process in which `harness check` runs a user's loader
    counts = {"found": 0, "missed": 0, "sound": 0, "flagged": 0}
    slow = []
    for target, declares, known in [
        *((known.function, known.declares, known) for known in wrong),
        *((target, declares, None) for target, declares in sound_),
    ]:
        name = name_of(target)
        if names and name not in names:
            continue
        began, computed_before = time.perf_counter(), cpu_s()
        reached = verdicts(target, declares)
        seconds, computed = time.perf_counter() - began, cpu_s() - computed_before
        failing = [verdict for verdict in reached if verdict.status.fails]
        what = ("found" if is_found(known, reached) else "missed") if known else ("flagged" if failing else "sound")
        counts[what] += 1
        slow += [name] * (seconds > IN_TIME_S)
        laws = ", ".join(dict.fromkeys(one.law for one in failing)) or "-"
        out.print(f"{what:<8} {name} {seconds:.1f} s, {computed:.1f} of CPU: {laws}")
        for verdict in failing[:3]:
            out.print(f"         {verdict.law}: {said(verdict)}", markup=False)
    out.print(f"{counts['found']} of {counts['found'] + counts['missed']} wrong loaders found")
    out.print(f"{counts['flagged']} of {counts['sound'] + counts['flagged']} sound loaders flagged")
    out.print(f"beyond {IN_TIME_S:.0f} s: {', '.join(slow) or 'none'}")
    return int(bool(counts["missed"] or counts["flagged"]))
