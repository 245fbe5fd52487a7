"""The command ``gate``: whether a change may replace what it is compared with."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from harness.cli.options import DataOption, console, progress, run_folder, say, session
from harness.error import UsageError, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.gate.policy import Policy
    from harness.record import GateFinding, RunFolder

Option = typer.Option
SUMMARY = "GITHUB_STEP_SUMMARY"
"""The environment variable that names the file of a CI's summary."""

EXAMPLES = """
\b
Examples:
  a run's laws, breaking points and deviations against the baseline
    harness check --run report
    harness gate --run report
  what changed is meant
    harness gate --run report --update
  the time of every case against the commit before
    harness gate --against HEAD~1
  what a branch did to the time since it left main, in a minute
    harness gate --against main --budget 60

\b
Exit codes:
  0  pass
  1  something got worse
  2  no verdict: a case is gone or is not measured any more, nothing was
     compared, or the measurement does not trust itself
  3  inconclusive, with --strict
"""
"""What ``--help`` says at its end."""

RUN = "gate"
"""The run that is written where only time is measured."""


class Place(NamedTuple):
    """Where the baseline is looked for: the project, and the file that the command line names."""

    root: Path
    named: Path | None


def gate(
    target: Annotated[
        str | None, typer.Argument(help="Cases, as `check` takes them; else as pyproject.toml says.", metavar="TARGET")
    ] = None,
    run: Annotated[str | None, Option("--run", help="Run whose numerics are held against the baseline.")] = None,
    against: Annotated[
        str | None, Option(help="Compare the time with this commit, branch or tag, or with where they part.")
    ] = None,
    update: Annotated[bool, Option("--update", help="Make the run the baseline.")] = False,
    baseline: Annotated[Path | None, Option(help="File of the baseline; else as pyproject.toml says.")] = None,
    into: Annotated[str | None, Option(help="Run to write the findings into; the one that is read, or `gate`.")] = None,
    contract: Annotated[str | None, Option(help="Contract of a single function.")] = None,
    budget: Annotated[float | None, Option(min=1.0, help="Seconds that measuring time takes at most.")] = None,
    data: DataOption = None,
    seed: Annotated[int, Option(min=0, help="Seed of the order in which things are measured.")] = 0,
    strict: Annotated[bool, Option("--strict", help="Exit with 3 where something is inconclusive.")] = False,
    allow_noise: Annotated[
        bool, Option("--allow-noise", help="Pass where the machine is too noisy for a verdict on time.")
    ] = False,
    json: Annotated[Path | None, Option(help="Write the findings as JSON.")] = None,
    junit: Annotated[Path | None, Option(help="Write them as JUnit XML.")] = None,
    markdown: Annotated[Path | None, Option(help="Write them as Markdown.")] = None,
) -> None:
    """Say whether a change made anything worse: numerics, counts and time, in one exit code."""
    from harness.gate.finding import exit_code
    from harness.gate.policy import project_root, read_policy
    from harness.record import GateFinding

    if run is None and (against is None or update):
        rule = "`--update` takes the run it makes the baseline" if update else "`harness gate` is told what to compare"
        raise UsageError(rule=rule, value="none", remedy="add `--run RUN`" + ("" if update else " or `--against REF`"))
    root = project_root(Path.cwd())
    policy = read_policy(root)
    given = {"target": target, "budget_s": budget}
    policy = policy.model_copy(update={name: value for name, value in given.items() if value is not None})
    if run is not None:
        early = _refuse_unfinished(run, update=update)
    findings: list[GateFinding] = []
    with session(into or run or RUN) as opened:
        if run is not None:
            findings += early
            place = Place(root, baseline)
            findings += _exact(run, policy, place, contract=contract, data=data, update=update)
        if against is not None:
            findings += _time(against, policy, contract=contract, data=data, seed=seed, into=opened.folder)
        opened.folder.write(GateFinding, findings)
    code = exit_code(findings, strict=strict, blind=allow_noise)
    _show(findings, code)
    _write(findings, code, {"json": json, "junit": junit, "markdown": markdown})
    raise typer.Exit(code)


