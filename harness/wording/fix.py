"""The text of a fix: its rewrites, its diff, and the result of its verification."""

import difflib
import re
from html import escape
from pathlib import Path

from harness.record.fix import Fix
from harness.wording.card import BAD, GOOD, PRE

REMOVED, ADDED, PLACE = "removed", "added", "place"
"""Kinds of the lines of a diff that have a color."""


def fix_lines(fix: Fix) -> list[str]:
    """Return a fix as lines."""
    return [fix_title(fix), *fix.diff, fix.sentence]


def fix_title(fix: Fix) -> str:
    """Name the rewrites."""
    return f"fix: {' and '.join(fix.titles)}"


def find_line_kind(line: str) -> str:
    """Return the kind of a line of a diff; empty for a line without a color."""
    if line.startswith(("--- ", "+++ ", "@@ ")):
        return PLACE
    return {"-": REMOVED, "+": ADDED}.get(line[:1], "")


_COLORS = {REMOVED: BAD, ADDED: GOOD, PLACE: "#6e7781"}


def fix_html(fix: Fix) -> str:
    """Return a fix as HTML, with the colors of a diff."""
    text = "\n".join(_color_line(line) for line in fix.diff)
    return f"<p>{escape(fix_title(fix))}</p>{PRE}{text}</pre><p>{escape(fix.sentence)}</p>"


def _color_line(line: str) -> str:
    color = _COLORS.get(find_line_kind(line))
    return escape(line) if color is None else f'<span style="color:{color}">{escape(line)}</span>'


def make_diff(file: Path, before: str, after: str) -> list[str]:
    """Return a unified diff as lines."""
    path = file.as_posix().lstrip("/")
    old, new = ([line.rstrip("\r\n") for line in split_lines(text)] for text in (before, after))
    return list(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm=""))


def split_lines(text: str) -> list[str]:
    """Split a text at line feeds, which stay."""
    return [line for line in re.split(r"(?<=\n)", text) if line]
