"""Tables on laws: an overview of contracts, the smallest margins, declared failures, and skipped laws."""

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter

import pandas as pd

from harness.findings import grades
from harness.findings.merging import group_by
from harness.record import Status, Verdict
from harness.wording.number import UNKNOWN, plain, times

from ..table import Table, codes, headers, numbers, prose, texts
from ..text import count, listing, value

LAW_OF = attrgetter("case", "law", "device")
"""Case, law and device of a verdict."""


def contracts(verdicts: pd.DataFrame) -> Table:
    """Return the number of verdicts with each status for each contract."""
    always = (Status.HOLDS, Status.BROKEN, Status.EXPECTED)
    statuses = [status.value for status in Status if status in always or any(verdicts["status"] == status.value)]
    rows = []
    for contract, group in verdicts.groupby("contract", sort=False):
        counts = [(group["status"] == status).sum() for status in statuses]
        totals = [*group[["case", "law"]].nunique(), *counts, *group[["examples", "rows"]].sum()]
        rows.append((str(contract), *(f"{int(number):,}" for number in totals)))
    headings = ["cases", "laws", *statuses, "examples", "rows checked"]
    caption = "Each law counts once for each case, dtype and device."
    return Table(
        "contracts", "Contracts in numbers", headers(codes("contract"), numbers(*headings)), tuple(rows), caption
    )


def closest(verdicts: pd.DataFrame) -> Table:
    """Return the laws that hold with the least room: the largest deviation as a share of its bound."""
    holding = verdicts[(verdicts["status"] == Status.HOLDS.value) & (verdicts["ratio"] > 0)]
    worst = holding.sort_values("ratio", ascending=False, kind="stable").head(12)
    names = ["case", "law", "dtype", "deviation", "bound", "unit", "ratio"]
    rows = [
        (*subject, plain(deviation), plain(bound), unit, times(ratio))
        for *subject, deviation, bound, unit, ratio in worst[names].itertuples(index=False)
    ]
    columns = headers(
        codes("case", "law", "dtype"), numbers("worst deviation", "bound"), texts("unit"), numbers("deviation / bound")
    )
    caption = (
        f"The {count(len(rows), 'largest ratio')} of deviation to bound among the "
        f"{count(len(verdicts[verdicts['status'] == Status.HOLDS.value]), 'law')} that hold; a law breaks above 1×."
    )
    return Table("closest", "Laws that hold with the smallest margin", columns, tuple(rows), caption)


def list_grades(verdicts: Sequence[Verdict]) -> Table:
    """Return the grade of every case in every dtype that has one."""
    by_dtype = grades(verdicts)
    dtypes = dict.fromkeys(verdict.dtype for verdict in verdicts)
    cases = dict.fromkeys(case for case, _ in by_dtype)
    return Table(
        name="grades",
        title="Grades",
        columns=headers(codes("case"), texts(*dtypes)),
        rows=tuple((case, *(str(by_dtype.get((case, dtype), UNKNOWN)) for dtype in dtypes)) for case in cases),
        caption="Correctly rounded: every value in this run is the nearest float. Faithful: within a few ulp. "
        "Backward stable: within the bound that its input allows. Unstable: a law is broken on finite inputs. Wrong: "
        "a law is broken on ordinary inputs, of magnitude at most one. Declared failures count as failures.",
        folded=True,
    )


def list_declared(verdicts: Sequence[Verdict]) -> Table:
    """Return the observed declared failures, with a row for each case, reason and set of dtypes."""
    checked = Counter(map(LAW_OF, verdicts))

    def key(group: Sequence[Verdict]) -> tuple[str, str, str]:
        witness = representative(group)
        return witness.case, witness.reason or "no reason declared", _list_dtypes(group, checked)

    rows = []
    for (case, reason, where), groups in group_by(declared_groups(verdicts), key).items():
        witnesses = list(map(representative, groups))
        seen = witnesses[0].violation
        values = (value(seen.actual), value(seen.expected), plain(seen.magnitude)) if seen else ("–", "–", "–")
        rows.append((case, ", ".join(witness.law for witness in witnesses), where, reason, *values))
    columns = headers(
        codes("case", "breaks"), texts("in"), prose("declared reason"), numbers("actual", "expected", "largest input")
    )
    caption = (
        "Actual and expected are from the smallest counterexample to the first named law, in float32 if the "
        "law fails there."
    )
    return Table("declared-table", "Known failures", columns, tuple(rows), caption, folded=True)


def _list_dtypes(group: Sequence[Verdict], checked: Counter[tuple[str, str, str]]) -> str:
    """Return the dtypes in which a case breaks a law, as words if these are all checked dtypes."""
    return (
        "all dtypes" if len(group) == checked[LAW_OF(group[0])] > 1 else listing([verdict.dtype for verdict in group])
    )


def declared_groups(verdicts: Iterable[Verdict]) -> list[list[Verdict]]:
    """Return the observed declared failures, grouped by case, law and device."""
    return list(group_by((verdict for verdict in verdicts if verdict.status is Status.EXPECTED), LAW_OF).values())


def representative(group: Sequence[Verdict]) -> Verdict:
    """Return the representative verdict of a group: float32 if possible, else the first."""
    return next((verdict for verdict in group if verdict.dtype == "float32"), group[0])


def list_skipped(verdicts: pd.DataFrame) -> Table:
    """Return the skipped laws, a row for each reason and contract."""
    frame = verdicts[verdicts["status"] == Status.SKIPPED.value].fillna({"reason": "no reason was recorded"})
    rows = []
    for (reason, contract), group in frame.groupby(["reason", "contract"], sort=False):
        names = (listing(list(map(str, group[name].unique())), at_most=4) for name in ("case", "law", "dtype"))
        rows.append((str(reason), str(contract), f"{len(group):,}", *names))
    columns = headers(prose("reason"), codes("contract"), numbers("laws"), codes("cases", "names", "dtypes"))
    return Table("skipped-table", "Skipped", columns, tuple(rows))
