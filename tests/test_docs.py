"""The pages in ``docs`` are correct: their code runs, and their commands print the shown output.

A block of Python whose first line is a comment with a file name becomes that file. Any other block is executed. In a
block of commands, lines without ``$`` are in the output of the command above them. The output in the README is that
shown on a page for the same command.
"""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

from harness import cli

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")
CHECKED = "harness check homework.py:softmax"
"""The command whose output the README shows, for a softmax as defined."""


def python(example: Example) -> None:
    """Write the file that the block names, or execute the block."""
    named = re.match(r"# (\S+\.py)\n", example.parsed)
    if named is not None:
        file = Path(named.group(1))
        file.parent.mkdir(exist_ok=True)
        file.write_text(example.parsed, encoding="utf-8")
        # Another test may have imported a file with this name.
        sys.modules.pop(file.stem, None)
        return
    exec(compile(example.parsed, example.path, "exec"), example.namespace)  # noqa: S102 - the pages are ours


def console(example: Example) -> None:
    """Run each command and look for the lines that are shown below it."""
    capture: pytest.CaptureFixture[str] = example.namespace["capture"]
    printed = ""
    for line in example.parsed.splitlines():
        if not line.startswith("$ "):
            assert line in printed, f"{line!r} is not in:\n{printed}"
            continue
        sys.argv = shlex.split(line.removeprefix("$ "))
        assert sys.argv[0] == "harness"
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code in {0, 1}, capture.readouterr().err
        printed = capture.readouterr().out
        if line.startswith("$ harness prove"):
            assert stop.value.code == 0
            assert example.parsed.rstrip().endswith(printed.splitlines()[-1])
        if line == f"$ {CHECKED}":
            assert stop.value.code == 1
            for shown in in_the_readme().splitlines():
                assert shown in printed, f"{shown!r} of the README is not in:\n{printed}"


def in_the_readme() -> str:
    """Return the defect that the README shows."""
    shown = re.search(r"```text\n(DEFECT.*?)```", README, re.S)
    assert shown is not None
    return shown.group(1)


@pytest.fixture
def surroundings(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder, from which modules are imported, and none of the modules afterwards."""
    monkeypatch.syspath_prepend(str(workplace))
    monkeypatch.setattr(sys, "argv", sys.argv)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(workplace)):
            del sys.modules[name]


@pytest.mark.usefixtures("surroundings", "one_worker")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of the page."""
    document = Sybil([CodeBlockParser("python", python), CodeBlockParser("console", console)]).parse(page)
    document.namespace["capture"] = capsys
    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    """The page exists, and it has the heading that the link names."""
    for file, heading in linked(page.read_text(encoding="utf-8")):
        assert (DOCS / file).is_file(), file
        assert not heading or heading in headings(DOCS / file), f"{file}#{heading}"


def linked(text: str) -> list[tuple[str, str]]:
    """Return file and heading of every link to a file."""
    return re.findall(r"\]\(([\w./-]+)(?:#([\w-]+))?\)", text)


def headings(page: Path) -> set[str]:
    """Return the anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_lead_from_the_readme_to_every_page() -> None:
    """The README links to a page, or to another page that does."""
    reached: set[str] = set()
    new = {Path(file).name for file, _ in linked(README)}
    while new:
        reached |= new
        texts = [page.read_text(encoding="utf-8") for page in PAGES if page.name in new]
        new = {Path(file).name for text in texts for file, _ in linked(text)} - reached
    assert {page.name for page in PAGES} <= reached


def test_what_the_readme_shows_is_what_a_page_prints() -> None:
    """Command and function are the same on both."""
    page = (DOCS / "check-your-own-function.md").read_text(encoding="utf-8")
    assert f"$ {CHECKED}\n" in README
    assert f"$ {CHECKED}\n" in page
    assert "`exp(x) / exp(x).sum(-1)`" in README
    assert "# homework.py\ndef softmax(x):\n    return x.exp() / x.exp().sum(-1, keepdim=True)\n" in page
    assert "subtract" in in_the_readme()


def test_the_pages_have_code_that_is_run() -> None:
    """The fences are found."""
    blocks = [len(list(Sybil([CodeBlockParser("console", console)]).parse(page).examples())) for page in PAGES]
    assert sum(blocks) >= 8
