"""The command ``audit``: find the numerical errors of a training step, and the headroom of its lines."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, cast

import typer

from harness.auditor.repair import AuditJudge, find_audit_fix
from harness.command import options, runner
from harness.command.option_groups import ExecutionOptions, takes_options
from harness.command.options import Output, console, reject_unknown, say
from harness.command.panels import known_option, output_option, thorough_option
from harness.command.runner import Work
from harness.error import UsageError
from harness.repair.proposal import FixOptions, Proposal, print_proposal

if TYPE_CHECKING:
    from harness.auditor.plan import AuditPlan
    from harness.record import Audit, AuditKind, Record
    from harness.record.audit import AuditRun, Mode, WhatIf

Option = typer.Option
SHORT = 20
"""Fewer steps than this are all audited by default."""

TRENDS = 3
"""Maximum number of lines with shrinking headroom that are reported with their predicted breaking step."""


@takes_options
def audit(
    target: Annotated[
        str,
        typer.Argument(
            help="The training step: file.py:function or module:function, called without arguments.", metavar="TARGET"
        ),
    ],
    steps: Annotated[int, Option(min=1, help="Number of calls of the step.", metavar="N")] = 1,
    events: Annotated[
        bool, Option("--events", help="Report only NaN, infinity, broken rules and headroom. Three times as fast.")
    ] = False,
    what_if: Annotated[
        list[str] | None,
        Option(
            help="Also report what would go wrong in bfloat16, float16, autocast-bfloat16 or autocast-float16.",
            metavar="FORMAT",
        ),
    ] = None,
    expect: Annotated[
        list[str] | None,
        known_option(help="Kind of finding that the step must show. The audit fails without it.", metavar="KIND"),
    ] = None,
    sample: Annotated[
        int | None,
        thorough_option(min=1, help="Audit every N-th step in full, and the others as with --events.", metavar="N"),
    ] = None,
    within: Annotated[
        float | None,
        thorough_option(
            min=1.0,
            help="Limit on the CPU time of all steps, as a multiple of their CPU time without an audit.",
            show_default="3 for 20 or more steps, else none",
            metavar="FACTOR",
        ),
    ] = None,
    at: Annotated[
        list[int] | None,
        thorough_option(min=1, help="Audit only this step; the steps before it run without an audit.", metavar="N"),
    ] = None,
    balls: Annotated[
        bool, thorough_option("--balls", help="Compare with ball arithmetic instead of float64. For small steps.")
    ] = False,
    verbose: Annotated[bool, output_option("--verbose", "-v", help="Show every finding, note and headroom.")] = False,
    quiet: options.QuietOption = False,
    *,
    fixes: FixOptions,
    output: Output,
    execution: ExecutionOptions,
) -> None:
    r"""Find the lines of a training step that lose accuracy or overflow.

    Examples
    --------
      harness audit train.py:step
      harness audit train.py:step --steps 100 --events
      harness audit train.py:step --what-if bfloat16

    More examples:
      a hundred steps; audit as many as fit into five times their CPU time
        harness audit train.py:step --events --steps 100 --within 5
      step 57 in full, after 56 steps without an audit
        harness audit train.py:step --at 57
      a hundred steps, every tenth of them in full
        harness audit train.py:step --steps 100 --sample 10
      a small step in which float64 may lose digits too
        harness audit train.py:step --balls
      a step that takes minutes
        harness audit train.py:step --first-call-seconds 600
      a verified fix, as a diff; --write applies it
        harness audit train.py:step --fix
      what would go wrong in bfloat16, and under autocast to float16
        harness audit train.py:step \
          --what-if bfloat16 --what-if autocast-float16
      a step that demonstrates an overflow
        harness audit train.py:step --expect overflow

    Exit codes:
      0  no findings, except expected ones and findings of --what-if
      1  a line goes wrong, or an expected finding is missing
      2  the step could not be audited: it does not exist, needs arguments,
         raises, exits, hangs, or leaves nothing to examine
    """
    from harness.auditor.display import AUDIT_WRITERS
    from harness.auditor.plan import Auditing, AuditPlan
    from harness.display.output_format import format_audits
    from harness.wording.audit import select_informative

    if events and sample is not None:
        remedy = "leave out `--events`; between sampled steps it applies anyway"
        raise UsageError("cannot use `--events` together with `--sample`", remedy=remedy)
    if events and balls:
        raise UsageError("cannot use `--events` together with `--balls`", remedy="leave one out")
    numbers = tuple(sorted(set(at or ())))
    steps = max(steps, *numbers, 1)
    request = fixes.request(target)
    mode: Mode = "events" if events else "balls" if balls else "full"
    plan = AuditPlan(target, mode, steps, sample)
    chosen = {"--sample": sample, "--within": within, "--at": at}
    plans = [replace(plan, within=_choose_limit(plan, chosen, execution), at=numbers)]
    plans += [replace(plan, what_if=as_if) for as_if in _parse_formats(what_if or [])]
    expected = _parse_kinds(expect or [])
    audits: list[Audit] = []
    auditing = Auditing(plans, execution.backend)
    proposal: Proposal | None = None

    def take(called: "Audit | None") -> "list[Audit]":
        if called is None:
            return []
        audits.append(called.model_copy(update={"expected": expected}))
        return audits[-1:]

    def work(audit: Work) -> None:
        audit.begin("auditing", steps, plans[0], shown=len(plans) * steps)
        for called in auditing.audits():
            audit.keep(None, take, called)
            audit.opened.done = auditing.taken

    def keep(audit: Work) -> "Iterator[Record]":
        nonlocal proposal
        yield from _add_run(audits, auditing.run)
        if request is not None and not audit.early:
            judge = AuditJudge(plans, execution, expected)
            proposal = find_audit_fix(request, judge, select_informative(audits))
            yield from proposal.fixes

    def show(audit: Work) -> int:
        found_fixes = [] if proposal is None else proposal.fixes
        early = f"{audit.ending.early} after {audit.opened.done:,} steps" if audit.early else ""
        with output.written(lambda kind: AUDIT_WRITERS[kind](audits, found_fixes)) as written:
            # A step that ended before its first operation is reported by the command's error.
            examined = [step for step in audits if step.operations]
            if output.is_full:
                _show(examined, Counter(step.title for step in audits), verbose=verbose, quiet=quiet)
                say(*filter(None, [early]), *written)
            else:
                say(*format_audits(output.output_format, select_informative(examined), early, found_fixes))
        say(*(auditing.would_stop if output.is_full else ()))
        if proposal is not None:
            print_proposal(proposal, output.output_format)
        for reason in () if audit.early else auditing.stopped:
            raise UsageError(f"cannot audit `{target}`", rule=f"the step {reason}")
        return int(any(step.fails for step in audits))

    raise typer.Exit(runner.run(work, show, keep=keep, kept=audits, unit="step", output=output))


def _choose_limit(plan: "AuditPlan", chosen: Mapping[str, object], execution: ExecutionOptions) -> float | None:
    """Return the limit on CPU time as a multiple; ``None`` if all steps or every N-th step are audited."""
    from harness.auditor.sampling import WITHIN

    names = [f"`{name}`" for name, value in chosen.items() if value]
    is_one_process = execution.jobs in (None, 1) and execution.executor is None
    if len(names) > 1:
        raise UsageError(f"cannot use {' together with '.join(names)}", remedy="leave out all but one")
    if names and plan.sample is None and not is_one_process:
        problem = f"cannot use {names[0]} with several processes"
        raise UsageError(problem, remedy="leave out `--jobs` and `--executor`")
    if within := cast("float | None", chosen["--within"]):
        return within
    is_long = plan.steps >= SHORT and plan.sample is None and is_one_process
    return WITHIN if is_long or chosen["--at"] else None


def _add_run(audits: "list[Audit]", run: "AuditRun | None") -> "Iterator[Audit]":
    """Sort the audits, and add the number of audited steps to the most informative one, which is yielded."""
    from harness.wording.audit import select_informative

    if run is None:
        return
    audits.sort(key=lambda audit: (audit.what_if is not None, audit.step))
    for reported in select_informative([audit for audit in audits if audit.what_if is None]):
        index = audits.index(reported)
        audits[index] = reported.model_copy(update={"run": run})
        yield audits[index]


def _parse_kinds(names: list[str]) -> "tuple[AuditKind, ...]":
    """Return kinds of findings by their names."""
    from harness.record import AuditKind

    reject_unknown(names, [kind.value for kind in AuditKind], "kind of finding", option="--expect")
    return tuple(map(AuditKind, names))


def _parse_formats(names: list[str]) -> "list[WhatIf]":
    """Return the formats of these names, without duplicates."""
    from harness.record import WHAT_IF

    reject_unknown(names, WHAT_IF, "format", option="--what-if")
    return cast("list[WhatIf]", list(dict.fromkeys(names)))


def _show(audits: "list[Audit]", calls: Counter[str], *, verbose: bool, quiet: bool) -> None:
    from harness.wording.audit import audit_line, format_audit, run_lines, select_informative, wrap_text

    width = console().width
    for audit in select_informative(audits):
        say(wrap_text(audit_line(audit) if quiet else format_audit(audit, everything=verbose), width))
        steps = audit.run.steps if audit.run is not None else calls[audit.title]
        if steps > 1:
            which = ", the first with findings" if audit.findings else "; no step has findings"
            say(f"this is step {audit.step:,} of {steps:,}{which}")
        say(*(wrap_text(line, width) for line in ([] if audit.run is None else run_lines(audit.run))))
    say(*(wrap_text(line, width) for line in _format_trends(audits)))


def _format_trends(audits: "list[Audit]") -> list[str]:
    """Return the lines whose headroom shrinks, in words; a trend needs several steps."""
    if len(audits) == 1:
        return []
    from harness.findings import find_trends
    from harness.wording.audit import format_trend

    return [format_trend(trend) for trend in find_trends(audits)[:TRENDS]]
