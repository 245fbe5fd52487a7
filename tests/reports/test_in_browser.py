"""The page in a browser, wide and narrow, light and dark: no requests, no clipped text, no overlaps."""

import io
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import samples.run
from samples.report import Report, reported, run_of

from harness.record import Status

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")

CHROMIUM = shutil.which("chromium")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
]
LAYERS = ("#top", "#everything")
NARROW = "document.documentElement.scrollWidth <= innerWidth"
"""Whether the page does not scroll sideways."""

UNFOLD = "document.querySelectorAll('details').forEach(it => { it.open = true })"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

OVERLAPS = """() => [...document.querySelectorAll('svg')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('text')].filter(it => it.textContent.trim())
    .map(it => [it.textContent, it.getBoundingClientRect()]);
  return boxes.flatMap(([a, p], i) => boxes.slice(i + 1)
    .filter(([, q]) => Math.min(p.right, q.right) - Math.max(p.left, q.left) > 1
                    && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 3)
    .map(([b]) => `${a} over ${b}`));
})"""

CUT_OFF = """() => [...document.querySelectorAll('svg')].flatMap(svg => {
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(it => {
    const box = it.getBoundingClientRect();
    return box.left < frame.left - 2 || box.right > frame.right + 2 || box.top < frame.top - 2
        || box.bottom > frame.bottom + 2;
  }).map(it => it.textContent);
})"""

SMALLEST = """() => Math.min(...[...document.querySelectorAll('svg text')]
  .filter(it => it.getBoundingClientRect().width > 0).map(it =>
  parseFloat(getComputedStyle(it).fontSize) * it.ownerSVGElement.getBoundingClientRect().width
  / it.ownerSVGElement.viewBox.baseVal.width))"""

ONE_ROW_OF_A_KIND = """() => {
  const told = it => /^(id|href|title|data-.*)$/.test(it.name) ? it.name : `${it.name}=${it.value}`;
  const kind = it => [it.tagName, [...it.attributes].map(told), !it.textContent.trim(), [...it.children].map(kind)];
  document.querySelectorAll('tbody').forEach(body => {
    const kinds = new Set();
    [...body.rows].forEach(row => {
      const its = JSON.stringify(kind(row));
      kinds.has(its) ? row.remove() : kinds.add(its);
    });
  });
}"""
"""Removes rows that differ from another row only in their text, because the rules give the same result for both."""

