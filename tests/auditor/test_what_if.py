"""A step in float32 forecasts the defects in 16 bits, compared with the same step in 16 bits.

On the first run, all 48 forecasts named exactly the lines and kinds of the real step.
"""

import pytest
import torch
from corpus.steps import narrow
from torch import Tensor, nn

import harness
from harness.auditor.watching import Watching
from harness.error import UsageError
from harness.record.audit import WHAT_IF, AuditFinding, AuditKind, WhatIf

STEPS = {name: step for name, step in vars(narrow).items() if getattr(step, "__module__", "") == narrow.__name__}
STEPS = {name: step for name, step in STEPS.items() if not name.startswith("_")}

SOUND = {
    "classifier_with_a_large_rate", "momentum", "softmax_of_large_logits", "normalised_layers", "recurrent",
    "gaussian_kernel", "binary_loss", "weighted_decay", "encoder",
}  # fmt: skip
"""Steps without a defect in 16 bits."""

NARROW_RANGE = {
    "exponentials", "squares_of_features", "long_sum", "scores_without_a_scale", "loss_of_small_gradients",
    "norm_with_a_small_eps", "logarithm_of_small_probabilities", "clipped_gradients",
}  # fmt: skip
"""Steps that only leave the range of float16."""


def named(findings: tuple[AuditFinding, ...]) -> list[tuple[int, AuditKind, str]]:
    """Return line, kind and format of the findings."""
    return [(finding.line, finding.kind, finding.dtype) for finding in findings]


@pytest.mark.parametrize("what_if", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", STEPS)
def test_what_is_forecast_is_what_comes(name: str, what_if: WhatIf) -> None:
    """Lines, order and reasons are the same, and a sound step has no forecast."""
    with harness.audit() as came:
        STEPS[name](getattr(torch, what_if))
    with harness.audit(what_if=what_if) as forecast:
        STEPS[name](torch.float32)
    assert named(forecast.findings) == named(came.findings)
    assert (came.findings == ()) is (name in (SOUND if what_if == "float16" else SOUND | NARROW_RANGE))


def trained(model: nn.Module, x: Tensor) -> None:
    """A step whose gradients are accumulated."""
    model(x).square().mean().backward()
    torch.optim.SGD(model.parameters(), 0.5).step()


@pytest.mark.parametrize("what_if", WHAT_IF)
@pytest.mark.parametrize("has_gradients", [False, True])
def test_what_the_step_began_from_is_given_back(what_if: WhatIf, has_gradients: bool) -> None:
    """Parameters, gradients, buffers and the batch are restored bit by bit."""
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), torch.randn(8, 4)
    if has_gradients:
        model(x).sum().backward()
    before = [tensor.clone() for tensor in (*model.state_dict().values(), x)]
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    with harness.audit(what_if=what_if) as forecast:
        trained(model, x)
    assert forecast.record.ends
    for now, then in zip((*model.state_dict().values(), x), before, strict=True):
        torch.testing.assert_close(now, then, rtol=0, atol=0)
    for p, then in zip(model.parameters(), gradients, strict=True):
        assert (p.grad is None) is (then is None)
        assert then is None or torch.equal(p.grad, then)  # type: ignore[arg-type]


def test_under_autocast_weights_stay_in_float32() -> None:
    """An update below bfloat16's resolution remains; a product beyond float16 still becomes infinite."""
    lost: list[tuple[int, AuditKind, str]] = []
    kept: list[tuple[int, AuditKind, str]] = []
    for what_if, said in (("bfloat16", lost), ("autocast-bfloat16", kept)):
        with harness.audit(what_if=what_if) as forecast:  # type: ignore[arg-type]
            narrow.classifier_with_a_small_rate(torch.float32)
        said += named(forecast.findings)
    assert [kind for _, kind, _ in lost] == [AuditKind.UPDATE]
    assert kept == []
    with harness.audit(what_if="autocast-float16") as forecast:
        narrow.scores_without_a_scale(torch.float32)
    assert [(kind, dtype) for _, kind, dtype in named(forecast.findings)] == [(AuditKind.OVERFLOW, "float16")]


def test_the_number_of_steps_is_counted_in_its_own_format() -> None:
    """Optimizers count steps in float32 for parameters of any format; bfloat16 has no 257."""
    w = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.Adam([w], 0.1)
    w.sum().backward()
    optimizer.step()
    optimizer.state[w]["step"].fill_(256.0)
    with harness.audit(what_if="bfloat16"):
        optimizer.step()
        assert float(optimizer.state[w]["step"]) == 257.0


def test_a_count_of_ones_own_is_in_the_format() -> None:
    """A user's running count stalls at 256."""
    w, seen = torch.ones(3, requires_grad=True), torch.tensor(256.0)
    with harness.audit(what_if="bfloat16"):
        seen += 1
        (w.sum() * seen).backward()
        assert float(seen) == 256.0


def test_what_is_summed_in_float32_by_request_is() -> None:
    """Seventy thousand ones are summed with `dtype=torch.float32`."""
    w = torch.ones(70_000, requires_grad=True)
    with harness.audit(what_if="float16") as forecast:
        (w.sum(dtype=torch.float32) / 70_000).backward()
    assert forecast.findings == ()


def test_what_is_drawn_in_place_is_given_back_and_what_is_dropped_is_rounded() -> None:
    """Noise drawn before the step is restored. Dropout's 1 / 0.7 is rounded to bfloat16."""
    noise, before = torch.arange(4.0), torch.arange(4.0)
    w = torch.ones(512, requires_grad=True)
    with harness.audit(what_if="bfloat16") as forecast:
        noise.normal_()
        kept = torch.nn.functional.dropout(w, 0.3)
        assert kept.max().item() == torch.tensor(1.0 / 0.7).bfloat16().item()
        (kept.sum() * noise.sum()).backward()
    assert forecast.record.ends
    assert torch.equal(noise, before)


@pytest.mark.parametrize("module", [nn.BatchNorm1d(4, track_running_stats=False), nn.InstanceNorm1d(4)])
def test_a_normalisation_without_running_statistics_is_followed(module: nn.Module) -> None:
    """It has no running statistics to restore."""
    x = torch.randn(8, 4, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    with harness.audit() as found:
        (module(x).square() * torch.arange(5.0)).sum().backward()
    assert found.record.ends
    assert found.findings == ()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_running_mean_that_is_zero_but_for_rounding_is_no_end(dtype: torch.dtype) -> None:
    """A normalized layer behind another one has such a mean."""
    torch.manual_seed(0)
    with harness.audit() as found:
        model = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 8, bias=False), nn.BatchNorm1d(8)).to(dtype)
        model(torch.randn(64, 8).to(dtype)).float().square().mean().backward()
    assert not [end for finding in found.findings for end in finding.reaches if "running_mean" in end]


def test_a_format_that_there_is_not_is_one_sentence() -> None:
    """The message suggests the right format."""
    with pytest.raises(
        UsageError, match=r"unknown `what_if`: must be one of .*, got `float61`; did you mean `float16`"
    ):
        Watching(what_if="float61")  # type: ignore[arg-type]
