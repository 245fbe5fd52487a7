"""The harness lists and explains its laws without running them."""

from collections.abc import Callable

import pytest
from rich.table import Table
from rich.text import Text

from harness.case import Case
from harness.contracts import contracts
from harness.display.listing import case_table, contract_table, explain, fit_table, law_table
from harness.laws.contract import Contract
from harness.laws.law import Law

CASES = [
    Case(
        explain,
        "binary_cross_entropy_with_logits",
        breaks={"gradient_at_infinity": "a reason"},
        name="fashion_mnist.concise." + 30 * "n",
    )
]
LAWS = [(contract, law) for contract in contracts().values() for law in contract.laws]


@pytest.mark.parametrize(("contract", "law"), LAWS, ids=lambda named: named.name)
def test_every_law_is_explained(contract: Contract, law: Law) -> None:
    """The explanation has all that its module declares."""
    text = explain(law.name, contract.name)
    for fact in (law.statement, law.source, law.bound, law.cause, law.non_finite, contract.domain, contract.signature):
        assert fact in text


@pytest.mark.parametrize(
    ("table", "width"),
    [(contract_table, 80), (law_table, 80), (law_table, 120), *((lambda: case_table(CASES), at) for at in (80, 120))],
)
def test_the_listing_is_a_list_if_no_table_fits(table: Callable[[], Table], width: int) -> None:
    """On a narrow screen, the list has no line that is too wide and omits nothing. On a wide screen, it is a table."""
    narrow = fit_table(table(), width)
    assert isinstance(narrow, Text)
    assert max(map(len, narrow.plain.splitlines())) <= width
    squeezed = "".join(narrow.plain.split())
    for column in table().columns:
        for cell in column.cells:
            assert "".join(Text.from_markup(str(cell)).plain.split()) in squeezed
    assert isinstance(fit_table(table(), 240), Table)


@pytest.mark.parametrize("width", [80, 120])
def test_an_explanation_is_as_wide_as_the_screen(width: int) -> None:
    """Continuation lines are indented below the start of their fact, and no word is lost."""
    whole = explain("value", "softmax")
    lines = whole.wrap(width).splitlines()
    assert max(map(len, lines)) <= width < max(map(len, whole.splitlines()))
    assert " ".join(whole.split()) == " ".join(" ".join(lines).split())
    assert all(line.startswith(" " * 14) or line[:1] != " " or line[2:13].strip() for line in lines)
