"""Counts of the gate: a case that cannot be called is reported, and one without a compiler does not fail."""

from harness.gate.counts import Counts
from harness.gate.finding import exit_code


def test_a_case_that_cannot_be_called_is_no_verdict() -> None:
    """It may be slower or faster, because it was not counted."""
    findings = Counts({}, {"a.b": "ValueError: no"}, {}).findings
    assert [one.sentence for one in findings] == ["a.b cannot be counted: calling it raises ValueError: no."]
    assert exit_code(findings) == 2


def test_a_case_without_a_compiler_is_inconclusive() -> None:
    """The reason is given, and the gate passes."""
    findings = Counts({}, {}, {"a.b": "torch.compile finds no compiler on this machine"}).findings
    assert [one.sentence for one in findings] == [
        "a.b is not counted: torch.compile finds no compiler on this machine."
    ]
    assert (exit_code(findings), exit_code(findings, strict=True)) == (0, 3)
