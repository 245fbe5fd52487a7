"""The Markdown version of the page."""

from pathlib import Path

from harness.reports import template

HOSTILE = "a|b <img> **c** [d](e)"


def test_every_value_is_escaped() -> None:
    """A template cannot forget it: names come from files of others. Code blocks and tables escape their own parts."""
    environment = template.markdown_template().environment
    text = environment.from_string("{{ name }}, {{ number }}\n{{ name | fenced }}").render(name=HOSTILE, number=3)
    assert text == r"a\|b &lt;img> \*\*c\*\* \[d\](e), 3" + f"\n```text\n{HOSTILE}\n```"
    macro = environment.from_string("{% macro item(name) %}{{ name }}{% endmacro %}{{ item(name) }}")
    assert macro.render(name="a|b") == r"a\|b"


def test_only_tables_are_written_as_markdown() -> None:
    """They are the only values that the template takes unchanged."""
    file = Path(template.__file__).parent / "templates" / "report.md.j2"
    unchanged = [
        line for line in file.read_text(encoding="utf-8").splitlines() if "| drawing" in line or "| safe" in line
    ]
    assert unchanged == ["{{ part.markdown() | drawing }}"]
