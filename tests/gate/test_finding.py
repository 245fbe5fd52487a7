"""The choice of compared cases, and the sentences and exit codes of measurements."""

import json
from typing import Any, Literal

from junitparser import JUnitXml

from harness.gate.arm import FEWER, MORE
from harness.gate.confirmation import BLOCK, Evidence
from harness.gate.display import to_json, to_junit, to_markdown
from harness.gate.finding import comparisons, exit_code, findings_to_print, gate_line, match_cases, time_findings
from harness.gate.policy import Policy
from harness.record import Gate, GateFinding, Outcome, Slices

A, B = "family.scratch.a", "family.scratch.b"


# Choice of compared cases


def lost(before: dict[str, str], here: dict[str, str], policy: Policy, old: Policy | None = None) -> list[GateFinding]:
    """Return the findings about cases that only one side has."""
    return list(match_cases(before, here, old or Policy(), policy).findings)


def test_a_missing_benchmark_is_no_verdict_and_named() -> None:
    """The exit code is 2."""
    (one,) = lost({A: "softmax", B: "linear"}, {A: "softmax"}, Policy())
    assert one.sentence.startswith(f"{B} is missing; if that is intended")
    assert exit_code([one]) == 2


def test_a_renamed_benchmark_is_no_verdict_until_the_policy_says_so() -> None:
    """With the policy, it is compared under its old name."""
    before, here = {A: "softmax"}, {B: "softmax"}
    gone, new = lost(before, here, Policy())
    assert f"{A} is missing; if its new name is {B}, add it under `renamed`" in gone.sentence
    assert (exit_code([gone, new]), new.outcome) == (2, Outcome.NEW)
    found = match_cases(before, here, Policy(), Policy(renamed={A: B}))
    assert (found.compared, found.findings) == ((B,), ())


def test_a_disabled_benchmark_is_no_verdict_until_the_policy_says_why() -> None:
    """It exists, but is no longer timed."""
    both = {A: "softmax", B: "linear"}
    (one,) = lost(both, both, Policy(timed=("*.a",)))
    assert one.sentence.startswith(f"{B} is no longer timed: time it")
    assert exit_code([one]) == 2
    (one,) = lost(both, both, Policy(timed=("*.a",), retired={B: "too slow"}))
    assert "too slow" in one.sentence
    assert exit_code([one]) == 0


def test_a_new_benchmark_passes_and_is_named() -> None:
    """It has no reference."""
    (one,) = lost({A: "softmax"}, {A: "softmax", B: "linear"}, Policy())
    assert one.sentence == f"{B} is new: the baseline has no time for it."
    assert exit_code([one]) == 0


# What was measured


Arm = Literal["base", "candidate", "null", "control"]


def measured(case: str, ratios: list[float], arm: Arm = "candidate", iterations: int = 1) -> list[Slices]:
    """Return slices of a base that takes a second, and of another arm."""
    facts: dict[str, Any] = {"case": case, "rounds": 5, "load": None, "steal": None, "frequency_hz": None}
    made = []
    for couple, ratio in enumerate(ratios):
        arms: tuple[tuple[Arm, float], ...] = (("base", 1.0), (arm, ratio))
        for name, seconds in arms:
            times: dict[str, Any] = dict.fromkeys(("starts_s", "minima_s", "medians_s", "cpu_s"), (seconds,))
            calls = iterations * MORE // FEWER if name == "control" else iterations
            made.append(Slices(couple=couple, arm=name, iterations=calls, **times, **facts))
    return made


def evidence(
    ratio: float, *, null: float = 1.0, control: float = 1.1, couples: int = 2 * BLOCK, spread: float = 0.001
) -> Evidence:
    """Return the evidence about a case; only the candidate has the given jitter."""
    own = [1.0 + spread * (-1) ** number for number in range(couples)]
    jitter = [1.0 + 0.001 * (-1) ** number for number in range(couples)]
    slices = measured(A, [ratio * one for one in own]) + measured(A, [null * one for one in jitter], "null")
    return Evidence(slices + measured(A, [control * one for one in jitter], "control", 10), control=A)


