"""The instrument sees: every law kills a mutant, and a sound implementation passes it."""

import pytest
from mutants.catalogue import MUTANTS, Mutant

from harness.calling.discovery import load
from harness.case import Case
from harness.contracts import contracts
from harness.floats import format_of
from harness.record import Status
from harness.verdict.decide import decide
from harness.verdict.job import Job

LAWS = {(contract.name, law.name): (contract, law) for contract in contracts().values() for law in contract.laws}


LARGE = {"value_on_many_rows"}
"""Laws whose examples are as large as they are by design: making them smaller costs minutes."""


def _named(mutant: Mutant) -> str:
    return f"{mutant.contract}-{mutant.law}"


def test_every_law_has_a_mutant() -> None:
    """A law that nothing breaks proves nothing."""
    assert {(mutant.contract, mutant.law) for mutant in MUTANTS} == set(LAWS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=_named)
def test_the_law_kills_its_mutant(mutant: Mutant) -> None:
    """The verdict is broken, with a confirmed violation."""
    contract, law = LAWS[mutant.contract, mutant.law]
    case = Case(mutant.function, mutant.contract, declares=mutant.declares, name=f"mutants.{mutant.law}")
    verdict = decide(
        Job(case, contract, law, format_of(mutant.dtype), strict=True), further=0, minimal=law.name not in LARGE
    )
    assert verdict.status is mutant.status, verdict.reason
    if verdict.violation is not None:
        assert verdict.violation.deviation > verdict.violation.bound


@pytest.mark.parametrize("mutant", MUTANTS, ids=_named)
def test_a_sound_implementation_passes_the_law(mutant: Mutant) -> None:
    """At least one shipped case claims the law without declaring a break, and keeps it."""
    contract, law = LAWS[mutant.contract, mutant.law]
    claiming = [
        case
        for case in load()
        if case.contract == mutant.contract and case.declared_break(mutant.law, mutant.dtype) is None
    ]
    assert claiming
    verdict = decide(Job(claiming[-1], contract, law, format_of(mutant.dtype)))
    if law.name == "any_rank" and (verdict.reason or "").startswith("it takes one axis of rows alone"):
        return  # so says the annotation of the specimen where shapes are checked
    assert verdict.status is Status.HOLDS, verdict.reason
    assert verdict.examples > 0
