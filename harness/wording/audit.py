"""The text of an audit: findings with place and remedy, headroom, and the extent of the audit."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from harness.findings.headroom_trend import Trend
from harness.record.audit import Audit, AuditFinding, AuditRun, Headroom, in_format
from harness.wording.finding import pointed
from harness.wording.number import SECONDS, count, scaled
from harness.wording.verdict import filled

WIDEST = 74
"""Characters of a source line that fit in a terminal with their indent."""

MAX_FINDINGS = 10
"""Number of findings shown by default."""

NARROWEST = 5
"""Number of lines whose headroom is shown."""

WIDE = 2.0**10
"""Headroom from this factor on is not shown."""

ONE_DIGIT = 0.1
"""Relative error of a loss with one digit left."""

WARNS = 2.0
"""A line with headroom up to this factor is close to breaking."""


def place(file: str, line: int, function: str = "", module: str = "") -> str:
    """Return ``model.py:16 forward [blocks.1.attention]``, the file as seen from here."""
    within = f" {function}" if function and function != "<module>" else ""
    return f"{near(file)}:{line}{within}{f' [{module}]' if module else ''}"


def near(file: str) -> str:
    """The shortest name of a file: from the working directory, or from where packages are installed."""
    path = Path(file)
    if path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return file.rpartition("site-packages/")[2]


def finding_lines(finding: AuditFinding) -> list[str]:
    """Return a finding as lines: its sentence and place, its consequences, its caller and its remedy."""
    at = place(finding.file, finding.line, finding.function, finding.module)
    backward = " backward pass:" if finding.backward else ""
    lines = [f"{at}:{backward} {finding.sentence}", *(f"    {line}" for line in excerpt(finding))]
    if finding.caller is not None:
        file, _, line = finding.caller.rpartition(":")
        lines.append(f"  called   {near(file)}:{line}")
    if finding.reaches:
        lines.append(f"  reaches  {_listed(finding.reaches)}")
    if finding.oracle is not None:
        lines.append(f"  oracle   {finding.oracle}")
    lines.append(f"  remedy   {finding.remedy}")
    if finding.law is not None:
        lines.append(f"  law      harness explain {finding.law}")
    return lines


def excerpt(finding: AuditFinding) -> list[str]:
    """Return the source line of a finding with carets under the operation; a long line is omitted."""
    has_code = 0 < len(finding.code.strip()) <= WIDEST
    return pointed(finding.code, finding.start, finding.end) if has_code else []


def _listed(names: Sequence[str]) -> str:
    visible = ", ".join(names[:2])
    return visible + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def headroom_line(headroom: Headroom) -> str:
    """Return the headroom of a line as a factor and in bits."""
    at = place(headroom.file, headroom.line, headroom.function, headroom.module)
    backward = ", backward" if headroom.backward else ""
    shrinks = headroom.quantity in {"update", "term"}
    what = f"{headroom.operation}'s {headroom.quantity} {headroom.value:.4g}"
    end = f"{headroom.breaks_from} in {headroom.dtype}"
    if headroom.factor < 1:
        what += f" is already below the limit of {end}" if shrinks else f" is already above the limit of {end}"
    else:
        what += f" can {'shrink' if shrinks else 'grow'} {headroom.factor:.3g}-fold before it breaks at {end}"
    bits = f"{math.log2(headroom.factor):.1f} bits" if headroom.factor > 0 else "0 bits"
    return f"{bits:>9}  {at}{backward}: {what}"


def narrowest(audit: Audit, limit: int = NARROWEST) -> list[Headroom]:
    """Return the lines with the least headroom, without lines that already have a finding."""
    wrong = {(finding.file, finding.line) for finding in audit.findings}
    return [one for one in audit.headroom if one.factor < WIDE and (one.file, one.line) not in wrong][:limit]


def audit_line(audit: Audit, early: str = "") -> str:
    """Return the verdict on a step in one line."""
    found = count(len(audit.findings), "finding") if audit.findings else "nothing found"
    if audit.missing:
        found += f", but no {' and no '.join(audit.missing)}, which was expected,"
    elif audit.findings and audit.expected and not audit.unexpected:
        found += ", as expected,"
    looked = f"in {count(audit.operations, 'operation')}, {count(audit.ends, 'result')}"
    agrees = ""
    if audit.loss_error is not None and audit.loss_error >= ONE_DIGIT and not audit.findings:
        agrees = "; the notes say why less than one digit of the loss is left"
    elif audit.loss_error is not None and audit.loss_error < ONE_DIGIT:
        reference = "exact arithmetic" if audit.loss_in_balls else "float64"
        agrees = f"; the loss agrees with {reference} to {_digits(audit.loss_error)}"
    return f"{audit.title}: {found} {looked}{agrees}{f' -- {early}' if early else ''}"


def _digits(error: float) -> str:
    return "all digits" if error == 0.0 else f"{-math.log10(error):.1f} digits"


def most_informative(audits: Sequence[Audit]) -> list[Audit]:
    """Return the most informative audit of each step that was called several times.

    It is the first audit with a finding, or the last audit if none has one.
    """
    by_title: dict[str, Audit] = {}
    for audit in audits:
        known = by_title.get(audit.title)
        if known is None or not known.findings:
            by_title[audit.title] = audit
    return list(by_title.values())


def blind_line(audit: Audit) -> str | None:
    """Say what could not be followed; ``None`` where everything was."""
    if not audit.blind:
        return None
    return f"not tracked, assumed exact: {', '.join(map(_times, sorted(audit.blind.items())))}"


def _times(blind: tuple[str, int]) -> str:
    """Return ``sort at model.py:16 (2x)``."""
    name, at, file = blind[0].partition(" at ")
    return f"{name}{at}{near(file)} ({blind[1]}x)"


def audit_text(audit: Audit, *, everything: bool = False) -> str:
    """Return the findings, the narrowest headroom, notes, limits of the audit, and the verdict."""
    visible = audit.findings if everything else audit.findings[:MAX_FINDINGS]
    lines = [] if audit.what_if is None else [f"what if float32 were computed {in_format(audit.what_if)}:"]
    lines += [line for finding in visible for line in finding_lines(finding)]
    if len(visible) < len(audit.findings):
        lines.append(f"{len(audit.findings) - len(visible)} more; `-v` shows them")
    headrooms = narrowest(audit, len(audit.headroom) if everything else NARROWEST)
    if headrooms:
        lines += ["headroom, smallest first:", *map(headroom_line, headrooms)]
    notes = audit.notes if everything else audit.notes[:2]
    lines += [f"note: {note}" for note in notes]
    if len(notes) < len(audit.notes):
        lines.append(f"note: {len(audit.notes) - len(notes)} more; `-v` shows them")
    if blind := blind_line(audit):
        lines.append(blind)
    return "\n".join([*lines, audit_line(audit)])


def run_line(run: AuditRun) -> str:
    """Return how many steps were audited, and the reason if not all were."""
    line = f"audited {run.audited:,} of {count(run.steps, 'step')}"
    if not run.step_s or run.audited_s is None or run.within is None:
        return line
    step, unit = scaled(run.step_s, SECONDS)
    times = f"an audited step takes {run.audited_s / run.step_s:.2g} times as long as a plain one ({step} {unit})"
    return f"{line}: {times}; the run took {run.ratio:.1f} times its time without the audit, limit {run.within:g}"


def run_lines(run: AuditRun) -> list[str]:
    """Return how many steps were audited, and the outcome of the others."""
    return [line for line in (run_line(run), ruin_line(run)) if line is not None]


def ruin_line(run: AuditRun) -> str | None:
    """Return which unaudited step failed, and its result; ``None`` if none failed."""
    if not run.ruins:
        skipped = run.steps - run.audited
        if run.spoiled:
            return f"{run.spoiled:,} of the other {skipped:,} steps are not finite, all after an audited step"
        return "loss and weights of the other steps are finite" if skipped else None
    numbers = [ruin.step for ruin in run.ruins]
    which = f"step{'s' * (len(numbers) > 1)} {', '.join(f'{number:,}' for number in numbers)}"
    what = f"{run.ruins[0].what} is not finite after {which}, which the audit skipped"
    if run.again == "the same":
        return f"{what}; a second run, identical bit for bit, audited it"
    if run.again == "another":
        remedy = "fix the random seed, or audit every step with `--sample 1` or a larger `--within`"
        return f"{what}; a second run differs from step {run.differs_at:,} on: {remedy}"
    remedy = f"`--at {numbers[0]}` or `harness.audit_run(at={numbers})`"
    return f"{what}: repeat the run with {remedy} to audit it"


def trend_line(trend: Trend) -> str:
    """Say which line comes nearer, how fast, and when it would be there."""
    headroom = trend.headroom
    at = place(headroom.file, headroom.line, headroom.function, headroom.module)
    what = f"the headroom of {headroom.operation}'s {headroom.quantity} falls by {trend.bits_a_step:.2g} bits per step"
    return f"trend: {at}: {what} and would reach zero at step {trend.gone_at:,}"


# Narrow screens

_LABEL = re.compile(r" *(?:[a-z]+ {2,}|(?:[\d.]+ bits|no bit) +)")
"""Label of a line: its kind or its headroom."""


def wrapped(text: str, width: int) -> str:
    """Wrap the text of an audit, with hanging indentation after labels; longer words, such as paths, stay whole."""
    return "\n".join(part for line in text.splitlines() for part in _in_lines(line, width))


def _in_lines(line: str, width: int) -> list[str]:
    label = _LABEL.match(line)
    indent = " " * (len(label[0]) if label else 4)
    return filled(line, width, subsequent_indent=indent) or [""]
