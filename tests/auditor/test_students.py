"""A student reads the wrong line, the event there, and the remedy.

On the first run, three of the five steps had their line named first. The clipping was missed, because the shadow of a
NaN parameter is NaN as well. The sum was attributed to the next line. Two remedies did not fit.
"""

import pytest
import torch
from corpus.steps import students
from corpus.steps.catalogue import wrong_line

import harness
from harness.record.audit import Mode

SAID = {
    "logarithm_of_probabilities": ("log(0) is -inf", "work with logits"),
    "mean_of_half_precision": ("the sum stalls at ", "sum in float32"),
    "adam_whose_eps_is_zero": ("eps = 1e-45 rounds to 0 in bfloat16", "use an eps of at least 1e-8"),
    "clipping_of_no_gradient": ("a division by 0", "make the divisor safe"),
    "loss_scaled_too_far": ("mul overflows", "use a smaller loss scale"),
}
"""Parts of the expected sentence, and the start of the remedy."""

UNSEEN_BY_EVENTS = {"mean_of_half_precision"}
"""Steps that only lose digits."""


@pytest.mark.parametrize("name", SAID)
@pytest.mark.parametrize("mode", ["full", "events"])
def test_the_line_the_sentence_and_the_remedy_are_right(name: str, mode: Mode) -> None:
    """The first finding has them, and no finding names another line."""
    step = getattr(students, name)
    with harness.audit(mode=mode) as found:
        found.returned(step())
    if mode == "events" and name in UNSEEN_BY_EVENTS:
        assert not found.findings
        return
    first, (sentence, remedy) = found.findings[0], SAID[name]
    assert {(finding.file, finding.line) for finding in found.findings} == {wrong_line(step)}
    assert sentence.removesuffix(" in bfloat16" if mode == "events" else "") in first.sentence
    assert first.remedy.startswith(remedy)


def test_a_sum_says_where_it_stalls() -> None:
    """In bfloat16, adding 1 has no effect from 256 on."""
    with harness.audit() as found:
        total = torch.zeros((), dtype=torch.bfloat16)
        ones = torch.ones(400, dtype=torch.bfloat16, requires_grad=True)
        for one in ones:
            total = total + one
        total.backward()
    assert [finding.sentence.rpartition("; ")[2] for finding in found.findings] == [
        "the sum stalls at 256, from term 257 of 400"
    ]


def test_weights_that_do_not_move_are_told_with_the_tensors_that_they_are_in() -> None:
    """A step of 0.001 changes weights near zero, but not weights of 1 in bfloat16."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.LayerNorm(16)).bfloat16()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    with harness.audit() as found:
        model(torch.randn(8, 16).bfloat16()).square().sum().backward()
        optimizer.step()
    (finding,) = [finding for finding in found.findings if finding.kind == "update lost"]
    assert finding.reaches == ("the update of 1.weight",)
    assert finding.sentence.startswith("100 % of the weights in 1 of 4 tensors do not change: ")
