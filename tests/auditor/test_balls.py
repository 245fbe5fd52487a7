"""Balls run with a step: they detect the losses of float64, and each operation in balls agrees with torch."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from corpus.steps import wide
from corpus.steps.catalogue import Step, audited, steps_of, wrong_line
from torch import Tensor, nn

import harness
from harness.auditor import balls
from harness.exact import replay
from harness.record.audit import Mode

DOUBLE = torch.float64
MODES: tuple[Mode, ...] = ("balls", "full")


@pytest.mark.parametrize("step", steps_of(wide), ids=lambda step: step.__name__)
def test_what_float64_loses_as_well_is_seen_by_balls_alone(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shadow in float64 agrees with the float32 step in all digits. Small steps have balls by default."""
    for mode in MODES:
        found = audited(step, mode)
        assert [(finding.file, finding.line) for finding in found.findings][:1] == [wrong_line(step)]
        assert found.findings[0].oracle == "ball arithmetic"
    monkeypatch.setattr(balls, "FEW", 0)
    assert audited(step).findings == ()


def rows() -> Tensor:
    """Numbers of both signs, none near a kink."""
    return torch.linspace(-2.13, 1.87, 24, dtype=DOUBLE).view(4, 6).requires_grad_()


def positive() -> Tensor:
    """Numbers above zero."""
    return torch.linspace(0.31, 2.9, 24, dtype=DOUBLE).view(4, 6).requires_grad_()


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adagrad])
def test_an_optimizer_in_balls_is_torchs(make: Callable[..., torch.optim.Optimizer], *, foreach: bool) -> None:
    """The variants for single tensors and for all tensors agree."""
    w = nn.Parameter(positive().detach().clone())
    optimizer = make([w], 1e-2, foreach=foreach)
    with harness.audit() as found:
        for _ in range(2):
            optimizer.zero_grad()
            w.log().square().sum().backward()
            optimizer.step()
    assert (found.findings, found.record.blind) == ((), {})


def test_what_balls_cost_too_much_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the line, and no result is called exact."""
    monkeypatch.setattr(balls, "MAX_ADDITIONS", 100)
    with harness.audit() as found:
        rows().exp().sum().backward()
    assert any(name.startswith("exp (no ball arithmetic) at ") and __file__ in name for name in found.record.blind)
    assert not found.record.loss_in_balls
    assert "the loss agrees with float64 to" in str(found)


@pytest.mark.parametrize("constant", [1e20, 2.0**70, torch.tensor(1e20), 1e3])
def test_what_float64_absorbs_as_well_is_said_not_to_be_followed(constant: Any) -> None:
    """The step has too many numbers for balls. Float64 adds a thousand to a usual number without a loss."""
    w = torch.linspace(-1, 1, 400, requires_grad=True)
    with harness.audit() as found:
        ((w + constant - constant) * w).sum().backward()
    line = test_what_float64_absorbs_as_well_is_said_not_to_be_followed.__code__.co_firstlineno + 5
    said = {f"sub (float64 loses its digits, too) at {__file__}:{line}": 1}
    assert found.record.blind == ({} if constant == 1e3 else said)


@pytest.mark.parametrize("large", ["tensor", "loop"])
def test_a_step_that_becomes_large_lets_go_of_its_balls(large: str) -> None:
    """Later results are not exact, but no operation counts as untracked. Float64 tensors keep their balls."""
    w, double = torch.rand(8, requires_grad=True), torch.rand(8, dtype=DOUBLE, requires_grad=True)
    with harness.audit() as found:
        total = (w * 3).sum()
        if large == "tensor":
            total = total + (w[:, None] * torch.ones(8, 40)).sum()
        else:
            for _ in range(2_000):
                total = total + w[0]
        total.backward()
    assert (found.findings, found.record.blind) == ((), {})
    assert not found.record.loss_in_balls
    with harness.audit() as found:
        (w[:, None] * torch.ones(8, 40)).sum().backward()
        (double * 3).sum().backward()
    assert found.record.loss_in_balls


def test_overflow_of_float64_is_an_overflow() -> None:
    """The exact result is finite although float64 overflows."""
    w = torch.tensor([3.0, 711.0], dtype=DOUBLE, requires_grad=True)
    with harness.audit() as found:
        w.exp().sum().backward()
    assert found.findings[0].kind == "overflow"
    assert found.findings[0].sentence.startswith("exp(711) overflows in float64: it is inf from 709.7827128933841 on")


def test_a_loss_of_digits_is_confirmed_by_balls() -> None:
    """Balls compute the operands of the line in float32.

    A sum that loses digits gradually is known from float64 alone.
    """
    w = torch.tensor([1.3e-4, 2.1e-4], requires_grad=True)
    with harness.audit() as found:
        ((1 - w.cos()) / w.detach() ** 2).sum().backward()
    assert [(finding.kind, finding.oracle) for finding in found.findings] == [("cancellation", "ball arithmetic")]
    assert "\n  oracle   ball arithmetic\n" in str(found)
    with harness.audit() as found:
        total = torch.zeros((), dtype=torch.float16)
        for _ in range(6_000):
            total = total + 0.9
        found.returned(total)
    assert [finding.oracle for finding in found.findings] == ["float64 alone"]


def test_what_balls_contradict_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shadow with an error of 1 % causes no finding with balls; without balls it does."""

    def wrong(operator: Any, args: Any, _kwargs: Any, _result: Any) -> Tensor:
        return cast("Tensor", operator.overload(args[0]) * 1.3)

    monkeypatch.setitem(cast("dict[str, Any]", replay._INSTEAD), "exp", wrong)
    monkeypatch.setattr(balls, "FEW", 0)  # otherwise the shadow consists of balls

    def step() -> None:
        torch.linspace(0.1, 0.9, 8).requires_grad_().exp().sum().backward()

    with harness.audit() as found:
        step()
    assert found.findings == ()
    assert found.record.notes == ("ball arithmetic contradicts float64 at exp and confirms the step",)
    monkeypatch.setattr(balls, "QUESTIONS", 0)
    with harness.audit() as found:
        step()
    assert [finding.oracle for finding in found.findings] == ["float64 alone"]


