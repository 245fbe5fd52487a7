"""The command ``check``: a target's laws are decided, shown, and written where the user says."""

import contextlib
import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.calling.discovery import OBJECTS
from harness.cli.means import Means, takes_means
from harness.cli.options import (
    CallOption,
    FormOption,
    FormulaOption,
    InputOption,
    OverOption,
    RunOption,
    TargetArgument,
    claimed_contract,
    complete_contract,
    complete_law,
    console,
    conventions,
    declared_breaks,
    names,
    progress,
    say,
    say_claim,
    session,
)
from harness.error import UsageError
from harness.record import SEED
from harness.record.text import count
from harness.work.ending import Ending
from harness.work.interrupt import undivided

if TYPE_CHECKING:
    from harness.cli.session import Session
    from harness.record import Property, Verdict
    from harness.verdict.campaign import Campaign

Option = typer.Option
EXAMPLES = """
\b
Examples:
  the cases of the chapter
    harness check
  one function in a file; again each time the file is saved
    harness check homework.py:softmax
    harness check homework.py:softmax --watch
  one whose name says no contract
    harness check homework.py:attention_weights --contract softmax
  one that no contract is about, against its mathematics
    harness check homework.py:quick_gelu --formula 'x * sigmoid(1.702 * x)'
  one of an installed package, called as its signature asks
    harness check torch.nn.functional:softmax --contract softmax \\
      --call 'lambda f, x: f(x, dim=-1)'
  one that computes on NumPy arrays
    harness check scipy.special:expit --contract sigmoid --call numpy
    harness check jax.nn:softmax --call 'jax(axis=-1)'
  a convention in which the contract leaves a choice
    harness check homework.py:loss --contract squared_error \\
      --declare factor=0.5
  a failure that is known
    harness check homework.py:softmax --contract softmax \\
      --breaks 'value_on_long_rows:float16=the sum overflows'

\b
Exit codes:
  0  every law holds, fails as declared, or loses digits that careful
     implementations lose too
  1  something is broken; under --strict, digits are lost or
     a property was not declared
  2  the question could not be answered
"""
"""What ``--help`` says at its end."""


@takes_means
def check(
    target: TargetArgument = "cases",
    contract: Annotated[
        str | None,
        Option(help="Contract that the function claims; else its name says it.", autocompletion=complete_contract),
    ] = None,
    formula: FormulaOption = None,
    form: FormOption = None,
    input_: InputOption = None,
    over: OverOption = "rows",
    call: CallOption = None,
    declare: Annotated[list[str] | None, Option(help="Convention or policy of the function, NAME=VALUE.")] = None,
    reference: Annotated[
        str | None,
        Option(help="Of a loader, what gives each sample as it should be, by its index.", metavar="FILE.py:FUNCTION"),
    ] = None,
    breaks: Annotated[
        list[str] | None,
        Option(help="A failure that is known, LAW[:DTYPE,...][=REASON]."),
    ] = None,
    law: Annotated[
        list[str] | None,
        Option(help="Only this law; may be given several times.", autocompletion=complete_law),
    ] = None,
    dtypes: Annotated[str | None, Option(help="Only these, comma-separated.")] = None,
    devices: Annotated[str, Option(help="Where it computes: cpu, or cpu,cuda where there is one.")] = "cpu",
    examples: Annotated[int | None, Option(min=1, help="Hypothesis examples a law.")] = None,
    seed: Annotated[
        int | None,
        Option(min=0, help="Seed of the draws; else a fixed one, and one drawn anew for what is asked late."),
    ] = None,
    corpus: Annotated[Path | None, Option(help="Folder of counterexamples of your own, tried first too.")] = None,
    replay: Annotated[bool, Option(help="Try the counterexamples that were found before first.")] = True,
    example: Annotated[str | None, Option(help="Measure this one example, as a replay prints it.")] = None,
    seconds: Annotated[float | None, Option(min=0.01, help="After how many a law draws no more examples.")] = None,
    strict: Annotated[bool, Option("--strict", help="Take lost digits and undeclared properties for defects.")] = False,
    verbose: Annotated[
        bool, Option("--verbose", "-v", help="Show every law, and every finding in full with its example.")
    ] = False,
    fail_fast: Annotated[bool, Option("--fail-fast", help="Stop at the first failure.")] = False,
    run: RunOption = None,
    fresh: Annotated[bool, Option("--fresh", help="Clear the run first.")] = False,
    json: Annotated[Path | None, Option(help="Write the verdicts as JSON.")] = None,
    junit: Annotated[Path | None, Option(help="Write them as JUnit XML.")] = None,
    markdown: Annotated[Path | None, Option(help="Write them as Markdown.")] = None,
    watch: Annotated[bool, Option("--watch", help="Check again each time the file is saved.")] = False,
    *,
    means: Means,
) -> None:
    """Check which laws hold: of the shipped cases, of a package of cases, or of one function."""
    from harness.verdict.campaign import Campaign

    if corpus is not None:
        from harness.record.corpus import refuse_damaged

        refuse_damaged(corpus)
    campaign = Campaign(
        target,
        claimed_contract(contract, formula, form, input_, over),
        declares={**conventions(declare or []), **({"reference": reference} if reference else {})},
        breaks=declared_breaks(breaks or []),
        call=call,
        laws=tuple(law or ()),
        dtypes=names(dtypes),
        devices=names(devices),
        examples=examples,
        seconds=seconds,
        seed=SEED if seed is None else seed,
        late=_late(seed, example),
        replay=replay,
        corpus=corpus,
        example=example,
        strict=strict,
    )
    written = {kind: file for kind, file in (("json", json), ("junit", junit), ("markdown", markdown)) if file}

    def checked() -> int:
        with session(run, seed, fresh=fresh) as opened:
            return _checked(opened)

    def _checked(opened: "Session") -> int:
        verdicts: list[Verdict] = []
        properties: dict[object, Property] = {}
        kept: set[object] = set()
        total = 0
        processes = _processes(campaign, means)
        with Ending(verdicts) as ending, means.hands(campaign, processes=processes) as hands, progress() as bar:
            total, apart = len(hands.pieces), any(piece.get("apart") for piece in hands.pieces)
            opened.plan(replace(campaign, late=None), total, "law", late_seed=campaign.late if apart else None)
            task = bar.add_task("checking laws", total=total)
            for verdict in campaign.verdicts(hands, properties):
                with undivided():
                    verdicts.append(verdict)
                    opened.keep(verdict)
                    for key in properties.keys() - kept:
                        opened.keep(properties[key])
                    kept |= properties.keys()
                    opened.done += 1
                bar.update(task, advance=1, description=f"{verdict.case} {verdict.law} [{verdict.dtype}]")
                if fail_fast and verdict.status.fails:
                    ending.early = "stopped at the first failure"
                    break
        opened.end(ending)
        for remark in opened.remarks:
            say(f"run: {remark}")
        early = _early(ending, len(verdicts), total)
        _show(campaign, verdicts, list(properties.values()), early, written, verbose=verbose)
        ending.settle()
        if ending.code is not None:
            return ending.code
        if not verdicts:
            raise UsageError(rule="at least one law is checked", value="none that matches", place=f"`{target}`")
        fails_strictly = any(one.fails(strict=strict) for one in properties.values())
        return _code(verdicts) or int(fails_strictly)

    raise typer.Exit(again_and_again(target, checked) if watch else checked())


