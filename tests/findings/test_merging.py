"""Findings group many verdicts into few causes, with one sentence each for all outputs."""

import math
from typing import Any

import pytest
import samples.run

from harness.findings import findings, index_by_verdict
from harness.findings.merging import group_by
from harness.record import Event, EventKind, Mistake, Status, TensorText, Verdict, Violation, WorstExample
from harness.wording.finding import finding_block, finding_in_short, glossary_line, list_details, sentence
from harness.wording.verdict import verdict_line

OVERFLOW = Event(kind=EventKind.OVERFLOW, operation="exp", dtype="float32", place="homework.py:3", input=88.75)


def logits(value: float) -> dict[str, Any]:
    """Return an input with a single number."""
    return {"logits": TensorText(dtype="float32", shape=(1, 1), values=(value.hex(),))}


def broken(law: str = "value", at: float = 88.75, **details: Any) -> Verdict:
    """Return a verdict that is broken at a number."""
    own: dict[str, Any] = {name: details.pop(name) for name in Violation.model_fields if name in details}
    violation = Violation(
        **{
            **dict(samples.run.violation()),
            "example": logits(at),
            "cause": "exp overflows",
            "replay": f"harness check home.py:f --contract softmax --law {law} --dtypes float32 --example '{{}}'",
            **own,
        }
    )
    return samples.run.verdict(
        details.pop("status", Status.BROKEN), **{"law": law, "group": "value", "violation": violation, **details}
    )


def test_one_event_is_one_finding_over_laws_and_dtypes() -> None:
    """The examples may differ, and the example in float32 represents them."""
    verdicts = [
        broken("gradient", 1.0, group="gradient", event=OVERFLOW),
        broken("value", 2.0, dtype="float16", event=OVERFLOW.model_copy(update={"dtype": "float16", "input": 11.1})),
        broken("value", 88.75, event=OVERFLOW),
    ]
    (one,) = findings(verdicts)
    assert (one.first, one.laws, one.dtypes) == (verdicts[2], ["value", "gradient"], ["float32", "float16"])
    assert sentence(one) == "exp overflows"


def test_a_failure_on_ordinary_numbers_is_not_attributed_to_infinities() -> None:
    """A gradient that is wrong at zero also breaks the law at infinity, in a row with both."""
    verdicts = [
        broken("at_infinity", 0.0, group="special", cause="the kink"),
        broken("gradient", 0.0, group="gradient", cause="the kink"),
    ]
    (one,) = findings(verdicts)
    assert one.laws == ["gradient", "at_infinity"]


def test_a_failure_on_two_devices_is_one_finding() -> None:
    """Events are recorded on the CPU alone; a failure of the other device alone is another finding."""
    verdicts = [
        broken(law, dtype=dtype, event=OVERFLOW if device == "cpu" else None, device=device)
        for device in ("cpu", "sim")
        for dtype in ("float32", "float64")
        for law in ("value", "sums_to_one")
    ]
    there = broken("shift", at=1.0, device="sim", cause="another")
    both, alone = findings([*verdicts, there])
    assert (both.event, alone.laws, alone.dtypes) == (OVERFLOW, ["shift"], ["float32 on sim"])
    assert finding_in_short(both, verdicts).endswith("(and 1 more law in all dtypes)")
    narrow = there.model_copy(update={"dtype": "float16"})
    assert finding_in_short(both, [*verdicts, narrow]).endswith("(and 1 more law in float32, float64 on cpu and sim)")
    assert finding_in_short(alone, [*verdicts, narrow]).endswith("(in float32 on sim)")
    here = there.model_copy(update={"device": "cpu", "status": Status.HOLDS})
    assert dict(list_details(alone, [here]))["look at"].startswith("the law holds on the CPU")
    assert dict(list_details(alone, [narrow]))["look at"] == "another"


@pytest.mark.parametrize(("columns", "number"), [(5, 1), (200, 2)])
def test_what_breaks_on_short_rows_is_not_a_defect_of_long_ones(columns: int, number: int) -> None:
    """A smallest example with five columns shows what the law of the value shows; one with 200 does not."""
    row = TensorText(dtype="float32", shape=(1, columns), values=(float.hex(0.5),) * columns)
    own: dict[str, Any] = {"example": {"logits": row}, "cause": "a narrow sum", "actual": 0.25, "expected": 0.75}
    long = broken("value_on_long_rows", group="length", **own)
    assert len(findings([broken(actual=0.5, expected=0.25), long])) == number


