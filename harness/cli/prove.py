"""The command ``prove``."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import options
from harness.cli.option_groups import ExecutionOptions, takes_execution_options, takes_question
from harness.cli.options import console, progress, reject_nothing, say, say_claim, session
from harness.cli.panels import epilog, output_option, thorough_option
from harness.error import UsageError
from harness.execution.interrupt import Ending
from harness.proof.exhaustion import Exhaustion, Proving

if TYPE_CHECKING:
    from harness.record import Proof


EPILOG = epilog(
    """
  harness prove homework.py:sigmoid --dtypes bfloat16
  harness prove homework.py:softmax --seconds 60
  harness prove torch:exp --dtypes float32 --no-isolate
""",
    """
Every value of sigmoid, logsigmoid and softplus takes seconds. Every pair of
inputs of a two-class softmax or log-softmax, 4.3 billion for each kernel,
takes minutes, and so does every float32 number of an elementary function or
an activation. Finished parts are saved in the run; after an interrupt, the
same command continues.

Exit codes:
  0  proved: no law is broken
  1  a law is broken
  2  the question could not be answered
""",
)


@takes_question("contract", "dtypes", "layouts", "quantities", "call", "declares")
@takes_execution_options
def prove(
    target: options.TargetArgument = "cases",
    *,
    question: Exhaustion,
    seconds: Annotated[
        float | None,
        thorough_option(
            min=0.0, help="Time after which no new part is started, in seconds.", show_default="none", metavar="SECONDS"
        ),
    ] = None,
    run: Annotated[str, output_option("--run", help="Run to write to and to continue.", metavar="RUN")] = "prove",
    fresh: options.FreshOption = False,
    execution: ExecutionOptions,
) -> None:
    """Prove the laws and the largest error by checking all inputs."""
    from harness.display.proof import print_proofs
    from harness.display.verdict import print_properties
    from harness.wording import proof_line

    reject_nothing(target, "prove")
    with session(run, fresh=fresh) as opened:
        shards = opened.folder.path / "shards"
        if fresh:
            shutil.rmtree(shards, ignore_errors=True)
        exhaustion = replace(question, target=target, folder=shards.absolute())
        proving: Proving | None = None
        done: list[str] = []
        with Ending(done) as ending, execution.backend(exhaustion) as backend, progress() as bar:
            proving = Proving(backend)
            total = len(backend.pieces)
            opened.done = before = total - len(proving.remaining)
            opened.plan(exhaustion, total, "shard")
            task = bar.add_task("checking every input", total=total, completed=before)
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
    say(*(f"run: {remark}" for remark in opened.remarks))
    say_claim(target, exhaustion.contract, (proof.contract for proof in known))
    print_properties(console(), properties)
    print_proofs(console(), known)
    say(proof_line(proofs) + _not_finished(ending, proofs, 0 if proving is None else proving.waiting))
    ending.settle()
    if ending.code is not None:
        raise typer.Exit(ending.code)
    if not known:
        raise UsageError("no part was finished", rule=f"the time limit is {seconds:g} s", remedy="raise `--seconds`")
    raise typer.Exit(2 if not proofs else int(any(proof.fails for proof in proofs)))


def _not_finished(ending: Ending, proofs: "Sequence[Proof]", waiting: int) -> str:
    """Return how much is left to do; empty if nothing is."""
    if not waiting and all(proof.proved or proof.error for proof in proofs):
        return ""
    unstarted = f", {waiting} not started" if waiting else ""
    return f" -- {ending.early or 'not finished'}{unstarted}; the same command continues"
