"""The glossary: every word has a meaning and an example, and ``harness explain`` prints it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from samples import screens
from samples.command import Command

from harness.contracts import contracts
from harness.display.listing import Entry, explain, find_entry, read_entries
from harness.findings import Grade
from harness.gate.confirmation import State
from harness.record import EventKind, Sameness, Status, Tolerance
from harness.record.audit import AuditKind
from harness.record.budget import PARTS
from harness.record.gate import Outcome

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
WORDS = re.findall(r"^## (.+)$", PAGE, re.M)
ROWS = re.findall(r"^\| ([A-Za-z -]+) \| .+ \| .+ \|$", PAGE, re.M)[1:]
NEEDED = {
    *("case", "contract", "law", "example", "actual", "expected", "deviation", "bound", "ray", "breaking point"),
    *("not required", "overflow", "underflow"),
    *("verdict", "defect", "lost digits", "finding", "property", "survey", "record", "run", "gate"),
}
"""Words that the glossary must have."""


def test_the_installed_glossary_is_the_page() -> None:
    """It is in alphabetical order, without duplicates."""
    assert list(read_entries()) == WORDS + ROWS
    keys = [word.replace("-", "") for word in WORDS]
    assert keys == sorted(set(keys))
    assert sorted({*ROWS} - {*WORDS}, key=str.lower) == ROWS
    assert set(WORDS) >= NEEDED


PRINTED = (Status, EventKind, AuditKind, Grade, Outcome, State, Tolerance, Sameness)
"""The words for results that commands print."""


def _collect_labels() -> Iterator[str]:
    """Yield the labels of lines in the outputs of the documentation and of the recorded screens."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    outputs = [text for page in pages for text in re.findall(r"^```console\n(.*?)^```", page.read_text(), re.M | re.S)]
    for line in [line for output in [*outputs, screens.RECORDED.read_text()] for line in output.splitlines()]:
        if label := re.match(
            r"  ([a-z][a-z -]{1,12}?)  +\S|(verdict|checked|grade|property|not done): |([A-Z]{4}[A-Z ]*?)  +", line
        ):
            yield next(filter(None, label.groups())).lower()


def test_every_word_of_an_output_is_explained() -> None:
    """Results, labels of lines and parts of a batch's time are words of the glossary."""
    words = {member.value for words in PRINTED for member in words} | {*PARTS} | {*_collect_labels()}
    assert len(words) > 60
    assert sorted(word for word in words if find_entry(word) is None) == []


@pytest.mark.parametrize("each", read_entries().values(), ids=lambda each: each.word)
def test_a_word_has_one_sentence_and_one_example(each: Entry) -> None:
    """``harness explain`` prints both."""
    assert each.meaning.endswith(".")
    assert len(re.findall(r"\.(?: |$)", each.meaning)) == 1
    assert f"Example: {each.example}" in " ".join(PAGE.split()) or f" | {each.meaning} | {each.example} |" in PAGE
    assert explain(each.word) == f"{each.word}\n  meaning     {each.meaning}\n  example     {each.example}"


def test_no_word_hides_a_law() -> None:
    """Words of the glossary and laws have different names."""
    assert not {law.name for contract in contracts().values() for law in contract.laws} & {*read_entries()}


@pytest.mark.parametrize("typed", ["breaking point", "Breaking Points", "breaking_point", "breaking-point"])
def test_a_word_is_found_as_people_type_it(typed: str) -> None:
    """Upper case, hyphens, underscores and the plural are accepted."""
    found = find_entry(typed)
    assert found is not None
    assert found.word == "breaking point"


def test_the_command_prints_an_entry(workplace: Path, harness_command: Command) -> None:
    """An entry can be given in place of a law, and a misspelled word gets a suggestion."""
    done = harness_command("explain", "breaking-points", code=0)
    assert done.stdout.startswith("breaking point\n  meaning     The first representable number on a ray")
    assert "\n  example     88.72283935546875 " in done.stdout
    assert "did you mean `headroom`?" in harness_command("explain", "headrom").stderr
