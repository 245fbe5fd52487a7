"""The advice belongs to the operation, and the sentence to its values. Each cause has one finding."""

import re

import pytest
import torch
import torch.nn.functional as F
from corpus.steps import faulty_formats, faulty_methods, reported, sound_methods
from corpus.steps.catalogue import Step, audited, steps_of
from torch import nn

import harness
from harness.record.audit import AuditKind

SAID = {
    "contrast_without_negatives": "a division by 0: the divisor is exactly 0 in 1 of 1 entry",
    "angle_of_equal_vectors": "the slope of acos is infinite at -1 and 1 (6 of 6 entries)",
    "angle_beyond_one": "acos(1.00000012) is NaN in 1 of 6 entries: its domain is -1 to 1",
    "angle_of_a_flat_box": "the slope of a quotient is infinite for a divisor of 0 (3 of 6 entries)",
    "power_of_a_negative_number": "pow(-0.00348, 2.5) is NaN in 32 of 32 rows",
    "labels_that_are_all_ignored": "nll_loss returns NaN: all 32 labels are ignored (ignore_index=-100)",
    "logit_of_one": "logit(1) is inf in 32 of 32 entries: its domain is 0 to 1",
    "area_tangent_of_one": "atanh(1) is inf in 32 of 32 entries: its domain is -1 to 1",
}
"""The sentences of steps from reports."""


@pytest.mark.parametrize("name", SAID)
def test_the_sentence_says_which_value_is_outside_of_which_domain(name: str) -> None:
    """No sentence speaks of an underflow that is none."""
    (finding,) = audited(getattr(reported, name)).findings
    assert _round_numbers(finding.sentence) == _round_numbers(SAID[name])


def _round_numbers(sentence: str) -> str:
    """Round the small numbers of a sentence, whose last digits depend on the order of a sum in the processor."""
    return re.sub(r"-?0\.00\d+", lambda number: f"{float(number[0]):.2g}", sentence)


@pytest.mark.parametrize("step", steps_of(reported), ids=lambda step: step.__name__)
def test_a_cause_has_one_finding(step: Step) -> None:
    """A pole, its NaN, and the digits that are lost on its line are one finding."""
    assert len(audited(step).findings) == 1


@pytest.mark.parametrize("step", [reported.root_over_an_eps_in_float16, faulty_formats.empty_mask_in_float16])
def test_an_eps_of_zero_is_named_as_the_cause_of_what_it_does(step: Step) -> None:
    """The sentence names the eps and the error, and the finding lists the results that the error reaches."""
    (finding,) = audited(step).findings
    assert finding.kind is AuditKind.EPS
    assert finding.sentence.startswith("eps = 1e-08 rounds to 0 in float16")
    assert "; " in finding.sentence
    assert finding.reaches[0] == "the loss"


def test_the_logarithm_of_a_rounding_error_is_blamed_on_the_difference() -> None:
    """An audit for events finds it, too, because the argument is tiny compared with the terms."""
    for mode in ("full", "events"):
        (finding,) = audited(faulty_methods.plackett_luce_by_subtraction, mode).findings
        after = f"log of it is NaN (line {finding.line + 1})"
        assert finding.sentence == f"add in float32 leaves only the rounding error of its terms; {after}"


def test_a_loss_of_zero_up_to_rounding_has_no_digits_and_no_finding() -> None:
    """The last line does not claim that it agrees with exact arithmetic."""
    found = audited(sound_methods.ratio_between_two_limits)
    assert not found.findings
    assert str(found).endswith("; the notes say why less than one digit of the loss is left")


def test_an_error_of_a_rate_is_weighed_in_the_update() -> None:
    """The rate leads to no loss, so a correct loss excuses nothing. An intended rate of 0 is no error."""
    model = nn.Linear(4, 4)

    def step(progress: float) -> tuple[str, ...]:
        with harness.audit() as found:
            rate = 1 - torch.tensor(progress, dtype=torch.bfloat16) / torch.tensor(256.0, dtype=torch.bfloat16)
            F.mse_loss(model(torch.ones(2, 4)), torch.ones(2, 4)).backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    assert parameter.grad is not None
                    parameter.sub_(rate.float() * parameter.grad)
        return tuple(reached for finding in found.findings for reached in finding.reaches)

    assert step(255.99) == ()  # the constant itself is 256 in bfloat16
    assert step(256.0) == ()
    with harness.audit() as found:
        rate = 1 - torch.tensor(0.001, dtype=torch.bfloat16).cos()
        F.mse_loss(model(torch.ones(2, 4)), torch.ones(2, 4)).backward()
        with torch.no_grad():
            assert model.weight.grad is not None
            model.weight -= rate.float() * model.weight.grad
    (finding,) = found.findings
    assert finding.reaches == ("the update of weight (no digits left)",)


def test_an_exponential_is_told_to_subtract_a_maximum_only_if_its_sum_is_taken() -> None:
    """A rate has no row whose maximum could be subtracted."""
    w = nn.Parameter(torch.full((4,), 100.0))
    remedies = []
    for loss in (lambda: (w.exp() * 2).mean(), lambda: w.exp().sum().log()):
        with harness.audit() as found:
            loss().backward()
        remedies.append(found.findings[0].remedy.split()[0])
    assert remedies == ["clamp", "subtract"]


def test_a_clamp_of_a_cosine_is_not_about_logits() -> None:
    """The advice about logits is for probabilities."""
    w = nn.Parameter(torch.full((4,), 1e-5))
    remedies = []
    for value in (lambda: w.sin(), lambda: torch.sigmoid(w - 20)):
        with harness.audit() as found:
            (-value().clamp(min=1e-3).log()).mean().backward()
        remedies.append(found.findings[0].remedy)
    assert ["logits" in remedy for remedy in remedies] == [False, True]
