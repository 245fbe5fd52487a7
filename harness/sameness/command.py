"""The command ``same``."""

from typing import Annotated

import typer

from harness.command.options import ContractOption, progress, say
from harness.error import UsageError


def same(
    first: Annotated[str, typer.Argument(help="Function or step: file.py:function or module:function.", metavar="A")],
    second: Annotated[
        str | None, typer.Argument(help="Function or step to compare with it; or pass --under.", metavar="B")
    ] = None,
    *,
    under: Annotated[
        list[str] | None,
        typer.Option(help="Compare A with A under a change, such as accumulation=4; repeatable.", metavar="CHANGE"),
    ] = None,
    contract: ContractOption = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(help="Shape of an argument without a contract, such as 32,64; once for each.", metavar="N,..."),
    ] = None,
) -> None:
    """Decide whether two functions or two training steps differ by more than rounding.

    Examples
    --------
      harness same mine.py:softmax torch:softmax
      harness same scratch.py:step concise.py:step
      harness same old.py:pool new.py:pool --shape 32,64
      harness same mine.py:softmax --under compile --under batch
      harness same train.py:step --under accumulation=4

    A step is a function without arguments, which is called three times. Returned
    tensors, gradients, weights and buffers are compared.

    Changes:
      compile, autocast, threads, seed, processor, release=torch==X, device=cuda;
      of a function: batch; of a step: accumulation=PARTS, resume, foreach, fused

    Exit codes:
      0  same bits, or they differ by rounding only
      1  they are different, or both train nothing
      2  there is no answer: a target cannot be run, there are no inputs, or a
         control shows that a difference would not be seen
    """
    from harness.execution.release import find_interpreter
    from harness.isolation.delegate import run_in_child
    from harness.sameness.change import Change, read_change
    from harness.sameness.judgment import Answer, Judgment

    if contract and shape:
        raise UsageError("cannot use `--contract` together with `--shape`", remedy="leave one out")
    shapes = [_read_shape(text) for text in shape or ()]
    if (second is None) == (not under):
        raise UsageError("nothing to compare", rule="name either two targets, or one and `--under CHANGE`")
    changes: list[Change | None] = [read_change(text) for text in under or ()]
    answers = set()
    with progress() as bar:
        bar.add_task("comparing", total=None)
        for change in changes or [None]:
            if change is not None and change.kind == "release":
                find_interpreter(change.value)
            arguments = {"first": first, "second": second, "contract": contract, "shapes": shapes, "change": change}
            judgment = run_in_child("harness.sameness.comparison:compare_targets", arguments, Judgment, target=first)
            about = f"{change}: " if len(changes) > 1 else ""
            say(f"{judgment.answer.upper():<10}  {about}{judgment.sentence}")
            answers.add(judgment.answer)
    raise typer.Exit(int(bool(answers & {Answer.DIFFERENT, Answer.NOTHING_TRAINED})))


def _read_shape(text: str) -> list[int]:
    lengths = text.split(",")
    if not all(length.strip().isdecimal() for length in lengths):
        raise UsageError("cannot read `--shape`", rule="it must be lengths, such as 32,64", value=f"`{text}`")
    return [int(length) for length in lengths]
