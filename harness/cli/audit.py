"""The command ``audit``: which line of a training step goes numerically wrong, and how far the others are from it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, cast

import typer

from harness.cli.means import Means, takes_means
from harness.cli.options import QuietOption, RunOption, console, progress, say, session
from harness.error import UsageError, did_you_mean, listed
from harness.work.ending import Ending
from harness.work.interrupt import undivided

if TYPE_CHECKING:
    from harness.auditor.plan import AuditPlan
    from harness.cli.session import Session
    from harness.record import Audit, AuditKind
    from harness.record.audit import Mode, WhatIf
    from harness.record.audit_run import AuditRun

Option = typer.Option
SHORT = 20
"""Steps up to which each is audited, where nobody says how many are to be."""

TRENDS = 3
"""Lines that come nearer to breaking, of which it is said when they would be there."""

EXAMPLES = """
\b
Examples:
  the function `step` of a file, called once without arguments
    harness audit train.py:step
  five steps, of which only what is not finite, rules and headroom
  are looked at
    harness audit train.py:step --events --steps 5
  a hundred steps, as many of which are audited as keep their CPU time
  within five times what it is without
    harness audit train.py:step --events --steps 100 --within 5
  the 57th step in full, and those before it as they are
    harness audit train.py:step --at 57
  a hundred steps, each tenth of them in full
    harness audit train.py:step --steps 100 --sample 10
  a small step, of which float64 may lose the digits as well
    harness audit train.py:step --balls
  a step that takes minutes
    harness audit train.py:step --first-call-seconds 600
  what would go wrong in bfloat16, and under autocast to float16
    harness audit train.py:step \\
      --what-if bfloat16 --what-if autocast-float16
  a step that is there to show an overflow
    harness audit train.py:step --expect overflow

\b
Exit codes:
  0  nothing was found, but for what is expected or would be
  1  a line goes wrong, or what is expected does not
  2  the step could not be audited: it does not exist, needs arguments,
     raises, exits, hangs, or leaves nothing behind to be looked at
