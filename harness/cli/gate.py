"""The command ``gate``: decide whether a change may replace its baseline."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from harness.cli.adoption.settings import baseline_file, cases_of, gated
from harness.cli.options import (
    CasesArgument,
    ContractOption,
    DataOption,
    JsonOption,
    JunitOption,
    MarkdownOption,
    console,
    files_written,
    progress,
    run_folder,
    say,
    session,
)
from harness.cli.panels import OUTPUT, THOROUGH, epilog
from harness.error import UsageError, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.cli.adoption.settings import Project
    from harness.gate.policy import Policy
    from harness.record import GateFinding, RunFolder

Option = typer.Option
SUMMARY = "GITHUB_STEP_SUMMARY"
"""Environment variable with the file of a CI job's summary."""

EPILOG = epilog(
    """
  harness gate --run report
  harness gate --run report --update
  harness gate --against main
""",
    """
More examples:
  laws, breaking points and deviations of a new run against the baseline
    harness check --run report
    harness gate --run report
  accept the changes: make the run the new baseline
    harness gate --run report --update
  the time of every case against the previous commit
    harness gate --against HEAD~1
  the time of a branch against the commit where it left main, in a minute
    harness gate --against main --budget 60

Exit codes:
  0  pass
  1  something got worse
  2  no verdict: a case is gone or no longer measured, nothing was
     compared, or the measurement is not reliable
  3  inconclusive, with --strict
""",
)
"""Examples and exit codes of ``--help``."""

RUN = "gate"
"""Default run if only time is measured."""


class Place(NamedTuple):
    """The location of the baseline: the project, and the file from the command line."""

    root: Path
    named: Path | None


