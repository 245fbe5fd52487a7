"""Proofs in words and in the report: complete, partial, and broken."""

import re
from pathlib import Path

import pytest
import samples.run
from samples.report import reported, run_of

from harness.error import UsageError
from harness.record import Proof, RunFolder
from harness.record.storage import beginning, seal_line
from harness.reports.page import write_report
from harness.reports.tables import operation as tables
from harness.wording.proof import (
    format_broken_laws,
    format_extent,
    format_witness,
    format_worst,
    group_unanswered_proofs,
    list_held_laws,
    proof_line,
)


def test_a_complete_proof_is_called_proved_and_a_part_is_not() -> None:
    """A proof with a wrong checksum, or with an error, is not called proved."""
    assert format_extent(samples.run.proof()) == "proved"
    assert format_extent(samples.run.proof(visited=440_860_672)) == "partial, 10.9%"
    assert format_extent(samples.run.proof(visited=4_030_726_143)) == "partial, 99.9%"
    assert format_extent(samples.run.proof(checksum="f0400000-0-1")).startswith("not proved")
    assert format_extent(samples.run.proof(error="it raises")) == "error"


def test_the_line_says_how_many_are_proved_and_what_is_broken() -> None:
    """It is one sentence."""
    assert proof_line([]) == "proofs: none, no input was visited"
    assert proof_line([samples.run.proof()]) == "proofs: all 1 proved (4,030,726,144 inputs visited)"
    assert proof_line([*samples.run.proofs(), samples.run.refutation()]) == (
        "proofs: 2 of 3 proved; 1 law broken (8,502,312,960 inputs visited)"
    )


def test_the_witness_is_spelled_in_hexadecimal() -> None:
    """If every output is correctly rounded, there is no witness."""
    assert format_witness(samples.run.proof()) == "[-0x1.0d4p+3, -0x1.064p-11]"
    assert format_worst(samples.run.proof()) == "0.500918"
    assert (format_witness(samples.run.proof(witness=None)), format_worst(samples.run.proof(witness=None))) == (
        "–",
        "≤ 0.5",
    )


def test_a_broken_law_has_a_block_with_its_kernel() -> None:
    """The block is the same as in the terminal."""
    broken = samples.run.refutation()
    (block,) = format_broken_laws([broken])
    assert block.startswith("homework.softmax breaks value [float16, rows]")
    assert "kernel     classes along the last axis" in block
    assert "replay     harness check" in block
    assert "the replay has this input only" in block
    assert list_held_laws(broken) == "none holds, value (broken)"
    assert list_held_laws(samples.run.proof()) == "2 hold"


def test_a_law_that_breaks_in_several_places_has_one_block() -> None:
    """Its last line names the other places."""
    broken = samples.run.refutation()
    (block,) = format_broken_laws([broken, broken.model_copy(update={"layout": "spread"})])
    assert block.splitlines()[-1] == "  also in    [float16, spread]"


def test_a_failure_to_answer_is_reported_once() -> None:
    """The sentence lists the affected proofs; a dtype alone represents all of its layouts."""
    errors = [
        samples.run.proof(error="it hangs", quantity=quantity, layout=layout, dtype=dtype)
        for quantity in ("value", "gradient")
        for dtype in ("float16", "bfloat16")
        for layout in ("rows", "columns")
    ]
    answered = samples.run.proof(quantity="gradient", layout="columns", dtype="bfloat16")
    assert group_unanswered_proofs([*errors[:-1], answered]) == [
        "it hangs\n  affects  value [everywhere]; gradient [float16; bfloat16 rows]"
    ]
    assert proof_line([*errors[:-1], answered]).startswith("proofs: 1 of 8 proved; 7 without an answer (")


def test_the_page_has_the_proofs_and_names_what_is_broken(tmp_path: Path) -> None:
    """The section, the findings and the headline have it."""
    run = samples.run.full_run(tmp_path)
    run.write(Proof, [*samples.run.proofs(), samples.run.refutation()])
    path, (verdict, *_) = write_report(run)
    assert "proofs: 2 of 3 proved; 1 law broken" in verdict
    for text in (path.read_text(encoding="utf-8"), path.with_suffix(".md").read_text(encoding="utf-8")):
        assert "partial, 10.9%" in text
        assert "4,030,726,144" in text
        assert "found by visiting every input" in text


def test_a_run_of_proofs_alone_is_reported(tmp_path: Path) -> None:
    """The page is green if all laws hold, and red if one breaks."""
    outcomes = []
    for found in (samples.run.proof(), samples.run.refutation()):
        report = reported(run_of(tmp_path, found))
        assert report.lines[0].startswith("proofs: all 1 proved")
        outcomes += re.findall(r'class="verdict (\w+)"', report.html)
    assert outcomes == ["good", "bad"]


def test_the_tables_say_how_a_law_is_known_to_hold() -> None:
    """It was measured, or follows from the value. A partial proof is marked."""
    table = tables.list_held(samples.run.proofs())
    assert {row[4] for row in table.rows} == {"measured", "follows from the value"}
    assert any("float16 spread (a part)" in row[5] for row in table.rows)
    (rows, spread) = tables.kernels(samples.run.proofs()).rows
    assert (rows[0], rows[4]) == ("rows", "1")
    assert spread[0] == "spread"


@pytest.mark.parametrize("field", ["checksum", "visited", "laws"])
def test_a_proof_without_a_field_is_refused(tmp_path: Path, field: str) -> None:
    """Records are validated when they are read."""
    document = samples.run.proof().model_dump_json(exclude={field})
    line, _ = seal_line(document, beginning("proofs.jsonl"))
    (tmp_path / "proofs.jsonl").write_bytes(line)
    with pytest.raises(UsageError, match=field):
        RunFolder(tmp_path).read(Proof)