OF_COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules of axe-core that depend on light or dark mode."""

DEAD_LINKS = """() => [...document.querySelectorAll('a[href^="#"]')]
  .map(it => it.getAttribute('href').slice(1)).filter(id => !document.getElementById(id))"""


def printed(page: Any) -> tuple[str, list[str]]:
    """Return the text of a page, and the parts that begin to the right of the paper."""
    beyond: list[str] = []

    def visit(text: str, user: list[float], own: list[float], _font: Any, _size: float) -> None:
        x = user[0] * own[4] + user[2] * own[5] + user[4]
        if text.strip() and x > float(page.mediabox.width) - 12.0:
            beyond.append(text)

    return page.extract_text(visitor_text=visit), beyond


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start the browser once."""
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any, elsewhere: Report) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a page in a window, at a part of it, and a list for messages and requests.

    The default is the page of a run with every kind of record, failures and an accelerator.
    """
    contexts: list[Any] = []

    def open_at(part: str = "", page: Path = elsewhere.page, *, width: int = 1280, **how: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, **how))
        view = contexts[-1].new_page()
        view.noticed = []
        for event in ("console", "pageerror", "dialog"):
            view.on(event, lambda what: view.noticed.append(str(what)))
        view.on("dialog", lambda dialog: dialog.dismiss())
        view.on("request", lambda request: view.noticed.append(request.url.partition("#")[0]))
        view.goto(f"{page.as_uri()}{part}")
        return view

    yield open_at
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("layer", LAYERS)
def test_the_page_fits_the_window_and_asks_for_nothing(
    opened: Callable[..., Any], elsewhere: Report, layer: str, width: int
) -> None:
    """There is no console message, no request except the page, no sideways scrolling, no dead link, light or dark.

    No label of a figure overlaps another or leaves its drawing, and none is smaller than 12 pixels.
    """
    view = opened(layer, width=width)
    for scheme in ("dark", "light"):
        view.emulate_media(color_scheme=scheme)
        assert view.evaluate(NARROW)
    assert [url for url in view.noticed if not url.startswith("data:")] == [elsewhere.page.as_uri()]
    assert view.evaluate(DEAD_LINKS) == []
    assert view.evaluate(OVERLAPS) == []
    assert view.evaluate(CUT_OFF) == []
    assert view.evaluate(SMALLEST) >= 12


def test_every_detail_can_be_unfolded_without_widening_the_page(opened: Callable[..., Any]) -> None:
    """On a phone, folded tables and blocks scroll inside their boxes."""
    view = opened("#everything", width=390)
    view.evaluate(UNFOLD)
    assert view.evaluate(NARROW)


def test_a_dark_window_gets_a_dark_page(opened: Callable[..., Any]) -> None:
    """Background and text of figures follow the window."""
    view = opened(color_scheme="dark")
    assert view.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert view.evaluate("getComputedStyle(document.querySelector('svg text')).fill") != "rgb(31, 35, 40)"


def test_the_page_has_no_known_barrier_light_or_dark(opened: Callable[..., Any]) -> None:
    """All rules of axe-core run on the unfolded page. In dark mode only the rules about colors run."""
    for layer in LAYERS:
        view = opened(layer, bypass_csp=True)
        view.evaluate(UNFOLD)
        view.evaluate(ONE_ROW_OF_A_KIND)
        for scheme, rules in (("light", {}), ("dark", {"runOnly": OF_COLOURS})):
            view.emulate_media(color_scheme=scheme)
            found = axe.Axe().run(view, options={"resultTypes": ["violations"], **rules}).response
            assert [(it["id"], it["nodes"][0]["html"]) for it in found["violations"]] == []
            assert {it["id"] for it in found["passes"]} >= {*OF_COLOURS}


def test_a_table_shows_thirty_rows_until_a_word_is_searched(opened: Callable[..., Any], tmp_path: Path) -> None:
    """The word may be in a hidden row; then all rows are shown."""
    names = [f"operation_{number}" for number in range(40)]
    verdicts = [samples.run.verdict(Status.HOLDS, contract=name, case=f"own.scratch.{name}") for name in names]
    view = opened("#laws", reported(run_of(tmp_path, *verdicts)).page)
    part = view.locator(":has(> .all):visible").last
    rows, field = part.locator("tbody tr:visible"), part.locator(".filter input")
    assert rows.count() == 30
    field.fill("operation_39")
    assert rows.all_text_contents()[0].startswith("operation_39")
    field.fill("")
    assert rows.count() == 40


def test_a_long_table_is_sorted_by_number_and_filtered_by_words(opened: Callable[..., Any]) -> None:
    """A heading sorts up, then down, by the keyboard. The field keeps and counts the rows with every word."""
    view = opened("#everything")
    view.evaluate(UNFOLD)
    table = view.locator("table.long:has(th.number):visible").first
    place = table.evaluate("it => [...it.tHead.rows[0].cells].findIndex(cell => cell.className === 'number')")
    heading = table.locator("thead th").nth(place)
    heading.locator("button").press("Enter")
    shown_as = "it => [...it.tBodies[0].rows].map(row => row.cells[PLACE].dataset.key ?? row.cells[PLACE].textContent)"
    keys = table.evaluate(shown_as.replace("PLACE", str(place)))
    numbers = [float(key.replace(",", "")) for key in keys if key]
    assert heading.get_attribute("aria-sort") == "ascending"
    assert len(numbers) > 1
    assert numbers == sorted(numbers)
    assert [bool(key) for key in keys] == sorted((bool(key) for key in keys), reverse=True)
    heading.locator("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    cells = table.locator("tbody tr th").all_text_contents()
    label = view.locator(".filter:has(+ .scroll > table.long:has(th.number)):visible").first
    label.locator("input").fill(cells[0].upper())
    shown = table.locator("tbody tr:visible th").all_text_contents()
    assert shown == [cell for cell in cells if cells[0] in cell]
    assert label.locator("output").inner_text().strip() == f"{len(shown)} of {len(cells)} rows"


def test_a_key_moves_the_figure_by_one_float_over_the_breaking_point(opened: Callable[..., Any]) -> None:
    """The figure starts where exp is infinite.

    One step back it is finite, and so says the sentence for a screen reader.
    """
    view = opened()
    figure, slider = view.locator("#watch-figure"), view.locator("#watch-figure input[type=range]")
    assert figure.locator(".t").inner_text() == "88.72283935546875"
    assert figure.locator("tr:has(th:text-is('exp')) td").first.inner_text() == "inf"
    assert figure.locator("tr.actual td").first.inner_text() == "nan"
    slider.press("ArrowLeft")
    assert figure.locator(".t").inner_text() == repr(88.72283935546875 - 2.0**-17)
    assert figure.locator(".lost").count() == 0
    assert slider.get_attribute("aria-valuetext") == figure.locator(".says").inner_text()
    assert "the error is within its bound" in figure.locator(".says").inner_text()


def test_the_mouse_moves_the_figure_and_chooses_what_it_shows(opened: Callable[..., Any]) -> None:
    """A click moves to the nearest call, and menus choose the dtype and the implementation."""
    view = opened()
    figure = view.locator("#watch-figure")
    figure.locator(".plot").click(position={"x": 2, "y": 50})
    assert figure.locator(".t").inner_text() == "0.0"
    figure.locator(".to").click()
    assert figure.locator(".lost").count() > 0
    figure.locator("select[name=dtype]").select_option("float16")
    assert figure.locator(".t").inner_text() == "11.09375"
    figure.locator("select[name=case]").select_option("softmax_regression.concise.softmax")
    assert figure.locator(".where").inner_text() == "does not break on this ray"
    assert "concise.softmax" in view.locator(".watch-picture h2").inner_text()
    assert figure.locator("select[name=dtype]").input_value() == "float16"
    assert figure.locator(".lost").count() == 0
    assert figure.locator(".to").is_disabled()


def test_pointing_at_an_implementation_highlights_it_everywhere(opened: Callable[..., Any]) -> None:
    """Its column of the law matrix, its rows and its curves are marked, and other curves are dimmed."""
    view = opened("#operation-softmax")
    assert view.locator(".lit").count() == 0
    view.locator("#operation-softmax th.case").first.hover()
    lit = "[...new Set([...document.querySelectorAll('.lit')].map(it => it.dataset.of))]"
    (owner,) = view.evaluate(lit)
    kinds = set(view.evaluate("[...document.querySelectorAll('.lit')].map(it => it.tagName.toLowerCase())"))
    assert {"th", "td", "tr", "g"} <= kinds
    dimmed = (
        "[...document.querySelectorAll('svg:has(.lit) g[data-of]:not(.lit)')].map(it => getComputedStyle(it).opacity)"
    )
    assert set(view.evaluate(dimmed)) == {"0.18"}
    view.locator("#operation-softmax th.case").nth(1).hover()
    assert view.evaluate(lit) != [owner]
    view.keyboard.press("Escape")
    assert view.locator(".lit").count() == 0


def test_without_scripts_the_figure_shows_the_breaking_point(opened: Callable[..., Any]) -> None:
    """It has no controls, and the second layer still opens."""
    view = opened(java_script_enabled=False)
    figure = view.locator("#watch-figure")
    assert "88.72283935546875" in figure.locator(".where").inner_text()
    assert figure.locator("tr.actual td").first.inner_text() == "nan"
    assert not figure.locator("input[type=range]").is_visible()
    assert not figure.locator("select").first.is_visible()
    view.locator("#index a[href='#operation-softmax']").click()
    assert view.locator("#operation-softmax h1").is_visible()
    assert not view.locator(".front").is_visible()


def test_on_paper_the_first_layer_is_six_pages_and_everything_is_everything(opened: Callable[..., Any]) -> None:
    """In print nothing exceeds the paper, folded parts are shown, and controls for the mouse are hidden."""
    view = opened("#top")
    first = pypdf.PdfReader(io.BytesIO(view.pdf(prefer_css_page_size=True))).pages
    assert len(first) <= 6
    view = opened("#everything")
    titles = view.locator(".sheet h1, .sheet h2").all_inner_texts()
    folded = view.evaluate("[...document.querySelectorAll('details pre')].map(it => it.textContent.split('\\n')[0])")
    paper = pypdf.PdfReader(io.BytesIO(view.pdf(prefer_css_page_size=True))).pages
    texts, beyond = zip(*map(printed, [*first, *paper]), strict=True)
    assert [text for page in beyond for text in page] == []
    squeezed = "".join(unicodedata.normalize("NFKC", " ".join(texts)).split())  # a font may print two letters as one
    assert len(folded) > 0
    assert [text for text in (*titles, *folded) if "".join(text.split()) not in squeezed] == []
    assert not any("Filter" in text for text in texts)
    view.emulate_media(media="print")  # bars are backgrounds, which browsers do not print by default
    assert view.evaluate("getComputedStyle(document.querySelector('.shares i')).printColorAdjust") == "exact"


def test_the_first_screen_answers_and_a_link_opens_a_separate_page(opened: Callable[..., Any]) -> None:
    """The first figure begins on the first screen, the layer has five screens, and Back returns to it."""
    view = opened()
    assert view.locator(".front figure").first.bounding_box()["y"] < 800
    assert view.evaluate("document.documentElement.scrollHeight") <= 5 * 800
    view.locator("#index a[href='#operation-softmax']").click()
    assert view.locator("#operation-softmax h1").is_visible()
    assert not view.locator(".front").is_visible()
    assert view.locator(".sheet:visible").count() == 1
    view.locator("nav .back").click()
    assert view.locator(".front").is_visible()
    assert view.locator(".sheet:visible").count() == 0


def test_a_phones_first_screen_has_the_answer_and_a_picture(opened: Callable[..., Any]) -> None:
    """The origin of the data is below the pictures, and nothing above them is hidden."""
    view = opened(width=390)
    tops = [
        view.locator(f".front {each}").first.bounding_box()["y"]
        for each in (".headline", ".verdict", "figure", ".about", "#index")
    ]
    assert tops == sorted(tops)
    assert tops[2] < 600  # the picture has at least a quarter of the screen
    assert view.evaluate(NARROW)


def test_a_point_tells_its_number_where_the_mouse_is(opened: Callable[..., Any]) -> None:
    """The tooltip also has the hexadecimal number, and disappears when the mouse leaves the point."""
    view = opened()
    point = view.locator("#front-magnitude .told circle:visible").first
    point.hover(force=True)
    told = view.locator("#tip")
    assert told.is_visible()
    assert " = 0x1." in told.inner_text()
    view.mouse.move(2, 2)
    assert not told.is_visible()


FOREIGN = "document.querySelectorAll('img[src=x], [onerror], [onmouseover], .layout b').length"


@pytest.mark.parametrize("layer", LAYERS)
def test_attacks_in_every_field_run_nothing_and_break_no_layout(
    opened: Callable[..., Any], attacked: Report, layer: str
) -> None:
    """Every kind of record has markup, overlong texts, and numbers at the ends of their range."""
    view = opened(layer, attacked.page)
    view.evaluate(UNFOLD)
    for width in (1280, 390):
        view.set_viewport_size({"width": width, "height": 800})
        assert view.evaluate(NARROW)
    assert view.evaluate(FOREIGN) == 0
    assert view.evaluate("document.querySelectorAll('script').length") == len(OWN_SCRIPTS)
    assert "onerror=alert(1)" in view.content()
    assert [url for url in view.noticed if not url.startswith("data:")] == [attacked.page.as_uri()]


OWN_SCRIPTS = ("the data of the figure that moves", "the page's own")
"""The elements with this name that a page has."""
