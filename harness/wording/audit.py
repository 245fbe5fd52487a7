"""The text of an audit: findings with place and remedy, headroom, and the extent of the audit."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from harness.findings.headroom_trend import Trend
from harness.record.audit import Audit, AuditFinding, AuditRun, Headroom, name_format
from harness.wording.finding import point_at
from harness.wording.number import SECONDS, count, scale_to_unit
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


def format_place(file: str, line: int, function: str = "", module: str = "") -> str:
    """Return ``model.py:16 forward [blocks.1.attention]``, the file as seen from here."""
    within = f" {function}" if function and function != "<module>" else ""
    return f"{shorten_path(file)}:{line}{within}{f' [{module}]' if module else ''}"


def shorten_path(file: str) -> str:
    """The shortest name of a file: from the working directory, or from where packages are installed."""
    path = Path(file)
    if path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return file.rpartition("site-packages/")[2]


def finding_lines(finding: AuditFinding) -> list[str]:
    """Return a finding as lines: its sentence and place, its consequences, its caller and its remedy."""
    location = format_place(finding.file, finding.line, finding.function, finding.module)
    backward = " backward pass:" if finding.backward else ""
    lines = [f"{location}:{backward} {finding.sentence}", *(f"    {line}" for line in excerpt(finding))]
    if finding.caller is not None:
        file, _, line = finding.caller.rpartition(":")
        lines.append(f"  called   {shorten_path(file)}:{line}")
    if finding.reaches:
        more = len(finding.reaches) - 2
        lines.append(f"  reaches  {', '.join(finding.reaches[:2])}{f' and {more} more' if more > 0 else ''}")
    if finding.oracle is not None:
        lines.append(f"  oracle   {finding.oracle}")
    lines.append(f"  remedy   {finding.remedy}")
    if finding.law is not None:
        lines.append(f"  law      harness explain {finding.law}")
    return lines


def excerpt(finding: AuditFinding) -> list[str]:
    """Return the source line of a finding with carets under the operation; a long line is omitted."""
    has_code = 0 < len(finding.code.strip()) <= WIDEST
    return point_at(finding.code, finding.start, finding.end) if has_code else []


def format_headroom(headroom: Headroom) -> str:
    """Return the headroom of a line as a factor and in bits."""
    location = format_place(headroom.file, headroom.line, headroom.function, headroom.module)
    backward = ", backward" if headroom.backward else ""
    shrinks = headroom.quantity in {"update", "term"}
    text = f"{headroom.operation}'s {headroom.quantity} {headroom.value:.4g}"
    end = f"{headroom.breaks_from} in {headroom.dtype}"
    if headroom.factor < 1:
        text += f" is already below the limit of {end}" if shrinks else f" is already above the limit of {end}"
    else:
        text += f" can {'shrink' if shrinks else 'grow'} {headroom.factor:.3g}-fold before it breaks at {end}"
    bits = f"{math.log2(headroom.factor):.1f} bits" if headroom.factor > 0 else "0 bits"
    return f"{bits:>9}  {location}{backward}: {text}"


def select_narrowest(audit: Audit, limit: int = NARROWEST) -> list[Headroom]:
    """Return the lines with the least headroom, without lines that already have a finding."""
    wrong = {(finding.file, finding.line) for finding in audit.findings}
    return [line for line in audit.headroom if line.factor < WIDE and (line.file, line.line) not in wrong][:limit]


def audit_line(audit: Audit, early: str = "") -> str:
    """Return the verdict on a step in one line."""
    findings = count(len(audit.findings), "finding") if audit.findings else "nothing found"
    if audit.missing:
        findings += f", but no {' and no '.join(audit.missing)}, which was expected,"
    elif audit.findings and audit.expected and not audit.unexpected:
        findings += ", as expected,"
    looked = f"in {count(audit.operations, 'operation')}, {count(audit.ends, 'result')}"
    agrees = ""
    if audit.loss_error is not None and audit.loss_error >= ONE_DIGIT and not audit.findings:
        agrees = "; the notes say why less than one digit of the loss is left"
    elif audit.loss_error is not None and audit.loss_error < ONE_DIGIT:
        reference = "exact arithmetic" if audit.loss_in_balls else "float64"
        digits = f"{-math.log10(audit.loss_error):.1f}" if audit.loss_error else "all"
        agrees = f"; the loss agrees with {reference} to {digits} digits"
        agrees += ", apart from untracked operations" if audit.blind else ""
    return f"{audit.title}: {findings} {looked}{agrees}{f' -- {early}' if early else ''}"


def select_informative(audits: Sequence[Audit]) -> list[Audit]:
    """Return the most informative audit of each step that was called several times.

    It is the first audit with a finding, or the last audit if none has one.
    """
    by_title: dict[str, Audit] = {}
    for audit in audits:
        informative = by_title.get(audit.title)
        if informative is None or not informative.findings:
            by_title[audit.title] = audit
    return list(by_title.values())


def list_blind_spots(audit: Audit) -> str | None:
    """Say what could not be followed; ``None`` where everything was."""
    if not audit.blind:
        return None
    return f"not tracked, assumed exact: {', '.join(map(_format_blind_spot, sorted(audit.blind.items())))}"


def _format_blind_spot(blind: tuple[str, int]) -> str:
    """Return ``sort at model.py:16 (2x)``."""
    name, separator, file = blind[0].partition(" at ")
    return f"{name}{separator}{shorten_path(file)} ({blind[1]}x)"


def format_audit(audit: Audit, *, everything: bool = False) -> str:
    """Return the findings, the narrowest headroom, notes, limits of the audit, and the verdict."""
    visible = audit.findings if everything else audit.findings[:MAX_FINDINGS]
    lines = [] if audit.what_if is None else [f"what if float32 were computed {name_format(audit.what_if)}:"]
    lines += [line for finding in visible for line in finding_lines(finding)]
    if len(visible) < len(audit.findings):
        lines.append(f"{len(audit.findings) - len(visible)} more; `-v` shows them")
    headrooms = select_narrowest(audit, len(audit.headroom) if everything else NARROWEST)
    if headrooms:
        lines += ["headroom, smallest first:", *map(format_headroom, headrooms)]
    notes = audit.notes if everything else audit.notes[:2]
    lines += [f"note: {note}" for note in notes]
    if len(notes) < len(audit.notes):
        lines.append(f"note: {len(audit.notes) - len(notes)} more; `-v` shows them")
    if blind := list_blind_spots(audit):
        lines.append(blind)
    return "\n".join([*lines, audit_line(audit)])


def run_line(run: AuditRun) -> str:
    """Return how many steps were audited, and the reason if not all were."""
    line = f"audited {run.audited:,} of {count(run.steps, 'step')}"
    if not run.step_s or run.audited_s is None or run.within is None:
        return line
    step, unit = scale_to_unit(run.step_s, SECONDS)
    times = f"an audited step takes {run.audited_s / run.step_s:.2g} times as long as a plain one ({step} {unit})"
    return f"{line}: {times}; the run took {run.ratio:.1f} times its time without the audit, limit {run.within:g}"


def run_lines(run: AuditRun) -> list[str]:
    """Return how many steps were audited, and the outcome of the others."""
    return [line for line in (run_line(run), report_failed_steps(run)) if line is not None]


def report_failed_steps(run: AuditRun) -> str | None:
    """Return which unaudited step failed, and its result; ``None`` if none failed."""
    if not run.ruins:
        skipped = run.steps - run.audited
        if run.spoiled:
            return f"{run.spoiled:,} of the other {skipped:,} steps are not finite, all after an audited step"
        return "loss and weights of the other steps are finite" if skipped else None
    numbers = [ruin.step for ruin in run.ruins]
    which = f"step{'s' * (len(numbers) > 1)} {', '.join(f'{number:,}' for number in numbers)}"
    result = f"{run.ruins[0].what} is not finite after {which}, which the audit skipped"
    if run.again == "the same":
        return f"{result}; a second run, identical bit for bit, audited it"
    if run.again == "another":
        remedy = "fix the random seed, or audit every step with `--sample 1` or a larger `--within`"
        return f"{result}; a second run differs from step {run.differs_at:,} on: {remedy}"
    remedy = f"`--at {numbers[0]}` or `harness.audit_run(at={numbers})`"
    return f"{result}: repeat the run with {remedy} to audit it"


def format_trend(trend: Trend) -> str:
    """Say which line comes nearer, how fast, and when it would be there."""
    headroom = trend.headroom
    location = format_place(headroom.file, headroom.line, headroom.function, headroom.module)
    fall = f"the headroom of {headroom.operation}'s {headroom.quantity} falls by {trend.bits_a_step:.2g} bits per step"
    return f"trend: {location}: {fall} and would reach zero at step {trend.gone_at:,}"


# Narrow screens

_LABEL = re.compile(r" *(?:[a-z]+ {2,}|(?:[\d.]+ bits|no bit) +)")
"""Label of a line: its kind or its headroom."""


def wrap_text(text: str, width: int) -> str:
    """Wrap the text of an audit, with hanging indentation after labels; longer words, such as paths, stay whole."""
    return "\n".join(part for line in text.splitlines() for part in _wrap_line(line, width))


def _wrap_line(line: str, width: int) -> list[str]:
    label = _LABEL.match(line)
    indent = " " * (len(label[0]) if label else 4)
    return filled(line, width, subsequent_indent=indent) or [""]