def test_lost_digits_in_a_dtype_do_not_count_as_broken() -> None:
    """A finding lists only dtypes with a broken law. Without a broken law, it reports the lost digits."""
    lost = broken("on_extreme_numbers", group="special", status=Status.LOST, event=OVERFLOW)
    narrow = OVERFLOW.model_copy(update={"dtype": "float16", "input": 11.1})
    (one,) = findings([lost, broken(dtype="float16", event=narrow)])
    assert (one.laws, one.dtypes) == (["value", "on_extreme_numbers"], ["float16"])
    (alone,) = findings([lost])
    assert alone.dtypes == ["float32"]


@pytest.mark.parametrize(("operation", "place", "status", "number"), [
    ("add", "homework.py:3", Status.LOST, 1),
    ("mul", "homework.py:3", Status.LOST, 2),
    ("add", "homework.py:4", Status.LOST, 2),
    ("add", "homework.py:3", Status.BROKEN, 2),
])  # fmt: skip
def test_digits_that_a_mistake_costs_are_part_of_it(operation: str, place: str, status: Status, number: int) -> None:
    """The addition of an epsilon also rounds; another operation, line or defect is another finding."""
    line = "    return -torch.log(p + 1e-12)"
    mistake = Mistake(names=("eps",), sentence="a", place="homework.py:3", line=line, start=21, end=30)
    event = OVERFLOW.model_copy(update={"kind": EventKind.ABSORPTION, "operation": operation, "place": place})
    found = findings([broken(named=mistake), broken("digits", status=status, event=event)])
    assert len(found) == number
    assert found[0].named == mistake
    assert found[0].status is Status.BROKEN


def test_a_named_mistake_shows_no_worst_example() -> None:
    """Its example was chosen to show it."""
    worst = WorstExample(actual=7.0, expected=1.0, deviation=9e9, bound=3.0, example=logits(4.0), replay="r")
    mistake = Mistake(names=("eps",), sentence="a")
    assert "worst" in dict(list_details(findings([broken(deviation=3.4, bound=3.1, worst=worst)])[0]))
    assert "worst" not in dict(
        list_details(findings([broken(deviation=3.4, bound=3.1, worst=worst, named=mistake)])[0])
    )


def test_two_events_are_two_findings_on_one_example_too() -> None:
    """A violation without an event joins the first finding."""
    invalid = OVERFLOW.model_copy(update={"kind": EventKind.CANCELLATION, "operation": "sub"})
    verdicts = [broken(event=OVERFLOW), broken("masked", event=invalid), broken("shift", cause="another")]
    assert [one.laws for one in findings(verdicts)] == [["value", "shift"], ["masked"]]


def test_overflows_and_underflows_on_a_line_are_one_finding() -> None:
    """A quotient of infinities and a backward pass join it; a sum that overflows its format does not."""
    invalid = OVERFLOW.model_copy(update={"kind": EventKind.INVALID, "operation": "div", "backward": True})
    total = OVERFLOW.model_copy(update={"operation": "sum", "input": None})
    large = total.model_copy(update={"input": 3e38})
    verdicts = [broken(event=OVERFLOW), broken("masked", event=invalid), broken("long", event=total)]
    assert [one.laws for one in findings(verdicts)] == [["value", "masked"], ["long"]]
    (one,) = findings([broken(event=OVERFLOW), broken("sums", event=large)])
    assert one.laws == ["value", "sums"]


def test_cancellations_on_a_line_are_one_finding() -> None:
    """Its backward pass joins it; another line is another finding."""
    forward = OVERFLOW.model_copy(update={"kind": EventKind.CANCELLATION, "operation": "sub"})
    backward = forward.model_copy(update={"operation": "mul", "backward": True})
    elsewhere = backward.model_copy(update={"place": "homework.py:4"})
    verdicts = [broken(event=forward), broken("gradient", event=backward), broken("third", event=elsewhere)]
    assert [one.laws for one in findings(verdicts)] == [["value", "gradient"], ["third"]]


