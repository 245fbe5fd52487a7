"""The command ``score``: correctness of an implementation, and its speed against a reference, as one document."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.option_groups import ExecutionOptions, takes_execution_options, takes_question
from harness.cli.options import progress, say
from harness.cli.panels import calling_option, epilog, output_option, thorough_option
from harness.error import UsageError
from harness.verdict.campaign import Campaign

Option = typer.Option
NOT_CORRECT = 1
EPILOG = epilog(
    r"""
  harness score mine.py:softmax --reference torch.nn.functional:softmax \
    --reference-call 'lambda f, x: f(x, dim=-1)'
""",
    r"""
More examples:
  files in the layout of public kernel benchmarks: ModelNew against Model
    harness score solution.py --reference problem.py \
      --contract softmax --inputs problem.py:get_inputs

Exit codes:
  0  correct: every law holds; lost digits do not count
  1  not correct
  2  the question could not be answered
""",
)
"""Examples and exit codes of ``--help``."""

MODEL, REFERENCE_MODEL = "ModelNew", "Model"
"""Names that files of public kernel benchmarks define; used if the user names only a file."""


@takes_question(
    "contract",
    "dtypes",
    "call",
    "declares",
    "seed",
    dtypes={"help": "Dtypes, comma-separated."},
    seed={"shown": "fixed; re-checks and timed inputs use a new one"},
)
@takes_execution_options
def score(
    target: Annotated[
        str, typer.Argument(help="Implementation: FILE:FUNCTION, or FILE for its class ModelNew.", metavar="CANDIDATE")
    ],
    reference: Annotated[
        str, Option(help="Reference to compare with: FILE:FUNCTION, or FILE for its class Model.", metavar="TARGET")
    ],
    *,
    seconds: Annotated[
        float,
        thorough_option(
            min=0.1, help="Time after which no new pair of timed processes is started, in seconds.", metavar="SECONDS"
        ),
    ] = 20.0,
    question: Campaign,
    reference_call: Annotated[
        str | None, calling_option(help="Adapter for the reference, as --call.", metavar="ADAPTER")
    ] = None,
    device: Annotated[str, calling_option(help="Device for both: cpu or cuda.", metavar="NAME")] = "cpu",
    inputs: Annotated[
        str | None,
        calling_option(
            help="Function that returns the arguments of a timed call, such as get_inputs.", metavar="FILE.py:FUNCTION"
        ),
    ] = None,
    size: Annotated[
        list[str] | None,
        calling_option(
            help="Length of an axis of the timed inputs, by its name in the contract, such as k=1000.",
            metavar="NAME=LENGTH",
        ),
    ] = None,
    json: Annotated[
        Path | None, output_option(help="Write the document to a file.", show_default="print it", metavar="FILE")
    ] = None,
    execution: ExecutionOptions,
) -> None:
    """Score correctness, and speed against a reference, as JSON."""
    from harness.bench.scoring.scoring import ScoreRequest
    from harness.bench.scoring.scoring import score as scored
    from harness.record import write_atomically

    campaign = replace(question, target=_named(target, MODEL), devices=(device,)).rechecked()
    scoring = ScoreRequest(
        campaign,
        _named(reference, REFERENCE_MODEL),
        reference_call=reference_call,
        inputs=inputs,
        sizes=dict(map(_size, size or [])),
        seconds=seconds,
        limits=execution.limits,
    )
    with execution.backend(campaign, processes=2) as backend, progress() as bar:
        task = bar.add_task("checking laws", total=len(backend.pieces))
        done = partial(bar.update, task, advance=1)
        result = scored(scoring, backend, on_verdict=lambda verdict: done(description=verdict.law))
    text = result.model_dump_json(indent=2) + "\n"
    if json is None:
        say(text.rstrip("\n"))
    else:
        write_atomically(json, text)
    raise typer.Exit(0 if result.correct else NOT_CORRECT)


def _named(target: str, default: str) -> str:
    """Return the target; a bare file gets the usual class of public kernel benchmarks."""
    return f"{target}:{default}" if target.endswith(".py") else target


def _size(text: str) -> tuple[str, int]:
    name, _, length = text.partition("=")
    if not name.isidentifier() or not length.isdigit() or not int(length):
        rule = "it must be an axis and its length, such as `k=1000`"
        raise UsageError("cannot read `--size`", rule=rule, value=f"`{text}`")
    return name, int(length)
