"""Every law kills a mutant, and a sound implementation passes it.

``tox run -e mutants`` decides all mutants and fails if one survives. This module decides the mutants of one contract.
"""

from pathlib import Path

import pytest
from corpus.catalogue import MUTANTS
from corpus.specimen import Specimen
from mutants.matrix import LARGE

from harness.case import Case
from harness.contracts import contracts
from harness.floats import format_of
from harness.gate.baseline import read_baseline
from harness.record import Status
from harness.verdict.decide import decide
from harness.verdict.job import Job

LAWS = {(contract.name, law.name): (contract, law) for contract in contracts().values() for law in contract.laws}

BASELINE = Path(__file__).parents[2] / "cases" / "baseline.jsonl"


def _named(mutant: Specimen) -> str:
    return f"{mutant.contract}-{mutant.law}"


def test_every_law_has_a_mutant() -> None:
    """A law that nothing breaks proves nothing."""
    assert {(mutant.contract, mutant.law) for mutant in MUTANTS} == set(LAWS)


@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if mutant.contract == "softmax"], ids=_named)
def test_the_law_kills_its_mutant(mutant: Specimen) -> None:
    """The verdict is broken with a confirmed violation."""
    contract, law = LAWS[mutant.contract, mutant.law]
    case = Case(mutant.function, mutant.contract, declares=mutant.declares, name=f"mutants.{mutant.law}")
    verdict = decide(
        Job(case, contract, law, format_of(mutant.dtype), strict=True), further=0, minimal=law.name not in LARGE
    )
    assert verdict.status is mutant.status, verdict.reason
    if verdict.violation is not None:
        assert verdict.violation.deviation > verdict.violation.bound


def test_a_shipped_implementation_passes_the_law() -> None:
    """The baseline shows it in the dtype in which a mutant is killed.

    CI decides all shipped cases and compares them with this file, which does not contain new laws yet.
    """
    snapshots = [seen.snapshot for several in read_baseline(BASELINE).cases.values() for seen in several]
    known = {(one.contract, *key) for one in snapshots for key in one.figures()}
    held = {
        (one.contract, *key) for one in snapshots for key, row in one.figures().items() if row.status is Status.HOLDS
    }
    wanted = {(mutant.contract, mutant.law, mutant.dtype) for mutant in MUTANTS}
    assert len(wanted & known) > 500
    assert wanted & known <= held
