"""The numerics gate: one sentence for each regression against a committed baseline."""

from typing import Any

import pytest
from samples.baseline import BEFORE, CASE, POINT, law, of, point
from samples.run import environment, head

from harness.gate.baseline import Baseline
from harness.gate.finding import exit_code
from harness.gate.numerics import accept_differences, compare
from harness.gate.policy import Policy
from harness.gate.snapshot import Summary, round_up
from harness.record import GateFinding, Outcome, Status, Verdict


def compared(before: Summary, now: Summary, **policy: Any) -> list[GateFinding]:
    """Compare a run with the baseline of another run."""
    return compare(Baseline({}).update(before), now, Policy(**policy))


def found(before: Summary, now: Summary, **policy: Any) -> list[GateFinding]:
    """Compare, and drop unchanged findings."""
    return [one for one in compared(before, now, **policy) if one.outcome is not Outcome.UNCHANGED]


def only(before: Summary, now: Summary, **policy: Any) -> GateFinding:
    """Compare, and return the only difference."""
    (one,) = found(before, now, **policy)
    return one


def test_the_same_run_passes_and_says_how_much_was_compared() -> None:
    """The count shows that the comparison was not empty."""
    baseline = of(law(), breakings=(point(),), counts={"operators": 5})
    findings = compared(baseline, baseline)
    assert [one.sentence for one in findings] == [
        "1 verdict of 1 case compared with the baseline.",
        "1 count compared with the baseline.",
    ]
    assert exit_code(findings) == 0


def test_one_ulp_beyond_the_budget_is_a_regression() -> None:
    """With a budget of 1 ulp, 3 ulp may become 4, but not 5."""
    before = of(law(largest=3.0))
    assert found(before, of(law(largest=4.0)), ulp=1.0) == []
    one = only(before, of(law(largest=5.0)), ulp=1.0)
    assert one.sentence == f"{CASE} value [float32]: the largest deviation is 5, was 3, and at most 4 is allowed."
    assert exit_code([one]) == 1


def test_a_budget_may_be_a_share_and_one_of_a_case() -> None:
    """The larger of both counts, and the last matching pattern decides."""
    before, now = of(law(largest=100.0)), of(law(largest=108.0))
    assert found(before, now, growth=0.1) == []
    assert only(before, now, growth=0.1, cases={"softmax*": {"growth": 0.05}}).outcome is Outcome.REGRESSED


def test_a_breaking_point_that_moved_inwards_by_one_float_is_a_regression() -> None:
    """The float is one of the law's format."""
    one = only(of(law(), breakings=(point(POINT),)), of(law(), breakings=(point(BEFORE),)))
    assert (
        one.sentence == f"{CASE} value along spike [float32]: breaks at {BEFORE} instead of {POINT}, 1 float earlier."
    )
    assert exit_code([one]) == 1


def test_a_breaking_point_that_moved_outwards_is_said_and_passes() -> None:
    """An update of the baseline accepts the improvement."""
    one = only(of(law(), breakings=(point(BEFORE),)), of(law(), breakings=(point(POINT),)))
    assert one.outcome is Outcome.IMPROVED
    assert "1 float later; `harness gate --update` accepts it" in one.sentence
    assert exit_code([one]) == 0


def test_a_ray_that_held_to_its_end_and_breaks_is_a_regression() -> None:
    """The opposite change is an improvement."""
    references, breaks = of(law(), breakings=(point(None),)), of(law(), breakings=(point(),))
    assert only(references, breaks).outcome is Outcome.REGRESSED
    assert only(breaks, references).outcome is Outcome.IMPROVED


def test_one_law_fewer_is_a_regression() -> None:
    """A law that is no longer checked cannot fail."""
    one = only(of(law(), law(law="rows_sum_to_one")), of(law()))
    assert one.sentence == f"{CASE} is no longer checked for rows_sum_to_one [float32]."
    assert exit_code([one]) == 1


def test_a_dtype_fewer_is_a_regression() -> None:
    """One sentence lists all dtypes of a law."""
    one = only(of(law(), law(dtype="float16"), law(dtype="float64")), of(law()))
    assert one.sentence == f"{CASE} is no longer checked for value [float16, float64]."


