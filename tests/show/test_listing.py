"""What the instrument says of its laws without running any."""

from collections.abc import Callable

import pytest
from rich.table import Table
from rich.text import Text

from harness.contracts import contracts
from harness.laws.law import Contract, Law
from harness.show.listing import contract_table, explain, fitted, law_table

LAWS = [(contract, law) for contract in contracts().values() for law in contract.laws]


@pytest.mark.parametrize(("contract", "law"), LAWS, ids=lambda named: named.name)
def test_every_law_is_explained(contract: Contract, law: Law) -> None:
    """With all that its module says of it."""
    text = explain(law.name, contract.name)
    for fact in (law.statement, law.source, law.bound, law.cause, law.non_finite, contract.domain, contract.signature):
        assert fact in text


@pytest.mark.parametrize("table", [contract_table, law_table])
def test_what_there_is_to_check_is_a_list_where_no_table_fits(table: Callable[[], Table]) -> None:
    """Nothing is wider than the screen and nothing is left out; where there is room it is a table."""
    narrow = fitted(table(), 80)
    assert isinstance(narrow, Text)
    assert max(map(len, narrow.plain.splitlines())) <= 80
    squeezed = "".join(narrow.plain.split())
    for column in table().columns:
        for cell in column.cells:
            assert "".join(Text.from_markup(str(cell)).plain.split()) in squeezed
    assert isinstance(fitted(table(), 120), Table)
