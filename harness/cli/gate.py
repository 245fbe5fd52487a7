"""The commands ``gate`` and ``doctor``: whether a change may replace its baseline, and what this machine can detect."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.markup import escape
from rich.table import Column, Table

from harness.adoption.settings import complete_policy, find_baseline, find_project, make_questions, read_search_path
from harness.command.options import (
    CasesArgument,
    ContractOption,
    DataOption,
    JsonOption,
    JunitOption,
    MarkdownOption,
    console,
    progress,
    run_folder,
    say,
    session,
    write_files,
)
from harness.command.panels import output_option, thorough_option
from harness.error import UsageError, printable
from harness.exit_code import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.adoption.settings import Project
    from harness.gate.base import Base
    from harness.gate.doctor import Diagnosis
    from harness.gate.policy import Policy
    from harness.gate.snapshot import Counts
    from harness.record import GateFinding, Run, RunFolder, Verdict
    from harness.verdict.campaign import Campaign


Option = typer.Option
SUMMARY = "GITHUB_STEP_SUMMARY"
"""Environment variable with the file of a CI job's summary."""


RUN = "gate"
"""Default run if only time is measured."""


class Job(NamedTuple):
    """The comparison of a run: the project and its policy, and the options of the command."""

    root: Path
    policy: "Policy"
    project: "Project | None"
    base: "Base | None"
    file: Path | None
    contract: str | None
    data: str | None


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
    base: Annotated[
        str | None,
        Option(
            help="Commit, branch or tag whose policy counts, whose baselines must exist, and whose kept pairs count.",
            show_default="that of --against",
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
        thorough_option(
            min=1.0,
            help="Time limit for the time measurement in seconds, start-up included (10 s, or more on a busy machine).",
            show_default="from pyproject.toml",
            metavar="SECONDS",
        ),
    ] = None,
    seed: Annotated[int, thorough_option(min=0, help="Random seed for the order of measurements.", metavar="N")] = 0,
    strict: Annotated[
        bool, thorough_option("--strict", help="Exit with code 3 if a comparison is inconclusive.")
    ] = False,
    allow_noise: Annotated[
        bool, thorough_option("--allow-noise", help="Pass if the machine is too noisy for a verdict on time.")
    ] = False,
    into: Annotated[
        str | None,
        output_option(help="Run to write the findings to.", show_default="the run of --run, else gate", metavar="RUN"),
    ] = None,
    json: JsonOption = None,
    junit: JunitOption = None,
    markdown: MarkdownOption = None,
) -> None:
    """Decide whether a change made numerics, counts, kept pairs or time worse.

    Examples
    --------
      harness gate --run report
      harness gate --run report --update
      harness gate --against main

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
      a pull request, which cannot delete the baseline or loosen the policy
        harness gate --run report --base origin/main

    Exit codes:
      0  pass
      1  something got worse
      2  no verdict: a case is gone or no longer measured, nothing was compared,
         or the measurement is not reliable
      3  inconclusive, with --strict
    """
    from harness.gate.base import read_base
    from harness.gate.display import WRITERS
    from harness.gate.finding import exit_code
    from harness.gate.policy import project_root, read_policy
    from harness.gate.sameness import compare_kept
    from harness.record import GateFinding

    if run is None and (against is None or update):
        if update:
            raise UsageError("cannot update the baseline without a run", remedy="pass `--run`")
        raise UsageError("nothing to compare", remedy="pass `--run` or `--against`")
    root, overrides = project_root(Path.cwd()), _list_overrides(target, budget)
    policy = read_policy(root)
    _, project = complete_policy(policy.model_copy(update=overrides), root)
    if project is not None and against is not None:
        rule = "the targets of `[tool.harness]` are single functions"
        raise UsageError("cannot time the project", rule=rule, remedy="list the functions in `CASES` of a package")
    findings: list[GateFinding] = []
    reference = base or against
    at_base = None if reference is None or update else read_base(reference, root, baseline)
    if at_base is not None:
        policy, findings = at_base.judge_policy(policy)
    policy, project = complete_policy(policy.model_copy(update=overrides), root)
    if run is not None:
        findings += _reject_unfinished(run, update=update)
    with session(into or run or RUN) as opened:
        if run is not None:
            job = Job(root, policy, project, at_base, baseline, contract, data)
            findings += _compare_exactly(run, job, update=update)
        if at_base is not None:
            findings += compare_kept(at_base, root)
        if against is not None:
            findings += _time(against, policy, contract=contract, data=data, seed=seed, into=opened.folder)
        opened.folder.write(GateFinding, findings)
    code = exit_code(findings, strict=strict, blind=allow_noise)
    files = {"json": json, "junit": junit, "markdown": markdown}
    with write_files(files, lambda kind: WRITERS[kind](findings, code)) as written:
        _summarize(findings, code)
        _show(findings, code)
        for line in written:
            say(line)
    raise typer.Exit(code)


def _list_overrides(target: str | None, budget_s: float | None) -> dict[str, object]:
    """Return the fields of the policy that the command line sets."""
    return {name: value for name, value in (("target", target), ("budget_s", budget_s)) if value is not None}


