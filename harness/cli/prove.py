"""The command ``prove``."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.claims import names
from harness.cli.options import (
    CallOption,
    ExecutorOption,
    IsolateOption,
    MemoryOption,
    Target,
    TimeoutOption,
    console,
    conventions,
    progress,
    session,
)
from harness.error import UsageError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from harness.proof.exhaustion import Exhaustion
    from harness.record import Proof
    from harness.work.limits import Limits


def prove(
    target: Target = "cases",
    contract: Annotated[str | None, typer.Option(help="Contract that the function claims.")] = None,
    call: CallOption = None,
    dtypes: Annotated[str | None, typer.Option(help="Only these dtypes, comma-separated.")] = None,
    layouts: Annotated[str | None, typer.Option(help="Only these layouts, comma-separated: rows, columns, ...")] = None,
    of: Annotated[str | None, typer.Option(help="Only `value`, or only `gradient`.")] = None,
    declare: Annotated[list[str] | None, typer.Option(help="Convention of the function, NAME=VALUE.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes, each of which computes on one thread; 1 when absent.")
    ] = None,
    isolate: IsolateOption = True,
    timeout: TimeoutOption = 10.0,
    memory: MemoryOption = 4.0,
    executor: ExecutorOption = None,
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
    from harness.record import proof_line
    from harness.show.proof import print_proofs
    from harness.work.executor import executor_named
    from harness.work.limits import Limits

    opened = session(run, fresh=fresh)
    assert opened is not None
    shards = opened.folder.path / "shards"
    if fresh:
        shutil.rmtree(shards, ignore_errors=True)
    dtype_names, layout_names, quantities = (names(text) for text in (dtypes, layouts, of))
    exhaustion = Exhaustion(
        target,
        shards.absolute(),
        contract,
        conventions(declare or []),
        dtype_names,
        layout_names,
        quantities,
        call,
    )
    apart = executor is not None or (isolate and exhaustion.is_foreign)
    limits = Limits(timeout, memory, law_s=60.0 * timeout) if apart else None
    with executor_named(executor, jobs) as hands:
        found, waiting, interrupted = _exhausted(exhaustion, limits, jobs or 1, seconds, hands)
    proofs = [proof for proof in found if proof.skipped is None]
    opened.add_proofs(proofs)
    print_proofs(console(), found)
    complete = not waiting and all(proof.proved or proof.error for proof in proofs)
    begun = f", {waiting} not begun" if waiting else ""
    go_on = (
        "" if complete else f" -- {'interrupted' if interrupted else 'not finished'}{begun}, the same command goes on"
    )
    print(proof_line(proofs) + go_on)
    if interrupted:
        raise typer.Exit(130)
    if not found:
        raise UsageError(rule="at least one input is visited", value=f"`--seconds {seconds:g}`")
    raise typer.Exit(2 if not proofs else int(any(proof.fails for proof in proofs)))


def _exhausted(
    exhaustion: "Exhaustion",
    limits: "Limits | None",
    jobs: int,
    seconds: float | None,
    executor: "Executor | None",
) -> "tuple[list[Proof], int, bool]":
    """Go on with the proofs; return what they say, how many are not begun, and whether there was an interrupt."""
    from harness.proof.isolated import Isolated

    with contextlib.ExitStack() as stack:
        work = exhaustion if limits is None else stack.enter_context(Isolated(exhaustion, limits, jobs, executor))
        titles = work.run(seconds=seconds) if isinstance(work, Isolated) else _titles(work, jobs, seconds)
        interrupted = False
        try:
            _progressed(titles, len(work.shards), sum(map(work.is_kept, work.shards)))
        except KeyboardInterrupt:
            interrupted = True
        return work.proofs(), work.waiting, interrupted


def _titles(exhaustion: "Exhaustion", jobs: int, seconds: float | None) -> Iterator[str]:
    return map(exhaustion.title, exhaustion.run(processes=jobs, seconds=seconds))


def _progressed(titles: Iterator[str], total: int, done: int) -> None:
    """Go on with a progress bar."""
    with progress() as bar:
        task = bar.add_task("visiting every input", total=total, completed=done)
        for title in titles:
            bar.update(task, advance=1, description=title)
