"""The glossary: the words that output and documentation use, each with a meaning and an example.

The page ``docs/glossary.md`` is the only source of the text. The wheel contains a copy of it next to this module.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

_HERE = Path(__file__).parent
_PAGES = (_HERE / "glossary.md", _HERE.parents[1] / "docs" / "glossary.md")
"""The copy in a wheel, and the page in a checkout."""

_EXAMPLE = "Example: "

_TABLE = "\n# Words of the output\n"
"""Heading of the table at the end of the page."""


class Entry(NamedTuple):
    """One word of the glossary."""

    word: str
    """In the singular."""
    meaning: str
    """One sentence."""
    example: str


@cache
def read_entries() -> Mapping[str, Entry]:
    """Return all entries by their word; none if the page is not installed."""
    page = next((path for path in _PAGES if path.is_file()), None)
    text, _, table = page.read_text(encoding="utf-8").partition(_TABLE) if page else ("", "", "")
    rows = (line.strip("| ").split(" | ") for line in table.splitlines()[5:])
    entries = [*map(_parse_section, text.split("\n## ")[1:]), *(Entry(*row) for row in rows)]
    return {entry.word: entry for entry in entries}


def _parse_section(section: str) -> Entry:
    word, meaning, example = (" ".join(paragraph.split()) for paragraph in section.strip().split("\n\n"))
    return Entry(word, meaning, example.removeprefix(_EXAMPLE))


def find_entry(word: str) -> Entry | None:
    """Return the entry of a word, or ``None`` if the glossary does not have it.

    Case, hyphens and underscores do not matter, and a plural ``s`` is accepted.
    """
    key = _normalize(word)
    return next(
        (item for name, item in read_entries().items() if _normalize(name) in {key, key.removesuffix("s")}), None
    )


def _normalize(word: str) -> str:
    return word.lower().replace("_", " ").replace("-", " ").strip()
