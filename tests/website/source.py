"""The sources of the site: the pages of ``docs`` with their order, and the generated pages."""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from website import api, commands, contracts
from website.example import PAGE, write_example

DOCS = Path(__file__).parents[2] / "docs"

COURSE = "The chapter as a course"
MORE = "More"
REFERENCE = "Reference"

_HEADING = re.compile(r"^## (.+)$", re.M)
_LINK = re.compile(r"\]\(([\w/-]+)\.md\)")


def write_sources(folder: Path, *, runs: bool) -> None:
    """Write the sources of the site into an empty folder; ``runs`` adds the pictures and the example of a report."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    generated = {**contracts.pages(), **commands.pages(), **api.pages()}
    for name, text in generated.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    index += _listed(COURSE, _unlinked(course(), index), folder)
    index += _listed(MORE, _unlinked(sorted(page.name for page in DOCS.glob("*.md")), index), folder)
    reference = [name for name in generated if name.count("/") == 1]
    (folder / "extra").mkdir()
    if runs:
        write_example(folder, folder.parent / "work")
        reference.insert(0, PAGE)
    index += _listed(REFERENCE, reference, folder)
    (folder / "index.md").write_text(ordered(index), encoding="utf-8")


def course() -> list[str]:
    """Return the pages of the course, in the order of the links on its first page."""
    pages = sorted(page.name for page in DOCS.glob("course/*.md"))
    first = DOCS / "course" / "README.md"
    linked = [f"{name}.md" for name in _LINK.findall(first.read_text(encoding="utf-8"))] if first.is_file() else []
    ordered_ = dict.fromkeys([*(["README.md"] if first.is_file() else []), *linked, *pages])
    return [f"course/{name}" for name in ordered_ if name in pages]


def _unlinked(pages: Iterable[str], index: str) -> list[str]:
    """Return the pages to which the index has no link, apart from itself."""
    return [page for page in pages if f"]({page})" not in index and page != "index.md"]


def _listed(heading: str, pages: Iterable[str], folder: Path) -> str:
    """Return a section of the index with a link to each page, or nothing without pages."""
    lines = [f"* [{_title(folder / page)}]({page})" for page in pages]
    return "\n".join(["", f"## {heading}", "", *lines, ""]) if lines else ""


def _title(page: Path) -> str:
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def ordered(index: str) -> str:
    """Return the index with hidden tables of contents: a section is a part of the menu, in the order of its links."""
    _, *parts = _HEADING.split(index)
    trees = []
    for heading, text in zip(parts[::2], parts[1::2], strict=True):
        pages = "\n".join(dict.fromkeys(_LINK.findall(text)))
        trees.append(f"```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{pages}\n```\n")
    return "\n".join([index, *trees])
