"""The commands about laws: ``list``, ``explain``, ``check``, ``freeze``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import RunOption, Target, console, conventions, progress, run_folder, session
from harness.error import UsageError

if TYPE_CHECKING:
    from harness.campaign import Campaign
    from harness.record import Verdict


def list_(
    target: Target = "cases",
    cases: Annotated[bool, typer.Option("--cases", help="Only the cases.")] = False,
    contracts: Annotated[bool, typer.Option("--contracts", help="Only the contracts.")] = False,
    laws: Annotated[bool, typer.Option("--laws", help="Only the laws.")] = False,
) -> None:
    """Name every case, contract and law with its statement."""
    from harness import listing
    from harness.discovery import load

    every = not (cases or contracts or laws)
    out = console()
    if cases or every:
        out.print(listing.case_table(load(target)))
    if contracts or every:
        out.print(listing.contract_table())
    if laws or every:
        out.print(listing.law_table())


def explain(
    law: Annotated[str, typer.Argument(help="Name of a law.")],
    contract: Annotated[str | None, typer.Option(help="Only this contract's.")] = None,
) -> None:
    """Explain a law: statement, source, bound, what usually breaks it and how that is mended."""
    from harness.listing import explanation

    print(explanation(law, contract))


def check(
    target: Target = "cases",
    contract: Annotated[str | None, typer.Option(help="Contract that the function claims.")] = None,
    law: Annotated[list[str] | None, typer.Option(help="Only this law; may be given several times.")] = None,
    dtypes: Annotated[str | None, typer.Option(help="Only these dtypes, comma-separated.")] = None,
    declare: Annotated[list[str] | None, typer.Option(help="Convention of the function, NAME=VALUE.")] = None,
    examples: Annotated[int | None, typer.Option(min=1, help="Hypothesis examples a law.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 20240229,
    corpus: Annotated[Path | None, typer.Option(help="Folder of counterexamples of your own, tried first too.")] = None,
    replay: Annotated[bool, typer.Option(help="Try the counterexamples that were found before first.")] = True,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    example: Annotated[str | None, typer.Option(help="Measure this one example, as a replay prints it.")] = None,
    run: RunOption = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Clear the run first.")] = False,
) -> None:
    """Check which laws hold: of the shipped cases, of a package of cases, or of one function.

    `harness check` alone takes the chapter's cases, `harness check homework.py:softmax --contract softmax` one function
    in a file, `harness check torch.nn.functional:cross_entropy --contract cross_entropy` one of an installed package.
    """
    from harness.campaign import Campaign
    from harness.record import census_line, verdict_line
    from harness.terminal import print_verdicts

    campaign = Campaign(
        target,
        contract,
        conventions(declare or []),
        law or (),
        tuple(name.strip() for name in dtypes.split(",")) if dtypes else (),
        examples,
        seed,
        _corpora(corpus) if replay else (),
    )
    opened = session(run, seed, fresh=fresh)
    verdicts: list[Verdict] = []
    interrupted = False
    try:
        verdicts.extend(_replayed(campaign, example) if example else _progressed(campaign, jobs))
    except KeyboardInterrupt:
        interrupted = True
    if opened is not None:
        opened.add_verdicts(verdicts)
    print_verdicts(console(), verdicts, single=":" in target)
    print(census_line(verdicts))
    print(verdict_line(verdicts) + (" -- interrupted, the rest was not checked" if interrupted else ""))
    if interrupted:
        raise typer.Exit(130)
    if not verdicts:
        raise UsageError(rule="at least one law is checked", value="none that matches", place=f"`{target}`")
    raise typer.Exit(int(any(verdict.status.fails for verdict in verdicts)))


def _corpora(folder: Path | None) -> tuple[Path, ...]:
    from harness.corpus import FOLDER

    if folder is not None and not folder.is_dir():
        raise UsageError(rule="`--corpus` is a folder that `harness freeze` wrote", value=f"no folder `{folder}`")
    return (FOLDER,) if folder is None else (FOLDER, folder)


def _replayed(campaign: "Campaign", example: str) -> Iterator["Verdict"]:
    from harness.replay import from_json
    from harness.verdict import decide

    for job in campaign.jobs():
        inputs = from_json(example, job.contract, job.format)
        missing = [name for name in job.law.reads if name not in inputs]
        if missing:
            needed = ", ".join(f"`{name}`" for name in job.law.reads)
            raise UsageError(rule=f"an example for `{job.law.name}` has {needed}", value=f"none for `{missing[0]}`")
        yield decide(job, example=inputs)


def _progressed(campaign: "Campaign", jobs: int) -> Iterator["Verdict"]:
    """Decide with a progress bar."""
    with progress() as bar:
        task = bar.add_task("checking laws", total=len(campaign.jobs()))
        for verdict in campaign.run(processes=jobs):
            bar.update(task, advance=1, description=f"{verdict.case} {verdict.law} [{verdict.dtype}]")
            yield verdict


def freeze(
    run: Annotated[str, typer.Argument(help="Run to take them from: a name below .harness/runs, or a path.")],
    corpus: Annotated[Path, typer.Argument(help="Folder to keep them in, for `harness check --corpus`.")],
) -> None:
    """Keep the counterexamples of a run, so that later checks try them first."""
    from harness.corpus import freeze
    from harness.record import Breaking, Verdict, Worst

    folder = run_folder(run)
    found: list[Verdict | Breaking | Worst] = [*folder.read(Verdict), *folder.read(Breaking), *folder.read(Worst)]
    print(f"{freeze(found, corpus)} new counterexamples in {corpus}")
