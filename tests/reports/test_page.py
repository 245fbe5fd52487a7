"""The page for whole, partial and hostile runs: reproducible bytes, and statements about its data."""

import base64
import csv
import hashlib
import re
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cloudpickle
import pandas as pd
import pytest
import samples.benchmarks
import samples.run
from samples.report import Report, reported, run_of

from harness.error import UsageError
from harness.execution.logbook import logbook
from harness.record import (
    Breaking,
    Image,
    RunFolder,
    Status,
    Verdict,
)
from harness.reports import svg
from harness.reports.frame import FRAMES
from harness.reports.observation import load
from harness.reports.page import write_report
from harness.wording.verdict import verdict_line


class Outline(HTMLParser):
    """Collects elements, identifiers and links of a page, and checks that every element is closed.

    The next tag of a table closes a row or a cell, as the HTML standard says (section 13.1.2.4, optional tags).
    """

    CELLS = frozenset({"td", "th"})
    CLOSES = MappingProxyType({"td": CELLS, "th": CELLS} | dict.fromkeys(("tr", "thead", "tbody"), CELLS | {"tr"}))
    VOID = frozenset({"meta", "img", "wbr", "br", "hr", "path", "use", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record a tag, its identifier and its link."""
        if tag in {"td", "th", "tr"}:
            self._close_implied(tag)
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name in {"href", "src", "xlink:href"} and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record a tag that closes itself."""
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which must have this name."""
        if tag not in self.VOID:
            if tag not in {*self.CELLS, "tr"}:
                self._close_implied(tag)
            assert self.open.pop() == tag

    def _close_implied(self, tag: str) -> None:
        while self.open[-1] in self.CLOSES.get(tag, ()):
            self.open.pop()


def unbroken(html: str) -> str:
    """Return a page without the break opportunities in names."""
    return re.sub("<wbr[^>]*>", "", html)


def written(run: RunFolder) -> tuple[str, str]:
    """Write the report of a run and return its HTML and its Markdown."""
    report = reported(run)
    return report.html, report.markdown


def test_a_full_run_gives_a_well_formed_page(report: Report) -> None:
    """Every element is closed, identifiers are unique, internal links resolve, and nothing is fetched."""
    outline = Outline(report.html)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)
    beside = {link for link in outline.links if not link.startswith(("#", "data:image/png;base64,"))}
    assert len(beside) >= 12, "figures link to the frames they are drawn from"
    assert all((report.page.parent / link).read_text(encoding="utf-8").count("\n") > 1 for link in beside)


def test_no_script_runs_but_the_pages_own(report: Report) -> None:
    """The content security policy allows only the hash of the page's script."""
    (script,) = re.findall("<script>(.*?)</script>", report.html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert re.findall(r"script-src ([^;]*);", report.html) == [f"'sha256-{digest}'"]


def test_the_first_layer_answers_and_the_second_has_a_page_for_each_thing(report: Report) -> None:
    """Pictures, findings and the index come first, then operations, training, loaders and the run."""
    first, second = report.html.split('<div class="sheets"')
    assert re.findall(r'<section (?:id|class)="([\w-]+)', first) == [*["picture"] * 4, "attention", "declared", "index"]
    kinds = re.findall(r'<article class="sheet (\w+)" id="([\w-]+)"', second)
    assert list(dict.fromkeys(kind for kind, _ in kinds)) == ["operation", "model", "loader", "run"]
    assert [name for kind, name in kinds if kind == "run"] == [*("laws", "loading", "gate", "images", "environment")]
    assert {link[1:] for link in Outline(first).links if link.startswith("#")} >= {name for _, name in kinds}
    titles = re.findall(r"^## (.+)$", report.markdown, re.MULTILINE)
    claims = (
        r"returns NaN from t = ",
        "of 2 implementations of softmax break",
        "reading is |fastest data loader",
        "times as fast as",
    )
    assert all(re.search(claim, title) for claim, title in zip(claims, titles, strict=False)), titles[:4]
    assert "Environment" in titles


def test_styles_of_drawings_are_not_repeated(report: Report) -> None:
    """No two elements repeat a style: shared styles are classes, and each class has exactly one rule that is used."""
    drawings = "".join(re.findall("<svg .*?</svg>", report.html, re.DOTALL))
    styles = re.findall(' style="([^"]*)"', drawings)
    assert len(styles) == len(set(styles))
    sheet = report.html[: report.html.index("</style>")]
    rules = re.findall(r"^\.(d\d+)\{(.*)\}$", sheet, re.MULTILINE)
    assert len(rules) == len({name for name, _ in rules}) == len({style for _, style in rules}) > 20
    assert {name for name, _ in rules} == set(re.findall(r' class="(d\d+)"', drawings))
    assert not {style for _, style in rules} & set(styles)


def test_every_record_of_a_contract_is_only_on_its_page(report: Report) -> None:
    """The page has its matrix, breaking points, proofs and declared failures."""
    (softmax,) = re.findall(
        r'<article class="sheet operation" id="operation-softmax">.*?</article>', report.html, re.DOTALL
    )
    for part in ("laws", "survey", "proofs", "operations", "declared"):
        assert f'<section id="operation-softmax-{part}">' in softmax
    assert "cross_entropy" not in unbroken(softmax).replace("softmax_cross_entropy", "")


def test_the_same_run_gives_the_same_bytes(
    full: RunFolder, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two reports of a run have identical files. The second report draws a drawing of each kind again."""
    first, second = report.page.parent, tmp_path / "second"
    remembered, again = svg._draw, svg._draw.__wrapped__
    kinds: set[tuple[Any, Any]] = set()

    def drawn(asked: bytes) -> str:
        draw, *_ = cloudpickle.loads(asked)
        while isinstance(draw, partial):
            draw = draw.keywords.get("draw", draw.func)
        known, kind = len(kinds), (draw.__module__, draw.__qualname__)
        kinds.add(kind)
        return again(asked) if len(kinds) > known else remembered(asked)

    monkeypatch.setattr(svg, "_draw", drawn)
    write_report(full, second)
    assert len(kinds) > 15
    files = sorted(path.relative_to(first) for path in first.rglob("*.*"))
    assert len(files) == len({"html", "md", "badge", "schema", "parquet"}) + len(FRAMES)
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes()


def test_the_verdict_line_is_returned_and_heads_both_pages(full: RunFolder, report: Report) -> None:
    """Terminal, HTML and Markdown have the same sentence."""
    line, *_ = report.lines
    assert report.page == full.path / "report" / "report.html"
    assert line == (
        "verdict: no undeclared defect in 96 laws (384 verdicts: 353 hold, 27 expected failures, 4 skipped); "
        "proofs: 1 of 2 proved (4,471,586,816 inputs visited)"
    )
    assert f'id="verdict">{line}</p>' in unbroken(report.html)
    assert f"**{line}**" in report.markdown


OUTCOMES = [
    ([], "none"),
    ([Status.SKIPPED] * 2, "none"),
    ([Status.HOLDS], "good"),
    ([Status.HOLDS, Status.HOLDS, Status.EXPECTED, Status.SKIPPED], "good"),
    ([Status.BROKEN, Status.HOLDS], "bad"),
    ([Status.UNEXPECTED], "bad"),
    ([Status.ERROR], "bad"),
]


@pytest.mark.parametrize(("statuses", "outcome"), OUTCOMES)
def test_a_mix_of_verdicts_has_its_line_and_its_color(tmp_path: Path, statuses: list[Status], outcome: str) -> None:
    """The line says that nothing ran, that all is as declared, or names the failures. The color repeats the words."""
    verdicts = [samples.run.verdict(it, case="case", law=f"law-{number}") for number, it in enumerate(statuses)]
    report = reported(run_of(tmp_path, *verdicts))
    assert report.lines[0] == verdict_line(verdicts)
    assert f'<p class="verdict {outcome}" id="verdict">{report.lines[0]}</p>' in unbroken(report.html)


def test_a_section_without_data_is_omitted(bare: RunFolder) -> None:
    """An empty run has a line that says so, and its origin."""
    html, markdown = written(bare)
    assert "verdict: none, no law was checked" in html
    assert "verdict: none, no law was checked" in markdown
    assert re.findall(r'<section id="([\w-]+)">', html) == ["attention", "index", "environment-environment"]
    assert "No law was checked in this run." in html
    assert "<svg" not in html


def test_a_run_that_only_measured_says_nothing_of_laws(bare: RunFolder) -> None:
    """The headline is a measurement."""
    samples.benchmarks.write_suite(bare, "loaders", samples.benchmarks.loader_entries())
    html, _ = written(bare)
    assert "samples per second" in html.partition("</h1>")[0]
    assert "no law was checked" not in html.lower()
    assert 'id="verdict"' not in html
    assert 'id="attention"' not in html


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ([Status.HOLDS], "All other laws hold."),
        ([Status.HOLDS, Status.LOST], "1 law loses digits; all other laws hold."),
        ([Status.HOLDS, Status.LOST, Status.LOST], "2 laws lose digits; all other laws hold."),
        ([Status.LOST], "No checked law holds."),
    ],
)
def test_the_headline_counts_the_other_outcomes(bare: RunFolder, beside: list[Status], said: str) -> None:
    """There is a defect besides the other outcomes. A law with lost digits is not counted as holding."""
    statuses = [Status.BROKEN, *beside]
    bare.write(Verdict, [samples.run.verdict(status, law=f"law_{at}") for at, status in enumerate(statuses)])
    html, _ = written(bare)
    assert html.partition("</h1>")[0].rstrip().endswith(said)


def test_the_headline_names_a_case_once_and_breaks_no_arrow(bare: RunFolder) -> None:
    """The sentence about an error may already begin with the name. A place in a file is not split either."""
    known = samples.run.verdict(Status.ERROR)
    said = f"{known.case} raises TypeError (mine.py:5); it is called as (x[n,d]) -> [n,d], not sigmoid(-x)"
    bare.write(Verdict, [known.model_copy(update={"reason": said})])
    html, _ = written(bare)
    heading = html.partition("<h1")[2].partition("</h1>")[0].replace("_<wbr>", "_")
    assert heading.replace("<wbr>", "").count(known.case) == 1
    assert "mine.py:5" in heading
    assert [">-&gt;<" in heading, ">sigmoid(-x)<" in heading] == [True, True]


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        ([Status.HOLDS], []),
        ([Status.HOLDS, Status.EXPECTED], ["expected failure:"]),
        ([Status.EXPECTED, Status.LOST], ["expected failure:", "lost digits:"]),
    ],
)
def test_the_first_screen_explains_the_words_that_it_uses(
    bare: RunFolder, statuses: list[Status], words: list[str]
) -> None:
    """It explains no other words. A survey adds the word ray."""
    bare.write(Verdict, [samples.run.verdict(status, law=f"law_{at}") for at, status in enumerate(statuses)])
    explained = written(bare)[0].partition("<dt>Terms</dt>")[2].partition("</dd>")[0]
    assert [word in explained for word in ("expected failure:", "lost digits:", "ray:")] == [
        *(word in words for word in ("expected failure:", "lost digits:")),
        False,
    ]
    bare.write(Breaking, samples.run.breakings())
    assert "ray: a family of inputs" in written(bare)[0].partition("<dt>Terms</dt>")[2].partition("</dd>")[0]


RECORDS: dict[str, Callable[[], list[Any]]] = {
    "verdicts": samples.run.verdicts,
    "epochs": samples.run.epochs,
    "estimates": samples.run.estimates,
    "fits": samples.run.fits,
    "weights": samples.run.weights,
    "confusions": samples.run.confusions,
    "images": samples.run.images,
    "survey": samples.run.breakings,
}
SUITES: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "steps": samples.benchmarks.step_entries,
    "loaders": samples.benchmarks.loader_entries,
    "balance": samples.benchmarks.balance_entries,
    "vectorization": samples.benchmarks.vectorization_entries,
}


@pytest.mark.parametrize("kind", [*RECORDS, *SUITES])
def test_a_run_with_one_kind_of_record_is_a_readable_page(tmp_path: Path, kind: str) -> None:
    """Each kind of record is tested alone."""
    records = RECORDS[kind]() if kind in RECORDS else []
    suites = {kind: SUITES[kind]()} if kind in SUITES else {}
    assert Outline(written(run_of(tmp_path, *records, **suites))[0]).open == []


def test_texts_of_records_are_escaped(attacked: Report) -> None:
    """No markup, control or bidirectional character of a record reaches the pages or the terminal unescaped."""
    assert Outline(attacked.html).open == []
    assert "<img src=x" not in attacked.html
    outside = re.sub(r"^(`{3,})text\n.*?^\1$", "", attacked.markdown, flags=re.MULTILINE | re.DOTALL)
    assert "<img" not in outside
    for text in (attacked.html, attacked.markdown, *attacked.lines):
        assert not {"\x1b", "\u202e"} & set(text)


def test_a_huge_error_is_cut(bare: RunFolder) -> None:
    """A megabyte of traceback is shortened."""
    bare.write(Verdict, [samples.run.verdict(Status.ERROR, reason="x" * 1_000_000)])
    html, markdown = written(bare)
    assert len(html) < 100_000
    assert len(markdown) < 20_000
    assert "more characters)" in html


STAND_IN = "made from the synthetic stand-in, not from the published data set"


def test_everything_made_from_the_stand_in_says_so(report: Report, elsewhere: Report) -> None:
    """The label is on heat map, loader tables, training curves and their table, image grid and data table only.

    A run with the published data set has none.
    """
    html, markdown = elsewhere.html, elsewhere.markdown
    labelled = [
        name
        for name, body in re.findall(r'class="part" id="([\w-]+)"(.*?)(?=class="part"|</section>)', html, re.DOTALL)
        if STAND_IN in body
    ]
    tables = {"best-loaders", "loader-shares", "loaders-table", "balance-table", "training-table", "data-table"}
    figures = {
        "front-loader",
        "loader-scaling",
        "balance-figure",
        "budget-figure",
        "training-1-figure",
        "image-grid",
        "weights",
        "confusion",
    }
    parts = figures | tables
    assert {next(part for part in parts if name.endswith(part)) for name in labelled} == parts
    pictures = [
        body for body in re.findall(r'<section class="picture.*?</section>', html, re.DOTALL) if STAND_IN in body
    ]
    assert ["front-loader" in picture for picture in pictures] == [True]
    assert markdown.count(STAND_IN) == len(labelled) + len(pictures)
    assert "stand-in" not in report.html + report.markdown


def test_a_machine_without_accelerator_says_so_and_one_with_it_shows_its_column(
    report: Report, elsewhere: Report
) -> None:
    """Both have the column; the sentence appears only without an accelerator."""
    sentence = "no accelerator on this machine"
    assert report.html.count(sentence) >= 3
    assert sentence in report.markdown
    assert sentence not in elsewhere.html
    assert "softmax_regression, cuda" in unbroken(elsewhere.html)
    assert "rows on cuda is faster." in elsewhere.html


def test_captions_are_computed_from_the_run(report: Report) -> None:
    """The sentence below a figure has numbers of this run."""
    html = unbroken(report.html)
    assert "one softmax_regression step takes 3.31 ms (scratch) or 2.05 ms (concise)." in html
    assert "item_by_item: at batch 32, 2 workers are 1.6 times as fast as none; at batch 256, 2 workers are" in html
    both = "overfitting.scratch.train and overfitting.concise.train"
    assert f"The held-out loss of {both} is lowest after epoch 7: " in html
    assert "21 of 24 classified correctly" in html


def test_failures_are_shown_as_the_terminal_shows_them(bare: RunFolder) -> None:
    """A broken law has its sentence and its block; an unmet declaration has its sentence."""
    bare.write(Verdict, [samples.run.verdict(status, law=f"{status}_law") for status in Status])
    html, markdown = written(bare)
    (target,) = re.findall(r'<p><a href="#(failure-[0-9a-f]{8})">Details</a></p>', html)[:1]
    assert f'id="{target}"' in html
    assert "  look at    exp overflows above 88.7 in float32: subtract the row maximum first" in markdown
    assert "declared failure of unexpected_law not found in 100 examples" in unbroken(html)
    assert re.search(r'<details id="operation-softmax-declared-1">', html)


def test_the_matrix_tells_every_status_without_colour(bare: RunFolder) -> None:
    """Each status has a sign and a text, and the case has a count in words."""
    bare.write(Verdict, [samples.run.verdict(status, law=f"{status}_law") for status in Status])
    html, markdown = written(bare)
    for status, sign in zip(Status, "✓≈✗◇≠○–!", strict=True):
        assert re.search(rf'<td class="{status}" data-of="[^"]*" title="float32: {status}[^"]*">{sign}\s*<', html)
    assert (
        "<small>1 hold, 1 lost digits, 1 broken, 1 expected, 1 unexpected, 1 not claimed, 1 skipped, 1 error</small>"
        in html
    )
    assert "✓" in markdown


def test_the_frames_are_stored_next_to_the_page_with_their_schema(full: RunFolder, report: Report) -> None:
    """There is a CSV per frame, a CSV with the meaning of each column, and a Parquet file with all numbers."""
    folder = report.page.parent / "data"
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "observations.parquet"), load(full.path))
    assert {file.stem for file in folder.glob("*.csv")} == {*FRAMES, "schema"}
    with (folder / "schema.csv").open(encoding="utf-8", newline="") as stream:
        documented = [(row["frame"], row["column"]) for row in csv.DictReader(stream)]
    for name in FRAMES:
        header = (folder / f"{name}.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
        assert header == [column for frame, column in documented if frame == name]


def test_a_damaged_image_names_the_rule(bare: RunFolder) -> None:
    """The number of pixels must agree with height and width."""
    bare.write(Image, [samples.run.images()[0].model_copy(update={"width": 27})])
    with pytest.raises(UsageError, match="height \\* width"):
        write_report(bare)


def test_the_command_finds_the_report_by_its_name() -> None:
    """The harness imports it only on demand."""
    assert logbook("page").write_report is write_report
