"""Steps of a training run: scalers, buffers, trained models, recurrent layers, underflow, remedies.

The steps were written before the audit was changed for them. On the first run, a full audit named the wrong line first
in 15 of 27 faulty steps, 9 of these with a fitting remedy. It accused 7 of the 20 sound steps. An audit for events
named 11 lines, 8 of these with a fitting remedy, and accused one sound step. The first version of a missed step did not
overflow, and was corrected.
"""

import pytest
from steps import faulty_numbers, faulty_training, sound_training
from steps.catalogue import Step, audited, fitting_words, steps_of, wrong_line

from harness.record.audit import Mode

FAULTY = [*steps_of(faulty_numbers), *steps_of(faulty_training)]
SOUND = steps_of(sound_training)


@pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step")
@pytest.mark.parametrize("step", FAULTY, ids=lambda step: step.__name__)
def test_the_wrong_line_is_named_first_with_a_fitting_remedy(step: Step) -> None:
    """A full audit finds every one."""
    first = audited(step).findings[0]
    assert (first.file, first.line) == wrong_line(step)
    assert any(word in first.remedy for word in fitting_words(step)), first.remedy


UNSEEN_BY_EVENTS = {
    "logarithm_of_one_plus_a_rate",
    "growth_by_an_exponential",
    "survival_of_a_certain_event",
    "weights_by_underflowed_squares",
    "returns_over_underflowed_discounts",
}
"""Steps that lose digits, and divisions by a product or power that underflowed: only a full audit traces these."""


@pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step")
@pytest.mark.parametrize("step", FAULTY, ids=lambda step: step.__name__)
def test_events_name_the_line_if_no_digits_must_be_compared(step: Step) -> None:
    """All other lines are named first as well."""
    named = [(finding.file, finding.line) for finding in audited(step, "events").findings]
    assert (named[:1] == [wrong_line(step)]) is (step.__name__ not in UNSEEN_BY_EVENTS)


@pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step")
@pytest.mark.parametrize("mode", ["full", "events"])
@pytest.mark.parametrize("step", SOUND, ids=lambda step: step.__name__)
def test_a_sound_step_has_no_finding(step: Step, mode: Mode) -> None:
    """In neither mode."""
    assert audited(step, mode).findings == ()
