"""The command ``prove``."""

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.means import Means, takes_means
from harness.cli.options import (
    CallOption,
    TargetArgument,
    console,
    conventions,
    names,
    progress,
    say,
    say_claim,
    session,
)
from harness.error import UsageError
from harness.work.ending import Ending

if TYPE_CHECKING:
    from harness.record import Proof


@takes_means
def prove(
    target: TargetArgument = "cases",
    contract: Annotated[str | None, typer.Option(help="Contract that the function claims.")] = None,
    call: CallOption = None,
    dtypes: Annotated[str | None, typer.Option(help="Only these dtypes, comma-separated.")] = None,
    layouts: Annotated[str | None, typer.Option(help="Only these layouts, comma-separated: rows, columns, ...")] = None,
    of: Annotated[str | None, typer.Option(help="Only `value`, or only `gradient`.")] = None,
    declare: Annotated[list[str] | None, typer.Option(help="Convention of the function, NAME=VALUE.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.0, help="Begin nothing more after so many seconds.")] = None,
    run: Annotated[str, typer.Option("--run", help="Run to write into, and to go on with.")] = "prove",
    fresh: Annotated[bool, typer.Option("--fresh", help="Clear the run first.")] = False,
    *,
    means: Means,
) -> None:
    """Visit every input of a 16-bit format: a proof of the worst error and of the laws, for each kernel.

    All values of sigmoid, logsigmoid and softplus take seconds; all pairs of two-class softmax and log-softmax, four
    thousand million a kernel, take minutes. What is finished is kept, so that the same command goes on after an
    interrupt.
    """
    from harness.proof.exhaustion import Exhaustion
    from harness.proof.proving import Proving
    from harness.record import proof_line
    from harness.show.proof import print_proofs
    from harness.show.verdict import print_properties

    with session(run, fresh=fresh) as opened:
        shards = opened.folder.path / "shards"
        if fresh:
            shutil.rmtree(shards, ignore_errors=True)
        exhaustion = Exhaustion(
            target,
            contract,
            conventions(declare or []),
            call=call,
            folder=shards.absolute(),
            dtypes=names(dtypes),
            layouts=names(layouts),
            quantities=names(of),
        )
        proving: Proving | None = None
        done: list[str] = []
        with Ending(done) as ending, means.hands(exhaustion) as hands, progress() as bar:
            proving = Proving(hands)
            total = len(hands.pieces)
            opened.done = before = total - len(proving.remaining)
            opened.plan(exhaustion, total, "shard")
            task = bar.add_task("visiting every input", total=total, completed=before)
            for title in proving.run(seconds=seconds):
                done.append(title)
                opened.done = before + len(done)
                bar.update(task, advance=1, description=title)
            if opened.done < total:
                ending.early = "not finished"
        known = [] if proving is None else proving.proofs()
        proofs = [proof for proof in known if proof.skipped is None]
        properties = [] if proving is None else list(proving.properties.values())
        for proof in proofs:
            opened.keep(proof)
        for one in properties:
            opened.keep(one)
        opened.end(ending)
    for remark in opened.remarks:
        say(f"run: {remark}")
    say_claim(target, contract, (proof.contract for proof in known))
    print_properties(console(), properties)
    print_proofs(console(), known)
    say(proof_line(proofs) + _not_finished(ending, proofs, 0 if proving is None else proving.waiting))
    ending.settle()
    if ending.code is not None:
        raise typer.Exit(ending.code)
    if not known:
        raise UsageError(rule="at least one input is visited", value=f"`--seconds {seconds:g}`")
    raise typer.Exit(2 if not proofs else int(any(proof.fails for proof in proofs)))


def _not_finished(ending: Ending, proofs: "Sequence[Proof]", waiting: int) -> str:
    """What is left to do, where something is."""
    if not waiting and all(proof.proved or proof.error for proof in proofs):
        return ""
    begun = f", {waiting} not begun" if waiting else ""
    return f" -- {ending.early or 'not finished'}{begun}, the same command goes on"