def test_a_second_cause_of_a_law_is_a_finding_unless_another_has_it() -> None:
    """Each violation is counted once, and the worst example of a finding has its operation."""
    cancels = OVERFLOW.model_copy(update={"kind": EventKind.CANCELLATION, "operation": "sub", "place": "homework.py:4"})
    second = broken(event=cancels, actual=0.5, deviation=8.0, bound=2.0, cause="sub cancels").violation
    assert second is not None
    both = broken(event=OVERFLOW, beside=(second,))
    found = findings([both])
    assert [sentence(one) for one in found] == ["exp overflows", "sub cancels"]
    assert "1 of 1 law" in verdict_line([both])
    told = broken("gradient", group="gradient", event=cancels, deviation=4.0, bound=2.0)
    joined = findings([both, told])
    assert [one.laws for one in joined] == [["value"], ["value", "gradient"]]
    assert index_by_verdict(joined)[both.key] is joined[0]
    # A law of the same finding that is worse by another operation is no example of this one.
    details: list[dict[str, Any]] = [{"deviation": size, "bound": 2.0, "actual": size} for size in (4.0, 1e9)]
    own, far = details
    other = OVERFLOW.model_copy(update={"kind": EventKind.UNDERFLOW})
    (one,) = findings([broken(event=OVERFLOW, **own), broken("far", event=other, **far)])
    assert one.worst is None
    (one,) = findings([broken(event=OVERFLOW, **own), broken("far", event=OVERFLOW, **far)])
    assert one.worst is not None


def test_an_event_with_a_non_finite_result_represents_its_line() -> None:
    """Two events on the same line are one finding.

    Zero times infinity is a separate finding, because scaling does not fix it.
    """
    overflow = broken(event=OVERFLOW).violation
    assert overflow is not None
    mild = OVERFLOW.model_copy(update={"kind": EventKind.UNDERFLOW})
    (one,) = findings([broken(event=mild, actual=0.5, deviation=8.0, bound=2.0, beside=(overflow,))])
    assert one.event == OVERFLOW
    product = OVERFLOW.model_copy(update={"kind": EventKind.INVALID, "operation": "mul"})
    assert len(findings([broken(event=OVERFLOW), broken("zero", event=product)])) == 2


def test_a_defect_without_rounding_is_separate_from_an_overflow() -> None:
    """Both may break the same law in another format."""
    overflow = broken(event=OVERFLOW).violation
    assert overflow is not None
    wrong = broken(actual=0.5, deviation=8.0, bound=2.0, cause="a wrong formula", beside=(overflow,))
    elsewhere = broken(event=OVERFLOW.model_copy(update={"dtype": "float64"}), dtype="float64")
    assert [[one.event is None, one.dtypes] for one in findings([elsewhere, wrong])] == [
        [False, ["float32", "float64"]],
        [True, ["float32"]],
    ]


def test_without_an_event_one_example_or_one_explanation_joins() -> None:
    """The verdict that joins two groups may be the last."""
    apart = [broken("a", 1.0, cause="x"), broken("b", 2.0, cause="y")]
    assert len(findings(apart)) == 2
    assert len(findings([*apart, broken("c", 2.0, cause="x")])) == 1
    twice = [broken("a", 1.0, cause="x"), broken("b", 2.0, cause="y", dtype="float64")]
    assert len(findings([*twice, broken("b", 1.0, cause="y")])) == 1


def test_roundings_of_a_narrow_format_are_one_finding_where_wide_ones_hold() -> None:
    """A law that also breaks in float32 has another cause, and so does a result without correct digits."""
    off = {"dtype": "float16", "deviation": 5.0, "bound": 2.0}
    narrow = [broken("a", 1.0, cause="x", **off), broken("b", 2.0, cause="y", group="implementation", **off)]
    (one,) = findings(narrow)
    assert sentence(one).startswith("the last digits in float16 are off, probably from accumulated rounding")
    assert len(findings([*narrow, broken("b", 3.0, cause="y")])) == 2
    assert len(findings([*narrow, broken("c", 3.0, cause="z", **off | {"deviation": 2000.0})])) == 2


