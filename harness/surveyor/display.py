"""Terminal output for surveys: breaking points, the worst inputs, and accumulators."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import attrgetter, itemgetter
from typing import Any

from rich.console import Console

from harness.display.table import show_table
from harness.display.verdict import print_properties
from harness.error import printable
from harness.findings.merging import group_by
from harness.record import Accumulator, Breaking
from harness.surveyor.discovery import Discoveries
from harness.wording.survey import (
    format_closed_form,
    format_summing,
    select_disagreeing,
    select_unanswered,
    select_undeclared,
)
from harness.wording.table import Table
from harness.wording.table.survey import breaking_table, worst_table


def print_survey(console: Console, discoveries: Discoveries, *, single: bool) -> None:
    """Print the records of a survey, then the undeclared failures.

    With ``single`` the survey covers one function, and all its breaking points are listed; otherwise only those with a
    declared closed form.
    """
    print_properties(console, discoveries.properties)
    breakings = [breaking for breaking in discoveries.breakings if single or breaking.declared]
    if any(breaking.value is not None or breaking.declared for breaking in breakings):
        _show(console, breaking_table(breakings), "Breaks at t", single=single)
        if any(breaking.value is not None and breaking.certainty == "scanned" for breaking in breakings):
            _print_filled(console, LEGEND)
    for sentence in _list_holding(breakings) if single else ():
        _print_filled(console, sentence)
    if discoveries.worst:
        _show(console, worst_table(discoveries.worst), "Worst found", single=single)
    for text in (*_explain_sums(discoveries.accumulators), *_explain_skips(discoveries)):
        _print_filled(console, text)
    # A replay command must not be wrapped, so that it can be copied.
    for text in (*_explain_silences(discoveries), *_list_alarms(discoveries)):
        console.print(printable(text), markup=False, soft_wrap=True)


def _show(console: Console, table: Table, title: str, *, single: bool) -> None:
    """Print a table under a title of the terminal, without the case if there is only one."""
    shown = replace(table, title=title, grouped=0 if single else table.grouped)
    show_table(console, shown.drop_columns("case") if single else shown, with_title=True)


def _print_filled(console: Console, text: str) -> None:
    for line in textwrap.wrap(printable(text), console.width, subsequent_indent="  ", break_on_hyphens=False):
        console.print(line, markup=False, soft_wrap=True)


def _explain_sums(accumulators: Sequence[Accumulator]) -> list[str]:
    """Return for each case a line about the precision of its sums."""
    lines = []
    for case, of_case in group_by(accumulators, attrgetter("case")).items():
        texts = group_by(of_case, format_summing)
        phrases = [f"{', '.join(record.dtype for record in group)} {text}" for text, group in texts.items()]
        lines.append(f"{case} sums: {'; '.join(phrases)}")
    return lines


def _explain_skips(discoveries: Discoveries) -> list[str]:
    """Return why laws were not surveyed, without repeated reasons."""
    by_reason = group_by(discoveries.skips, attrgetter("case", "reason"))
    return [f"{case}: not surveyed, {reason}: {_group_by_law(skips)}" for (case, reason), skips in by_reason.items()]


def _explain_silences(discoveries: Discoveries) -> list[str]:
    """Return how the implementation failed to return a result, with the affected laws, without repeated sentences."""
    by_reason = group_by(select_unanswered(discoveries.breakings), lambda breaking: str(breaking.reason))
    return [f"{reason}\n  concerns  {_group_by_law(group)}" for reason, group in by_reason.items()]


def _group_by_law(records: Iterable[Any]) -> str:
    """Return the laws of records, each with its dtypes."""
    groups = group_by(records, attrgetter("law"))
    return ", ".join(f"{law} [{', '.join(dict.fromkeys(row.dtype for row in group))}]" for law, group in groups.items())


def _list_alarms(discoveries: Discoveries) -> list[str]:
    """Return the undeclared failures, the first for each case and law with its replay, and wrong closed forms."""
    texts: dict[tuple[str, str], str] = {}
    failures = select_undeclared(discoveries.breakings, discoveries.worst)
    for failure in sorted(failures, key=lambda failure: failure.dtype != "float32"):
        case, law = failure.case, failure.law
        place = f" along {failure.ray} at t = {failure.value!r}" if isinstance(failure, Breaking) else ""
        replay = f"\n  replay  {failure.replay}" if failure.replay else ""
        texts.setdefault((case, law), f"{case} breaks {law} [{failure.dtype}]{place}{replay}")
    wrong = [
        f"{breaking.case} {breaking.law} [{breaking.dtype}] along {breaking.ray}: "
        f"{format_closed_form(breaking)}, found {breaking.value!r}"
        for breaking in select_disagreeing(discoveries.breakings)
    ]
    return [*texts.values(), *wrong]


LEGEND = (
    "* first failure found: failures on this ray are not contiguous, so an earlier one may lie between tested numbers"
)
"""Legend for the mark in a cell."""


def _list_holding(breakings: Sequence[Breaking]) -> list[str]:
    """Return a sentence for each law with the rays along which it held in all dtypes."""
    by_ray = group_by(breakings, attrgetter("law", "ray"))
    whole = [key for key, group in by_ray.items() if all(row.value is None and row.reason is None for row in group)]
    rays_of = group_by(whole, itemgetter(0))
    return [f"{law} holds to the end of: {', '.join(ray for _, ray in pairs)}" for law, pairs in rays_of.items()]
