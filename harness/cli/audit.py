"""The command ``audit``: which line of a training step goes numerically wrong, and how far the others are from it."""

from collections.abc import Iterator
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
    from harness.record import Audit, AuditKind
    from harness.record.audit import Mode, WhatIf
    from harness.work.carry_out import Hands

Option = typer.Option
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

    if events and sample is not None:
        remedy = "leave out `--events`: between the steps that are sampled it holds"
        raise UsageError(rule="`--sample` audits steps in full", value="`--events` beside it", remedy=remedy)
    if events and balls:
        raise UsageError(rule="one of `--events` and `--balls`", value="both", remedy="leave one out")
    of_each = (None, *_formats(what_if or []))
    plans = [AuditPlan(target, _mode(events=events, balls=balls), steps, sample, as_if) for as_if in of_each]
    expected = _kinds(expect or [])
    audits: list[Audit] = []
    stopped: list[str] = []
    would_stop: list[str] = []
    with session(run, fresh=fresh) as opened:
        with Ending(audits) as ending, progress() as bar:
            opened.plan(plans[0], steps, "step")
            task = bar.add_task("auditing", total=len(plans) * steps)
            for called in _audited(plans, means, stopped, would_stop):
                found = called.model_copy(update={"expected": expected})
                with undivided():
                    audits.append(found)
                    opened.keep(found)
                    opened.done += found.what_if is None
                bar.update(task, advance=1)
        opened.end(ending)
    for remark in opened.remarks:
        say(f"run: {remark}")
    written = {kind: file for kind, file in (("json", json), ("junit", junit), ("markdown", markdown)) if file}
    _show(audits, written, shown=_Shown(verbose=verbose, quiet=quiet), early=ending.early)
    for line in would_stop:
        say(line)
    ending.settle()
    if ending.code is not None:
        raise typer.Exit(ending.code)
    for reason in stopped:
        raise UsageError(rule="a step returns", value=f"one that {reason}", place=f"`{target}`")
    raise typer.Exit(int(any(one.unexpected or one.missing for one in audits)))


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


def _audited(plans: "list[AuditPlan]", means: Means, stopped: list[str], would_stop: list[str]) -> "Iterator[Audit]":
    """Yield what each call came to; what ended the step, or would, is the last that is said."""
    from harness.record.audit import in_format

    for planned in plans:
        ended: list[str] = []
        # Each is a process of its own: what one call has done to the weights is not what the next begins from.
        with means.hands(planned) as hands:
            yield from _called(planned, hands, ended)
        if planned.what_if is not None:
            would_stop += [f"{planned.name} as if {in_format(planned.what_if)} {reason}" for reason in ended]
        elif ended:
            stopped += ended
            return


def _called(planned: "AuditPlan", hands: "Hands", stopped: list[str]) -> "Iterator[Audit]":
    from harness.auditor.plan import audit_of

    for answer in hands.answers(range(len(hands.pieces))):
        if answer.said is None:
            stopped.append(_reason(str(answer.reason), planned.name))
            return
        found = audit_of(answer.said)
        if answer.said["raised"] is not None:
            stopped.append(answer.said["raised"])
        elif not found.ends:
            raise UsageError(
                rule="a step ends in a loss, gradients, an update or a tensor that it returns",
                value=f"none of these in {found.operations:,} operations",
                place=f"`{planned.target}`",
                remedy="call backward in it, or return what is to be looked at",
            )
        yield found
        if stopped:
            return


def _reason(reason: str, name: str) -> str:
    said = reason.removeprefix(f"{name} ")
    return f"{said}; `--first-call-seconds` gives it longer" if said.startswith("hangs") else said


def _show(audits: "list[Audit]", written: dict[str, Path], *, shown: _Shown, early: str) -> None:
    from harness.record import audit_line, audit_text, telling, trend_line, trends, write_atomically
    from harness.show.audit import AUDIT_WRITERS, wrapped

    width = console().width
    # A step that ended before there was anything to look at is said to have.
    looked_at = [one for one in audits if one.operations]
    for one in telling(looked_at):
        say(wrapped(audit_line(one) if shown.quiet else audit_text(one, everything=shown.verbose), width))
        if (steps := sum(other.title == one.title for other in audits)) > 1:
            say(f"this is step {one.step:,} of {steps:,}, {'the first' if one.findings else 'none'} with findings")
    for trend in trends(looked_at)[:TRENDS]:
        say(wrapped(trend_line(trend), width))
    if early:
        say(f"{early} after {len(audits):,} steps")
    for kind, file in written.items():
        write_atomically(file, AUDIT_WRITERS[kind](audits))
        say(f"{kind}: {file}")


audit.__doc__ = f"{audit.__doc__}\n{EXAMPLES}"