def test_failures_that_float32_fixes_are_one_finding_about_the_format() -> None:
    """The finding lists the events with their places. Violations that remain in float32 are separate findings."""
    invalid = OVERFLOW.model_copy(update={"kind": EventKind.CANCELLATION, "operation": "sub"})
    narrow = {"dtype": "float16", "mended_wider": True}
    mended = [broken("a", 1.0, event=OVERFLOW, **narrow), broken("b", 2.0, event=invalid, **narrow)]
    (one,) = findings(mended)
    assert sentence(one).startswith("float16 is too narrow for the intermediate results: compute in float32")
    assert ("events", "exp overflows and sub cancels (homework.py:3)") in list_details(one)
    assert {tuple(one.laws) for one in findings([*mended, broken("b", 2.0, event=invalid)])} == {("a",), ("b",)}
    assert len(findings([*mended, broken("c", event=OVERFLOW.model_copy(update={"place": "b.py:1"}))])) == 2
    (alone,) = findings(mended[:1])
    assert sentence(alone) == "exp overflows"


def test_a_consequence_of_the_value_joins_its_finding() -> None:
    """Both must be in the same dtype, without a known event, and finite."""
    value = broken("value", 1.0, cause="x")
    follows: dict[str, Any] = {"group": "algebra", "cause": "y", "follows": "value"}
    (one,) = findings([value, broken("sums", 2.0, **follows)])
    assert one.laws == ["value", "sums"]
    others = [
        broken("sums", 2.0, **follows, dtype="float64"),
        broken("sums", 2.0, **follows, event=OVERFLOW),
        broken("sums", 2.0, **follows, actual=0.5, expected=1.25),
        broken("sums", 2.0, **follows | {"follows": "gradient"}),
    ]
    finite = broken("value", 1.0, cause="x", actual=0.5, expected=0.75)
    parted = [len(findings([finite if other is others[2] else value, other])) for other in others]
    assert parted == [2, 2, 1, 2]
    assert len(findings([value, others[2]])) == 2
    nan = WorstExample(actual=math.nan, expected=0.75, deviation=math.inf, bound=1.0, example=logits(2.0), replay="")
    off = broken("value", 1.0, cause="x", actual=0.5, expected=0.75, worst=nan)
    (one,) = findings([off, broken("sums", 2.0, **follows)])
    assert one.laws == ["value", "sums"]


def test_different_roundings_of_two_runs_join_the_finding_about_the_format() -> None:
    """They join the finding about the format without a trial in float32, where both runs round alike.

    Alone, they are accumulated rounding.
    """
    off = {"dtype": "float16", "deviation": 5.0, "bound": 2.0}
    runs = broken("any_position", 1.0, group="implementation", cause="y", **off)
    mended = [
        broken("a", 2.0, cause="x", **off, mended_wider=True),
        broken("b", 3.0, event=OVERFLOW, dtype="float16", mended_wider=True),
    ]
    assert [len(one.verdicts) for one in findings([*mended, runs])] == [3]
    lost = broken("c", 3.0, event=OVERFLOW, dtype="float16", status=Status.LOST)
    assert [len(one.verdicts) for one in findings([*mended, runs, lost])] == [4]
    assert len(findings([mended[1], runs])) == 2


def test_untraced_errors_in_16_bits_are_called_accumulated_rounding() -> None:
    """Lost digits alone do not make a finding about the format, but they join an existing one."""
    narrow = {"dtype": "bfloat16", "mended_wider": True}
    backward = OVERFLOW.model_copy(update={"kind": EventKind.UNDERFLOW, "backward": True})
    off = broken("a", 1.0, cause="x", deviation=5.0, bound=2.0, **narrow)
    underflows = broken("b", 2.0, event=backward, **narrow)
    (one,) = findings([underflows, off])
    seen = "backward exp underflows (homework.py:3), accumulated rounding"
    assert ("events", seen) in list_details(one)
    lost = broken("c", 3.0, event=OVERFLOW, status=Status.LOST, **narrow)
    assert [one.status for one in findings([off, lost])] == [Status.BROKEN, Status.LOST]
    assert [one.status for one in findings([lost, underflows, off])] == [Status.BROKEN]