def said(found: Evidence) -> list[GateFinding]:
    """Return the findings."""
    return time_findings(found, comparisons(found, Policy()))


def test_a_regression_is_one_sentence_with_its_interval() -> None:
    """The exit code is 1."""
    first, _ = said(evidence(1.1))
    assert first.sentence == (
        f"{A} got slower: +10.0 % (+9.9 to +10.1 %) in 10 interleaved pairs of processes, "
        "confirmed by the last 5 pairs alone."
    )
    assert exit_code(said(evidence(1.1))) == 1


def test_what_is_as_fast_says_what_would_have_been_seen() -> None:
    """The exit code is 0."""
    first, control = said(evidence(1.0))
    assert (
        "is as fast as before: -0.0 % (-0.1 to +0.1 %) in 10 interleaved pairs of processes; "
        "a slowdown of 2.12 % would be detected." in (first.sentence)
    )
    assert control.sentence.startswith(f"The control works: 10 % more work in {A} was measured as +10.0 %")
    assert exit_code([first, control]) == 0


def test_faster_code_passes_and_is_said() -> None:
    """The exit code is 0."""
    first, _ = said(evidence(0.8))
    assert first.outcome is Outcome.IMPROVED


def test_a_void_null_arm_is_no_verdict() -> None:
    """The exit code is 2, or 0 if a noisy machine is allowed."""
    findings = said(evidence(1.1, null=1.1))
    assert "two runs of the base differ by +10.0 %" in findings[0].sentence
    assert (exit_code(findings), exit_code(findings, blind=True)) == (2, 0)


def test_a_control_that_is_not_seen_leaves_no_verdict_on_anything() -> None:
    """A regression does not pass either, because it was measured as slower."""
    (blind,) = findings = said(evidence(1.0, control=1.0))
    assert "No verdict on time: 10 % more work" in blind.sentence
    assert (exit_code(findings), exit_code(findings, blind=True)) == (2, 0)
    blind, slower = findings = said(evidence(1.1, control=1.0))
    assert "No verdict on time: 10 % more work" in blind.sentence
    assert f"{A} seems slower: +10.0 %" in slower.sentence
    assert (exit_code(findings), exit_code(findings, blind=True)) == (2, 2)


def test_nothing_measured_is_no_verdict() -> None:
    """The reason does not matter."""
    assert exit_code(said(Evidence())) == 2
    assert exit_code(said(Evidence(unreached=[A]))) == 2
    assert exit_code(said(Evidence(failures={A: "in the base, it raises ValueError: no"}))) == 2


def test_a_budget_that_reaches_no_case_is_one_sentence_with_one_that_does() -> None:
    """It fails even if a noisy machine is allowed, because nothing was measured."""
    findings = said(Evidence(unreached=[A, "cases.other"], enough_s=101.0, startup_s=50.0))
    assert [one.sentence for one in findings] == [
        "No case out of 2 was measured within the budget: the fastest needs about `--budget 130` on this machine, "
        "where start-up takes 50 s."
    ]
    assert exit_code(findings, blind=True) == 2


def test_a_case_that_cannot_be_timed_says_why() -> None:
    """The failing tree may be either."""
    found = Evidence(failures={A: "in the candidate, it raises ValueError: no"})
    assert said(found)[0].sentence == f"{A} cannot be timed: in the candidate, it raises ValueError: no."


def test_a_suspicion_that_the_budget_leaves_unconfirmed_is_no_verdict() -> None:
    """A case measured as slower does not pass, not even with `blind`."""
    findings = said(evidence(1.1, couples=BLOCK))
    assert f"{A} may be slower: +10.0 %" in findings[0].sentence
    assert (exit_code(findings), exit_code(findings, blind=True)) == (2, 2)


