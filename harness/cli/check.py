"""The command ``check``: decide which laws of a target hold, and report the verdicts."""

import contextlib
import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.calling.discovery import OBJECTS
from harness.cli.execution_options import ExecutionOptions, takes_execution_options
from harness.cli.fix import fixing, propose
from harness.cli.options import (
    BreaksOption,
    CallOption,
    ClaimedDtypesOption,
    ContractOption,
    DeclareOption,
    FormOption,
    FormulaOption,
    FreshOption,
    InputOption,
    JsonOption,
    JunitOption,
    MarkdownOption,
    OverOption,
    RunOption,
    TargetArgument,
    claimed_contract,
    complete_law,
    console,
    conventions,
    declared_breaks,
    files_written,
    names,
    progress,
    refuse_nothing,
    say,
    say_claim,
    session,
)
from harness.cli.panels import CALLING, FIXES, KNOWN, OUTPUT, THOROUGH, epilog
from harness.cli.picture import record_picture
from harness.error import UsageError
from harness.execution.ending import Ending
from harness.execution.interrupt import uninterruptible
from harness.record import SEED
from harness.wording.number import count

if TYPE_CHECKING:
    from harness.cli.session import Session
    from harness.record import Property, Verdict
    from harness.verdict.campaign import Campaign

Option = typer.Option
EPILOG = epilog(
    """
  harness check homework.py:softmax
  harness check homework.py:quick_gelu --formula 'x * sigmoid(1.702 * x)'
  harness check torch.nn.functional:softmax --call 'lambda f, x: f(x, dim=-1)'
""",
    r"""
More examples:
  the shipped cases
    harness check
  one function, again each time its file is saved
    harness check homework.py:softmax --watch
  a verified fix, as a diff; --write applies it
    harness check homework.py:softmax --fix
  a function whose name is not the name of a contract
    harness check homework.py:attention_weights --contract softmax
  a function that computes on NumPy or JAX arrays
    harness check scipy.special:expit --contract sigmoid --call numpy
    harness check jax.nn:softmax --call 'jax(axis=-1)'
  a convention that the contract leaves open
    harness check homework.py:loss --contract squared_error \
      --declare factor=0.5
  a known failure
    harness check homework.py:softmax --contract softmax \
      --breaks 'value_on_long_rows:float16=the sum overflows'

Exit codes:
  0  every law holds or fails as declared; lost digits are reported, but
     do not count
  1  a law is broken; with --strict, also lost digits or an undeclared
     property
  2  the question could not be answered
""",
)
"""Examples and exit codes of ``--help``."""


