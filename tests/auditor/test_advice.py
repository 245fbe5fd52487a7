"""The advice belongs to the operation, and the sentence to its values. Each cause has one finding."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from corpus.steps import faulty_formats, faulty_methods, reported, sound_methods
from corpus.steps.catalogue import Step, audited, steps_of
from torch import nn

import harness
from harness.record.audit import AuditKind
from harness.wording.audit import audit_line

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


@pytest.mark.parametrize(("dtype", "count"), [(torch.int8, 1), (torch.int32, 0)])
def test_a_matrix_product_of_integers_wraps_around_in_a_narrow_format(dtype: torch.dtype, count: int) -> None:
    """The product of 100 and 100 does not fit into 8 bits."""
    w, a = nn.Parameter(torch.ones(())), torch.full((2, 2), 100, dtype=dtype)
    with harness.audit() as found:
        (w * (a @ a).float()).sum().backward()
    assert [finding.kind for finding in found.findings] == [AuditKind.WRAPPED] * count


def test_a_sum_of_terms_that_cancel_is_to_be_rearranged() -> None:
    """The monomials of a Chebyshev polynomial have alternating signs, and their powers are rounded."""
    powers = torch.tensor(np.polynomial.chebyshev.cheb2poly([0.0] * 24 + [1.0]), dtype=torch.float32)
    x = nn.Parameter(torch.linspace(0.80, 0.99, 40))
    with harness.audit() as found:
        (powers * x[:, None] ** torch.arange(25)).sum(1).square().mean().backward()
    assert found.findings[0].remedy.startswith("rearrange the terms so that they do not cancel")


def test_a_window_is_summed_itself() -> None:
    """A difference of two running sums is a window, which no sum from the other end gives."""
    torch.manual_seed(0)
    gain, price = nn.Parameter(torch.ones(())), 1000 + torch.randn(200_000).cumsum(0) * 0.001
    with harness.audit() as found:
        total = (gain * price).cumsum(0)
        smooth = (total[16:] - total[:-16]) / 16
        residual = gain * price[16:] - smooth
        residual.square().mean().backward()
    assert found.findings[0].remedy.startswith("sum each window itself")


@pytest.mark.parametrize("is_tracked", [True, False])
def test_the_loss_agrees_apart_from_untracked_operations(*, is_tracked: bool) -> None:
    """A Fourier transform of the step is assumed to be exact."""
    w, x = nn.Parameter(torch.ones(300)), torch.linspace(0, 1, 300)
    with harness.audit() as found:
        ((w * x) if is_tracked else torch.fft.irfft(torch.fft.rfft(w * x))).square().mean().backward()
    assert ("apart from untracked operations" in audit_line(found.record)) is not is_tracked
