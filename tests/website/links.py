"""The links of the built site, and everything that a page loads: all of it must be in the folder."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

LOADING = {"script": "src", "img": "src", "source": "src", "iframe": "src", "video": "src", "audio": "src"} | {
    "link": "href",
    "object": "data",
    "embed": "src",
}
"""Elements that load a file, and the attribute with its address."""

_IN_STYLE = re.compile(r"""(?:@import\s+|url\()\s*["']?([^"')\s]+)""")


class Page(HTMLParser):
    """The links, the loaded files and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the addresses of an element."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in LOADING and LOADING[tag] in values and not (tag == "link" and values.get("rel") in _NOT_LOADED):
            self.loaded.append(values[LOADING[tag]])
        self.loaded += _IN_STYLE.findall(values.get("style", ""))


_NOT_LOADED = {"canonical", "index", "search", "next", "prev", "alternate"}
"""Relations of a page to another, which a browser does not load."""


class Found(NamedTuple):
    """The number of links within the site, and what is wrong: dead links, and files loaded from elsewhere."""

    links: int
    outward: int
    dead: list[str]
    external: list[str]


def checked(site: Path) -> Found:
    """Check the links and the loaded files of a built site."""
    pages = {file: Page(file.read_text(encoding="utf-8")) for file in sorted(site.rglob("*.html"))}
    dead = [f"{file.relative_to(site)}: {link}" for file, page in pages.items() for link in _dead(file, page, pages)]
    loaded = _loaded(site, pages)
    external = [f"{file.relative_to(site)}: {address}" for file, address in loaded if _is_external(address)]
    links = [link for page in pages.values() for link in page.links]
    outward = sum(map(_is_external, links))
    return Found(len(links) - outward, outward, dead, external)


def _dead(file: Path, page: Page, pages: dict[Path, Page]) -> Iterator[str]:
    """Yield the links to files and anchors that do not exist."""
    for link in [*page.links, *page.loaded]:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
        anchors = pages[target].anchors if target in pages else {""}
        if not target.is_file() or (parts.fragment and target in pages and unquote(parts.fragment) not in anchors):
            yield link


def _loaded(site: Path, pages: dict[Path, Page]) -> Iterator[tuple[Path, str]]:
    """Yield the addresses that pages and style sheets load."""
    for file, page in pages.items():
        yield from ((file, address) for address in page.loaded)
    for file in sorted(site.rglob("*.css")):
        yield from ((file, address) for address in _IN_STYLE.findall(file.read_text(encoding="utf-8")))


def _is_external(address: str) -> bool:
    return address.startswith("//") or urlsplit(address).scheme in {"http", "https"}