def test_a_wrong_zero_is_no_rounding_of_the_last_digits() -> None:
    """A subnormal number has few digits. An overflowing exponential in 16 bits loses all of them."""
    (one,) = findings([broken(dtype="float16", actual=0.0, expected=1.52e-5, deviation=255.1, bound=2.5)])
    assert sentence(one).endswith("; 1.52e-05 is exact")


def test_a_tiny_deviation_in_a_wide_format_is_not_attributed_to_16_bits() -> None:
    """The deviation is measured in absolute units, and subnormal numbers are lost."""
    (one,) = findings([broken(deviation=6.6e-37, bound=6e-37, actual=1e-44)])
    assert " is 1e-44" in sentence(one)


def test_an_error_far_beyond_rounding_is_a_separate_finding() -> None:
    """The smallest example is off by a few digits, the worst example by all."""
    off: dict[str, Any] = {"dtype": "float16", "deviation": 5.0, "bound": 2.0}
    worst = WorstExample(actual=7.0, expected=1.0, deviation=9e9, bound=3.0, example=logits(4.0), replay="r")
    (one,) = findings([broken(worst=worst, **off)])
    assert sentence(one).endswith(" is exact")
    near = worst.model_copy(update={"deviation": 600.0})
    (one,) = findings([broken(worst=near, **off)])
    assert sentence(one).startswith("the last digits in float16 are off")


def test_one_wrong_number_for_one_truth_is_one_finding() -> None:
    """Examples and laws may differ. Round numbers do not count, because they are frequent."""
    details = {"actual": 20.0, "deviation": 580163.0}
    same = [broken(law, at, cause=law, **details, expected=20.000000002) for law, at in (("a", 1.0), ("b", 2.0))]
    assert len(findings(same)) == 1
    round_ = [broken(law, at, cause=law, **details, expected=21.0) for law, at in (("a", 1.0), ("b", 2.0))]
    assert len(findings(round_)) == 2


def test_errors_are_one_finding_by_what_was_done() -> None:
    """Different cases have separate findings."""
    errors = [samples.run.verdict(Status.ERROR, law=law, reason="E: x") for law in ("a", "b")]
    other = samples.run.verdict(Status.ERROR, case="x.y.z", reason="E: x")
    assert [len(one.verdicts) for one in findings([*errors, other])] == [2, 1]
    assert [one.status for one in findings([*errors, broken("b")])] == [Status.BROKEN, Status.ERROR]
    assert sentence(findings(errors)[0]) == "E: x"
    sizes = [samples.run.verdict(Status.ERROR, law=law, reason=f"E: size {len(law)}") for law in ("a", "bb")]
    assert len(findings(sizes)) == 1
    assert [one.status for one in findings([sizes[0], broken("a")])] == [Status.BROKEN, Status.ERROR]
    spoilt = broken(status=Status.ERROR, reason="f prints `x`")
    assert finding_in_short(findings([spoilt])[0]).startswith("ERROR  f prints `x`")


def test_lost_digits_of_a_defect_belong_to_the_defect() -> None:
    """Lost digits alone are a separate finding after the defects. A declared failure is no finding."""
    lost = broken("kept", status=Status.LOST, event=OVERFLOW)
    assert [one.status for one in findings([lost, broken(event=OVERFLOW)])] == [Status.BROKEN]
    absorbed = OVERFLOW.model_copy(update={"kind": EventKind.ABSORPTION, "operation": "log"})
    other = broken("kept", status=Status.LOST, event=absorbed)
    assert [one.status for one in findings([other, broken(event=OVERFLOW)])] == [Status.BROKEN, Status.LOST]
    assert findings([broken(status=Status.EXPECTED), samples.run.verdict(Status.HOLDS)]) == []
    assert len(findings([broken(status=Status.EXPECTED)], [Status.EXPECTED])) == 1


def test_the_worst_example_is_shown_where_it_is_clearly_worse() -> None:
    """It is not shown if the minimal example already deviates by infinity."""
    worst = WorstExample(actual=7.0, expected=1.0, deviation=9e9, bound=3.0, example=logits(4.0), replay="r")
    near = broken(deviation=3.4, bound=3.1, worst=worst)
    assert dict(list_details(findings([near])[0]))["worst"] == "[float32] logits = [[4]]: 7, expected 1"
    assert "worst" not in dict(list_details(findings([broken(deviation=math.inf, worst=worst)])[0]))
    assert "worst" not in dict(list_details(findings([broken(deviation=3.4, bound=3.1)])[0]))