"""


@takes_means
def audit(
    target: Annotated[
        str, typer.Argument(help="The step: file.py:function or module:function, called without arguments.")
    ],
    events: Annotated[
        bool, Option("--events", help="Look only for what is not finite, at rules and headroom: three times as quick.")
    ] = False,
    balls: Annotated[
        bool, Option("--balls", help="Hold every format beside ball arithmetic, not float64: for small steps.")
    ] = False,
    steps: Annotated[int, Option(min=1, help="How often the step is called.")] = 1,
    sample: Annotated[
        int | None, Option(min=1, help="Audit in full each so-manyth of the steps, and the others as with --events.")
    ] = None,
    within: Annotated[
        float | None,
        Option(min=1.0, help="How many times the CPU time of the steps all may take; of 20 steps and more, 3."),
    ] = None,
    at: Annotated[
        list[int] | None, Option(min=1, help="Audit this step alone, and take those before it as they are.")
    ] = None,
    what_if: Annotated[
        list[str] | None,
        Option(help="Say as well what would go wrong in bfloat16, float16, autocast-bfloat16 or autocast-float16."),
    ] = None,
    verbose: Annotated[bool, Option("--verbose", "-v", help="Show every finding, note and headroom.")] = False,
    expect: Annotated[
        list[str] | None, Option(help="A kind of finding that the step is there to show; without it the audit fails.")
    ] = None,
    quiet: QuietOption = False,
    run: RunOption = None,
    fresh: Annotated[bool, Option("--fresh", help="Clear the run first.")] = False,
    json: Annotated[Path | None, Option(help="Write what was found as JSON.")] = None,
    junit: Annotated[Path | None, Option(help="Write it as JUnit XML.")] = None,
    markdown: Annotated[Path | None, Option(help="Write it as Markdown.")] = None,
    *,
    means: Means,
) -> None:
    """Follow a training step operation by operation, and name the lines at which it goes numerically wrong."""
    from harness.auditor.plan import AuditPlan
    from harness.cli.auditing import Auditing

    if events and sample is not None:
        remedy = "leave out `--events`: between the steps that are sampled it holds"
        raise UsageError(rule="`--sample` audits steps in full", value="`--events` beside it", remedy=remedy)
    if events and balls:
        raise UsageError(rule="one of `--events` and `--balls`", value="both", remedy="leave one out")
    numbers = tuple(sorted(set(at or ())))
    steps = max(steps, *numbers, 1)
    plan = AuditPlan(target, _mode(events=events, balls=balls), steps, sample)
    asked = {"--sample": sample, "--within": within, "--at": at}
    plans = [replace(plan, within=_within(plan, asked, means), at=numbers)]
    plans += [replace(plan, what_if=as_if) for as_if in _formats(what_if or [])]
    expected = _kinds(expect or [])
    audits: list[Audit] = []
    auditing = Auditing(plans, means)
    with session(run, fresh=fresh) as opened:
        with Ending(audits) as ending, progress() as bar:
            opened.plan(plans[0], steps, "step")
            task = bar.add_task("auditing", total=len(plans) * steps)
            for called in auditing.audits():
                with undivided():
                    if called is not None:
                        audits.append(found := called.model_copy(update={"expected": expected}))
                        opened.keep(found)
                    opened.done = auditing.taken
                bar.update(task, advance=1)
        _tell_run(audits, auditing.run, opened)
        opened.end(ending)
    for remark in opened.remarks:
        say(f"run: {remark}")
    written = {kind: file for kind, file in (("json", json), ("junit", junit), ("markdown", markdown)) if file}
    early = f"{ending.early} after {opened.done:,} steps" if ending.early else ""
    _show(audits, written, shown=_Shown(verbose=verbose, quiet=quiet), early=early)
    for line in auditing.would_stop:
        say(line)
    ending.settle()
    if ending.code is not None:
        raise typer.Exit(ending.code)
    for reason in auditing.stopped:
        raise UsageError(rule="a step returns", value=f"one that {reason}", place=f"`{target}`")
    raise typer.Exit(int(any(one.fails for one in audits)))


def _within(plan: "AuditPlan", asked: Mapping[str, object], means: Means) -> float | None:
    """How many times their own CPU time the steps may take; ``None`` where each is audited, or each so-manyth."""
    from harness.auditor.sampling import WITHIN

    names = [f"`{name}`" for name, value in asked.items() if value]
    is_one_process = means.jobs in (None, 1) and means.executor is None
    if len(names) > 1:
        rule = f"one of {listed(list(asked))}"
        raise UsageError(rule=rule, value=" and ".join(names), remedy="leave out all but one")
    if names and plan.sample is None and not is_one_process:
        remedy = "leave out `--jobs` and `--executor`"
        raise UsageError(rule=f"{names[0]} follows steps in one process", value="several", remedy=remedy)
    if within := cast("float | None", asked["--within"]):
        return within
    is_long = plan.steps >= SHORT and plan.sample is None and is_one_process
    return WITHIN if is_long or asked["--at"] else None


def _tell_run(audits: "list[Audit]", run: "AuditRun | None", opened: "Session") -> None:
    """Say with the step that tells most how many were looked at."""
    from harness.record import telling

    if run is None:
        return
    audits.sort(key=lambda audit: (audit.what_if is not None, audit.step))
    for told in telling([audit for audit in audits if audit.what_if is None]):
        index = audits.index(told)
        audits[index] = told.model_copy(update={"run": run})
        opened.keep(audits[index])


class _Shown(NamedTuple):
    """How much is printed."""

    verbose: bool
    quiet: bool


def _kinds(names: list[str]) -> "tuple[AuditKind, ...]":
    """Return kinds of findings by their names."""
    from harness.record import AuditKind

    known = [kind.value for kind in AuditKind]
    for name in names:
        if name not in known:
            remedy = did_you_mean(name, known)
            raise UsageError(rule=f"`--expect` takes a kind, {listed(known)}", value=f"`{name}`", remedy=remedy)
    return tuple(map(AuditKind, names))


def _mode(*, events: bool, balls: bool) -> "Mode":
    return "events" if events else "balls" if balls else "full"


def _formats(names: list[str]) -> "list[WhatIf]":
    """Return the formats of these names, each once."""
    from harness.record import WHAT_IF

    for name in names:
        if name not in WHAT_IF:
            remedy = did_you_mean(name, WHAT_IF)
            raise UsageError(rule=f"`--what-if` takes one of {listed(WHAT_IF)}", value=f"`{name}`", remedy=remedy)
    return cast("list[WhatIf]", list(dict.fromkeys(names)))


def _show(audits: "list[Audit]", written: dict[str, Path], *, shown: _Shown, early: str) -> None:
    from harness.record import audit_line, audit_text, run_lines, telling, trend_line, trends, write_atomically
    from harness.show.audit import AUDIT_WRITERS, wrapped

    width = console().width
    # A step that ended before there was anything to look at is said to have.
    looked_at = [one for one in audits if one.operations]
    for one in telling(looked_at):
        say(wrapped(audit_line(one) if shown.quiet else audit_text(one, everything=shown.verbose), width))
        steps = one.run.steps if one.run is not None else sum(other.title == one.title for other in audits)
        if steps > 1:
            say(f"this is step {one.step:,} of {steps:,}, {'the first' if one.findings else 'none'} with findings")
        for line in () if one.run is None else run_lines(one.run):
            say(wrapped(line, width))
    for trend in trends(looked_at)[:TRENDS]:
        say(wrapped(trend_line(trend), width))
    if early:
        say(early)
    for kind, file in written.items():
        write_atomically(file, AUDIT_WRITERS[kind](audits))
        say(f"{kind}: {file}")


audit.__doc__ = f"{audit.__doc__}\n{EXAMPLES}"
