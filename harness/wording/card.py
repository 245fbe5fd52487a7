"""Notebook cards: a title with a green or red edge."""

from html import escape

GOOD, BAD = "#1a7f37", "#b3261e"
"""The colors of the page, for light and dark."""


PRE = '<pre style="white-space:pre-wrap;overflow-wrap:anywhere;word-break:normal;font-family:monospace">'
"""Opens a block of text that keeps its lines and wraps them in a narrow notebook."""


def card(title: str, body: str, *, good: bool) -> str:
    """Return a card as HTML, with a title in plain text and a body in HTML; ``good`` makes its edge green."""
    style = f"border-left:5px solid {GOOD if good else BAD};padding:0.2rem 0 0.2rem 0.9rem;max-width:60rem"
    return f'<div style="{style}"><p style="font-size:1.15em"><b>{escape(title)}</b></p>{body}</div>'
