"""What a person reads of a survey in the terminal: breaking points, the worst that was found, accumulators."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.control import strip_control_codes
from rich.markup import escape
from rich.table import Column, Table

from harness.case import FLOATS
from harness.record import (
    Accumulator,
    Breaking,
    Worst,
    closed_form,
    disagreeing,
    summing,
    unanswered,
    undeclared,
    what_happens,
)
from harness.surveyor.findings import Findings


def print_survey(console: Console, found: Findings, *, single: bool) -> None:
    """Print what was found, then what is broken without being declared.

    Parameters
    ----------
    console
        Where to.
    found
        What was found.
    single
        Whether it is about one function, whose breaking points are then all listed; of several cases those with a
        declared closed form are.
    """
    breakings = [one for one in found.breakings if single or one.declared]
    if any(one.value is not None or one.declared for one in breakings):
        console.print(_breaking_table(breakings, single=single))
        if any(one.value is not None and one.certainty == "scanned" for one in breakings):
            console.print(LEGEND, soft_wrap=True)
    for held in _held(breakings) if single else ():
        console.print(held, markup=False, soft_wrap=True)
    if found.worst:
        console.print(_worst_table(found.worst, single=single))
    for text in _sums(found.accumulators):
        console.print(strip_control_codes(text), markup=False, soft_wrap=True)
    for text in (*_skips(found), *_silences(found), *_alarms(found)):
        console.print(strip_control_codes(text), markup=False, soft_wrap=True)


def _sums(accumulators: Sequence[Accumulator]) -> list[str]:
    """Return how each case sums, a line each."""
    found: dict[str, list[str]] = {}
    for one in accumulators:
        found.setdefault(one.case, []).append(f"{one.dtype} {summing(one)}")
    return [f"{case} sums: {'; '.join(texts)}" for case, texts in found.items()]


def _skips(found: Findings) -> list[str]:
    """Return why laws have nothing to say, each reason once."""
    by_reason: dict[tuple[str, str], dict[str, list[str]]] = {}
    for one in found.skips:
        dtypes = by_reason.setdefault((one.case, one.reason), {}).setdefault(one.law, [])
        dtypes += [one.dtype] if one.dtype not in dtypes else []
    return [f"{case}: not surveyed, {reason}: {_by_law(laws)}" for (case, reason), laws in by_reason.items()]


def _silences(found: Findings) -> list[str]:
    """Return what the implementation did instead of answering, each sentence once, with the laws that it concerns."""
    by_reason: dict[str, dict[str, list[str]]] = {}
    for one in unanswered(found.breakings):
        dtypes = by_reason.setdefault(str(one.reason), {}).setdefault(one.law, [])
        dtypes += [one.dtype] if one.dtype not in dtypes else []
    return [f"{reason}\n  concerns  {_by_law(laws)}" for reason, laws in by_reason.items()]


def _by_law(laws: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{law} [{', '.join(dtypes)}]" for law, dtypes in laws.items())


def _alarms(found: Findings) -> list[str]:
    """Return what is broken and not declared, the first of each case and law with its replay; and wrong forms."""
    texts: dict[tuple[str, str], str] = {}
    for one in sorted(undeclared(found.breakings, found.worst), key=lambda it: it.dtype != "float32"):
        place = f" along {one.ray} at t = {one.value!r}" if isinstance(one, Breaking) else ""
        replay = f"\n  replay  {one.replay}" if one.replay else ""
        texts.setdefault((one.case, one.law), f"{one.case} breaks {one.law} [{one.dtype}]{place}{replay}")
    wrong = [
        f"{one.case} {one.law} [{one.dtype}] along {one.ray}: {closed_form(one)}, found {one.value!r}"
        for one in disagreeing(found.breakings)
    ]
    return [*texts.values(), *wrong]


def _breaking_table(breakings: Sequence[Breaking], *, single: bool) -> Table:
    """One row for each law and ray at which something breaks, a column for each dtype."""
    dtypes = [dtype for dtype in FLOATS if any(one.dtype == dtype for one in breakings)]
    names = ("law", "ray") if single else ("case", "law", "ray")
    table = Table(*(Column(name, overflow="fold") for name in names), title="Breaks at t", title_justify="left")
    for dtype in dtypes:
        table.add_column(dtype, justify="right", no_wrap=True)
    table.add_column("closed form", overflow="fold")
    table.add_column("what happens there", overflow="fold")
    groups: dict[tuple[str, ...], dict[str, Breaking]] = {}
    for one in breakings:
        ray = f"{one.ray}\n{one.formula}" if single else one.ray
        groups.setdefault((one.law, ray) if single else (one.case, one.law, ray), {})[one.dtype] = one
    before: tuple[str, ...] = ()
    for key, group in groups.items():
        broken = [one for one in group.values() if one.value is not None or one.declared]
        if broken:
            shown = next((one for one in broken if one.dtype == "float32"), broken[0])
            heads = [escape(name) if name not in before or name == key[-1] else "" for name in key]
            cells = [_cell(group[dtype]) if dtype in group else "" for dtype in dtypes]
            table.add_row(*heads, *cells, escape(_forms(broken)), escape(what_happens(shown)))
            before = key[:-1]
    return table


LEGEND = "* first found: failing comes and goes, so that between the numbers tried it may begin earlier"
"""What the mark in a cell means."""


def _cell(found: Breaking) -> str:
    """Return the breaking point in decimal and hexadecimal."""
    if found.value is None:
        return "–"
    number = f"{found.value:g}" if found.value == int(found.value) else repr(found.value)
    mark = " *" if found.certainty == "scanned" else ""
    return f"{number}{mark}\n{found.value_hex}"


def _forms(broken: Sequence[Breaking]) -> str:
    """Return the closed forms of a row, each with the dtypes it is about unless it is about all, and what disagrees."""
    by_form: dict[str, list[str]] = {}
    for one in broken:
        if one.form is not None:
            by_form.setdefault(f"{'' if one.agrees else 'DISAGREES with '}{one.form}", []).append(one.dtype)
    return "; ".join(
        form if len(dtypes) == len(broken) else f"{form} in {', '.join(dtypes)}" for form, dtypes in by_form.items()
    )


def _held(breakings: Sequence[Breaking]) -> list[str]:
    """Return the rays along which each law was found to hold, in all dtypes together, a sentence each."""
    found: dict[str, list[str]] = {}
    for one in breakings:
        others = [it for it in breakings if (it.law, it.ray) == (one.law, one.ray)]
        if all(it.value is None and it.reason is None for it in others) and one.ray not in found.get(one.law, []):
            found.setdefault(one.law, []).append(one.ray)
    return [f"{law} holds to the end of: {', '.join(rays)}" for law, rays in found.items()]


def _worst_table(worst: Sequence[Worst], *, single: bool) -> Table:
    """The largest deviations, and the largest shares of the bound."""
    columns = ("law", "dtype") if single else ("case", "law", "dtype")
    table = Table(*(Column(name, overflow="fold") for name in columns), title="Worst found", title_justify="left")
    for heading in ("largest", "deviation", "bound", "share", "rows"):
        table.add_column(heading, justify="left" if heading == "largest" else "right")
    table.add_column("evidence")
    for one in worst:
        share = one.deviation / one.bound if one.bound else float("inf" if one.deviation else 0.0)
        names = (one.law, one.dtype) if single else (one.case, one.law, one.dtype)
        table.add_row(
            *map(escape, names),
            {"deviation": "deviation", "ratio": "share of its bound"}[one.objective],
            f"{one.deviation:.6g} {one.unit}",
            f"{one.bound:.6g}",
            f"{share:.3g}",
            f"{one.rows:,}",
            f"{one.evidence}{'' if one.evidence == 'proved' else ': a lower bound'}",
        )
    return table
