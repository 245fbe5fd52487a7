"""Tables on a run: machine, software, data, audits, the gate, and changes since earlier runs."""

from collections.abc import Sequence
from pathlib import PurePath

import pandas as pd

from harness.record import (
    Audit,
    AuditFinding,
    ComparedLine,
    Comparison,
    Environment,
    GateFinding,
    Headroom,
    Judgment,
    Run,
    Status,
    Stretch,
    Tolerance,
)
from harness.record.gate import MOST_DECISIVE
from harness.wording.number import UNKNOWN, duration, percent, plain, rate, size
from harness.wording.table.gate import gate_table

from ..history import BATCH, NOISE, Change, Digest, tally
from ..source import caveat
from ..table import Header, Table, codes, headers, numbers, page_table, prose, texts
from ..text import count, listing


def machine(run: Run) -> Table:
    """Return the facts of a run that a reader compares first."""
    env = run.environment
    states = {True: " with uncommitted changes", False: " without uncommitted changes", None: ""}
    rows = [
        ("run", run.name),
        ("created", run.created),
        ("machine", env.machine),
        ("processor", env.processor),
        ("cores", f"{env.cores} logical, {plain(env.usable_cores)} usable by this process"),
        ("memory", size(env.memory_bytes)),
        ("accelerator", env.accelerator or "no accelerator on this machine"),
        ("operating system", env.os),
        ("Python", env.python),
        ("torch", f"{env.torch}, computing with {env.torch_threads} thread{'' if env.torch_threads == 1 else 's'}"),
        ("commit", "unknown" if env.git_commit is None else env.git_commit + states[env.git_dirty]),
        ("seed", str(run.seed)),
        *((f"command {number}", command) for number, command in enumerate(run.commands, 1)),
    ]
    return Table(name="machine", title="Machine and software", columns=texts("fact", "value"), rows=tuple(rows))


def build(env: Environment) -> Table:
    """Return the build of torch and all versions."""
    rows = [*(("torch: " + name, value) for name, value in env.torch_build.items()), *env.versions.items()]
    return Table("versions", "torch build and versions", texts("part", "version or setting"), tuple(rows), folded=True)


def data(run: Run) -> Table:
    """Return the source of the images and the checksums of the files; no rows if the run used none."""
    source = run.data
    rows: list[tuple[str, str]] = []
    if source is not None:
        rows = [
            ("name", source.name),
            ("origin", f"{source.origin}: {source.location}" if source.location else source.origin),
            ("genuine", "yes: all checksums match the published ones" if source.genuine else "no"),
            *((f"SHA-256 of {name}", checksum) for name, checksum in source.checksums.items()),
        ]
    columns = headers(texts("fact"), codes("value"))
    caption = source.note if source else ""
    return Table("data-table", "Data source", columns, tuple(rows), caption, caveat=caveat(None, source))


def place(record: AuditFinding | Headroom | Stretch) -> str:
    """Return file name, line and function, without the folder, which differs between users."""
    backward = ", backward" if record.backward else ""
    module = f" [{record.module}]" if record.module else ""
    return f"{PurePath(record.file).name}:{record.line} {record.function}{module}{backward}"


def blind(audit: Audit) -> Table:
    """Return the operations that could not be followed, and are assumed to be exact."""
    rows = []
    for text, times in sorted(audit.blind.items()):
        operation, _, location = text.rpartition(" at ")
        rows.append((PurePath(location).name, operation.strip(", "), f"{times:,}"))
    title = f"Operations in {audit.title} that were not tracked (assumed exact)"
    return Table("audit-blind", title, headers(codes("line"), prose("operation"), numbers("times")), tuple(rows))


def list_findings(findings: Sequence[GateFinding]) -> Table:
    """Return every finding as its sentence."""
    return page_table(gate_table(sorted(findings, key=lambda finding: MOST_DECISIVE.index(finding.outcome))))