def _refuse_unfinished(run: str, *, update: bool) -> "list[GateFinding]":
    """Say that a run lacks what was planned; no baseline is made of such a one."""
    from harness.record import Gate, GateFinding, Outcome, early

    how = early(run_folder(run).head().work, "check", "survey")
    if not how:
        return []
    if update:
        raise UsageError(
            rule="a baseline is made of a run that came to its end",
            value=f"one that was {how}",
            place=str(run_folder(run).path),
            remedy="run the command again",
        )
    sentence = f"The run was {how}: what it did not reach cannot be compared."
    return [GateFinding(gate=Gate.NUMERICS, case="", subject="", outcome=Outcome.NO_VERDICT, sentence=sentence)]


def _exact(
    run: str, policy: "Policy", place: Place, *, contract: str | None, data: str | None, update: bool
) -> "Sequence[GateFinding]":
    from harness.calling.discovery import load
    from harness.data.images import short_epoch
    from harness.gate.baseline import Baseline, read_baseline, write_baseline
    from harness.gate.counts import counts
    from harness.gate.numerics import compare, kept
    from harness.gate.place import refuse_foreign
    from harness.gate.standing import summarised
    from harness.record import Breaking, Verdict

    folder = run_folder(run)
    head, verdicts, breakings = folder.head(), folder.read(Verdict), folder.read(Breaking)
    counted = counts(load(policy.target, contract=contract), lambda where: short_epoch(data, where))
    now = summarised(head, verdicts, breakings, counted.by_case)
    # The cases are loaded by now, so that their package can be found where it was imported from.
    file = place.named or policy.baseline_file(place.root)
    if not update:
        names = {*counted.failures, *(old for old, new in policy.renamed.items() if new in counted.failures)}
        known = read_baseline(file).without_counts(names)
        return [*compare(known, now, policy), *counted.findings]
    if counted.failures:
        case, why = next(iter(counted.failures.items()))
        raise UsageError(f"cannot make a baseline: calling `{case}` raises {why}", remedy="correct the case first")
    if place.named is None and policy.baseline is None:
        refuse_foreign(file)
    before = read_baseline(file) if file.is_file() else Baseline({}).updated(now)
    write_baseline(file, before.updated(now))
    say(f"baseline: {os.path.relpath(file)}")
    return kept(compare(before, now, policy))


def _time(
    reference: str, policy: "Policy", *, contract: str | None, data: str | None, seed: int, into: "RunFolder"
) -> "Sequence[GateFinding]":
    from harness.gate.against import against
    from harness.record import Comparison, Slices

    with progress() as bar:
        task = bar.add_task("time", total=None)
        verdict = against(
            reference,
            policy,
            contract=contract,
            data=data,
            seed=seed,
            progress=lambda what: bar.update(task, description=what),
        )
    into.write(Comparison, verdict.comparisons)
    into.write(Slices, verdict.evidence.slices if verdict.evidence else [])
    return verdict.findings


def _show(findings: "Sequence[GateFinding]", code: int) -> None:
    from harness.record import Outcome
    from harness.show.gate import gate_line, spoken

    screen = console()
    calm = [finding for finding in findings if finding.outcome is Outcome.UNCHANGED]
    for finding in (*calm, *reversed(spoken(findings))):
        screen.print(printable(f"{finding.outcome:<12}  {finding.sentence}"), markup=False, soft_wrap=True)
    say(gate_line(findings, code))


def _write(findings: "Sequence[GateFinding]", code: int, wanted: dict[str, Path | None]) -> None:
    from harness.record import write_atomically
    from harness.show.gate import WRITERS, to_markdown

    for kind, file in wanted.items():
        if file is not None:
            write_atomically(file, WRITERS[kind](findings, code))
            say(f"{kind}: {file}")
    if SUMMARY in os.environ:
        with Path(os.environ[SUMMARY]).open("a", encoding="utf-8") as summary:
            summary.write(to_markdown(findings, code))


gate.__doc__ = f"{gate.__doc__}\n{EXAMPLES}"
