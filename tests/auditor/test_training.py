"""Steps of a training run: scalers, buffers, trained models, recurrent layers, underflow, remedies.

The steps were written before the audit was changed for them. On the first run, a full audit named the wrong line first
in 15 of 27 faulty steps, 9 of these with a fitting remedy, and accused 7 of the 20 sound steps. An audit for events
named 11 lines, 8 of these with a fitting remedy, and accused one sound step.
"""

import pytest
from steps import faulty_numbers, faulty_training, sound_training
from steps.catalogue import Step, fitting_words, steps_of, wrong_line

import harness
from harness.record.audit import Mode

FAULTY = [*steps_of(faulty_numbers), *steps_of(faulty_training)]
SOUND = steps_of(sound_training)


@pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step")
@pytest.mark.parametrize("step", FAULTY, ids=lambda step: step.__name__)
def test_the_wrong_line_is_named_first_with_a_fitting_remedy(step: Step) -> None:
    """A full audit finds every one."""
    with harness.audit() as found:
        found.returned(step())
    first = found.findings[0]
    assert (first.file, first.line) == wrong_line(step)
    assert any(word in first.remedy for word in fitting_words(step)), first.remedy


@pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step")
@pytest.mark.parametrize("mode", ["full", "events"])
@pytest.mark.parametrize("step", SOUND, ids=lambda step: step.__name__)
def test_a_sound_step_has_no_finding(step: Step, mode: Mode) -> None:
    """In neither mode."""
    with harness.audit(mode=mode) as found:
        found.returned(step())
    assert found.findings == ()