@pytest.mark.parametrize(
    "summed",
    [
        lambda x: x.sum(1, keepdim=True),
        lambda x: x.sum(1),
        lambda x: x.mean(),
        lambda x: x @ torch.ones(700, 1),
        lambda x: torch.addmm(torch.zeros(1), x, torch.ones(700, 1)),
    ],
    ids=["sum", "sum of rows", "mean", "mm", "addmm"],
)
def test_of_a_large_sum_the_terms_of_an_element_are_asked(summed: Callable[[Tensor], Tensor]) -> None:
    """There are too many numbers for balls of every element."""
    torch.manual_seed(0)
    w = torch.randn(3, 300, requires_grad=True)
    nothing = torch.zeros(3, 100)
    with harness.audit() as found:
        terms = torch.cat([w / 3, -(w / 3 * (1 + 3e-7)), nothing], 1)
        summed(terms).square().sum().backward()
    assert found.findings[0].oracle == (
        "float64 alone" if summed(torch.ones(3, 700)).numel() == 1 else "ball arithmetic"
    )


def test_an_update_of_a_gradient_that_is_rounding_is_blamed_on_the_update() -> None:
    """The exact gradient of a bias before a batch norm is zero; in float16, Adam divides its rounding error by zero."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(2048, 4)
    model = nn.Sequential(*layers).half()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    X = torch.randn(8, 3, 16, 16).half()
    with harness.audit() as found:
        F.cross_entropy(model(X), torch.arange(8) % 4).backward()
        optimizer.step()
    of_bias = [finding for finding in found.findings if "the update of 0.bias" in finding.reaches]
    assert any(finding.kind == "eps" for finding in of_bias)
    assert all(
        finding.function == "test_an_update_of_a_gradient_that_is_rounding_is_blamed_on_the_update"
        and not finding.backward
        for finding in of_bias
    )
    assert any(
        note.startswith("the gradient of 0.bias is rounding") or "0.bias is zero" in note for note in found.record.notes
    )


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@pytest.mark.parametrize("kind", [{}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True}])
def test_an_lstm_of_one_dnn_is_followed(kind: dict[str, Any]) -> None:
    """Both passes are accurate to float32. An unsupported layer is named with its line."""
    torch.manual_seed(0)
    model, x = nn.LSTM(4, 5, **kind), torch.randn(3, 2, 4)

    def step(layer: nn.LSTM) -> list[Tensor]:
        output, (h, c) = layer(x)
        (output.square().sum() + h.sum() + c.cos().sum()).backward()
        return [parameter.grad.clone() for parameter in layer.parameters() if parameter.grad is not None]

    with harness.audit() as found:
        audited = step(model)
    model.zero_grad()
    assert all(map(torch.equal, audited, step(model)))
    assert (found.findings, found.record.blind) == ((), {})
    assert all(stretch.error is not None and stretch.error < 1e-5 for stretch in found.record.errors)
    with harness.audit() as unlike:
        step(nn.LSTM(4, 5, bias=False))
    assert {name.partition(":")[0] for name in unlike.record.blind} == {
        f"mkldnn_rnn_layer{back} at {__file__}" for back in ("", "_backward")
    }