def test_fewer_than_five_pairs_are_no_verdict_and_say_what_would_help() -> None:
    """It passes if a noisy machine is allowed, unless the case was measured as slower."""
    findings = said(evidence(1.0, couples=BLOCK - 1))
    assert findings[0].sentence == (
        f"{A} has no verdict: -0.0 % (-0.1 to +0.1 %) in 4 pairs, and a verdict needs at least 5; "
        "use a larger `--budget`, time fewer cases, or use a quieter machine."
    )
    assert (exit_code(findings), exit_code(findings, blind=True)) == (2, 0)
    findings = said(evidence(1.446, couples=BLOCK - 1))
    assert findings[0].sentence.startswith(f"{A} seems slower: +44.6 % (+44.4 to +44.8 %) in 4 pairs, and a verdict")
    assert (exit_code(findings), exit_code(findings, blind=True)) == (2, 2)


def test_a_slowdown_beyond_the_difference_of_the_bases_never_passes() -> None:
    """The base differs from itself, so that there is no verdict, which is no reason to pass."""
    findings = said(evidence(1.5, null=1.1))
    assert f"{A} seems slower: +50.0 %" in findings[0].sentence
    assert "but the base differs from itself by +10.0 %" in findings[0].sentence
    assert (exit_code(findings), exit_code(findings, blind=True)) == (2, 2)


def test_a_case_that_was_dropped_within_the_budget_is_no_verdict() -> None:
    """Its few pairs are reported only if they show a slowdown."""
    found = evidence(1.0, couples=2)
    found.unreached.append(A)
    first, *_ = findings = said(found)
    assert first.sentence.startswith(f"{A} was not measured within the budget")
    assert (exit_code(findings), exit_code(findings, blind=True)) == (2, 0)
    found = evidence(1.446, couples=2)
    found.unreached.append(A)
    first, *_ = findings = said(found)
    assert first.sentence.startswith(f"{A} seems slower: +44.6 %")
    assert (exit_code(findings), exit_code(findings, blind=True)) == (2, 2)


def test_what_cannot_be_told_passes_unless_the_gate_is_strict() -> None:
    """With `--strict` the exit code is 3."""
    found = evidence(1.0, spread=0.04, couples=BLOCK)
    findings = said(found)
    assert findings[0].outcome is Outcome.INCONCLUSIVE
    assert (exit_code(findings), exit_code(findings, strict=True)) == (0, 3)


def test_a_case_that_may_be_a_tenth_slower_is_no_verdict() -> None:
    """The case is undecided, and a slowdown as large as that of the control does not pass."""
    findings = said(evidence(1.0, spread=0.2, couples=BLOCK))
    assert findings[0].outcome is Outcome.NO_VERDICT
    assert "so a slowdown of 10 % is possible; use a larger `--budget`" in findings[0].sentence
    assert (exit_code(findings), exit_code(findings, blind=True)) == (2, 0)
    found, policy = evidence(1.0, spread=0.2, couples=BLOCK), Policy(tolerance=0.5)
    assert exit_code(time_findings(found, comparisons(found, policy))) == 0


# Outputs


def test_every_finding_is_in_every_output() -> None:
    """JSON has all findings, JUnit a test for each, and Markdown the remarkable ones."""
    findings = said(evidence(1.1))
    assert gate_line(findings, 1) == "gate: fail (time: 1 regressed, 1 unchanged)"
    document = json.loads(to_json(findings, 1))
    assert (document["exit_code"], len(document["findings"])) == (1, 2)
    (suite,) = JUnitXml.fromstring(to_junit(findings, 1).encode())
    assert (suite.tests, suite.failures) == (2, 1)
    assert "got slower" in to_markdown(findings, 1)


def test_what_broke_is_printed_before_what_grew() -> None:
    """A law that held in the baseline comes before a deviation that grew and a case that got slower."""
    sentences = [
        "softmax rows_sum_to_one [float32]: the largest deviation is 9, was 2, and at most 3 is allowed.",
        "softmax got slower: 12 % slower in 12 interleaved pairs of processes.",
        "softmax stays_finite [float32]: holds in the baseline, broken now.",
    ]
    findings = [
        GateFinding(gate=Gate.NUMERICS, case="softmax", subject="", outcome=Outcome.REGRESSED, sentence=sentence)
        for sentence in sentences
    ]
    new = GateFinding(gate=Gate.TIME, case=B, subject="", outcome=Outcome.NEW, sentence=f"{B} is new.")
    assert findings_to_print([new, *findings]) == [findings[2], findings[0], findings[1], new]
