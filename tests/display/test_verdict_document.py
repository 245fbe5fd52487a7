"""Verdicts for other programs: JSON, JUnit XML and Markdown."""

import json
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest
import torch
from torch import Tensor

import harness
from harness.display.junit import make_junit
from harness.display.verdict_document import Results, make_json, make_markdown
from harness.record import Verdict
from harness.wording.verdict import verdict_line


def naive(x: Tensor) -> Tensor:
    """The definition."""
    return x.exp() / x.exp().sum(-1, keepdim=True)


def shouts(x: Tensor) -> Tensor:
    """Raises an error whose text would end a document."""
    raise ValueError("]]> </testsuite> | ``` \x1b[31m \x00 <script>")


@pytest.fixture(scope="module")
def verdicts() -> Sequence[Verdict]:
    """Return one verdict of each status."""
    laws, dtypes = ["value", "calls_agree"], ["float32"]
    broken = harness.check(naive, "softmax", laws=laws, dtypes=dtypes)
    expected = harness.check(naive, "softmax", laws=["value"], dtypes=["float64"], breaks={"value": "overflow"})
    unexpected = harness.check(
        torch.softmax, "softmax", laws=["no_rows"], dtypes=dtypes, breaks={"no_rows": "?"}, call=_dim
    )
    skipped = harness.check(naive, "softmax", laws=["gradient"], dtypes=dtypes, call="numpy")
    return [*broken, *expected, *unexpected, *skipped, *harness.check(shouts, "softmax", laws=["value"], dtypes=dtypes)]


def _dim(f: object, x: Tensor) -> Tensor:
    return torch.softmax(x, -1)


def test_json_is_the_records_and_the_verdict(verdicts: Sequence[Verdict]) -> None:
    """Every record can be read back."""
    document = json.loads(make_json(Results(verdicts)))
    assert document["verdict"] == verdict_line(verdicts)
    again = [Verdict.model_validate(one) for one in document["verdicts"]]
    assert [one.model_dump_json() for one in again] == [one.model_dump_json() for one in verdicts]


def test_junit_has_a_test_for_each_law_and_dtype(verdicts: Sequence[Verdict]) -> None:
    """Failures contain the violation block, and text of an implementation is escaped."""
    root = ElementTree.fromstring(make_junit(Results(verdicts)))  # noqa: S314 - our own
    tests = {(str(one.get("classname")), str(one.get("name"))): one for one in root.iter("testcase")}
    assert len(tests) == len(verdicts)
    (failure,) = [
        one.find("failure") for key, one in tests.items() if key[1] == "value [float32]" and "naive" in key[0]
    ]
    assert failure is not None
    assert "0x1.62e43p+6" in (failure.text or "")
    results = {child.tag for one in tests.values() for child in one}
    assert results == {"failure", "error", "skipped"}
    assert next(root.iter("testsuite")).get("tests")


def test_markdown_shows_a_table_and_the_blocks(verdicts: Sequence[Verdict]) -> None:
    """They are in a fence that no text closes."""
    text = make_markdown(Results(verdicts))
    assert text.startswith("**verdict: ")
    assert "| law " in text
    assert "subtract the row maximum first" in text
    assert "````text" in text
    assert "\x1b" not in text
    assert "\x00" not in text


def test_every_format_says_what_kind_of_thing_it_is() -> None:
    """Each output format has the properties once, next to the verdicts."""
    spread = harness.check(lambda x: x.var(-1), "variance", laws=["value"], dtypes=["float32"])
    said = "agrees with `--declare correction=1`"
    assert said in json.loads(make_json(Results(spread, spread.properties)))["properties"][0]
    assert said in make_junit(Results(spread, spread.properties))
    assert "agrees with" in make_markdown(Results(spread, spread.properties))
