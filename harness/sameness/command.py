"""The command ``same``."""

from typing import Annotated

import typer

from harness.command.options import ContractOption, progress, say
from harness.error import UsageError


def same(
    first: Annotated[str, typer.Argument(help="Function or step: file.py:function or module:function.", metavar="A")],
    second: Annotated[str, typer.Argument(help="Function or step to compare with it.", metavar="B")],
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

    A step is a function without arguments, which is called three times. Returned
    tensors, gradients and weights are compared.

    Exit codes:
      0  same bits, or they differ by rounding only
      1  they are different, or both train nothing
      2  there is no answer: a target cannot be run, there are no inputs, or a
         control shows that a difference would not be seen
    """
    from harness.isolation.delegate import run_in_child
    from harness.sameness.judgment import Answer, Judgment

    if contract and shape:
        raise UsageError("cannot use `--contract` together with `--shape`", remedy="leave one out")
    shapes = [_read_shape(text) for text in shape or ()]
    arguments = {"first": first, "second": second, "contract": contract, "shapes": shapes}
    with progress() as bar:
        bar.add_task("comparing", total=None)
        judgment = run_in_child("harness.sameness.comparison:compare_targets", arguments, Judgment, target=first)
    say(f"{judgment.answer.upper():<10}  {judgment.sentence}")
    raise typer.Exit(int(judgment.answer in {Answer.DIFFERENT, Answer.NOTHING_TRAINED}))


def _read_shape(text: str) -> list[int]:
    lengths = text.split(",")
    if not all(length.strip().isdecimal() for length in lengths):
        raise UsageError("cannot read `--shape`", rule="it must be lengths, such as 32,64", value=f"`{text}`")
    return [int(length) for length in lengths]