def _reject_unfinished(run: str, *, update: bool) -> "list[GateFinding]":
    """Return a finding if a run is incomplete; such a run does not become the baseline."""
    from harness.record import Gate, GateFinding, Outcome, early

    reason = early(run_folder(run).head().work, "check", "survey")
    if not reason:
        return []
    if update:
        problem = f"cannot make `{run_folder(run).path}` the baseline"
        raise UsageError(problem, rule=f"the run was {reason}", remedy="run the command again to the end")
    sentence = f"The run was {reason}; the missing results cannot be compared."
    return [GateFinding(gate=Gate.NUMERICS, outcome=Outcome.NO_VERDICT, sentence=sentence)]


def _compare_exactly(run: str, job: Job, *, update: bool) -> "Sequence[GateFinding]":
    from harness.gate.baseline import Baseline, baseline_of, read_baseline, reject_foreign, write_baseline
    from harness.gate.numerics import accept_differences, compare
    from harness.gate.release import Releases, attribute_to_releases
    from harness.gate.snapshot import summarize_run
    from harness.record import Breaking, Verdict

    folder = run_folder(run)
    head, verdicts, breakings = folder.head(), folder.read(Verdict), folder.read(Breaking)
    questions, policy = _make_questions(head, verdicts, job)
    file = job.file or _find_baseline(questions, policy, job)
    counted = _count(questions, job)
    now = summarize_run(head, verdicts, breakings, counted.by_case)
    if not update:
        at_base = None if job.base is None else job.base.baseline(file)
        if at_base is None and job.base is not None and not file.is_file():
            return [*job.base.judge_baselines(file, now, policy), _report_nothing(job.base, file), *counted.findings]
        previous = at_base if at_base is not None and not file.is_file() else read_baseline(file)
        names = {*counted.failures, *(old for old, new in policy.renamed.items() if new in counted.failures)}
        of_branch = [] if job.base is None else job.base.judge_baselines(file, now, policy)
        is_single = job.project is None and len(questions) == 1
        releases = Releases(previous, file, baseline_of(policy.target, job.root).parent if is_single else job.root)
        differences = compare(previous.drop_counts(names), now, policy)
        differences = [*attribute_to_releases(differences, verdicts, releases, policy, now.origin.hypothesis)]
        return [*of_branch, *differences, *counted.findings]
    if counted.failures:
        case, why = next(iter(counted.failures.items()))
        raise UsageError(f"cannot make a baseline: calling `{case}` raises {why}", remedy="correct the case first")
    if job.file is None and policy.baseline is None and job.project is None:
        reject_foreign(file)
    before = read_baseline(file) if file.is_file() else Baseline({}).update(now)
    write_baseline(file, before.update(now))
    say(f"baseline: {os.path.relpath(file)}")
    return accept_differences(compare(before, now, policy))


def _make_questions(head: "Run", verdicts: "Sequence[Verdict]", job: Job) -> "tuple[list[Campaign], Policy]":
    """Return questions about the cases to count: of the project, of the target, or else of the run's own targets."""
    from harness.verdict.campaign import Campaign

    if job.project is not None:
        return make_questions(job.project), job.policy
    claims = {
        head.subjects[verdict.case].target: verdict.contract if ":" in head.subjects[verdict.case].target else None
        for verdict in verdicts
        if verdict.case in head.subjects and head.subjects[verdict.case].target
    }
    if "target" in job.policy.model_fields_set or not claims:
        claims = {job.policy.target: claims.get(job.policy.target)}
    first, *_ = claims
    questions = [Campaign(target, job.contract or contract) for target, contract in claims.items()]
    return questions, job.policy.model_copy(update={"target": first})


def _find_baseline(questions: "Sequence[Campaign]", policy: "Policy", job: Job) -> Path:
    """Return the file of the baseline: next to the source of the target, or in the project if there are several."""
    from harness.gate.baseline import NAME

    if (
        job.project is None
        and policy.baseline is None
        and len({question.target.partition(":")[0] for question in questions}) > 1
    ):
        return job.root / NAME
    return find_baseline(policy, job.project, job.root)


def _count(questions: "Sequence[Campaign]", job: Job) -> "Counts":
    """Count the calls of the cases in a process that imports them."""
    from harness.execution.plan import to_document
    from harness.gate.snapshot import Counts
    from harness.isolation.delegate import run_in_child

    names = "`, `".join(dict.fromkeys(question.target.partition(":")[0] for question in questions))
    arguments = {"questions": [to_document(question) for question in questions], "data": job.data}
    with progress() as bar:
        task = bar.add_task("counts", total=None)
        return run_in_child(
            "harness.gate.counts:count",
            arguments,
            Counts,
            target=names,
            pythonpath=read_search_path(job.root),
            on_event=lambda case: bar.update(task, description=f"counting {case}"),
        )


def _report_nothing(base: "Base", file: Path) -> "GateFinding":
    from harness.record import Gate, GateFinding, Outcome

    sentence = (
        f"Nothing was compared: neither {base.reference} nor the branch has `{os.path.relpath(file)}`; "
        "`harness gate --run RUN --update` creates it."
    )
    return GateFinding(gate=Gate.NUMERICS, outcome=Outcome.NEW, sentence=sentence)