@takes_execution_options
def check(
    target: TargetArgument = "cases",
    contract: ContractOption = None,
    formula: FormulaOption = None,
    dtypes: ClaimedDtypesOption = None,
    law: Annotated[
        list[str] | None, Option(help="Check only this law.", metavar="NAME", autocompletion=complete_law)
    ] = None,
    watch: Annotated[bool, Option("--watch", help="Check again each time the file is saved.")] = False,
    call: CallOption = None,
    devices: Annotated[
        str,
        Option(help="Devices, comma-separated: cpu, or cpu,cuda.", metavar="NAME,...", rich_help_panel=CALLING),
    ] = "cpu",
    form: FormOption = None,
    input_: InputOption = None,
    over: OverOption = "rows",
    declare: DeclareOption = None,
    breaks: BreaksOption = None,
    reference: Annotated[
        str | None,
        Option(
            help="For a data loader: function that returns the correct sample for an index.",
            metavar="FILE.py:FUNCTION",
            rich_help_panel=KNOWN,
        ),
    ] = None,
    examples: Annotated[
        int | None,
        Option(
            min=1,
            help="Hypothesis examples for each law.",
            show_default="set by the contract",
            metavar="N",
            rich_help_panel=THOROUGH,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        Option(
            min=0.01,
            help="Time limit for each law, in seconds.",
            show_default="none",
            metavar="SECONDS",
            rich_help_panel=THOROUGH,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        Option(
            min=0,
            help="Random seed.",
            show_default="fixed; final re-checks use a new one",
            metavar="N",
            rich_help_panel=THOROUGH,
        ),
    ] = None,
    replay: Annotated[
        bool, Option(help="Try the counterexamples of earlier checks first.", rich_help_panel=THOROUGH)
    ] = True,
    corpus: Annotated[
        Path | None,
        Option(
            help="Folder with your own counterexamples, which are also tried first.",
            metavar="FOLDER",
            rich_help_panel=THOROUGH,
        ),
    ] = None,
    example: Annotated[
        str | None,
        Option(
            help="Check only this example, as the `replay` line of a finding gives it.",
            metavar="JSON",
            rich_help_panel=THOROUGH,
        ),
    ] = None,
    strict: Annotated[
        bool,
        Option("--strict", help="Fail on lost digits and on undeclared properties.", rich_help_panel=THOROUGH),
    ] = False,
    fail_fast: Annotated[
        bool, Option("--fail-fast", help="Stop at the first failure.", rich_help_panel=THOROUGH)
    ] = False,
    verbose: Annotated[
        bool,
        Option("--verbose", "-v", help="Show every law, and each finding with its example.", rich_help_panel=OUTPUT),
    ] = False,
    fix: Annotated[
        bool,
        Option("--fix", help="Show a fix of the first finding that the laws have verified.", rich_help_panel=FIXES),
    ] = False,
    write: Annotated[bool, Option("--write", help="Apply the fix to the file.", rich_help_panel=FIXES)] = False,
    unsafe_fixes: Annotated[
        bool,
        Option(
            "--unsafe-fixes",
            help="Also try fixes that change the function, such as n - 1 to n.",
            rich_help_panel=FIXES,
        ),
    ] = False,
    run: RunOption = None,
    fresh: FreshOption = False,
    json: JsonOption = None,
    junit: JunitOption = None,
    markdown: MarkdownOption = None,
    *,
    execution: ExecutionOptions,
) -> None:
    """Check which mathematical laws an implementation satisfies."""
    from harness.verdict.campaign import Campaign

    refuse_nothing(target, "check")
    asked = fixing(target, fix=fix, write=write, unsafe=unsafe_fixes)
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
        recheck_seed=_recheck_seed(seed, example),
        replay=replay,
        corpus=corpus,
        example=example,
        strict=strict,
    )
    files = {"json": json, "junit": junit, "markdown": markdown}

    def checked() -> int:
        with session(run, seed, fresh=fresh) as opened:
            return _checked(opened)

    def _checked(opened: "Session") -> int:
        verdicts: list[Verdict] = []
        properties: dict[object, Property] = {}
        kept: set[object] = set()
        total = 0
        processes = _processes(campaign, execution)
        with Ending(verdicts) as ending, execution.backend(campaign, processes=processes) as backend, progress() as bar:
            total, isolated = len(backend.pieces), any(piece.get("isolated") for piece in backend.pieces)
            opened.plan(
                replace(campaign, recheck_seed=None),
                total,
                "verdict",
                late_seed=campaign.recheck_seed if isolated else None,
            )
            task = bar.add_task("checking laws", total=total)
            for verdict in campaign.verdicts(backend, properties):
                with uninterruptible():
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
        _show(campaign, verdicts, list(properties.values()), early, files, verbose=verbose)
        if asked is not None and not early:
            propose(asked, campaign, verdicts)
        ending.settle()
        if ending.code is not None:
            return ending.code
        if not verdicts:
            raise UsageError(f"no law of `{target}` matches the options", remedy="see `harness list --laws`")
        if run is not None and not early:
            record_picture(opened, ending, campaign, verdicts, execution)
        fails_strictly = any(one.fails(strict=strict) for one in properties.values())
        return _code(verdicts) or int(fails_strictly)

    raise typer.Exit(again_and_again(target, checked) if watch else checked())


def _recheck_seed(seed: int | None, example: str | None) -> int | None:
    """Return the seed of the final re-check: the user's own, or an unpredictable one."""
    if example is not None:
        return None
    return secrets.randbelow(2**31) if seed is None else seed


def _early(ending: Ending, done: int, total: int) -> str:
    """Return how the check ended early, as the head of the run states it; empty if it did not."""
    return f"{ending.early} after {done:,} of {count(total, 'verdict')}" if ending.early else ""


def _code(verdicts: "list[Verdict]") -> int:
    """Return 0 if everything is as declared, 1 if something fails, 2 if every law was skipped."""
    from harness.record import Status

    if all(verdict.status is Status.SKIPPED for verdict in verdicts):
        return 2
    return int(any(verdict.status.fails for verdict in verdicts))


def _processes(campaign: "Campaign", execution: ExecutionOptions) -> int:
    """Return 1 for shipped cases, few laws and loaders, whose laws share the data that was read; otherwise 2."""
    if campaign.contract in OBJECTS:
        return 1
    if not (execution.isolate and campaign.is_foreign) or campaign.laws or campaign.example:
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(2, usable)


def _show(
    campaign: "Campaign",
    verdicts: "list[Verdict]",
    properties: "list[Property]",
    early: str,
    files: dict[str, Path | None],
    *,
    verbose: bool,
) -> None:
    from harness.calling.own_cases import whence
    from harness.display.document import WRITERS
    from harness.display.verdict import print_properties, print_verdicts
    from harness.wording import census_line, glossary_line, unclaimed_line, verdict_line

    # A replay is about a single example, so it shows the whole record.
    in_full = verbose or campaign.example is not None
    with files_written(files, lambda kind: WRITERS[kind](verdicts, properties, early)) as written:
        say_claim(campaign.target, campaign.contract, (verdict.contract for verdict in verdicts))
        print_properties(console(), properties)
        print_verdicts(console(), verdicts, single=":" in campaign.target, verbose=in_full, early=early)
        place = whence(campaign.target)
        what = f"{campaign.target} ({place})" if place else campaign.target
        census = census_line(verdicts).replace("checked: ", f"checked: {what}, ", 1)
        verdict = verdict_line(verdicts, early)
        for line in (*written, census, verdict, unclaimed_line(verdicts), glossary_line(verdicts)):
            if line:
                say(line)


WAIT_MS = 500
"""Longest delay in milliseconds until a save is noticed."""


def again_and_again(target: str, checked: Callable[[], int], *, until: int | None = None) -> int:
    """Check now and after each save of the file, until interrupted or until an exit code; return the last one."""
    from watchfiles import watch

    file = Path(target.partition(":")[0])
    if not target.partition(":")[2] or file.suffix != ".py":
        raise UsageError(f"cannot watch `{target}`", rule="`--watch` needs `file.py:function`")
    seen, code = _stamp(file), _survived(checked)
    if code == until:
        return code
    say(f"watching {file}; press Ctrl-C to stop")
    with contextlib.suppress(KeyboardInterrupt):
        for _ in watch(file.parent, recursive=False, yield_on_timeout=True, rust_timeout=WAIT_MS):
            # Compare the file itself, because events during a check are lost.
            if (stamp := _stamp(file)) not in {seen, None}:
                seen, code = stamp, _survived(checked)
                if code == until:
                    break
                say(f"watching {file}; press Ctrl-C to stop")
    return code


def _stamp(file: Path) -> tuple[int, int] | None:
    """Return values that change when a file is saved; ``None`` while it does not exist."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def _survived(checked: Callable[[], int]) -> int:
    """Check once; print a usage error, such as a syntax error in the file, and keep watching."""
    try:
        return checked()
    except UsageError as error:
        say(f"harness: {error}")
        return 2
