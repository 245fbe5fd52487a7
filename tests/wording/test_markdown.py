"""Text in Markdown, read again by a parser of Markdown."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.error import printable
from harness.wording.markdown import fence_code, render_markdown
from harness.wording.table import Header, render_markdown_table

HOSTILE = "a|b <img src=x> **c** _d_ [e](http://f) `g` ``h`` $i$ # j\n- k &lt; \\| ~~l~~"
"""A name with all kinds of markup."""

TEXTS = st.text(st.sampled_from("ab1 .-+#=>*_`[]()<>|~&;!\\\n\t\x1b\u202e") | st.characters(codec="utf-8"), max_size=30)
"""Texts with many characters of markup."""


def shown(text: str) -> str:
    """Return the text that a reader sees, and check that the only markup is code."""
    seen = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        assert token.type in {"paragraph_open", "inline", "paragraph_close"}, token
        for part in token.children or []:
            assert part.type in {"text", "text_special", "code_inline"}, part
            seen.append(f"`{part.content}`" if part.type == "code_inline" else part.content)
    return "".join(seen)


@given(TEXTS)
@example(HOSTILE)
@example("`a")
@example("\\`a`")
@example("`` a`")
@example("` a `")
@example("1. a")
@example("---")
@settings(max_examples=300, deadline=None)
def test_a_reader_sees_the_text_without_markup(text: str) -> None:
    """Lines are joined, and control characters replaced. Names and numbers in backquotes stay code."""
    line = " ".join(printable(text).split())
    assert shown(render_markdown(text)).replace(" `", "`").replace("` ", "`") == line.replace(" `", "`").replace(
        "` ", "`"
    )


@given(TEXTS, TEXTS)
@example(HOSTILE, HOSTILE)
@settings(max_examples=100, deadline=None)
def test_a_table_has_the_cells_that_it_is_given(heading: str, text: str) -> None:
    """No cell opens another one or ends the table."""
    table = render_markdown_table([Header(heading), Header("d")], [[text, "c"]])
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(table)
    kinds = [token.type for token in tokens if token.type in {"th_open", "td_open", "tr_open", "html_block"}]
    assert kinds == ["tr_open", "th_open", "th_open", "tr_open", "td_open", "td_open"]
    cells = [token for token in tokens if token.type == "inline"]
    assert {part.type for cell in cells for part in cell.children or []} <= {"text", "text_special", "code_inline"}


@pytest.mark.parametrize("text", ["a ``` b", "````\n# x", HOSTILE])
def test_no_text_closes_its_block_of_code(text: str) -> None:
    """The fence is longer than any run of backquotes."""
    (token,) = MarkdownIt().parse(fence_code(text))
    assert (token.type, token.content) == ("fence", f"{text}\n")
