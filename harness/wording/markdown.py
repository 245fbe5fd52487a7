"""Markdown that shows texts from elsewhere, such as names in a record, unchanged."""

import re

from harness.error import printable

_CODE = re.compile(r"(`[-+.\w\[\], ]+`)")
"""Names and numbers in backquotes, in which nothing else has a meaning in Markdown."""

_MARKUP = re.compile(r"[\\`*\[\]{}|~$]|(?<![^\W_])_|_(?![^\W_])")
"""Characters that start emphasis, code, a link or a cell; underscores inside of a name do not."""

_START = re.compile(r"^(>|([-+=#]+|\d+[.)])(?=\s|$))")
"""Start of a heading, a list or a quotation."""


def render_markdown(text: str) -> str:
    """Return text that Markdown shows unchanged: one line, without markup except for names and numbers as code."""
    line = " ".join(printable(text).split())
    parts = _CODE.split(line)
    escaped = "".join(part if number % 2 else _escape(part) for number, part in enumerate(parts))
    return _START.sub(lambda start: f"{start[0][:-1]}\\{start[0][-1]}", escaped)


def _escape(part: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", part.replace("&", "&amp;").replace("<", "&lt;"))


def fence_code(text: str, language: str = "text") -> str:
    """Return text as a Markdown code block whose fence is longer than any run of backticks in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{printable(text)}\n{fence}"
