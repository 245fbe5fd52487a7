"""Terminal output for the time budget of a batch; imports no torch."""

from collections.abc import Iterator

from rich.table import Table

from harness.record.budget import CLOSED, PARTS, Budget

SHOWN = 0.0005
"""Smallest share that is shown; smaller ones would print as 0.0 %."""


def budget_table(budget: Budget) -> Table:
    """Return a table of the parts of a batch's time with their descriptions."""
    table = Table("part", "description")
    for heading in ("per batch", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    for part, seconds, share in budget.table():
        if abs(share) >= SHOWN:
            table.add_row(part, PARTS[part], f"{1e3 * seconds:.3g} ms", f"{share:.1%}")
    return table


def budget_lines(budget: Budget, on_workers: str | None = None) -> Iterator[str]:
    """Yield the sentence on a budget, with what was measured of more workers, and whether the budget is closed."""
    yield budget.sentence if on_workers is None else budget.sentence_with(on_workers)
    if not budget.is_closed:
        yield f"{budget.unseen:.0%} of the loop time is unattributed (more than {CLOSED:.0%}): the budget is incomplete"
