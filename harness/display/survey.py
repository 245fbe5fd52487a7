"""Terminal output for surveys: breaking points, the worst inputs, and accumulators."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter, itemgetter
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from harness.case import FLOATS
from harness.display.verdict import print_properties
from harness.error import printable
from harness.findings.merging import grouped
from harness.record import Accumulator, Breaking, Worst
from harness.surveyor.discovery import Discoveries
from harness.wording import closed_form, disagreeing, summing, unanswered, undeclared, what_happens


def print_survey(console: Console, discoveries: Discoveries, *, single: bool) -> None:
    """Print the records of a survey, then the undeclared failures.

    With ``single`` the survey covers one function, and all its breaking points are listed; otherwise only those with a
    declared closed form.
    """
    print_properties(console, discoveries.properties)
    breakings = [breaking for breaking in discoveries.breakings if single or breaking.declared]
    if any(breaking.value is not None or breaking.declared for breaking in breakings):
        _print_breakings(console, breakings, single=single)
        if any(breaking.value is not None and breaking.certainty == "scanned" for breaking in breakings):
            _print_filled(console, LEGEND)
    for sentence in _holding(breakings) if single else ():
        _print_filled(console, sentence)
    if discoveries.worst:
        _print_worst(console, discoveries.worst, single=single)
    for text in (*_sums(discoveries.accumulators), *_skips(discoveries)):
        _print_filled(console, text)
    # A replay command must not be wrapped, so that it can be copied.
    for text in (*_silences(discoveries), *_alarms(discoveries)):
        console.print(printable(text), markup=False, soft_wrap=True)


def _print_breakings(console: Console, breakings: Sequence[Breaking], *, single: bool) -> None:
    """Print the breaking points as a table, or as a list on a narrow screen."""
    if console.width >= (WHOLE_TABLE_WIDTH if single else TABLE_WIDTH):
        console.print(_breaking_table(breakings, single=single))
        return
    console.print("Breaks at t")
    for line in _breaking_list(breakings, width=console.width, single=single):
        console.print(line, markup=False, soft_wrap=True)


def _print_worst(console: Console, worst: Sequence[Worst], *, single: bool) -> None:
    if console.width >= TABLE_WIDTH:
        console.print(_worst_table(worst, single=single))
        return
    console.print("Worst found")

    def words(row: tuple[list[str], Worst]) -> tuple[str, str]:
        objectives, record = row
        sure = record.evidence if record.evidence == "proved" else "a lower bound"
        largest = "" if "deviation" in objectives else f"largest {_LARGEST['ratio']}; "
        numbers = f"{record.deviation:.6g} {record.unit}, bound {record.bound:.6g}"
        name = record.law if single else f"{record.case} {record.law}"
        return name, f"{numbers} ({largest}{record.rows:,} rows, {sure})"

    for (name, text), rows in grouped(_worst_rows(worst), words).items():
        _print_filled(console, f"{name} [{', '.join(record.dtype for _, record in rows)}]: {text}")


TABLE_WIDTH = 150
"""Screen width below which a list replaces the table."""

WHOLE_TABLE_WIDTH = 180
"""Minimum width for one function's table, in which numbers also have a hexadecimal form."""


def _print_filled(console: Console, text: str) -> None:
    for line in _filled(text, console.width):
        console.print(line, markup=False, soft_wrap=True)


def _filled(text: str, width: int, indent: str = "") -> list[str]:
    """Wrap a text between words; further lines are indented."""
    further = f"{indent}  "
    lines = textwrap.wrap(
        printable(text), width, initial_indent=indent, subsequent_indent=further, break_on_hyphens=False
    )
    return [line.replace(_WHOLE, " ") for line in lines]


_WHOLE = "\N{NO-BREAK SPACE}"
"""Character between words that must stay on one line."""