def _time(
    reference: str, policy: "Policy", *, contract: str | None, data: str | None, seed: int, into: "RunFolder"
) -> "Sequence[GateFinding]":
    from harness.gate.finding import compare_times
    from harness.record import Comparison, Slices

    project = find_project(Path.cwd())
    with progress() as bar:
        task = bar.add_task("time", total=None)
        verdict = compare_times(
            reference,
            policy,
            contract=contract,
            data=data,
            pythonpath=[] if project is None else project.settings.pythonpath,
            seed=seed,
            progress=lambda message: bar.update(task, description=message),
        )
    into.write(Comparison, verdict.comparisons)
    into.write(Slices, verdict.slices)
    return verdict.findings


def _show(findings: "Sequence[GateFinding]", code: int) -> None:
    from harness.gate.finding import findings_to_print, gate_line
    from harness.record import Outcome

    screen = console()
    unchanged = [finding for finding in findings if finding.outcome is Outcome.UNCHANGED]
    for finding in (*findings_to_print(findings), *unchanged):
        screen.print(printable(f"{finding.outcome:<12}  {finding.sentence}"), markup=False, soft_wrap=True)
    say(gate_line(findings, code))


def _summarize(findings: "Sequence[GateFinding]", code: int) -> None:
    """Append the findings to the summary of a CI job, if there is one."""
    from harness.gate.display import to_markdown

    if SUMMARY in os.environ:
        with Path(os.environ[SUMMARY]).open("a", encoding="utf-8") as summary:
            summary.write(to_markdown(findings, code))


# The doctor


def doctor(
    target: CasesArgument = None,
    contract: ContractOption = None,
    data: DataOption = None,
    budget: Annotated[
        float | None,
        thorough_option(min=1.0, help="Time limit, in seconds.", show_default="from pyproject.toml", metavar="SECONDS"),
    ] = None,
    packages: Annotated[
        bool, Option("--packages", help="Measure nothing: run the known defects of installed packages.")
    ] = False,
    fail_if_present: Annotated[
        bool, Option("--fail-if-present", help="With --packages, exit with code 1 if a defect is present.")
    ] = False,
) -> None:
    """Measure the timing noise of this machine, which limits the gate, or list the defects of its packages.

    Examples
    --------
      harness doctor
      harness doctor homework.py:softmax --budget 60
      harness doctor --packages --fail-if-present

    With --packages, each defect on the page "Found in the wild" is present,
    corrected or not installed. Its line of Python runs in a fresh process.

    Exit codes:
      0  the table is complete
      1  with --fail-if-present: a defect is present
      2  nothing could be measured
    """
    if fail_if_present and not packages:
        raise UsageError("cannot use `--fail-if-present` without `--packages`")
    if packages:
        raise typer.Exit(_examine_packages(fail_if_present=fail_if_present))
    from harness.gate.doctor import advice, diagnose
    from harness.gate.finding import percent_slower
    from harness.gate.policy import project_root, read_policy

    root = project_root(Path.cwd())
    policy = read_policy(root).model_copy(update=_list_overrides(target, budget))
    with progress() as bar:
        task = bar.add_task("time", total=None)
        diagnosis = diagnose(
            root,
            policy,
            contract=contract,
            data=data,
            pythonpath=read_search_path(root),
            progress=lambda message: bar.update(task, description=message),
        )
    if diagnosis.sights:
        console().print(_make_table(diagnosis))
    if diagnosis.control is not None:
        seen = percent_slower(diagnosis.control)
        say(f"control: 10 % more work in {diagnosis.evidence.control} is measured as {seen}")
    say(*(f"advice: {sentence}" for sentence in advice(diagnosis, policy)))
    raise typer.Exit(ExitCode.PASSED if diagnosis.sights else ExitCode.NO_ANSWER)


def _examine_packages(*, fail_if_present: bool) -> int:
    """Print each known defect with its state in this environment, and return the exit code."""
    from harness.adoption.defect import State, examine_packages, read_defects
    from harness.wording.number import list_counts

    findings = examine_packages(read_defects())
    states = [finding.state for finding in findings]
    say(*map(str, findings), f"packages: {', '.join(list_counts(states))}")
    return int(fail_if_present and State.PRESENT in states)


def _make_table(diagnosis: "Diagnosis") -> Table:
    from harness.gate.finding import percent_slower

    title = f"Smallest slowdown that five pairs of processes can show; measured on {diagnosis.sights[0].couples}"
    headings = ("one call", "spread of pairs", "smallest visible slowdown", "identical code differs by")
    columns = (Column("case", overflow="fold"), *(Column(heading, justify="right") for heading in headings))
    table = Table(*columns, title=title, title_justify="left")
    for sight in diagnosis.sights:
        shares = (f"{share:.1%}" for share in (sight.spread, sight.visible))
        table.add_row(escape(sight.case), f"{1e6 * sight.call_s:,.1f} us", *shares, percent_slower(sight.bias))
    return table