def test_the_same_example_is_shown_once_however_little_another_law_admits() -> None:
    """A stricter law that the same answer breaks has no worse example."""
    loose = broken(event=OVERFLOW, deviation=50.0, bound=20.0)
    strict = broken(law="digits_not_lost", event=OVERFLOW, deviation=50.0, bound=2.0)
    assert "worst" not in dict(list_details(findings([loose, strict])[0]))
    other = broken(law="digits_not_lost", event=OVERFLOW, deviation=50.0, bound=2.0, example=logits(4.0))
    assert "logits = [[4]]" in dict(list_details(findings([loose, other])[0]))["worst"]


def test_an_answer_that_looks_like_the_truth_says_how_far_off_it_is() -> None:
    """Otherwise an example that barely fails looks like a false alarm."""
    near = broken(deviation=3.4, bound=3.1, actual=1.0, expected=1.0000001)
    assert dict(list_details(findings([near])[0]))["example"].endswith("expected 1.0000001, 3.4 ulp off, bound 3.1")
    worst = WorstExample(actual=1.0, expected=0.9999999, deviation=9e9, bound=3.0, example=logits(4.0), replay="r")
    far = broken(deviation=3.4, bound=3.1, worst=worst)
    assert ": 1, expected 0.9999999, 9e+09 ulp" in dict(list_details(findings([far])[0]))["worst"]


def test_an_answer_is_shown_with_enough_digits_to_differ_from_the_truth() -> None:
    """Both numbers have the same number of digits, and the last two tell them apart."""
    close = broken(deviation=5.0, bound=3.0, actual=4.83378982543945, expected=4.833792344709238)
    assert "4.833790, expected 4.833792" not in (text := dict(list_details(findings([close])[0]))["example"])
    assert ": 4.833790 " not in text
    assert "4.83379, expected 4.833792, 5 ulp off" in text.replace("4.8337898", "4.83379").replace(
        "4.8337923", "4.833792"
    )


def test_a_worst_example_of_another_law_names_that_law() -> None:
    """Its numbers are not those of the first law."""
    gradient = broken("gradient", 2.0, group="gradient", event=OVERFLOW, deviation=9e9, bound=3.0, actual=7.0)
    near = broken(event=OVERFLOW, deviation=3.4, bound=3.1, actual=2.0, expected=1.0)
    assert dict(list_details(findings([near, gradient])[0]))["worst"].startswith("[float32, gradient] ")


def test_what_float32_mends_names_formats_of_16_bits_only() -> None:
    """A float32 law that loses digits on the same line is another finding."""
    mended: dict[str, Any] = {"mended_wider": True, "dtype": "float16"}
    first = OVERFLOW.model_copy(update={"dtype": "float16"})
    second = first.model_copy(update={"operation": "sum", "kind": EventKind.CANCELLATION})
    lost = broken("digits_not_lost", status=Status.LOST, event=second.model_copy(update={"dtype": "float32"}))
    found = findings([broken(event=first, **mended), broken("sums", event=second, **mended), lost])
    assert sentence(found[0]).startswith("float16 is too narrow")
    assert [one.status for one in found] == [Status.BROKEN, Status.LOST]


def test_errors_that_differ_in_a_memory_address_are_one_finding() -> None:
    """The address of an object changes with each process."""
    errors = [
        samples.run.verdict(Status.ERROR, law=law, reason=f"E: <object at 0x{address}> fails")
        for law, address in (("a", "7f3a90"), ("b", "7ffeb1"))
    ]
    assert len(findings(errors)) == 1


def test_errors_that_differ_in_a_dtype_are_one_finding() -> None:
    """JAX names the dtype of an array in its messages."""
    verdicts = [
        samples.run.verdict(Status.ERROR, law="a", dtype=dtype, reason=f"E: array with shape {dtype}[3] fails")
        for dtype in ("float32", "bfloat16")
    ]
    assert len(list(findings(verdicts))) == 1


