"""The text of an audit fits the width of the screen and omits nothing."""

import pytest
import samples.audit

from harness.wording.audit import format_audit, wrap_text

RECORDED = """\
train.py:3 softmax: exp(100) overflows in float32: it is inf from
    88.72283935546875 on (3 of 3 rows)
  reaches  the loss, the gradient of a tensor [4, 3]
  remedy   subtract the row maximum first, or use torch.softmax, logsumexp or
           F.softplus
  law      harness explain finite_on_extreme_logits --contract softmax
train.step: 1 finding in 26 operations, 2 ends"""


def test_a_finding_on_80_columns_is_what_was_recorded() -> None:
    """Continuation lines of a sentence are indented, and those of a labeled fact are below its text."""
    one_line_each = RECORDED.replace("\n    88.72283935546875", " 88.72283935546875").replace(
        "\n           F.softplus", " F.softplus"
    )
    assert wrap_text(one_line_each, 80) == RECORDED
    assert wrap_text(one_line_each, 120) == one_line_each
    assert wrap_text(RECORDED, 80) == RECORDED


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_screen_and_no_word_is_lost(width: int) -> None:
    """A word that is wider than the screen is printed whole."""
    audit = samples.audit.audit("train.step", samples.audit.finding(), samples.audit.finding(line=13))
    text = format_audit(audit, everything=True)
    shown = wrap_text(text, width)
    assert shown.split() == text.split()
    assert all(len(line) <= width or len(line.split()) <= 2 for line in shown.splitlines())
