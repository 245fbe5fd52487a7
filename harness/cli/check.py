"""The command ``check``: decide which laws of a target hold, and report the verdicts."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.calling.target import OBJECTS
from harness.cli import options
from harness.cli.adoption.settings import checks_the_project
from harness.cli.fix import FixOption, UnsafeFixesOption, WriteOption, fix_of_check, fixing, tell
from harness.cli.option_groups import ExecutionOptions, takes_execution_options, takes_question
from harness.cli.options import OutputFormat, console, files_written, progress, reject_nothing, say, say_claim, session
from harness.cli.panels import epilog, known_option, output_option, thorough_option
from harness.cli.picture import record_picture
from harness.error import UsageError, printable
from harness.execution.interrupt import INTERRUPTED, Ending, uninterruptible
from harness.verdict.campaign import Campaign
from harness.wording.number import count

if TYPE_CHECKING:
    from harness.cli.session import Session
    from harness.display.verdict_document import Results
    from harness.gate.release import Releases
    from harness.record import Property, Verdict

Option = typer.Option
EPILOG = epilog(
    """
  harness check homework.py:softmax
  harness check homework.py:quick_gelu --formula 'x * sigmoid(1.702 * x)'
  harness check torch.nn.functional:softmax --call 'lambda f, x: f(x, dim=-1)'
""",
    r"""
More examples:
  the targets of [tool.harness] in pyproject.toml
    harness check
  the shipped cases
    harness check cases
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


@checks_the_project
@takes_question()
@takes_execution_options
def check(
    target: options.TargetArgument,
    *,
    question: Campaign,
    watch: Annotated[bool, Option("--watch", help="Check again each time the file is saved.")] = False,
    reference: Annotated[
        str | None,
        known_option(
            help="For a data loader: function that returns the correct sample for an index.", metavar="FILE.py:FUNCTION"
        ),
    ] = None,
    fail_fast: Annotated[bool, thorough_option("--fail-fast", help="Stop at the first failure.")] = False,
    verbose: Annotated[
        bool, output_option("--verbose", "-v", help="Show every law, and each finding with its example.")
    ] = False,
    fix: FixOption = False,
    write: WriteOption = False,
    unsafe_fixes: UnsafeFixesOption = False,
    run: options.RunOption = None,
    fresh: options.FreshOption = False,
    json: options.JsonOption = None,
    junit: options.JunitOption = None,
    markdown: options.MarkdownOption = None,
    output_format: options.OutputFormatOption = OutputFormat.FULL,
    execution: ExecutionOptions,
) -> None:
    """Check which mathematical laws an implementation satisfies."""
    reject_nothing(target, "check")
    if output_format is OutputFormat.SARIF and watch:
        raise UsageError("cannot use `--output-format sarif` together with `--watch`", remedy="leave one out")
    has_fix = fix or write or unsafe_fixes
    fix_request = fixing(target, fix=fix, write=write, unsafe=unsafe_fixes) if has_fix else None
    for folder in question.corpora:
        from harness.verdict.replay import reject_damaged

        reject_damaged(folder)
    declares = {**question.declares, **({"reference": reference} if reference else {})}
    campaign = replace(question, target=target, declares=declares).rechecked()
    files = {"json": json, "junit": junit, "markdown": markdown}

    def checked() -> int:
        with session(run, campaign.seed, fresh=fresh) as opened:
            return _checked(opened)

    def _checked(opened: "Session") -> int:
        from harness.display.verdict_document import Results

        verdicts: list[Verdict] = []
        properties: dict[object, Property] = {}
        printed: set[object] = set()
        noted = _noting(target)
        total = 0
        processes = _processes(campaign, execution)
        with Ending(verdicts) as ending, execution.backend(campaign, processes=processes) as backend, progress() as bar:
            decided_by = backend.pieces[0].get("decided_by") if backend.pieces else None
            total, isolated = len(backend.pieces), any(piece.get("isolated") for piece in backend.pieces)
            late_seed = campaign.recheck_seed if isolated else None
            opened.plan(replace(campaign, recheck_seed=None), total, "verdict", late_seed=late_seed)
            task = bar.add_task("checking laws", total=total)
            for found_verdict in campaign.verdicts(backend, properties):
                verdict = noted(found_verdict)
                with uninterruptible():
                    verdicts.append(verdict)
                    opened.keep(verdict)
                    for key in properties.keys() - printed:
                        opened.keep(properties[key])
                    printed |= properties.keys()
                    opened.done += 1
                bar.update(task, advance=1, description=f"{verdict.case} {verdict.law} [{verdict.dtype}]")
                if fail_fast and verdict.status.fails:
                    ending.early = "stopped at the first failure"
                    break
        opened.end(ending)
        for remark in opened.remarks:
            typer.echo(printable(f"run: {remark}"), err=output_format is not OutputFormat.FULL)
        early = _early(ending, len(verdicts), total)
        proposal = None if fix_request is None or early else fix_of_check(fix_request, campaign, verdicts)
        fixes = [] if proposal is None else proposal.fixes
        for found in fixes:
            opened.keep(found)
        results = Results(verdicts, list(properties.values()), early, target, fixes)
        _show(campaign, results, files, output_format, decided_by or "its name", verbose=verbose)
        if proposal is not None:
            tell(proposal, output_format)
        ending.settle()
        if ending.code is not None:
            return ending.code
        if not verdicts:
            raise UsageError(f"no law of `{target}` matches the options", remedy="see `harness list --laws`")
        if run is not None and not early:
            record_picture(opened, ending, campaign, verdicts, execution)
        fails_strictly = any(one.fails(strict=campaign.strict) for one in properties.values())
        return _code(verdicts) or int(fails_strictly)

    raise typer.Exit(on_each_change(target, checked) if watch else checked())