def test_laws_that_only_lose_digits_are_not_counted_as_broken() -> None:
    """The count is that of the verdict line."""
    verdicts = [broken(event=OVERFLOW), broken("kept", status=Status.LOST, event=OVERFLOW)]
    assert dict(list_details(findings(verdicts)[0]))["breaks"] == "value, in float32"
    assert "1 of 2 laws" in verdict_line(verdicts)


@pytest.mark.parametrize(
    ("statuses", "line"),
    [
        ([], ""),
        ([Status.BROKEN], "for the meaning of defect, run `harness explain defect`"),
        ([Status.BROKEN, Status.LOST], "for the meaning of lost digits, run `harness explain lost-digits`"),
    ],
)
def test_the_least_familiar_term_is_explained(statuses: list[Status], line: str) -> None:
    """One line, and only if there is a finding."""
    verdicts = [broken(f"law-{number}", status=status) for number, status in enumerate(statuses)]
    assert glossary_line([*verdicts, samples.run.verdict(Status.HOLDS)]) == line


def test_a_failure_that_loses_no_digits_is_a_property() -> None:
    """A law of any rank that need not hold says nothing about digits."""
    (one,) = findings([broken("any_rank", group="implementation", status=Status.LOST)])
    assert finding_in_short(one).startswith("PROPERTY  any_rank does not hold, but is not required")


def test_an_input_near_an_integer_is_printed_with_all_digits() -> None:
    """The inverse hyperbolic tangent is infinite at 1, and finite at the number below."""
    for at, spelled in (
        (1.0 - 2.0**-40, repr(1.0 - 2.0**-40)),
        (-1.0, "-1"),
        (88.7228394, "88.7228"),
        (1e300 / 3, "3.33333e+299"),
    ):
        worst = WorstExample(actual=7.0, expected=1.0, deviation=9e9, bound=3.0, example=logits(at), replay="r")
        told = dict(list_details(findings([broken(deviation=3.4, bound=3.1, worst=worst)])[0]))["worst"]
        assert f"logits = [[{spelled}]]: 7" in told


@pytest.mark.parametrize("width", [60, 80])
def test_a_block_fits_its_columns_but_for_what_is_pasted(width: int) -> None:
    """The replay is one line."""
    block = finding_block(findings([broken(event=OVERFLOW)])[0], width=width, options_only=True)
    *lines, again = block.splitlines()
    assert max(map(len, lines)) <= width
    assert again == "  rerun     --law value --dtypes float32 --example '{}'"
    short = finding_in_short(findings([broken(event=OVERFLOW)])[0], width=width)
    assert len(short.splitlines()) <= 3


@pytest.mark.parametrize(
    ("replay", "added"),
    [
        ("harness check f.py:g --law value --seed 20240229 --examples 24", "--law value --examples 24"),
        ("harness check f.py:g --law value --seed 7 --examples 24", "--law value --seed 7 --examples 24"),
        ("harness check f.py:g --seed 7", "harness check f.py:g --seed 7"),
        ("harness check f.py:g --law value '", "harness check f.py:g --law value '"),
    ],
)
def test_a_large_example_is_drawn_again_by_extra_options(replay: str, added: str) -> None:
    """The rerun draws the example again from its seed. The default seed is not printed."""
    (finding,) = findings([broken(event=OVERFLOW, replay=replay)])
    assert dict(list_details(finding, options_only=True))["rerun"] == added
    assert dict(list_details(finding))["rerun"] == replay


def test_every_failing_verdict_has_its_finding() -> None:
    """The findings are stored by the key of the verdict."""
    verdicts = [broken(event=OVERFLOW), samples.run.verdict(Status.ERROR, law="other")]
    assert set(index_by_verdict(findings(verdicts))) == {verdict.key for verdict in verdicts}


def test_groups_and_their_values_keep_their_order() -> None:
    """A group stands where its first value does."""
    assert list(group_by("bAaB", str.lower).items()) == [("b", ["b", "B"]), ("a", ["A", "a"])]


def test_no_values_make_no_groups() -> None:
    """The result is empty."""
    assert group_by([], str) == {}