def _breaking_list(breakings: Sequence[Breaking], *, width: int, single: bool) -> Iterator[str]:
    """Yield the rows of the table as lines: the law with its effect, then the numbers, which are not broken."""
    broken = [breaking for breaking in breakings if breaking.value is not None or breaking.declared]
    for (case, law, ray), group in grouped(broken, attrgetter("case", "law", "ray")).items():
        example = next((breaking for breaking in group if breaking.dtype == "float32"), group[0])
        name = law if single else f"{case} {law}"
        forms = _forms(group)
        yield from _filled(f"{name} on {ray}, {example.formula}: {what_happens(example)}", width)
        numbers = [
            f"{breaking.dtype}{_WHOLE}{_cell(breaking).splitlines()[0].replace(' ', _WHOLE)}" for breaking in group
        ]
        yield from _filled("; ".join([*numbers, *([f"closed form {forms}"] if forms else [])]), width, indent="  ")


def _sums(accumulators: Sequence[Accumulator]) -> list[str]:
    """Return for each case a line about the precision of its sums."""
    lines = []
    for case, of_case in grouped(accumulators, attrgetter("case")).items():
        texts = grouped(of_case, summing)
        phrases = [f"{', '.join(one.dtype for one in group)} {text}" for text, group in texts.items()]
        lines.append(f"{case} sums: {'; '.join(phrases)}")
    return lines


def _skips(discoveries: Discoveries) -> list[str]:
    """Return why laws were not surveyed, without repeated reasons."""
    by_reason = grouped(discoveries.skips, attrgetter("case", "reason"))
    return [f"{case}: not surveyed, {reason}: {_by_law(skips)}" for (case, reason), skips in by_reason.items()]


def _silences(discoveries: Discoveries) -> list[str]:
    """Return how the implementation failed to return a result, with the affected laws, without repeated sentences."""
    by_reason = grouped(unanswered(discoveries.breakings), lambda breaking: str(breaking.reason))
    return [f"{reason}\n  concerns  {_by_law(group)}" for reason, group in by_reason.items()]


def _by_law(records: Iterable[Any]) -> str:
    """Return the laws of records, each with its dtypes."""
    groups = grouped(records, attrgetter("law"))
    return ", ".join(f"{law} [{', '.join(dict.fromkeys(one.dtype for one in group))}]" for law, group in groups.items())


def _alarms(discoveries: Discoveries) -> list[str]:
    """Return the undeclared failures, the first for each case and law with its replay, and wrong closed forms."""
    texts: dict[tuple[str, str], str] = {}
    failures = undeclared(discoveries.breakings, discoveries.worst)
    for failure in sorted(failures, key=lambda failure: failure.dtype != "float32"):
        case, law = failure.case, failure.law
        place = f" along {failure.ray} at t = {failure.value!r}" if isinstance(failure, Breaking) else ""
        replay = f"\n  replay  {failure.replay}" if failure.replay else ""
        texts.setdefault((case, law), f"{case} breaks {law} [{failure.dtype}]{place}{replay}")
    wrong = [
        f"{breaking.case} {breaking.law} [{breaking.dtype}] along {breaking.ray}: "
        f"{closed_form(breaking)}, found {breaking.value!r}"
        for breaking in disagreeing(discoveries.breakings)
    ]
    return [*texts.values(), *wrong]


def _breaking_table(breakings: Sequence[Breaking], *, single: bool) -> Table:
    """Return a table with a row for each law and ray that breaks, and a column for each dtype."""
    dtypes = [dtype for dtype in FLOATS if any(breaking.dtype == dtype for breaking in breakings)]
    names = ("law", "ray") if single else ("case", "law", "ray")
    numbers = (Column(dtype, justify="right", no_wrap=True) for dtype in dtypes)
    first, last = (
        tuple(Column(name, overflow="fold") for name in row) for row in (names, ("closed form", "what happens"))
    )
    table = Table(*first, *numbers, *last, title="Breaks at t", title_justify="left")
    groups: dict[tuple[str, ...], dict[str, Breaking]] = {}
    for breaking in breakings:
        ray = f"{breaking.ray}\n{breaking.formula}" if single else breaking.ray
        row = (breaking.law, ray) if single else (breaking.case, breaking.law, ray)
        groups.setdefault(row, {})[breaking.dtype] = breaking
    before: tuple[str, ...] = ()
    for key, group in groups.items():
        broken = [breaking for breaking in group.values() if breaking.value is not None or breaking.declared]
        if broken:
            example = next((breaking for breaking in broken if breaking.dtype == "float32"), broken[0])
            heads = [escape(name) if name not in before or name == key[-1] else "" for name in key]
            cells = [_cell(group[dtype]) if dtype in group else "" for dtype in dtypes]
            table.add_row(*heads, *cells, escape(_forms(broken)), escape(what_happens(example)))
            before = key[:-1]
    return table


