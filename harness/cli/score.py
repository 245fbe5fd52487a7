"""The command ``score``: is an implementation right, and how fast is it beside a reference; one JSON document."""

import secrets
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.means import Means, takes_means
from harness.cli.options import CallOption, complete_contract, conventions, names, progress
from harness.error import UsageError
from harness.record import SEED

Option = typer.Option
NOT_CORRECT = 1
EXAMPLES = """
\b
Examples:
  a softmax beside torch's own
    harness score mine.py:softmax --contract softmax \\
      --reference torch.nn.functional:softmax \\
      --reference-call 'lambda f, x: f(x, dim=-1)'
  files as public kernel benchmarks have them: ModelNew beside Model
    harness score solution.py --reference problem.py \\
      --contract softmax --inputs problem.py:get_inputs

\b
Exit codes:
  0  it is correct: every law holds, or digits are lost that careful
     implementations lose too
  1  it is not
  2  the question could not be answered
"""
"""What ``--help`` says at its end."""

MODEL, REFERENCE_MODEL = "ModelNew", "Model"
"""What files define by the custom of public kernel benchmarks, where no name is given."""


@takes_means
def score(
    target: Annotated[
        str, typer.Argument(help="FILE:FUNCTION; of a FILE alone its class ModelNew.", metavar="CANDIDATE")
    ],
    reference: Annotated[str, Option(help="FILE:FUNCTION that it is timed beside; of a FILE alone its class Model.")],
    contract: Annotated[
        str | None, Option(help="Contract that both claim; else the name says it.", autocompletion=complete_contract)
    ] = None,
    call: CallOption = None,
    reference_call: Annotated[str | None, Option(help="The same for the reference.", metavar="ADAPTER")] = None,
    declare: Annotated[list[str] | None, Option(help="Convention or policy of both, NAME=VALUE.")] = None,
    dtypes: Annotated[str | None, Option(help="Laws in these only, comma-separated.")] = None,
    device: Annotated[str, Option(help="Where both compute: cpu, or cuda where there is one.")] = "cpu",
    inputs: Annotated[
        str | None,
        Option(help="FILE:FUNCTION that returns the arguments of a timed call, such as get_inputs.", metavar="TARGET"),
    ] = None,
    size: Annotated[
        list[str] | None, Option(help="Length of an axis of the timed inputs, as the contract names it: k=1000.")
    ] = None,
    seconds: Annotated[float, Option(min=0.1, help="After how many no couple of processes is begun.")] = 20.0,
    seed: Annotated[
        int | None, Option(min=0, help="Seed of the draws; timed inputs are new each time without.")
    ] = None,
    json: Annotated[Path | None, Option(help="Write the document there; else it is printed.")] = None,
    *,
    means: Means,
) -> None:
    """Score an implementation: correct or not, by tier, and its speed beside a reference, as one JSON document."""
    from harness.bench.scoring.scoring import Question
    from harness.bench.scoring.scoring import score as scored
    from harness.record import write_atomically
    from harness.verdict.campaign import Campaign

    campaign = Campaign(
        _named(target, MODEL),
        contract,
        declares=conventions(declare or []),
        call=call,
        dtypes=names(dtypes),
        devices=(device,),
        seed=SEED if seed is None else seed,
        late=secrets.randbelow(2**31) if seed is None else seed,
    )
    question = Question(
        campaign,
        _named(reference, REFERENCE_MODEL),
        reference_call=reference_call,
        inputs=inputs,
        sizes=dict(map(_size, size or [])),
        seconds=seconds,
        limits=means.limits,
    )
    with means.hands(campaign, processes=2) as hands, progress() as bar:
        task = bar.add_task("checking laws", total=len(hands.pieces))
        said = scored(question, hands, told=lambda verdict: bar.update(task, advance=1, description=verdict.law))
    text = said.model_dump_json(indent=2) + "\n"
    if json is None:
        typer.echo(text, nl=False)
    else:
        write_atomically(json, text)
    raise typer.Exit(0 if said.correct else NOT_CORRECT)


def _named(target: str, usual: str) -> str:
    """The target, with the class that public kernel benchmarks have where a file is named alone."""
    return f"{target}:{usual}" if target.endswith(".py") else target


def _size(text: str) -> tuple[str, int]:
    name, _, length = text.partition("=")
    if not name.isidentifier() or not length.isdigit() or not int(length):
        raise UsageError(
            rule="`--size` is an axis and its length", value=f"`{text}`", remedy="for example `--size k=1000`"
        )
    return name, int(length)


score.__doc__ = f"{score.__doc__}\n{EXAMPLES}"
