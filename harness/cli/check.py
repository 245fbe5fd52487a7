"""The command ``check``: decide which laws of a target hold, and report the verdicts."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from harness.adoption.settings import checks_the_project
from harness.calling.target import OBJECTS
from harness.command import options, runner
from harness.command.option_groups import ExecutionOptions, takes_options, takes_question
from harness.command.options import Output, OutputFormat, console, reject_nothing, say, say_claim
from harness.command.panels import known_option, output_option, thorough_option
from harness.command.runner import Work, run_on_change
from harness.error import UsageError
from harness.exit_code import ExitCode
from harness.repair.proposal import FixOptions, Proposal, print_proposal, propose_fix_of_check
from harness.verdict.campaign import Campaign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.display.verdict_document import Results
    from harness.gate.release import Releases
    from harness.record import Fix, Property, Record, Verdict

Option = typer.Option


@checks_the_project
@takes_question()
@takes_options
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
    fixes: FixOptions,
    output: Output,
    execution: ExecutionOptions,
) -> None:
    r"""Check which mathematical laws an implementation satisfies.

    Examples
    --------
      harness check homework.py:softmax
      harness check homework.py:quick_gelu --formula 'x * sigmoid(1.702 * x)'
      harness check torch.nn.functional:softmax --call 'lambda f, x: f(x, dim=-1)'

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
      0  every law holds or fails as declared; lost digits are reported, but do
         not count
      1  a law is broken; with --strict, also lost digits or an undeclared
         property
    """
    reject_nothing(target, "check")
    if output.output_format is OutputFormat.SARIF and watch:
        raise UsageError("cannot use `--output-format sarif` together with `--watch`", remedy="leave one out")
    request = fixes.request(target)
    for folder in question.corpora:
        from harness.verdict.replay import reject_damaged

        reject_damaged(folder)
    declares = {**question.declares, **({"reference": reference} if reference else {})}
    campaign = replace(question, target=target, declares=declares).add_recheck()

    def run_check() -> int:
        from harness.display.verdict_document import Results

        verdicts: list[Verdict] = []
        properties: dict[object, Property] = {}
        proposal: Proposal | None = None
        decided_by: str | None = None
        noted = _make_annotator(target)

        def take(verdict: "Verdict", new: "list[Property]") -> "list[Record]":
            verdicts.append(verdict)
            return [verdict, *new]

        def work(check: Work) -> None:
            nonlocal decided_by
            kept: set[object] = set()
            with execution.backend(campaign, processes=_count_processes(campaign, execution)) as backend:
                pieces = backend.pieces
                decided_by = pieces[0].get("decided_by") if pieces else None
                late_seed = campaign.recheck_seed if any(piece.get("isolated") for piece in pieces) else None
                plan = replace(campaign, recheck_seed=None)
                check.begin("checking laws", len(pieces), plan, late_seed=late_seed)
                for verdict in map(noted, campaign.verdicts(backend, properties)):
                    new = [properties[key] for key in properties.keys() - kept]
                    kept |= properties.keys()
                    check.keep(f"{verdict.case} {verdict.law} [{verdict.dtype}]", take, verdict, new)
                    if fail_fast and verdict.status.fails:
                        check.ending.early = "stopped at the first failure"
                        break

        def keep(check: Work) -> "list[Fix]":
            nonlocal proposal
            proposal = None if request is None or check.early else propose_fix_of_check(request, campaign, verdicts)
            return [] if proposal is None else proposal.fixes

        def show(check: Work) -> int:
            found_fixes = [] if proposal is None else proposal.fixes
            results = Results(verdicts, list(properties.values()), check.early, target, found_fixes)
            _show(campaign, results, output, decided_by or "its name", verbose=verbose)
            if proposal is not None:
                print_proposal(proposal, output.output_format)
            if not verdicts and not check.early:
                raise UsageError(f"no law of `{target}` matches the options", remedy="see `harness list --laws`")
            if output.run is not None and not check.early:
                _record_picture(check, campaign, verdicts, execution)
            fails_strictly = any(record.fails(strict=campaign.strict) for record in properties.values())
            return _get_exit_code(verdicts) or int(fails_strictly)

        return runner.run(work, show, keep=keep, kept=verdicts, unit="verdict", output=output, seed=campaign.seed)

    raise typer.Exit(run_on_change(target, run_check) if watch else run_check())


def _make_annotator(target: str) -> "Callable[[Verdict], Verdict]":
    """Return a function that notes in a failing verdict with which release of torch the baseline has another one."""
    from harness.record import Status

    @cache
    def read_releases() -> "Releases | None":
        from harness.gate.release import Releases

        # The gate reports a baseline that cannot be read; a check does without it.
        with contextlib.suppress(UsageError):
            return Releases.read_target(target)
        return None

    def add_note(verdict: "Verdict") -> "Verdict":
        baseline = read_releases() if verdict.status.fails or verdict.status is Status.UNCLAIMED else None
        return verdict if baseline is None else baseline.add_releases(verdict)

    return add_note


def _get_exit_code(verdicts: "list[Verdict]") -> int:
    """Return 0 if everything is as declared, 1 if something fails, 2 if every law was skipped."""
    from harness.record import Status

    if all(verdict.status is Status.SKIPPED for verdict in verdicts):
        return ExitCode.NO_ANSWER
    return int(any(verdict.status.fails for verdict in verdicts))


def _count_processes(campaign: Campaign, execution: ExecutionOptions) -> int:
    """Return 1 for shipped cases, few laws and loaders, whose laws share the data that was read; otherwise 2."""
    if campaign.contract in OBJECTS:
        return 1
    if not (execution.isolate and campaign.is_foreign) or campaign.laws or campaign.example:
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(2, usable)


def _show(campaign: Campaign, results: "Results", output: Output, decided_by: str, *, verbose: bool) -> None:
    from harness.calling.discovery import explain_origin
    from harness.display.output_format import WRITERS, format_check
    from harness.display.verdict import print_properties, print_verdicts
    from harness.wording.finding import glossary_line, unclaimed_line
    from harness.wording.verdict import census_line, verdict_line

    # A replay is about a single example, so it shows the whole record.
    in_full = verbose or campaign.example is not None
    verdicts, properties, early, *_ = results
    with output.written(lambda kind: WRITERS[kind](results)) as written:
        if not output.is_full:
            say(*format_check(output.output_format, results))
            return
        say_claim(campaign.target, campaign.contract, (verdict.contract for verdict in verdicts), decided_by)
        print_properties(console(), properties)
        print_verdicts(console(), verdicts, single=":" in campaign.target, verbose=in_full, early=early)
        place = explain_origin(campaign.target)
        name = f"{campaign.target} ({place})" if place else campaign.target
        census = census_line(verdicts).replace("checked: ", f"checked: {name}, ", 1)
        verdict = verdict_line(verdicts, early)
        say(*written, *filter(None, (census, verdict, unclaimed_line(verdicts), glossary_line(verdicts))))


DEFAULT_DTYPE = "float32"
"""The dtype of the picture, if no law is broken in another one only."""


def _record_picture(
    check: Work, campaign: Campaign, verdicts: "Sequence[Verdict]", execution: ExecutionOptions
) -> None:
    """Record the results of one function along rays for the report, unless the check was about chosen laws only."""
    if not campaign.is_single or campaign.laws or campaign.example:
        return
    from harness.surveyor.plan import Survey

    broken = [verdict.dtype for verdict in verdicts if verdict.violation is not None and verdict.status.fails]
    dtypes = broken or list(campaign.dtypes) or [verdict.dtype for verdict in verdicts]
    dtype = DEFAULT_DTYPE if DEFAULT_DTYPE in dtypes or not dtypes else dtypes[0]
    claims = (campaign.target, campaign.contract, campaign.declares, campaign.breaks, campaign.call)
    planned = Survey(*claims, laws=("value",), dtypes=(dtype,), batches=0, seed=campaign.first_seed)
    # A contract without rays, such as that of a loader, has no picture.
    with contextlib.suppress(UsageError), execution.backend(planned) as backend:
        for trace in list(planned.traces(backend)):
            check.opened.keep(trace)
    check.opened.sync()
    check.opened.end(check.ending)