def comparisons(comparisons: Sequence[Comparison]) -> Table:
    """Return the ratios of the arms, with their bounds and the smallest detectable slowdown."""
    rows = [
        (
            *(comparison.case, comparison.arm, str(comparison.outcome), f"{comparison.couples}"),
            *(f"{100.0 * (ratio - 1.0):+.1f} %" for ratio in (comparison.ratio, comparison.low, comparison.high)),
            percent(comparison.visible),
        )
        for comparison in comparisons
    ]
    headings = ("pairs", "slowdown", "lower bound", "upper bound", "smallest detectable")
    columns = headers(codes("case"), texts("arm", "outcome"), numbers(*headings))
    caption = (
        "One-sided 95 % bounds of Student's t over pairs of processes. The null arm is a second base; the "
        "control arm is the base with a tenth more calls."
    )
    return Table("gate-times", "Time relative to the base, by arm", columns, tuple(rows), caption, folded=True)


def same(judgments: Sequence[Judgment]) -> Table:
    """Return the answer for each pair, its differing rows, the largest difference, and the error of each side."""
    rows = []
    for judgment in judgments:
        first = _name_target(judgment.first)
        second = f"under {judgment.under}" if judgment.under else _name_target(judgment.second)
        differing = UNKNOWN if judgment.rows is None else f"{judgment.differing_rows:,} of {judgment.rows:,}"
        gap = UNKNOWN if judgment.largest_ulp is None else plain(judgment.largest_ulp)
        errors = [f"{plain(x.deviation)} of {plain(x.bound)}" for x in judgment.accuracies] or [UNKNOWN] * 2
        family = f"{first.partition('.')[0]}."
        answer, place = str(judgment.answer), "; ".join(judgment.places)
        rows.append((first, second.removeprefix(family), answer, differing, gap, *errors, place))
    columns = headers(
        codes("first", "second"),
        texts("answer"),
        numbers("differing rows", "largest difference", "error of the first", "error of the second"),
        codes("first operation that differs"),
    )
    caption = (
        "Both were called on the same inputs. Differences and errors are in units in the last place (ulp); an error is "
        "shown where it is the largest share of its bound, which follows it. Rounding: the difference is not more than "
        "rounding errors explain, also of an unstable form. Other differences of two cases are declared failures."
    )
    return Table("same-table", "The same inputs on both sides", columns, tuple(rows), caption)


def tolerances(compared: Sequence[ComparedLine]) -> Table:
    """Return the lines of a test suite whose tolerance should change, with the reason; the others are counted."""
    findings = [line for line in compared if line.answer not in {Tolerance.SOUND, Tolerance.UNJUDGED}]
    rows = [(str(line.answer), f"{line.file}:{line.line}", line.reason, line.function) for line in findings]
    columns = headers(texts("verdict"), codes("line"), texts("reason"), codes("comparison"))
    caption = (
        "Vacuous: the comparison accepts 0 in place of the result. Loose: it accepts a result that is some percent too "
        "large, although the results agree far better. Tight: it refuses a right result of another processor, or is "
        "less than twice the rounding error. Lines that are sound or not judged have no row."
    )
    return Table("tolerances-table", "Tolerances that should change", columns, tuple(rows), caption)


def _name_target(target: str) -> str:
    """Return a target as the name of a case if it is a shipped one."""
    return target.removeprefix("cases.").replace(":", ".") if target.startswith("cases.") else target


MAX_COLUMNS = 6
"""Maximum number of runs in a table; older runs appear only in the trend."""


def changes(changes: pd.DataFrame, *, before: str, same_machine: bool) -> Table:
    """Return the changes since the run ``before``, the most urgent first."""
    separate = [Change.UNCHANGED.value, *(change.value for change in _ONE_SIDED)]
    rows = [
        tuple(map(str, row)) for row in changes.loc[~changes["change"].isin(separate), _ORDER].itertuples(index=False)
    ]
    return Table(
        name="changes-table",
        title=f"Changes since {before}",
        columns=headers(texts("change", "kind"), codes("case", "what"), texts("where"), numbers("before", "after")),
        rows=(*rows, *(row for change in _ONE_SIDED for row in _list_one_sided(changes, change))),
        caption=f"{sentence(changes)} {_explain_times(same_machine=same_machine)}",
    )


