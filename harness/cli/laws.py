"""The commands ``list``, ``explain`` and ``freeze``."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.calling.discovery import SHIPPED, is_shipped
from harness.calling.question import Question
from harness.command import options
from harness.command.option_groups import takes_question
from harness.command.options import console, run_folder, say
from harness.error import UsageError

if TYPE_CHECKING:
    from harness.case import Case


def list_(
    target: options.TargetArgument = "cases",
    cases: Annotated[bool, typer.Option("--cases", help="Only the cases.")] = False,
    contracts: Annotated[bool, typer.Option("--contracts", help="Only the contracts.")] = False,
    laws: Annotated[bool, typer.Option("--laws", help="Only the laws.")] = False,
    formulas: Annotated[
        bool, typer.Option("--formulas", help="Only the catalog of formulas; each is also a contract.")
    ] = False,
) -> None:
    """List the cases, contracts and laws, with the statement of each law.

    Examples
    --------
      harness list --contracts
      harness list --formulas
    """
    from harness.display import listing

    is_all = not (cases or contracts or laws or formulas)
    out = console()
    if cases or is_all:
        try:
            out.print(listing.fit_table(listing.case_table(_load_cases(target)), out.width))
        except UsageError as error:
            if cases or target != SHIPPED:
                raise
            say(f"cases: {error}\n")
    if contracts or is_all:
        out.print(listing.fit_table(listing.contract_table(), out.width))
    if laws or is_all:
        out.print(listing.fit_table(listing.law_table(), out.width))
    if formulas:
        for table in listing.formula_tables():
            out.print(listing.fit_table(table, out.width))


def _load_cases(target: str) -> "list[Case]":
    """Return the cases of a target; another process imports them unless they are shipped."""
    if is_shipped(target):
        from harness.calling.target import load

        return load(target)
    from harness.isolation.child import Child, setup
    from harness.isolation.limits import Limits
    from harness.isolation.remote import RemoteHost

    with closing(Child(Limits(), setup(target, None, Limits()))) as child:
        return RemoteHost(child).cases(target, None, {})


@takes_question(
    "contract",
    "formula",
    "form",
    "inputs",
    "over",
    contract={"help": "Explain the law only for this contract.", "shown": None},
)
def explain(
    law: Annotated[str, typer.Argument(help="Name of a law or a word of the glossary.", metavar="NAME")],
    *,
    question: Question,
) -> None:
    """Explain a law: statement, source, bound, common causes and fixes.

    Examples
    --------
      harness explain rows_sum_to_one
      harness explain value --contract softmax
    """
    from harness.display import listing

    say(listing.explain(law, question.contract).wrap(console().width))


def freeze(
    run: Annotated[str, typer.Argument(help="Run to read: a name below .harness/runs, or a path.", metavar="RUN")],
    corpus: Annotated[Path, typer.Argument(help="Folder to write to, for `harness check --corpus`.", metavar="FOLDER")],
) -> None:
    """Save the counterexamples of a run for later checks.

    Examples
    --------
      harness check homework.py:softmax --run mine
      harness freeze mine counterexamples
      harness check homework.py:softmax --corpus counterexamples
    """
    from harness.record import Breaking, Proof, Verdict, Worst
    from harness.verdict.replay import Recorded, freeze

    folder = run_folder(run)
    folder.head()  # raises a usage error if there is no such run
    records: list[Recorded] = [*folder.read(Verdict), *folder.read(Breaking), *folder.read(Worst), *folder.read(Proof)]
    say(f"{freeze(records, corpus)} new counterexamples in {corpus}")