@pytest.mark.parametrize("status", [Status.BROKEN, Status.EXPECTED, Status.SKIPPED, Status.ERROR, Status.UNEXPECTED])
def test_a_law_that_held_and_does_not_is_a_regression(status: Status) -> None:
    """It is a regression even if the failure is declared: an update must accept the declaration."""
    one = only(of(law()), of(law(status=status, largest=3.0)))
    assert one.outcome is Outcome.REGRESSED
    assert f"holds in the baseline, {status} now" in one.sentence


def test_a_law_that_failed_and_holds_is_said_and_passes() -> None:
    """The sentence tells how to accept it."""
    one = only(of(law(status=Status.EXPECTED, largest=3.0)), of(law()))
    assert one.outcome is Outcome.IMPROVED
    assert exit_code([one]) == 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"examples": 99}, "99 examples are checked, down from 100"),
        ({"rows": 4095}, "4,095 rows are checked, down from 4,096"),
    ],
)
def test_fewer_examples_or_rows_are_a_regression(changes: dict[str, int], told: str) -> None:
    """Checking less finds less."""
    one = only(of(law()), of(law(**changes)))
    assert one.outcome is Outcome.REGRESSED
    assert told in one.sentence


def test_a_case_that_is_gone_is_no_verdict_and_named() -> None:
    """It has no results to compare."""
    one = only(of(law(), law(case="a.b.other")), of(law()))
    assert one.sentence == "a.b.other is missing: the run has no verdicts for it."
    assert exit_code([one]) == 2


def test_a_renamed_case_is_no_verdict_until_the_policy_says_so() -> None:
    """The sentence suggests the likely new name."""
    before, now = of(law(case="a.b.old")), of(law(case="a.b.new"))
    gone, new = found(before, now)
    assert "if its new name is a.b.new, add it under `renamed`" in gone.sentence
    assert new.outcome is Outcome.NEW
    assert exit_code([gone, new]) == 2
    assert found(before, now, renamed={"a.b.old": "a.b.new"}) == []


def test_a_retired_case_passes_with_its_reason() -> None:
    """The policy lists it under `retired`."""
    findings = compared(of(law(), law(case="a.b.old")), of(law()), retired={"a.b.old": "nobody used it"})
    assert exit_code(findings) == 0
    assert "nobody used it" in " ".join(one.sentence for one in findings)


ELSEWHERE: list[dict[str, Any]] = [{"torch": "9.9.9"}, {"torch_build": {"instructions": "AuthenticAMD avx2 fma"}}]
"""Environments that differ from the baseline's."""


@pytest.mark.parametrize(("other", "said"), list(zip(ELSEWHERE, ["torch 9.9.9", "AuthenticAMD avx2 fma"], strict=True)))
def test_figures_of_another_torch_or_processor_are_not_compared_and_that_is_said(
    other: dict[str, object], said: str
) -> None:
    """Laws are compared, but deviations depend on rounding."""
    before = of(law(largest=3.0), breakings=(point(),), counts={"operators": 5})
    elsewhere = head().environment.model_copy(update=other)
    now = of(law(largest=9.0), breakings=(point(BEFORE),), counts={"operators": 6}, environment=elsewhere)
    one = only(before, now)
    assert one.outcome is Outcome.INCONCLUSIVE
    assert said in one.sentence
    assert (exit_code([one]), exit_code([one], strict=True)) == (0, 3)
    assert (
        found(before, of(law(status=Status.BROKEN), breakings=(point(),), environment=elsewhere))[0].outcome
        is Outcome.REGRESSED
    )


def test_a_run_without_a_survey_leaves_the_breaking_points_without_a_verdict() -> None:
    """The baseline has breaking points to compare."""
    one = only(of(law(), breakings=(point(),)), of(law()))
    assert one.sentence == "1 breaking point not compared, because the run has no survey."
    assert exit_code([one]) == 2


def test_a_run_without_verdicts_is_no_verdict() -> None:
    """Nothing is compared."""
    assert exit_code(compared(of(law()), of())) == 2
    assert exit_code([]) == 2


