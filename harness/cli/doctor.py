"""The command ``doctor``: the timing noise of this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from harness.adoption.settings import read_search_path
from harness.command.options import CasesArgument, ContractOption, DataOption, console, progress, say
from harness.command.panels import thorough_option
from harness.exit_code import ExitCode

if TYPE_CHECKING:
    from harness.gate.doctor import Diagnosis

Option = typer.Option


def doctor(
    target: CasesArgument = None,
    contract: ContractOption = None,
    data: DataOption = None,
    budget: Annotated[
        float | None,
        thorough_option(min=1.0, help="Time limit, in seconds.", show_default="from pyproject.toml", metavar="SECONDS"),
    ] = None,
) -> None:
    """Measure the timing noise of this machine, which limits the gate.

    Examples
    --------
      harness doctor
      harness doctor homework.py:softmax --budget 60

    Exit codes:
      0  the table is complete
      2  nothing could be measured
    """
    from harness.gate.doctor import advice, diagnose
    from harness.gate.finding import percent_slower
    from harness.gate.policy import project_root, read_policy

    root = project_root(Path.cwd())
    overrides = {name: value for name, value in (("target", target), ("budget_s", budget)) if value is not None}
    policy = read_policy(root).model_copy(update=overrides)
    with progress() as bar:
        task = bar.add_task("time", total=None)
        diagnosis = diagnose(
            root,
            policy,
            contract=contract,
            data=data,
            pythonpath=read_search_path(root),
            progress=lambda message: bar.update(task, description=message),
        )
    if diagnosis.sights:
        console().print(_make_table(diagnosis))
    if diagnosis.control is not None:
        seen = percent_slower(diagnosis.control)
        say(f"control: 10 % more work in {diagnosis.evidence.control} is measured as {seen}")
    say(*(f"advice: {sentence}" for sentence in advice(diagnosis, policy)))
    raise typer.Exit(ExitCode.PASSED if diagnosis.sights else ExitCode.NO_ANSWER)


def _make_table(diagnosis: "Diagnosis") -> Table:
    from harness.gate.finding import percent_slower

    couples = diagnosis.sights[0].couples
    table = Table(
        Column("case", overflow="fold"),
        title=f"Smallest slowdown that five pairs of processes can show; measured on {couples}",
        title_justify="left",
    )
    for heading in ("one call", "spread of pairs", "smallest visible slowdown", "identical code differs by"):
        table.add_column(heading, justify="right")
    for sight in diagnosis.sights:
        shares = (f"{share:.1%}" for share in (sight.spread, sight.visible))
        table.add_row(escape(sight.case), f"{1e6 * sight.call_s:,.1f} us", *shares, percent_slower(sight.bias))
    return table
