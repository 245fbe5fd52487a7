"""The ``harness`` command.

Exit codes: 0 all laws hold or fail as declared, 1 something is broken, 2 the question could not be answered.
What needs torch is imported inside the commands, so that ``--help`` is quick.
"""

import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harness.error import UsageError

if TYPE_CHECKING:
    from harness.campaign import Campaign
    from harness.record import Verdict
    from harness.session import Session

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Check which mathematical laws a PyTorch implementation keeps, time it, and report it.",
)

_PLAIN_WIDTH = 160


def console(*, stderr: bool = False) -> Console:
    """A console of the terminal's width, or a wide plain one where the output goes into a pipe or a file."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, width=None if terminal else _PLAIN_WIDTH, soft_wrap=not terminal, highlight=False)


Target = Annotated[
    str,
    typer.Argument(help="A package of cases, file.py:function, module:function, or an entry point.", metavar="TARGET"),
]
RunOption = Annotated[
    str | None, typer.Option("--run", help="Run to write into: a name below .harness/runs, or a path.")
]
DataOption = Annotated[
    str | None,
    typer.Option("--data", help="Folder with the Fashion-MNIST files, or `synthetic`; else $FASHION_MNIST."),
]


@app.command("list")
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


@app.command()
def explain(
    law: Annotated[str, typer.Argument(help="Name of a law.")],
    contract: Annotated[str | None, typer.Option(help="Only this contract's.")] = None,
) -> None:
    """Explain a law: statement, source, bound, what usually breaks it and how that is mended."""
    from harness.listing import explanation

    print(explanation(law, contract))


@app.command()
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
        _conventions(declare or []),
        law or (),
        tuple(name.strip() for name in dtypes.split(",")) if dtypes else (),
        examples,
        seed,
        _corpora(corpus) if replay else (),
    )
    session = _session(run, seed, fresh=fresh)
    verdicts: list[Verdict] = []
    interrupted = False
    try:
        verdicts.extend(_replayed(campaign, example) if example else _progressed(campaign, jobs))
    except KeyboardInterrupt:
        interrupted = True
    if session is not None:
        session.add_verdicts(verdicts)
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
    with _progress() as bar:
        task = bar.add_task("checking laws", total=len(campaign.jobs()))
        for verdict in campaign.run(processes=jobs):
            bar.update(task, advance=1, description=f"{verdict.case} {verdict.law} [{verdict.dtype}]")
            yield verdict


def _progress() -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    screen = console(stderr=True)
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)


def _conventions(declared: list[str]) -> dict[str, Any]:
    conventions: dict[str, Any] = {}
    for text in declared:
        name, separator, value = text.partition("=")
        if not separator:
            raise UsageError(rule="`--declare` takes NAME=VALUE", value=f"`{text}`")
        try:
            conventions[name] = float(value)
        except ValueError:
            conventions[name] = value
    return conventions


@app.command()
def freeze(
    run: Annotated[str, typer.Argument(help="Run to take them from: a name below .harness/runs, or a path.")],
    corpus: Annotated[Path, typer.Argument(help="Folder to keep them in, for `harness check --corpus`.")],
) -> None:
    """Keep the counterexamples of a run, so that later checks try them first."""
    from harness.corpus import freeze
    from harness.record import RUNS, RunFolder, Verdict

    folder = RunFolder(Path(run) if "/" in run else RUNS / run)
    print(f"{freeze(folder.read(Verdict), corpus)} new counterexamples in {corpus}")


@app.command()
def train(target: Target = "cases", data: DataOption = None, run: RunOption = None) -> None:
    """Train the chapter's models for real: curves, learned parameters, overfitting."""
    from harness import experiment
    from harness.dataset import prepare
    from harness.discovery import load
    from harness.record import Epoch, Estimate, Image
    from harness.terminal import print_training
    from harness.timing import threads

    cases, prepared = load(target), prepare(data)
    session = _session(run)
    rows: list[Epoch | Estimate | Image] = []
    with _progress() as bar, threads(1):
        task = bar.add_task("training", total=None)
        for made in (
            experiment.linear_regression(cases),
            experiment.softmax_regression(cases, prepared),
            experiment.overfitting(cases, prepared),
        ):
            for row in made:
                rows.append(row)
                bar.update(task, advance=1, description=getattr(row, "case", "samples"))
    if session is not None:
        session.note_data(prepared.source)
        session.folder.write(Epoch, [row for row in rows if isinstance(row, Epoch)])
        session.folder.write(Estimate, [row for row in rows if isinstance(row, Estimate)])
        session.folder.write(Image, [row for row in rows if isinstance(row, Image)])
    print_training(console(), rows)
    print(f"data: {prepared.source.note}")


@app.command()
def bench(
    suites: Annotated[
        list[str] | None, typer.Argument(help="steps, loaders, vectorization, screening; all when absent.")
    ] = None,
    target: Annotated[str, typer.Option("--cases", help="Package of cases.")] = "cases",
    data: DataOption = None,
    run: Annotated[str, typer.Option("--run", help="Run to write into.")] = "bench",
) -> None:
    """Time the cases: training steps, loaders, loops against vectorised code; and how fast rows are checked."""
    from harness import benchmark
    from harness.dataset import prepare

    wanted = suites or list(benchmark.SUITES)
    for suite in wanted:
        if suite not in benchmark.SUITES:
            raise UsageError(rule=f"a suite is one of {', '.join(benchmark.SUITES)}", value=f"`{suite}`")
    session = _session(run)
    assert session is not None
    if "loaders" in wanted:
        session.note_data(prepare(data).source)
    worst = 0
    settings = benchmark.Settings(data=data)
    for suite in wanted:
        worst = max(worst, benchmark.run_suite(suite, target=target, run_folder=session.folder.path, settings=settings))
    raise typer.Exit(worst)


@app.command()
def report(
    runs: Annotated[list[str] | None, typer.Argument(help="Run to report; the latest when absent.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the page; inside the run when absent.")] = None,
) -> None:
    """Turn a run into one page that opens offline, its Markdown and its data."""
    from harness.record import RUNS, RunFolder

    if runs and len(runs) > 1:
        raise UsageError(rule="one run is reported at a time", value=f"{len(runs)} runs")
    folder = RunFolder(Path(runs[0]) if "/" in runs[0] else RUNS / runs[0]) if runs else RunFolder.latest(RUNS)
    (point,) = entry_points(group="harness.report", name="page")
    page, line = point.load()(folder, output)
    print(f"report: {page}")
    print(line)


def _session(run: str | None, seed: int | None = None, *, fresh: bool = False) -> "Session | None":
    from harness.session import Session
    from harness.verdict import SEED

    return None if run is None else Session(run, seed=SEED if seed is None else seed, fresh=fresh)


def main() -> None:
    """Run the command; a user's error is one plain line and exit code 2."""
    try:
        app()
    except UsageError as error:
        print(f"harness: {error}", file=sys.stderr)
        sys.exit(2)