LEGEND = (
    "* first failure found: failures on this ray are not contiguous, so an earlier one may lie between tested numbers"
)
"""Legend for the mark in a cell."""


def _cell(breaking: Breaking) -> str:
    """Return the breaking point in decimal and hexadecimal."""
    if breaking.value is None:
        return "–"
    number = f"{breaking.value:g}" if breaking.value == int(breaking.value) else repr(breaking.value)
    mark = " *" if breaking.certainty == "scanned" else ""
    return f"{number}{mark}\n{breaking.value_hex}"


def _forms(broken: Sequence[Breaking]) -> str:
    """Return the closed forms of a row with their dtypes (none if a form covers all), and mark disagreements."""
    known = [breaking for breaking in broken if breaking.form is not None]
    by_form = grouped(known, lambda one: one.form if one.agrees else f"DISAGREES with {one.form}")
    texts = {form: ", ".join(one.dtype for one in group) for form, group in by_form.items()}
    return "; ".join(f"{form}" if len(by_form[form]) == len(broken) else f"{form} in {texts[form]}" for form in by_form)


def _holding(breakings: Sequence[Breaking]) -> list[str]:
    """Return a sentence for each law with the rays along which it held in all dtypes."""
    by_ray = grouped(breakings, attrgetter("law", "ray"))
    whole = [key for key, group in by_ray.items() if all(one.value is None and one.reason is None for one in group)]
    rays_of = grouped(whole, itemgetter(0))
    return [f"{law} holds to the end of: {', '.join(ray for _, ray in pairs)}" for law, pairs in rays_of.items()]


_LARGEST = {"deviation": "deviation", "ratio": "share of its bound"}
"""Names of the objectives of a search."""


def _worst_rows(worst: Sequence[Worst]) -> Iterator[tuple[list[str], Worst]]:
    """Yield the worst records with their objectives; two searches with equal results share a row."""
    same = attrgetter("case", "law", "dtype", "deviation", "bound", "rows", "evidence")
    for records in grouped(worst, same).values():
        yield [record.objective for record in records], records[0]


def _worst_table(worst: Sequence[Worst], *, single: bool) -> Table:
    """Return a table of the largest deviations and the largest shares of the bound."""
    columns = ("law", "dtype") if single else ("case", "law", "dtype")
    table = Table(*(Column(name, overflow="fold") for name in columns), title="Worst found", title_justify="left")
    for heading in ("largest", "deviation", "bound", "share", "rows"):
        table.add_column(heading, justify="left" if heading == "largest" else "right")
    table.add_column("evidence")
    for objectives, record in _worst_rows(worst):
        share = record.deviation / record.bound if record.bound else float("inf" if record.deviation else 0.0)
        names = (record.law, record.dtype) if single else (record.case, record.law, record.dtype)
        largest = " and ".join(_LARGEST[objective] for objective in objectives)
        numbers = (f"{record.deviation:.6g} {record.unit}", f"{record.bound:.6g}", f"{share:.3g}", f"{record.rows:,}")
        sure = "" if record.evidence == "proved" else ": a lower bound"
        table.add_row(*map(escape, names), largest, *numbers, f"{record.evidence}{sure}")
    return table