def _noting(target: str) -> "Callable[[Verdict], Verdict]":
    """Return a function that notes in a failing verdict with which release of torch the baseline has another one."""
    from harness.record import Status

    @cache
    def releases() -> "Releases | None":
        from harness.gate.release import Releases

        # The gate reports a baseline that cannot be read; a check does without it.
        with contextlib.suppress(UsageError):
            return Releases.of_target(target)
        return None

    def noted(verdict: "Verdict") -> "Verdict":
        known = releases() if verdict.status.fails or verdict.status is Status.UNCLAIMED else None
        return verdict if known is None else known.noted(verdict)

    return noted


def _early(ending: Ending, done: int, total: int) -> str:
    """Return how the check ended early, as the head of the run states it; empty if it did not."""
    return f"{ending.early} after {done:,} of {count(total, 'verdict')}" if ending.early else ""


def _code(verdicts: "list[Verdict]") -> int:
    """Return 0 if everything is as declared, 1 if something fails, 2 if every law was skipped."""
    from harness.record import Status

    if all(verdict.status is Status.SKIPPED for verdict in verdicts):
        return 2
    return int(any(verdict.status.fails for verdict in verdicts))


def _processes(campaign: Campaign, execution: ExecutionOptions) -> int:
    """Return 1 for shipped cases, few laws and loaders, whose laws share the data that was read; otherwise 2."""
    if campaign.contract in OBJECTS:
        return 1
    if not (execution.isolate and campaign.is_foreign) or campaign.laws or campaign.example:
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(2, usable)


def _show(
    campaign: Campaign,
    results: "Results",
    files: dict[str, Path | None],
    form: OutputFormat,
    decided_by: str,
    *,
    verbose: bool,
) -> None:
    from harness.calling.discovery import whence
    from harness.display.output_format import lines_of
    from harness.display.verdict import print_properties, print_verdicts
    from harness.display.verdict_document import WRITERS
    from harness.wording import census_line, glossary_line, unclaimed_line, verdict_line

    # A replay is about a single example, so it shows the whole record.
    in_full = verbose or campaign.example is not None
    verdicts, properties, early, *_ = results
    with files_written(files, lambda kind: WRITERS[kind](results)) as written:
        if form is not OutputFormat.FULL:
            say(*lines_of(form, results))
            return
        say_claim(campaign.target, campaign.contract, (verdict.contract for verdict in verdicts), decided_by)
        print_properties(console(), properties)
        print_verdicts(console(), verdicts, single=":" in campaign.target, verbose=in_full, early=early)
        place = whence(campaign.target)
        name = f"{campaign.target} ({place})" if place else campaign.target
        census = census_line(verdicts).replace("checked: ", f"checked: {name}, ", 1)
        verdict = verdict_line(verdicts, early)
        say(*written, *filter(None, (census, verdict, unclaimed_line(verdicts), glossary_line(verdicts))))


WAIT_S = 0.1
"""Longest delay in seconds until a save is noticed."""


def on_each_change(target: str, checked: Callable[[], int], *, until: int | None = None) -> int:
    """Check now and after each save of the file, until interrupted or until an exit code; return the last one."""
    file = Path(target.partition(":")[0])
    if not target.partition(":")[2] or file.suffix != ".py":
        raise UsageError(f"cannot watch `{target}`", rule="`--watch` needs `file.py:function`")
    seen, code = _stamp(file), _survived(checked)
    try:
        while code not in {until, INTERRUPTED}:
            say(f"watching {file}; press Ctrl-C to stop")
            while (stamp := _stamp(file)) in {seen, None}:
                time.sleep(WAIT_S)
            seen, code = stamp, _survived(checked)
    except KeyboardInterrupt as interrupt:
        # Ctrl-C is the usual end of a watch; other signals end the command.
        if {*interrupt.args} - {signal.SIGINT}:
            raise
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
