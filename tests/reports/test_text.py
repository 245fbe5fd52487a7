"""Numbers and sentences of a report: no false digits, no markup, and the facts of every finding."""

import math

import pytest
import samples.run

from harness.findings import findings
from harness.record import Event, EventKind, Status, Verdict
from harness.reports import source, text
from harness.reports.figures.axis import ticks
from harness.reports.summary import explain_declared, explain_finding, remarks
from harness.reports.table import Table
from harness.wording import number as written
from harness.wording.number import round_to_error
from harness.wording.table import Header


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (written.plain(1013.4), "1,013"),
        (written.plain(0.0123456), "0.0123"),
        (written.plain(9.996), "10.0"),
        (written.plain(-3.4), "-3.40"),
        (written.plain(1.5e-7), "1.50e-07"),
        (written.plain(math.inf), "inf"),
        (written.plain(math.nan), "–"),
        (written.plain(None), "–"),
        (text.value(math.nan), "nan"),
        (written.approximate(4_244_006.3), "4,244,000"),
        (round_to_error(2.00041, 3.2e-4), "2.00041"),
        (round_to_error(2.00041, 0.0), "2.000"),
        (written.duration(1.013e-3), "1.01 ms"),
        (written.duration(9.9996e-4), "1.00 ms"),
        (written.duration(3e-10), "0.300 ns"),
        (written.duration(math.nan), "–"),
        (written.rate(48_230.0), "48.2k"),
        (written.rate(7.0), "7.00"),
        (written.size(16 * 2**30), "16.0 GiB"),
        (written.times(1.806), "1.81×"),
        (written.percent(0.8376), "83.8 %"),
        (text.tick("10.0k"), "10k"),
        (text.tick("0.000100"), "0.0001"),
        (text.tick("100 µs"), "100 µs"),
        (text.tick("1.50 ms"), "1.5 ms"),
        (text.tick("1.00e-06"), "1e-06"),
        (text.tick("3.20e+100"), "3.2e+100"),
        (text.count(1, "law"), "1 law"),
        (text.count(0, "law"), "0 laws"),
        (text.listing(["a", "b", "c"]), "a, b and c"),
        (text.listing(["a", "b", "c", "d"], at_most=2), "a, b and 2 more"),
        (text.cut("abcdef", limit=4), "abcd … (2 more characters)"),
        (text.shorten("abcdef", limit=4), "abc…"),
        (text.clean("a\x1b[31mb\u202ec\n"), "a\N{REPLACEMENT CHARACTER}[31mb\N{REPLACEMENT CHARACTER}c\n"),
        (text.render_markdown("a|b <i>\n*c* rows_sum_to_one _d_"), r"a\|b &lt;i> \*c\* rows_sum_to_one \_d\_"),
        (text.render_markdown("`value` of `a|b` [x](http://y)"), r"`value` of \`a\|b\` \[x\](http://y)"),
        (text.render_markdown("# no heading"), r"\# no heading"),
        (text.render_markdown("1. no list"), r"1\. no list"),
        (text.render_markdown("> no quotation"), r"\> no quotation"),
        (text.render_markdown("-0.5"), "-0.5"),
        (text.fence_code("a ``` b"), "````text\na ``` b\n````"),
    ],
)
def test_a_text_is_written_as_the_reader_expects_it(actual: str, expected: str) -> None:
    """It has three significant digits, units, dashes for unknown values, and no markup."""
    assert actual == expected


@pytest.mark.parametrize(
    ("shown", "number_behind"),
    [
        ("1,013", 1013.0),
        ("1.50e-07", 1.5e-7),
        ("-3.40", -3.4),
        ("1.01 ms", 1.01e-3),
        ("2.50 µs", 2.5e-6),
        ("48.2k", 48_200.0),
        ("16.0 GiB", 16.0 * 2**30),
        ("1.81×", 1.81),
        ("83.8 %", 83.8),
        ("≤ 0.5", 0.5),
        ("88.72283935546875 *", 88.72283935546875),
        ("-inf", -math.inf),
        ("–", None),
        ("", None),
        ("nan", None),
    ],
)
def test_a_cell_is_sorted_by_the_number_that_it_shows(shown: str, number_behind: float | None) -> None:
    """Numbers with different units are comparable. An unknown value has no number."""
    magnitude = text.magnitude(shown)
    assert magnitude == (None if number_behind is None else pytest.approx(number_behind, rel=1e-12))


