"""Validation of timed results: the time of a wrong answer is worthless."""

from harness.bench.suites.benchmark import DTYPE, refuse
from harness.case import Case
from harness.contracts import contract_named
from harness.floats.format import FORMATS
from harness.laws.case_error import CaseError
from harness.laws.law import Example
from harness.laws.subject import Subject


def validate(case: Case, example: Example, *, where: str) -> None:
    """Fail if the timed inputs break a law on values, unless the case declares the failure."""
    contract = contract_named(case.contract)
    subject = Subject(case, contract, FORMATS[DTYPE])
    laws = [
        law for law in contract.laws if law.group == "value" and law.inputs is None and set(law.reads) <= set(example)
    ]
    for law in (law for law in laws if case.declared_break(law.name, DTYPE) is None):
        try:
            measured = subject.measure(law, example)
        except CaseError as error:
            refuse(case, law.statement, where=where, actual=error)
            return
        if measured.broken:
            position = measured.worst
            over = f"{measured.over} of {measured.ratio.size} entries above the bound"
            refuse(
                case,
                law.statement,
                where=where,
                actual=f"{measured.actual[position]!r} at {position}",
                expected=repr(measured.expected[position]),
                deviation=f"{measured.deviation[position]:.6g} {law.unit}, {over}",
                bound=f"{measured.bound[position]:.6g} {law.unit}",
            )
