"""What the instrument says of its laws without running any."""

import pytest

from harness.contracts import contracts
from harness.laws.law import Contract, Law
from harness.show.listing import explain

LAWS = [(contract, law) for contract in contracts().values() for law in contract.laws]


@pytest.mark.parametrize(("contract", "law"), LAWS, ids=lambda named: named.name)
def test_every_law_is_explained(contract: Contract, law: Law) -> None:
    """With all that its module says of it."""
    text = explain(law.name, contract.name)
    for fact in (law.statement, law.source, law.bound, law.cause, law.non_finite, contract.domain, contract.signature):
        assert fact in text