_ONE_SIDED = (Change.UNMEASURED, Change.NEW)
"""Changes that only one run has."""

_ORDER = ["change", "kind", "case", "what", "where", "before", "after"]


def sentence(changes: pd.DataFrame) -> str:
    """Count the changes by kind."""
    counts = [f"{number:,} {change.value}" for change, number in tally(changes).items()]
    return f"{listing(counts)}." if counts else "The two runs have no results in common."


def _explain_times(*, same_machine: bool) -> str:
    if not same_machine:
        return "The runs were made on different processors, so their times are not compared."
    return (
        f"Times within a factor of {NOISE:g} count as unchanged, because identical code differs by that much between "
        "processes. The gate measures both versions together and detects smaller changes."
    )


def _list_one_sided(changes: pd.DataFrame, change: Change) -> list[tuple[str, ...]]:
    """Return a row for each case and entry that only one run has, or a single row for a kind without other entries."""
    rows: list[tuple[str, ...]] = []
    for kind, group in changes[changes["change"] == change.value].groupby("kind", sort=False):
        if len(group) == len(changes[changes["kind"] == kind]):
            rows.append((change.value, str(kind), f"all {len(group):,}", "", "", "", ""))
            continue
        for (case, entry), places in group.groupby(["case", "what"], sort=False):
            where = listing([str(location) for location in places["where"]], at_most=4)
            visible = (listing(list(dict.fromkeys(map(str, places[side]))), at_most=2) for side in ("before", "after"))
            rows.append((change.value, str(kind), str(case), str(entry), where, *visible))
    return rows


def side_by_side(digests: Sequence[Digest]) -> Table:
    """Return the runs in columns, the latest first: their environment, their laws, and their times."""
    visible = list(digests)[: -MAX_COLUMNS - 1 : -1]
    rows = [*_list_head_rows(visible), *_list_times(visible)]
    hidden_count = len(digests) - len(visible)
    older = f" {count(hidden_count, 'older run')} not shown." if hidden_count else ""
    return Table(
        name="runs-table",
        title="Runs side by side",
        columns=headers(texts("fact"), (Header(digest.head.name) for digest in visible)),
        rows=tuple(row for row in rows if any(cell != UNKNOWN for cell in row[1:])),
        caption=f"The latest run is on the left. Times are medians; runs on other machines are not comparable.{older}",
    )


def _list_head_rows(visible: Sequence[Digest]) -> list[tuple[str, ...]]:
    heads = [digest.head for digest in visible]
    environments = [head.environment for head in heads]
    return [
        ("created", *(head.created for head in heads)),
        ("commit", *(digest.label if digest.head.environment.git_commit else UNKNOWN for digest in visible)),
        ("processor", *(environment.processor for environment in environments)),
        ("usable cores", *(plain(environment.usable_cores) for environment in environments)),
        ("memory", *(size(environment.memory_bytes) for environment in environments)),
        ("accelerator", *(environment.accelerator or "none" for environment in environments)),
        ("torch", *(environment.torch for environment in environments)),
        ("laws that hold", *(f"{digest.statuses[Status.HOLDS]:,}" for digest in visible)),
        ("declared failures", *(f"{digest.statuses[Status.EXPECTED]:,}" for digest in visible)),
        ("failures", *(f"{digest.failing:,}" for digest in visible)),
        ("skipped", *(f"{digest.statuses[Status.SKIPPED]:,}" for digest in visible)),
        ("breaking points", *(UNKNOWN if digest.points is None else f"{digest.points:,}" for digest in visible)),
    ]


def _list_times(visible: Sequence[Digest]) -> list[tuple[str, ...]]:
    """Return the step time per case at one batch size, and the best rate per loader."""
    rows: list[tuple[str, ...]] = []
    for name, label, text in (("step_times", f"step, batch {BATCH}", duration), ("best_rates", "best samples/s", rate)):
        runs = [getattr(digest, name).set_index("case")["value"] for digest in visible]
        cases = dict.fromkeys(case for run in runs for case in run.index)
        rows += [(f"{label}: {case}", *(text(run.get(case)) for run in runs)) for case in cases]
    return rows
