"""The commands ``list``, ``explain`` and ``freeze``."""

from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.calling.discovery import SHIPPED, is_shipped
from harness.calling.question import Question
from harness.command.option_groups import takes_question
from harness.command.options import console, run_folder, say
from harness.error import UsageError

if TYPE_CHECKING:
    from harness.case import Case


def list_(
    target: Annotated[
        str,
        typer.Argument(
            help="Contract or formula, or a package, module:function or entry point with cases.",
            metavar="NAME",
            show_default="an overview",
        ),
    ] = "",
    cases: Annotated[bool, typer.Option("--cases", help="Only the cases.")] = False,
    contracts: Annotated[bool, typer.Option("--contracts", help="Only the contracts.")] = False,
    laws: Annotated[bool, typer.Option("--laws", help="Only the laws.")] = False,
    formulas: Annotated[
        bool, typer.Option("--formulas", help="Only the catalog of formulas; each is also a contract.")
    ] = False,
) -> None:
    """List what there is to check: contracts, formulas, cases and laws.

    Examples
    --------
      harness list
      harness list softmax
      harness list --formulas
    """
    from harness.contracts import contract_named
    from harness.display import listing

    out = console()
    if not (cases or contracts or laws or formulas):
        if not target or listing.is_contract(target):
            text = listing.explain_contract(contract_named(target), _find_shipped()) if target else None
            say((text or listing.summarize(_find_shipped())).wrap(out.width))
            return
        if target.isidentifier() and not find_spec(target) and (near := listing.suggest_contract(target)):
            raise UsageError(f"there is no contract, formula or package `{target}`", remedy=near)
        cases = True
    if cases:
        out.print(listing.fit_table(listing.case_table(_load_cases(target or SHIPPED)), out.width))
    if contracts:
        out.print(listing.fit_table(listing.contract_table(), out.width))
    if laws:
        out.print(listing.fit_table(listing.law_table(), out.width))
    if formulas:
        for table in listing.formula_tables():
            out.print(listing.fit_table(table, out.width))


def _find_shipped() -> "list[Case]":
    """Return the shipped cases; say which package they need, and return none, if it is missing."""
    try:
        return _load_cases(SHIPPED)
    except UsageError as error:
        say(f"cases: {error}\n")
        return []


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
    law: Annotated[str, typer.Argument(help="Name of a law or contract, or a word of the output.", metavar="NAME")],
    *,
    question: Question,
) -> None:
    """Explain a law (statement, source, bound, common causes and fixes), a contract, or a word of the output.

    Examples
    --------
      harness explain rows_sum_to_one
      harness explain value --contract softmax
      harness explain lost-digits
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