@pytest.mark.parametrize(("name", "was", "now", "outcome"), [
    ("operators", 5, 6, Outcome.REGRESSED),
    ("operators", 5, 4, Outcome.IMPROVED),
    ("bytes", 100, 101, Outcome.REGRESSED),
    ("samples", 512, 511, Outcome.REGRESSED),
    ("batches", 6, 7, Outcome.REGRESSED),
])  # fmt: skip
def test_counts_are_compared_exactly(name: str, was: int, now: int, outcome: Outcome) -> None:
    """One more operator is a regression; samples and batches must be equal."""
    one = only(of(law(), counts={name: was}), of(law(), counts={name: now}))
    assert one.outcome is outcome
    assert one.gate == "counts"


def test_an_update_keeps_what_differs_and_says_so() -> None:
    """Accepted differences do not fail."""
    findings = accept_differences(compared(of(law(), law(law="rows_sum_to_one")), of(law())))
    assert exit_code(findings) == 0
    assert any(one.sentence.endswith("Accepted.") for one in findings)


def test_deviations_are_rounded_up_to_four_digits() -> None:
    """The baseline therefore never allows less than was observed."""
    assert round_up(1.23401) == 1.235
    assert round_up(1.234) == 1.234
    assert round_up(0.5) == 0.5
    assert round_up(None) is None
    assert all((round_up(value) or 0.0) >= value for value in (0.1, 1 / 3, 12345.6, 1e-30, 6.25e15))


def by_chance(
    agree: Status = Status.EXPECTED,
    *,
    status: Status = Status.HOLDS,
    largest: float = 3.0,
    examples: int = 2,
    at: str = POINT,
) -> Summary:
    """Return the summary of a case whose calls disagree, or of one whose calls agree."""
    declared = law(law="finite_on_extreme_logits", status=Status.EXPECTED, examples=examples)
    agreement = law(law="calls_agree", status=agree, largest=0.0 if agree is Status.HOLDS else largest)
    return of(law(status=status, largest=largest), declared, agreement, breakings=(point(at),))


def test_figures_of_a_case_that_answers_by_chance_are_not_compared_and_that_is_said() -> None:
    """Its deviations, breaking points and examples vary. With agreeing calls they are compared."""
    agree = Status.EXPECTED
    findings = compared(by_chance(agree, examples=9), by_chance(agree, largest=5.0, at=BEFORE))
    assert exit_code(findings) == 0
    assert f"{CASE} is not repeatable (see calls_agree [float32])" in findings[0].sentence
    agree = Status.HOLDS
    worse = found(by_chance(agree, examples=9), by_chance(agree, largest=5.0, at=BEFORE))
    assert [(one.outcome, one.subject) for one in worse] == [
        (Outcome.REGRESSED, "value [float32]"),
        (Outcome.REGRESSED, "value along spike [float32]"),
    ]


def test_a_case_that_does_not_answer_does_not_answer_by_chance() -> None:
    """Its calls were not compared, so that its figures still count."""
    worse = found(by_chance(Status.ERROR), by_chance(Status.ERROR, largest=5.0))
    assert [one.subject for one in worse] == ["calls_agree [float32]", "value [float32]"]


def test_a_law_that_a_case_breaks_by_chance_is_a_regression() -> None:
    """The status of its laws is still compared."""
    one = only(by_chance(), by_chance(status=Status.BROKEN))
    assert one.sentence == f"{CASE} value [float32]: holds in the baseline, broken now."


def test_calls_that_no_longer_agree_are_the_one_regression() -> None:
    """The random change of its figures is no second regression."""
    one = only(by_chance(Status.HOLDS), by_chance(Status.BROKEN, largest=9.0))
    assert one.sentence == f"{CASE} calls_agree [float32]: holds in the baseline, broken now."


def bounded(bound: float, inputs: str | None = "a1b2c3", **facts: Any) -> Verdict:
    """Return a verdict with a typical bound and a digest of its inputs."""
    return law(typical_bound=bound, inputs=inputs, **facts)


