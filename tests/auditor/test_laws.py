"""The laws that findings name exist, and are about their operation."""

from harness.auditor.remedy import LAWS
from harness.contracts import contract_named


def test_every_law_that_a_finding_names_can_be_explained() -> None:
    """The printed words are valid arguments of the command."""
    for words in LAWS.values():
        law, _, contract = words.partition(" --contract ")
        assert law in {one.name for one in contract_named(contract).laws}
