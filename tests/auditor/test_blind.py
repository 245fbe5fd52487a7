"""A blind set of steps: an audit names the wrong line first, with a fitting remedy, and flags no sound step.

The first run named 14 of 20 lines first, 10 of them with a fitting remedy.
"""

import pytest
from corpus.steps import blind, blind_sound
from corpus.steps.catalogue import Step, audited, fitting_words, steps_of, wrong_line


@pytest.mark.parametrize("step", steps_of(blind), ids=lambda step: step.__name__)
def test_the_wrong_line_is_named_first_with_a_fitting_remedy(step: Step) -> None:
    """The remedy has one of the words after the mark."""
    first = audited(step).findings[0]
    assert (first.file, first.line) == wrong_line(step)
    assert any(word in first.remedy for word in fitting_words(step)), first.remedy


@pytest.mark.parametrize("step", steps_of(blind_sound), ids=lambda step: step.__name__)
def test_a_sound_step_is_not_accused(step: Step) -> None:
    """The audit has no finding."""
    assert audited(step).findings == ()
