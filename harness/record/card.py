"""How a notebook shows what records say: one card, whose edge is green or red."""

from html import escape

GOOD, BAD = "#1a7f37", "#b3261e"
"""The colors of the page, for light and dark."""


PRE = '<pre style="white-space:pre-wrap;overflow-wrap:anywhere;word-break:normal;font-family:monospace">'
"""Opens a block of text that keeps its lines and wraps them in a narrow notebook."""


def card(title: str, body: str, *, good: bool) -> str:
    """Return a card as HTML.

    Parameters
    ----------
    title
        Its first line, as text.
    body
        What is below it, as HTML.
    good
        Whether nothing is wrong.
    """
    style = f"border-left:5px solid {GOOD if good else BAD};padding:0.2rem 0 0.2rem 0.9rem;max-width:60rem"
    return f'<div style="{style}"><p style="font-size:1.15em"><b>{escape(title)}</b></p>{body}</div>'
