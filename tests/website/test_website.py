"""The site builds without a warning, has no dead link, and loads nothing from the network."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from website.links import Page, checked
from website.source import DOCS, ordered

ROOT = DOCS.parent
WORKFLOW = (ROOT / ".github" / "workflows" / "docs.yml").read_text(encoding="utf-8")
CHROMIUM = shutil.which("chromium")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site without the example of a report, as ``python -m website --no-run`` does.

    Menus do not list members, because Sphinx copies the list into each page, which takes a third of the time.
    """
    pytest.importorskip("sphinx", reason="sphinx is not installed")
    folder = tmp_path_factory.mktemp("site")
    program = "import sys; from pathlib import Path; from website.__main__ import build; "
    program += f"sys.exit(build(Path({str(folder)!r}), 'toc_object_entries=0', runs=False))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


def test_every_page_of_the_documentation_is_on_the_site(site: Path) -> None:
    """So are the generated pages and the search. The build has found no dead link in them."""
    pages = {page.relative_to(DOCS).with_suffix(".html").as_posix() for page in DOCS.rglob("*.md")}
    built = {page.relative_to(site).as_posix() for page in site.rglob("*.html")}
    generated = {f"reference/{name}.html" for name in ("contracts", "formulas", "commands", "api", "api/harness")}
    assert pages | generated | {"search.html"} <= built
    assert (site / "searchindex.js").is_file()
    assert checked(site).links > 5000


def test_dead_links_and_files_from_the_network_are_found(tmp_path: Path) -> None:
    """The check of links can fail."""
    (tmp_path / "a.html").write_text(
        '<h1 id="top"></h1><a href="b.html">b</a><a href="#top">top</a><a href="#none">none</a>'
        '<script src="https://example.org/x.js"></script><link rel="stylesheet" href="a.css">',
        encoding="utf-8",
    )
    (tmp_path / "a.css").write_text('@import "//example.org/b.css"; p { background: url(c.png) }', encoding="utf-8")
    found = checked(tmp_path)
    assert found.dead == ["a.html: b.html", "a.html: #none"]
    assert found.external == ["a.html: https://example.org/x.js", "a.css: //example.org/b.css"]


def test_the_index_is_the_menu() -> None:
    """Each section is a part of the menu, in the order of its links."""
    text = ordered("# A\n\n## One\n\n* [x](x.md): see [y](y.md)\n\n## Two\n\n* [z](b/z.md)\n")
    assert re.findall(r":caption: (.+)\n\n((?:.+\n)+)```", text) == [("One", "x\ny\n"), ("Two", "b/z\n")]


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_fits_its_window_and_the_search_finds_a_law(site: Path, width: int) -> None:
    """The browser asks for local files only, and no page is wider than the window."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": 800})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index", "check-your-own-function", "reference/contracts/softmax", "reference/api/harness"):
            page.goto((site / f"{name}.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page.goto(f"{(site / 'search.html').as_uri()}?q=rows_sum_to_one")
        page.wait_for_selector("#search-results li a")
        assert "softmax" in page.inner_text("#search-results")
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_only_the_publishing_job_may_write() -> None:
    """The workflow reads the repository; one job of the main branch writes the pages."""
    first, publish = WORKFLOW.split("\n  publish:\n")
    assert "permissions:\n  contents: read\n" in first
    assert ": write" not in first
    assert re.findall(r"^ +(\S+): write$", publish, re.M) == ["pages", "id-token"]
    assert "github.ref == 'refs/heads/main'" in publish
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", name) for name in re.findall(r"uses: (\S+)", WORKFLOW))


def test_the_workflow_publishes_the_folder_that_tox_builds() -> None:
    """Its command is a job of tox, and its folder is the output of the build."""
    assert "run: tox run -e docs\n" in WORKFLOW
    assert "[testenv:docs]" in (ROOT / "tox.ini").read_text(encoding="utf-8")
    assert "path: .harness/site/html\n" in WORKFLOW


def test_a_page_that_loads_an_image_has_it_checked() -> None:
    """Loaded files are links too, but a relation to another page is not loaded."""
    page = Page('<img src="a.png"><link rel="next" href="b.html"><p style="background: url(c.png)">')
    assert page.loaded == ["a.png", "c.png"]