def gate(
    target: CasesArgument = None,
    run: Annotated[
        str | None, Option("--run", help="Run whose numerics are compared with the baseline.", metavar="RUN")
    ] = None,
    against: Annotated[
        str | None,
        Option(
            help="Commit, branch or tag whose time is compared. For a branch, the commit where yours left it.",
            metavar="REF",
        ),
    ] = None,
    update: Annotated[bool, Option("--update", help="Make the run the new baseline.")] = False,
    baseline: Annotated[
        Path | None, Option(help="File of the baseline.", show_default="from pyproject.toml", metavar="FILE")
    ] = None,
    contract: ContractOption = None,
    data: DataOption = None,
    budget: Annotated[
        float | None,
        Option(
            min=1.0,
            help="Time limit for the time measurement in seconds, start-up included (10 s, or more on a busy machine).",
            show_default="from pyproject.toml",
            metavar="SECONDS",
            rich_help_panel=THOROUGH,
        ),
    ] = None,
    seed: Annotated[
        int, Option(min=0, help="Random seed for the order of measurements.", metavar="N", rich_help_panel=THOROUGH)
    ] = 0,
    strict: Annotated[
        bool,
        Option("--strict", help="Exit with code 3 if a comparison is inconclusive.", rich_help_panel=THOROUGH),
    ] = False,
    allow_noise: Annotated[
        bool,
        Option(
            "--allow-noise", help="Pass if the machine is too noisy for a verdict on time.", rich_help_panel=THOROUGH
        ),
    ] = False,
    into: Annotated[
        str | None,
        Option(
            help="Run to write the findings to.",
            show_default="the run of --run, else gate",
            metavar="RUN",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    json: JsonOption = None,
    junit: JunitOption = None,
    markdown: MarkdownOption = None,
) -> None:
    """Decide whether a change made numerics, counts or time worse."""
    from harness.display.gate import WRITERS
    from harness.gate.finding import exit_code
    from harness.gate.policy import project_root, read_policy
    from harness.record import GateFinding

    if run is None and (against is None or update):
        if update:
            raise UsageError("cannot update the baseline without a run", remedy="pass `--run`")
        raise UsageError("nothing to compare", remedy="pass `--run` or `--against`")
    root = project_root(Path.cwd())
    policy = read_policy(root)
    given = {"target": target, "budget_s": budget}
    policy = policy.model_copy(update={name: value for name, value in given.items() if value is not None})
    policy, project = gated(policy, root)
    if project is not None and against is not None:
        rule = "the targets of `[tool.harness]` are single functions"
        raise UsageError("cannot time the project", rule=rule, remedy="list the functions in `CASES` of a package")
    if run is not None:
        early = _reject_unfinished(run, update=update)
    findings: list[GateFinding] = []
    with session(into or run or RUN) as opened:
        if run is not None:
            findings += early
            place = Place(root, baseline)
            findings += _exact(run, policy, place, project, contract=contract, data=data, update=update)
        if against is not None:
            findings += _time(against, policy, contract=contract, data=data, seed=seed, into=opened.folder)
        opened.folder.write(GateFinding, findings)
    code = exit_code(findings, strict=strict, blind=allow_noise)
    files = {"json": json, "junit": junit, "markdown": markdown}
    with files_written(files, lambda kind: WRITERS[kind](findings, code)) as written:
        _summarize(findings, code)
        _show(findings, code)
        for line in written:
            say(line)
    raise typer.Exit(code)


def _reject_unfinished(run: str, *, update: bool) -> "list[GateFinding]":
    """Return a finding if a run is incomplete; such a run does not become the baseline."""
    from harness.record import Gate, GateFinding, Outcome, early

    how = early(run_folder(run).head().work, "check", "survey")
    if not how:
        return []
    if update:
        problem = f"cannot make `{run_folder(run).path}` the baseline"
        raise UsageError(problem, rule=f"the run was {how}", remedy="run the command again to the end")
    sentence = f"The run was {how}; the missing results cannot be compared."
    return [GateFinding(gate=Gate.NUMERICS, case="", subject="", outcome=Outcome.NO_VERDICT, sentence=sentence)]


def _exact(
    run: str,
    policy: "Policy",
    place: Place,
    project: "Project | None",
    *,
    contract: str | None,
    data: str | None,
    update: bool,
) -> "Sequence[GateFinding]":
    from harness.calling.target import load
    from harness.data.images import short_epoch
    from harness.gate.baseline import Baseline, read_baseline, reject_foreign, write_baseline
    from harness.gate.counts import counts
    from harness.gate.numerics import compare, retained
    from harness.gate.snapshot import summarised
    from harness.record import Breaking, Verdict

    folder = run_folder(run)
    head, verdicts, breakings = folder.head(), folder.read(Verdict), folder.read(Breaking)
    cases = load(policy.target, contract=contract) if project is None else cases_of(project)
    counted = counts(cases, lambda where: short_epoch(data, where))
    now = summarised(head, verdicts, breakings, counted.by_case)
    # Loading the cases comes first, so that their package is found where it was imported.
    file = place.named or baseline_file(policy, project, place.root)
    if not update:
        names = {*counted.failures, *(old for old, new in policy.renamed.items() if new in counted.failures)}
        known = read_baseline(file).without_counts(names)
        return [*compare(known, now, policy), *counted.findings]
    if counted.failures:
        case, why = next(iter(counted.failures.items()))
        raise UsageError(f"cannot make a baseline: calling `{case}` raises {why}", remedy="correct the case first")
    if place.named is None and policy.baseline is None and project is None:
        reject_foreign(file)
    before = read_baseline(file) if file.is_file() else Baseline({}).updated(now)
    write_baseline(file, before.updated(now))
    say(f"baseline: {os.path.relpath(file)}")
    return retained(compare(before, now, policy))


def _time(
    reference: str, policy: "Policy", *, contract: str | None, data: str | None, seed: int, into: "RunFolder"
) -> "Sequence[GateFinding]":
    from harness.gate.finding import against
    from harness.record import Comparison, Slices

    with progress() as bar:
        task = bar.add_task("time", total=None)
        verdict = against(
            reference,
            policy,
            contract=contract,
            data=data,
            seed=seed,
            progress=lambda message: bar.update(task, description=message),
        )
    into.write(Comparison, verdict.comparisons)
    into.write(Slices, verdict.slices)
    return verdict.findings


def _show(findings: "Sequence[GateFinding]", code: int) -> None:
    from harness.gate.finding import gate_line, spoken
    from harness.record import Outcome

    screen = console()
    unchanged = [finding for finding in findings if finding.outcome is Outcome.UNCHANGED]
    for finding in (*unchanged, *reversed(spoken(findings))):
        screen.print(printable(f"{finding.outcome:<12}  {finding.sentence}"), markup=False, soft_wrap=True)
    say(gate_line(findings, code))


def _summarize(findings: "Sequence[GateFinding]", code: int) -> None:
    """Append the findings to the summary of a CI job, if there is one."""
    from harness.display.gate import to_markdown

    if SUMMARY in os.environ:
        with Path(os.environ[SUMMARY]).open("a", encoding="utf-8") as summary:
            summary.write(to_markdown(findings, code))
