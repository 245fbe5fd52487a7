"""The templates of the page and of notebook cards, and their scripts."""

import re
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup, escape

from .text import clean, count, fence_code, render_markdown

_PACKAGE = __name__.rpartition(".")[0]

SCRIPTS = ("table.js", "light.js", "watch.js")
"""Scripts of the page."""


def script() -> str:
    """Return the page's script: the policy of the page allows only this text."""
    return "".join(files(_PACKAGE).joinpath("templates", name).read_text(encoding="utf-8") for name in SCRIPTS)


@cache
def templates() -> Environment:
    """Return the templates' environment: HTML is escaped, an undefined name is an error."""
    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=select_autoescape(["html.j2"], default=False),
        undefined=StrictUndefined,
        finalize=lambda value: clean(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"breakable": _breakable, "counted": count, "drawing": Markup, "fenced": _code_block}
    return environment


def markdown_template() -> Template:
    """Return the template of the Markdown page, which escapes all values except for code blocks and tables."""
    return templates().overlay(autoescape=True, finalize=_convert_to_markdown).get_template("report.md.j2")


def _convert_to_markdown(value: object) -> object:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return Markup(render_markdown(value))  # noqa: S704 - escaped here


def _code_block(text: str) -> Markup:
    return Markup(fence_code(text))  # noqa: S704 - the fence is longer than any inside


def _breakable(text: str) -> Markup:
    """Return escaped HTML: names may break after dots and underscores, and text in backquotes becomes code.

    The terminal's microseconds get the sign of the page.
    """
    text = re.sub(r"(?<=\d) us\b", " µs", clean(text))
    dotted = re.sub(r"(?<=[a-z_])\.(?=[a-z])(?!py\b)", ".<wbr>", str(escape(text)))
    whole = re.sub(r"-&gt;|\w*\(-[^\s()<>]{1,12}\)", r'<span class="whole">\g<0></span>', dotted)
    broken = re.sub(r"_(?=\w)", "_<wbr>", whole)
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", broken))  # noqa: S704 - escaped above
