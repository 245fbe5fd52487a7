"""The command ``prove``."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from harness.command import options, runner
from harness.command.option_groups import ExecutionOptions, takes_options, takes_question
from harness.command.options import Output, console, reject_nothing, run_folder, say, say_claim
from harness.command.panels import output_option, thorough_option
from harness.command.runner import Work
from harness.error import UsageError
from harness.exit_code import ExitCode
from harness.proof.exhaustion import Exhaustion, Proving

if TYPE_CHECKING:
    from harness.record import Proof, Record


@takes_question("contract", "dtypes", "layouts", "quantities", "call", "declares")
@takes_options
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
    """Prove the laws and the largest error by checking all inputs.

    Examples
    --------
      harness prove homework.py:sigmoid --dtypes bfloat16
      harness prove homework.py:softmax --seconds 60
      harness prove torch:exp --dtypes float32 --no-isolate

    Every value of sigmoid, logsigmoid and softplus takes seconds. Every pair of
    inputs of a two-class softmax or log-softmax, 4.3 billion for each kernel,
    takes minutes, and so does every float32 number of an elementary function or
    an activation. Finished parts are saved in the run; after an interrupt, the
    same command continues.

    Exit codes:
      0  proved: no law is broken
      1  a law is broken
    """
    from harness.display.verdict import print_properties
    from harness.proof.display import print_proofs
    from harness.wording.proof import proof_line

    reject_nothing(target, "prove")
    shards = run_folder(run).path / "shards"
    exhaustion = replace(question, target=target, folder=shards.absolute())
    proving: Proving | None = None
    proofs: list[Proof] = []
    done: list[str] = []

    def work(proof: Work) -> None:
        nonlocal proving
        if fresh:
            shutil.rmtree(shards, ignore_errors=True)
        with execution.backend(exhaustion) as backend:
            proving = Proving(backend)
            total, remaining = len(backend.pieces), len(proving.remaining)
            proof.begin("checking every input", total, exhaustion, done=total - remaining)
            for title in proving.run(seconds=seconds):
                proof.keep(title, done.append, title)
            if len(done) < remaining:
                proof.ending.early = "not finished"

    def keep(_: Work) -> "Iterator[Record]":
        if proving is not None:
            proofs.extend(proving.proofs())
            yield from (proof for proof in proofs if proof.skipped is None)
            yield from proving.properties.values()

    def show(proof: Work) -> int:
        decided = [proof for proof in proofs if proof.skipped is None]
        say_claim(target, exhaustion.contract, (proof.contract for proof in proofs))
        print_properties(console(), [] if proving is None else list(proving.properties.values()))
        print_proofs(console(), proofs)
        remark = _count_unfinished(proof.ending.early, decided, 0 if proving is None else proving.waiting)
        say(proof_line(decided) + remark)
        if not proofs and proof.ending.code is None:
            rule = f"the time limit is {seconds:g} s"
            raise UsageError("no part was finished", rule=rule, remedy="raise `--seconds`")
        return int(any(proof.fails for proof in decided)) if decided else ExitCode.NO_ANSWER

    raise typer.Exit(runner.run(work, show, keep=keep, kept=done, unit="shard", output=Output(run, fresh)))


def _count_unfinished(early: str, proofs: "Sequence[Proof]", waiting: int) -> str:
    """Return how much is left to do; empty if nothing is."""
    if not waiting and all(proof.is_proved or proof.error for proof in proofs):
        return ""
    unstarted = f", {waiting} not started" if waiting else ""
    return f" -- {early or 'not finished'}{unstarted}; the same command continues"