@pytest.mark.parametrize("value", [3.2e-9, 4.5e-4, 0.02, 1.0, 777.0, 1e6])
def test_a_formatted_number_keeps_its_order(value: float) -> None:
    """Times and rates are read back to three digits."""
    assert text.magnitude(written.duration(value)) == pytest.approx(value, rel=5e-3)
    assert text.magnitude(written.rate(value)) == pytest.approx(value, rel=5e-3)


@pytest.mark.parametrize("low", [1.0, 3.05, 6.9, 9.5e-7, 2.2e4])
@pytest.mark.parametrize("span", [1.57, 3.0, 40.0, 1e5, 1e9])
def test_every_span_has_a_few_round_ticks(low: float, span: float) -> None:
    """The narrowest span has at least one tick, and no span has more than fit."""
    assert 1 <= len(ticks(low, low * span)) <= 6


@pytest.mark.parametrize(
    ("status", "part"),
    [
        (
            Status.BROKEN,
            "nan for logits = [[1000.0, 0.0]], not 1 "
            "(rows_sum_to_one [float32]: deviation inf ulp, bound 64.0 ulp; 1 law).",
        ),
        (Status.UNEXPECTED, "declared failure of rows_sum_to_one not found in 100 examples: exp overflows above"),
        (Status.ERROR, "scratch.softmax: RuntimeError: expected a floating-point tensor (rows_sum_to_one [float32]"),
    ],
)
def test_a_finding_is_one_sentence_with_its_facts(status: Status, part: str) -> None:
    """The facts are deviation and bound, the declared reason, or the error."""
    (one,) = findings([samples.run.verdict(status)])
    assert part in explain_finding(one)


def test_several_causes_that_one_reason_declares_are_one_sentence() -> None:
    """The sentence lists all laws and dtypes. Another reason is a separate sentence."""
    verdict = samples.run.verdict(Status.EXPECTED)
    broken = verdict.violation
    assert broken is not None

    def breaks(operation: str, law: str, reason: str = "exp overflows above 88.72") -> Verdict:
        event = Event(kind=EventKind.OVERFLOW, operation=operation, dtype="float32", place=f"{operation}.py:1")
        violation = broken.model_copy(update={"event": event})
        return verdict.model_copy(update={"law": law, "reason": reason, "violation": violation})

    found = findings([breaks("exp", "a"), breaks("sum", "b"), breaks("mul", "c", "x")], [Status.EXPECTED])
    assert len(found) == 3
    case = verdict.case
    assert set(explain_declared(found)) == {
        f"{case}: exp overflows above 88.72 (2 laws, in float32).",
        f"{case}: x (1 law, in float32).",
    }


def test_a_run_on_a_stand_in_or_on_a_dirty_tree_says_so() -> None:
    """Both are remarks; a clean run on the published data has no remark."""
    environment = samples.run.environment(git_dirty=True)
    run = samples.run.head(environment=environment, data=samples.run.data_source(genuine=False))
    assert len(remarks(run)) == 2
    assert remarks(samples.run.head(data=samples.run.data_source(genuine=True))) == []


def test_the_caveat_of_data_follows_its_label_and_its_source() -> None:
    """The stand-in, unpublished files and unlabeled use of either are marked; other data is not."""
    genuine, stand_in = samples.run.data_source(genuine=True), samples.run.data_source(genuine=False)
    foreign = genuine.model_copy(update={"genuine": False, "origin": "folder"})
    assert source.caveat("Fashion-MNIST", genuine) == ""
    assert source.caveat("y = Xw + b + noise", stand_in) == ""
    assert "stand-in" in source.caveat("synthetic stand-in", None)
    assert "stand-in" in source.caveat(None, stand_in)
    assert "checksums" in source.caveat("Fashion-MNIST", foreign)
    assert source.caveats(["synthetic stand-in", None], stand_in).count("stand-in") == 1


def test_a_table_in_markdown_has_one_line_a_row() -> None:
    """Cells with bars and newlines stay cells, and an empty table keeps its headings."""
    columns = (Header("case", "code"), Header("time", "number"))
    lines = Table("t", "T", columns, (("a|b\nc", "1.00"),)).markdown().splitlines()
    assert lines[2].startswith(r"| a\|b c")
    assert [len(lines), lines[1][-2:]] == [3, ":|"]
    assert "case" in Table("t", "T", columns, ()).markdown()
