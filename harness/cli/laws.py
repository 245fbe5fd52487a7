"""The commands about laws: ``list``, ``explain``, ``freeze``."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import (
    FormOption,
    FormulaOption,
    InputOption,
    OverOption,
    TargetArgument,
    claimed_contract,
    complete_contract,
    console,
    run_folder,
    say,
)


def list_(
    target: TargetArgument = "cases",
    cases: Annotated[bool, typer.Option("--cases", help="Only the cases.")] = False,
    contracts: Annotated[bool, typer.Option("--contracts", help="Only the contracts.")] = False,
    laws: Annotated[bool, typer.Option("--laws", help="Only the laws.")] = False,
    formulas: Annotated[
        bool, typer.Option("--formulas", help="The catalogue of formulas, each a contract too.")
    ] = False,
) -> None:
    """Name every case, contract and law with its statement."""
    from harness.calling.discovery import load
    from harness.show import listing

    every = not (cases or contracts or laws or formulas)
    out = console()
    if cases or every:
        out.print(listing.fitted(listing.case_table(load(target)), out.width))
    if contracts or every:
        out.print(listing.fitted(listing.contract_table(), out.width))
    if laws or every:
        out.print(listing.fitted(listing.law_table(), out.width))
    if formulas:
        for table in listing.formula_tables():
            out.print(listing.fitted(table, out.width))


def explain(
    law: Annotated[str, typer.Argument(help="Name of a law.")],
    contract: Annotated[
        str | None, typer.Option(help="Only this contract's.", autocompletion=complete_contract)
    ] = None,
    formula: FormulaOption = None,
    form: FormOption = None,
    input_: InputOption = None,
    over: OverOption = "rows",
) -> None:
    """Explain a law: statement, source, bound, what usually breaks it and how that is mended."""
    from harness.show import listing

    say(listing.explain(law, claimed_contract(contract, formula, form, input_, over)).fitted(console().width))


def freeze(
    run: Annotated[str, typer.Argument(help="Run to take them from: a name below .harness/runs, or a path.")],
    corpus: Annotated[Path, typer.Argument(help="Folder to keep them in, for `harness check --corpus`.")],
) -> None:
    """Keep the counterexamples of a run, so that later checks try them first."""
    from harness.record import Breaking, Proof, Verdict, Worst
    from harness.verdict.corpus import Recorded, freeze

    folder = run_folder(run)
    records: list[Recorded] = [*folder.read(Verdict), *folder.read(Breaking), *folder.read(Worst), *folder.read(Proof)]
    say(f"{freeze(records, corpus)} new counterexamples in {corpus}")
