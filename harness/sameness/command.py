"""The command ``same``."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.command.option_groups import takes_options
from harness.command.options import ContractOption, Output, QuietOption, say
from harness.command.panels import thorough_option
from harness.command.runner import Work, run
from harness.error import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.record import Judgment
    from harness.sameness.pair import Kept


@takes_options
def same(
    first: Annotated[
        str | None,
        typer.Argument(
            help="Function or step: file.py:function, module:function; or a package of cases.",
            metavar="A",
            show_default="the pairs in pyproject.toml",
        ),
    ] = None,
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
    operations: Annotated[
        str | None,
        typer.Option(help="Between releases: operations, such as exp,log.", show_default="all", metavar="NAME,..."),
    ] = None,
    sample: Annotated[
        int | None,
        thorough_option(
            help="Between releases: number of blocks to compare; a block is 65,536 neighboring float32 numbers.",
            min=1,
            max=1 << 16,
            show_default="65536, which are all numbers",
            metavar="N",
        ),
    ] = None,
    quiet: QuietOption = False,
    output: Output,
) -> None:
    """Decide whether two functions or two training steps differ by more than rounding.

    Examples
    --------
      harness same mine.py:softmax torch:softmax
      harness same scratch.py:step concise.py:step
      harness same old.py:pool new.py:pool --shape 32,64
      harness same mine.py:softmax --under compile --under batch
      harness same train.py:step --under accumulation=4
      harness same cases
      harness same torch==2.12.1 torch==2.13.0 --sample 256

    Without an argument, the pairs in [tool.harness.same] of pyproject.toml are
    compared, such as fused = { a = "mine.py:softmax", b = "torch:softmax" }.

    A step is a function without arguments, which is called three times. Returned
    tensors, gradients, weights and buffers are compared; of functions, the
    gradients in the inputs. Of a package of cases, each one is compared under the
    change, or each one from scratch with each concise one.

    Two releases of torch, or paths of Python interpreters, are compared bit by bit
    in the elementary operations; exact arithmetic decides which result is better.
    All float32 numbers take about a minute for each operation, or several minutes
    if many results changed. `same torch --under release=torch==X` compares with
    this environment. pip installs each release once, with its own settings, such
    as PIP_INDEX_URL, in .harness/environments.

    Changes:
      compile, autocast, threads, seed, processor, release=torch==X, device=cuda;
      of a function: batch; of a step: accumulation=PARTS, resume, foreach, fused

    Exit codes:
      0  same bits, or they differ by rounding only
      1  they are different, or both train nothing; in a package of cases, only
         if neither case declares a failure; between releases, a result is worse
      2  there is no answer: a target cannot be run, there are no inputs, or a
         control shows that a difference would not be seen
    """
    from harness.sameness.change import find_releases
    from harness.sameness.output import format_judgments, summarize, write_document

    releases = find_releases(first, second, under or ())
    if releases is None and (operations or sample):
        raise UsageError("cannot use `--operations` or `--sample`", rule="they are for releases of torch")
    if releases is not None and (contract or shape):
        raise UsageError("cannot use `--contract` or `--shape`", rule="they are for functions, not for releases")
    is_package = first is not None and ":" not in first and second is None and releases is None
    is_list = first is None or is_package or releases is not None or len(under or ()) > 1
    judgments: "list[Judgment]" = []
    if releases is None:
        kept = _choose_pairs(first, second, under or (), contract, shape or (), is_package=is_package)
        compare = partial(_compare_pairs, kept, is_package=is_package)
    else:
        from harness.sameness.release import compare_releases

        compare = partial(compare_releases, releases, operations, sample or 1 << 16)

    def take(judgment: "Judgment") -> "Sequence[Judgment]":
        judgments.append(judgment)
        return [judgment]

    def work(comparison: Work) -> None:
        for judgment in compare(comparison):
            comparison.keep(judgment.title, take, judgment)

    def show(comparison: Work) -> int:
        early = comparison.early
        with output.written(lambda kind: write_document(kind, judgments, early)) as written:
            if output.is_full:
                for judgment in () if quiet else judgments:
                    title = judgment.name or (judgment.title if is_package else judgment.under)
                    say(f"{judgment.answer.upper():<10}  {f'{title}: ' if is_list else ''}{judgment.sentence}")
                say(*written, *([summarize(judgments, early)] if is_list or early or quiet else []))
            else:
                say(*format_judgments(output.output_format, judgments, early))
        return int(any(judgment.fails for judgment in judgments))

    raise typer.Exit(run(work, show, kept=judgments, unit="pair", output=output))


def _compare_pairs(kept: "Kept", comparison: Work, *, is_package: bool) -> "Iterator[Judgment]":
    from harness.sameness.pair import judge_pairs

    comparison.begin("comparing", len(pairs := [*kept.pairs.values()]))
    errors: dict[str, UsageError] = {}
    # The cases of a package share a process, which takes two seconds to import torch.
    for group in [pairs] if is_package else [[pair] for pair in pairs]:
        yield from judge_pairs(group, errors, folder=kept.root, pythonpath=kept.pythonpath)
    if errors:
        raise next(iter(errors.values()))


def _choose_pairs(
    first: str | None, second: str | None, under: "Sequence[str]", contract: str | None, shapes: "Sequence[str]",
    *, is_package: bool,
) -> "Kept":  # fmt: skip
    """Return the pairs of the project, of a package, or of the options, with the folder of their targets."""
    from harness.isolation.delegate import run_in_child
    from harness.sameness.change import read_change
    from harness.sameness.pair import TABLE, Kept, Pair, find_kept, make_pair

    if first is None:
        kept = find_kept(Path.cwd())
        if not kept.pairs or under or contract or shapes:
            remedy = f"or list pairs under `{TABLE}` in pyproject.toml"
            raise UsageError("nothing to compare", rule="name two targets", remedy=remedy)
        return kept
    if is_package:
        if contract or shapes:
            raise UsageError("cannot use `--contract` or `--shape` for a package", rule="its cases declare a contract")
        question = "harness.sameness.comparison:list_pairs"
        arguments = {"target": first, "changes": [*map(read_change, under)]}
        pairs = run_in_child(question, arguments, list[Pair], target=first)
    else:
        changes: "Sequence[str | None]" = under or [None]
        pairs = [make_pair(first, second, change, contract, shapes) for change in changes]
    return Kept(Path.cwd(), {str(number): pair for number, pair in enumerate(pairs)}, ())