def _late(seed: int | None, example: str | None) -> int | None:
    """The seed of what is asked late: the user's own, or one that nobody could know."""
    if example is not None:
        return None
    return secrets.randbelow(2**31) if seed is None else seed


def _early(ending: Ending, done: int, total: int) -> str:
    """How the check ended before its time, as the run's head has it; empty where it did not."""
    return f"{ending.early} after {done:,} of {count(total, 'law')}" if ending.early else ""


def _code(verdicts: "list[Verdict]") -> int:
    """0 where everything is as declared, 1 where something fails, 2 where nothing could be said."""
    from harness.record import Status

    if all(verdict.status is Status.SKIPPED for verdict in verdicts):
        return 2
    return int(any(verdict.status.fails for verdict in verdicts))


def _processes(campaign: "Campaign", means: Means) -> int:
    """One for the shipped cases, for few laws, and for loaders, whose laws share what is read; else two that start."""
    if campaign.contract in OBJECTS:
        return 1
    if not (means.isolate and campaign.is_foreign) or campaign.laws or campaign.example:
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(2, usable)


def _show(
    campaign: "Campaign",
    verdicts: "list[Verdict]",
    properties: "list[Property]",
    early: str,
    written: dict[str, Path],
    *,
    verbose: bool,
) -> None:
    from harness.calling.own_cases import whence
    from harness.record import census_line, unclaimed_line, verdict_line, write_atomically
    from harness.show.document import WRITERS
    from harness.show.verdict import print_properties, print_verdicts

    # A replay is asked for what the record says of its one example.
    in_full = verbose or campaign.example is not None
    say_claim(campaign.target, campaign.contract, (verdict.contract for verdict in verdicts))
    print_properties(console(), properties)
    print_verdicts(console(), verdicts, single=":" in campaign.target, verbose=in_full, early=early)
    for kind, file in written.items():
        write_atomically(file, WRITERS[kind](verdicts, properties, early))
        say(f"{kind}: {file}")
    place = whence(campaign.target)
    what = f"{campaign.target} ({place})" if place else campaign.target
    say(census_line(verdicts).replace("checked: ", f"checked: {what}, ", 1))
    say(verdict_line(verdicts, early))
    if unclaimed := unclaimed_line(verdicts):
        say(unclaimed)


WAIT_MS = 500
"""Longest time in which a save is not noticed."""


def again_and_again(target: str, checked: Callable[[], int]) -> int:
    """Check now and after each time the file was saved, until interrupted; return the last exit code."""
    from watchfiles import watch

    file = Path(target.partition(":")[0])
    if not target.partition(":")[2] or file.suffix != ".py":
        raise UsageError(
            rule="`--watch` waits for a file to be saved", value=f"`{target}`", remedy="name `file.py:function`"
        )
    seen, code = _stamp(file), _survived(checked)
    say(f"watching {file}; Ctrl-C ends it")
    with contextlib.suppress(KeyboardInterrupt):
        for _ in watch(file.parent, recursive=False, yield_on_timeout=True, rust_timeout=WAIT_MS):
            # The file decides, not the event: none tells of what was saved while it was being checked.
            if (stamp := _stamp(file)) not in {seen, None}:
                seen, code = stamp, _survived(checked)
                say(f"watching {file}; Ctrl-C ends it")
    return code


def _stamp(file: Path) -> tuple[int, int] | None:
    """Return what changes when a file is saved; ``None`` while there is none."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def _survived(checked: Callable[[], int]) -> int:
    """Check once; what cannot be answered, such as a file that does not parse for now, is said and waited out."""
    try:
        return checked()
    except UsageError as error:
        say(f"harness: {error}")
        return 2


check.__doc__ = f"{check.__doc__}\n{EXAMPLES}"