def test_a_bound_that_was_doubled_is_a_finding_of_its_own() -> None:
    """The deviation is unchanged, and the law holds more easily."""
    one = only(of(bounded(6.0)), of(bounded(12.0)))
    assert one.sentence == (
        f"The bound of softmax value was doubled, from 6 to 12 in {CASE} [float32], and in 1 case in total: "
        "a looser bound finds less."
    )
    assert exit_code([one]) == 1


@pytest.mark.parametrize("other", ELSEWHERE)
def test_a_bound_that_was_doubled_fails_on_another_kind_of_machine_too(other: dict[str, Any]) -> None:
    """Inputs and bounds are equal on every processor."""
    findings = found(of(bounded(6.0)), of(bounded(12.0), environment=environment(**other)))
    assert [one.outcome for one in findings] == [Outcome.REGRESSED, Outcome.INCONCLUSIVE]
    assert "was doubled" in findings[0].sentence


def test_a_bound_of_the_worst_of_several_calls_is_compared_on_one_kind_of_machine_only() -> None:
    """Which layout is the worst depends on the kernels, and its bound with it."""
    before, after = bounded(6.0, law="any_layout"), bounded(12.0, law="any_layout")
    assert exit_code(found(of(before), of(after))) == 1
    findings = found(of(before), of(after, environment=environment(**ELSEWHERE[0])))
    assert {one.outcome for one in findings} == {Outcome.INCONCLUSIVE}
    assert findings[0].sentence.startswith("The bounds of 1 verdicts on any_cotangent, any_layout")


def test_a_law_that_admitted_nothing_and_does_now_is_a_finding() -> None:
    """A bound of zero has no ratio."""
    assert "was zero and is now positive" in only(of(bounded(0.0)), of(bounded(0.5))).sentence


def test_a_bound_is_one_finding_over_dtypes() -> None:
    """A change of a shared bound gives one line for each law."""
    before, now = (of(bounded(t), bounded(t, dtype="float16")) for t in (6.0, 9.0))
    assert "grew by a factor of 1.5" in only(before, now).sentence


@pytest.mark.parametrize("now", [6.3, 3.0])
def test_a_bound_that_is_as_tight_as_before_is_none(now: float) -> None:
    """Rounding in the third digit does not count."""
    assert found(of(bounded(6.0)), of(bounded(now))) == []


def test_bounds_on_other_inputs_are_inconclusive_and_that_is_said() -> None:
    """They cannot be compared, which is no failure."""
    one = only(of(bounded(6.0)), of(bounded(12.0, "d4e5f6", rows=10_001)))
    assert one.sentence == (
        "The bounds of 1 of 1 verdicts are not compared: their inputs differ from the baseline's; "
        "`harness gate --update` adds them."
    )
    assert exit_code([one]) == 0


def test_a_baseline_without_bounds_is_said_to_have_none() -> None:
    """The gate reports the missing comparison."""
    one = only(of(law()), of(bounded(6.0)))
    assert one.sentence == (
        "The bounds of 1 case are not compared: the baseline does not record them; `harness gate --update` adds them."
    )


@pytest.mark.parametrize("status", [Status.LOST, Status.EXPECTED, Status.SKIPPED])
@pytest.mark.parametrize("other", ELSEWHERE)
def test_what_another_kind_of_machine_decides_is_inconclusive(other: dict[str, Any], status: Status) -> None:
    """Its kernels round differently, a failure is declared for them, or it has no compiler."""
    findings = found(of(law()), of(law(status=status), environment=environment(**other)))
    assert exit_code(found(of(law()), of(law(status=status)))) == 1
    assert [one.outcome for one in findings] == [Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE]
    assert "on another kind of machine" in findings[0].sentence


def test_rows_are_compared_only_if_the_same_hypothesis_drew_them() -> None:
    """Another version draws batches of other sizes."""
    newer = environment(versions={"hypothesis": "6.200.0"})
    assert exit_code(found(of(law(rows=10_000)), of(law(rows=9_000)))) == 1
    assert exit_code(found(of(law(rows=10_000)), of(law(rows=9_000), environment=newer))) == 0
