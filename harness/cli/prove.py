"""The command ``prove``."""

import shutil
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import Target, console, conventions, progress, session
from harness.error import UsageError

if TYPE_CHECKING:
    from harness.proof.exhaustion import Exhaustion


def prove(
    target: Target = "cases",
    contract: Annotated[str | None, typer.Option(help="Contract that the function claims.")] = None,
    dtypes: Annotated[str | None, typer.Option(help="Only these dtypes, comma-separated.")] = None,
    layouts: Annotated[str | None, typer.Option(help="Only these layouts, comma-separated: rows, columns, ...")] = None,
    of: Annotated[str | None, typer.Option(help="Only `value`, or only `gradient`.")] = None,
    declare: Annotated[list[str] | None, typer.Option(help="Convention of the function, NAME=VALUE.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes; each computes on one thread.")] = 1,
    seconds: Annotated[float | None, typer.Option(min=0.0, help="Begin nothing more after so many seconds.")] = None,
    run: Annotated[str, typer.Option("--run", help="Run to write into, and to go on with.")] = "prove",
    fresh: Annotated[bool, typer.Option("--fresh", help="Clear the run first.")] = False,
) -> None:
    """Visit every input of a 16-bit format: a proof of the worst error and of the laws, for each kernel.

    All values of sigmoid, logsigmoid and softplus take seconds; all pairs of two-class softmax and log-softmax, four
    thousand million a kernel, take minutes. What is finished is kept, so that the same command goes on after an
    interrupt.
    """
    from harness.proof.exhaustion import Exhaustion
    from harness.proof.terminal import print_proofs
    from harness.record import proof_line

    opened = session(run, fresh=fresh)
    assert opened is not None
    shards = opened.folder.path / "shards"
    if fresh:
        shutil.rmtree(shards, ignore_errors=True)
    names = [tuple(name.strip() for name in text.split(",")) if text else () for text in (dtypes, layouts, of)]
    exhaustion = Exhaustion(target, shards, contract, conventions(declare or []), *names)
    interrupted = False
    try:
        _progressed(exhaustion, jobs, seconds)
    except KeyboardInterrupt:
        interrupted = True
    proofs = exhaustion.proofs()
    opened.add_proofs(proofs)
    print_proofs(console(), proofs)
    waiting = len(exhaustion.tasks) - len(proofs)
    complete = not waiting and all(proof.proved or proof.error for proof in proofs)
    begun = f", {waiting} not begun" if waiting else ""
    go_on = (
        "" if complete else f" -- {'interrupted' if interrupted else 'not finished'}{begun}, the same command goes on"
    )
    print(proof_line(proofs) + go_on)
    if interrupted:
        raise typer.Exit(130)
    if not proofs:
        raise UsageError(rule="at least one input is visited", value=f"`--seconds {seconds:g}`")
    raise typer.Exit(int(any(proof.fails for proof in proofs)))


def _progressed(exhaustion: "Exhaustion", jobs: int, seconds: float | None) -> None:
    """Go on with a progress bar."""
    shards = exhaustion.shards
    done = sum(exhaustion.kept(shard) is not None for shard in shards)
    with progress() as bar:
        task = bar.add_task("visiting every input", total=len(shards), completed=done)
        for shard in exhaustion.run(processes=jobs, seconds=seconds):
            of = exhaustion.tasks[shard.task]
            name = f"{of.case.name} {of.quantity} [{of.format_.name}, {of.layout.name}]"
            bar.update(task, advance=1, description=name)
