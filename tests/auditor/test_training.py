"""Mistakes of training logic are found at their line, and their right versions are not."""

import warnings
from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from harness.auditor.audit import audit
from harness.record.audit import AuditFinding, AuditKind

X, Y = torch.randn(16, 4), torch.randint(0, 3, (16,))


def find(step: Callable[..., object], model: nn.Module, steps: int = 1) -> list[AuditFinding]:
    """Return the findings about training logic in some steps."""
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    found: list[AuditFinding] = []
    for _ in range(steps):
        with audit() as followed:
            # The caller keeps the returned values.
            kept = step(model, optimizer)
        del kept
        found += followed.findings
    return [finding for finding in found if finding.kind is AuditKind.TRAINING]


def right(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Take a step without a mistake."""
    optimizer.zero_grad()
    F.cross_entropy(model(X), Y).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def no_clearing(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Add the gradients of all steps."""
    F.cross_entropy(model(X), Y).backward()
    optimizer.step()


def early_clearing(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Clear the gradients before the update."""
    F.cross_entropy(model(X), Y).backward()
    optimizer.zero_grad()
    optimizer.step()


def early_clearing_to_zero(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Set the gradients to zero before the update."""
    F.cross_entropy(model(X), Y).backward()
    optimizer.zero_grad(set_to_none=False)
    optimizer.step()


def early_clipping(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Clip before the backward pass."""
    optimizer.zero_grad()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    F.cross_entropy(model(X), Y).backward()
    optimizer.step()


def late_clipping(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Clip after the update."""
    optimizer.zero_grad()
    F.cross_entropy(model(X), Y).backward()
    optimizer.step()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)


def clipping_of_parts(model: nn.Sequential, _: torch.optim.Optimizer) -> None:
    """Clip each layer before the step of its optimizer."""
    layers = [layer for layer in model if any(True for _ in layer.parameters())]
    optimizers = [torch.optim.SGD(layer.parameters(), 0.1) for layer in layers]
    model.zero_grad()
    F.cross_entropy(model(X), Y).backward()
    for layer, optimizer in zip(layers, optimizers, strict=True):
        nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        optimizer.step()


def new_loss(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Make a new tensor of the loss."""
    torch.tensor(F.cross_entropy(model(X), Y).item(), requires_grad=True).backward()
    optimizer.step()


def no_graph(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Compute the first layer without a graph."""
    optimizer.zero_grad()
    with torch.no_grad():
        hidden = model[0](X)
    F.cross_entropy(model[1](hidden), Y).backward()
    optimizer.step()


def softmax_twice(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Apply softmax before the loss that applies it."""
    optimizer.zero_grad()
    F.cross_entropy(model(X).softmax(1), Y).backward()
    optimizer.step()


def column_minus_row(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Subtract labels of another shape."""
    optimizer.zero_grad()
    (model(X) @ torch.ones(3, 1) - Y).square().mean().backward()
    optimizer.step()


def scaled_clipping(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Clip gradients before they are unscaled."""
    optimizer.zero_grad()
    SCALER.scale(F.cross_entropy(model(X), Y)).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    SCALER.step(optimizer)
    SCALER.update()


def no_rate(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Use a learning rate of zero."""
    optimizer.param_groups[0]["lr"] = 0.0
    right(model, optimizer)


def replaced_head(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Replace a layer after the optimizer was created."""
    model[1] = nn.Linear(8, 3)
    right(model, optimizer)


def twice(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Update with two optimizers."""
    right(model, optimizer)
    torch.optim.SGD(model.parameters(), 0.01).step()


def column_in_a_loss(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Compare a column with a row in a loss of torch, which only warns."""
    optimizer.zero_grad()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        F.l1_loss(model(X) @ torch.ones(3, 1), Y.float()).backward()
    optimizer.step()


def sigmoid_twice(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Apply sigmoid before the loss that applies it."""
    optimizer.zero_grad()
    F.binary_cross_entropy_with_logits(model(X).sigmoid(), F.one_hot(Y, 3).float()).backward()
    optimizer.step()


def no_logarithm(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Pass probabilities to a loss of their logarithms."""
    optimizer.zero_grad()
    F.nll_loss(model(X).softmax(1), Y).backward()
    optimizer.step()


def no_softmax(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Pass logits to a loss of logarithms of probabilities."""
    optimizer.zero_grad()
    F.nll_loss(model(X), Y).backward()
    optimizer.step()


def scaled_update(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Update with gradients that are not unscaled."""
    optimizer.zero_grad()
    SCALER.scale(F.cross_entropy(model(X), Y)).backward()
    optimizer.step()


def new_scaler(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Create a gradient scaler in each step."""
    scaler = torch.amp.GradScaler("cpu")
    optimizer.zero_grad()
    scaler.scale(F.cross_entropy(model(X), Y)).backward()
    scaler.step(optimizer)
    scaler.update()


def copied_weights(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Update copies of the weights."""
    optimizer.param_groups[0]["params"] = [p.detach().clone().requires_grad_() for p in model.parameters()]
    F.cross_entropy(model(X), Y).backward()
    optimizer.step()


def clearing_at_the_end(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Clear the gradients after the update."""
    F.cross_entropy(model(X), Y).backward()
    optimizer.step()
    optimizer.zero_grad()


def unscaled_clipping(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Unscale the gradients before they are clipped."""
    optimizer.zero_grad()
    SCALER.scale(F.cross_entropy(model(X), Y)).backward()
    SCALER.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    SCALER.step(optimizer)
    SCALER.update()


def attack(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Compute a gradient of the inputs first, which adds to those of the weights until they are cleared."""
    x = X.clone().requires_grad_()
    F.cross_entropy(model(x), Y).backward()
    optimizer.zero_grad()
    F.cross_entropy(model(X + 0.1 * cast(torch.Tensor, x.grad).sign()), Y).backward()
    optimizer.step()


def warm_up(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Begin with a learning rate of zero, and raise it at the end of the step."""
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 10)
    right(model, optimizer)
    schedule.step()


def pairs(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Compare each output with each target, on purpose."""
    optimizer.zero_grad()
    (model(X).sum(1)[:, None] - Y).square().mean().backward()
    optimizer.step()


def half_used(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Leave out a layer, which another step uses."""
    optimizer.zero_grad()
    F.cross_entropy(model[0](X), Y).backward()
    optimizer.step()


def lost_parts(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Clear the gradients in each part of a batch."""
    for rows, labels in zip(X.chunk(2), Y.chunk(2), strict=True):
        optimizer.zero_grad()
        (F.cross_entropy(model(rows), labels) / 2).backward()
    optimizer.step()


def new_optimizer(model: nn.Sequential, _: torch.optim.Optimizer) -> None:
    """Create an optimizer with averages in each step."""
    right(model, torch.optim.Adam(model.parameters(), 0.01))


def new_optimizer_and_loss(model: nn.Sequential, _: torch.optim.Optimizer) -> None:
    """Create a loss module, too, which has no parameters."""
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    optimizer.zero_grad()
    nn.CrossEntropyLoss()(model(X), Y).backward()
    optimizer.step()


def zero_factors(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Begin with two factors of zeros."""
    first, second = nn.Parameter(torch.zeros(4, 2)), nn.Parameter(torch.zeros(2, 3))
    optimizer.add_param_group({"params": [first, second]})
    optimizer.zero_grad()
    F.cross_entropy(model(X) + X @ first @ second, Y).backward()
    optimizer.step()


def other_name(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Set a learning rate by a name that the optimizer does not know."""
    optimizer.param_groups[0]["learning_rate"] = 0.1
    right(model, optimizer)


def frozen_by_attribute(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Set an attribute of a layer in place of its parameters'."""
    setattr(model[0], "requires_grad", False)  # noqa: B010 - its type is that of a submodule
    right(model, optimizer)


def gradient_surgery(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Read the gradients of each task before they are cleared."""
    gradients = []
    for labels in (Y, (Y + 1) % 3):
        optimizer.zero_grad()
        F.cross_entropy(model(X), labels).backward()
        gradients.append([cast(torch.Tensor, p.grad).clone() for p in model.parameters()])
    for p, *tasks in zip(model.parameters(), *gradients, strict=True):
        p.grad = tasks[0] + tasks[1]
    optimizer.step()


def new_model(_: nn.Sequential, __: torch.optim.Optimizer) -> None:
    """Train another model in each step."""
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))
    right(model, torch.optim.Adam(model.parameters(), 0.01))


def closure(model: nn.Sequential, _: torch.optim.Optimizer) -> None:
    """Let an optimizer clear and compute the gradients several times."""
    optimizer = torch.optim.LBFGS(model.parameters(), 0.01, max_iter=3)

    def compute() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(X), Y)
        loss.backward()
        return loss

    optimizer.step(compute)


def zero_factor(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Begin with one factor of zeros, and name its group."""
    first, second = nn.Parameter(torch.randn(4, 2)), nn.Parameter(torch.zeros(2, 3))
    optimizer.add_param_group({"params": [first, second], "name": "adapter", "layer": 1})
    optimizer.zero_grad()
    F.cross_entropy(model(X) + X @ first @ second, Y).backward()
    optimizer.step()


SCALER = torch.amp.GradScaler("cpu")


def slope(parameter: torch.Tensor) -> torch.Tensor:
    """Return the gradient of a parameter."""
    assert parameter.grad is not None
    return parameter.grad


def dropped_update(model: nn.Sequential, _: torch.optim.Optimizer) -> None:
    """Bind the name of the loop to the updated value."""
    model.zero_grad()
    F.cross_entropy(model(X), Y).backward()
    with torch.no_grad():
        for p in model.parameters():
            p = p - 0.1 * slope(p)  # type: ignore[assignment]


def dropped_adam(model: nn.Sequential, _: torch.optim.Optimizer) -> None:
    """Compute the step of Adam by hand, and bind the result to a name."""
    F.cross_entropy(model(X), Y).backward()
    for p in model.parameters():
        average, square = 0.1 * slope(p), 0.001 * slope(p) ** 2
        new = p.detach() - 0.1 * average / (square.sqrt() + 1e-8)
        del new
    model.zero_grad()


def written_update(model: nn.Sequential, _: torch.optim.Optimizer) -> None:
    """Write the updated values in three ways."""
    model.zero_grad()
    F.cross_entropy(model(X), Y).backward()
    first, second, *others = model.parameters()
    with torch.no_grad():
        first.copy_(first - 0.1 * slope(first))
        second.data = second - 0.1 * slope(second)
        for p in others:
            p -= 0.1 * slope(p)  # type: ignore[misc]


def new_parameters(model: nn.Sequential, _: torch.optim.Optimizer) -> None:
    """Replace the parameters by new ones."""
    F.cross_entropy(model(X), Y).backward()
    for layer in model:
        assert isinstance(layer, nn.Linear)
        layer.weight = nn.Parameter((layer.weight - 0.1 * slope(layer.weight)).detach())


def functional_update(model: nn.Sequential, _: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Return the updated values."""
    model.zero_grad()
    F.cross_entropy(model(X), Y).backward()
    return [p.detach() - 0.1 * slope(p) for p in model.parameters()]


def inner_step(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Train with the gradient after a step that is not kept."""
    optimizer.zero_grad()
    F.cross_entropy(model(X), Y).backward()
    fast = {name: (p - 0.1 * slope(p)).detach().requires_grad_() for name, p in model.named_parameters()}
    loss = F.cross_entropy(torch.func.functional_call(model, fast, (X,)), Y)
    for p, gradient in zip(model.parameters(), torch.autograd.grad(loss, list(fast.values())), strict=True):
        p.grad = gradient
    optimizer.step()


def length_of_the_step(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
    """Measure the next step before it is made."""
    optimizer.zero_grad()
    F.cross_entropy(model(X), Y).backward()
    with torch.no_grad():
        sizes = [(p - 0.1 * slope(p)).norm().item() for p in model.parameters()]
    assert min(sizes) >= 0.0
    optimizer.step()


RIGHT = (
    *(right, clearing_at_the_end, clipping_of_parts, unscaled_clipping, attack, warm_up, pairs, half_used),
    *(gradient_surgery, new_model, closure, zero_factor),
    *(written_update, new_parameters, functional_update, inner_step, length_of_the_step),
)
WRONG: dict[Callable[..., object], str] = {
    column_in_a_loss: "a square of 16 x 16",
    sigmoid_twice: "sigmoid is applied to probabilities",
    no_logarithm: "and gets probabilities",
    no_softmax: "and gets logits",
    scaled_update: "takes gradients that are still multiplied",
    new_scaler: "each step creates a gradient scaler",
    copied_weights: "go to parameters in no optimizer",
    no_clearing: "gradients of the step before",
    early_clearing: "cleared after backward",
    early_clearing_to_zero: "cleared in between",
    early_clipping: "before backward computes them",
    late_clipping: "after the optimizer has used them",
    new_loss: "does not depend on them",
    no_graph: "has no graph",
    softmax_twice: "softmax is applied to probabilities",
    column_minus_row: "a square of 16 x 16",
    scaled_clipping: "still multiplied by the scale",
    no_rate: "the learning rate is 0",
    replaced_head: "which the step does not use",
    twice: "two optimizers use the same gradient",
    lost_parts: "only the last pass counts",
    new_optimizer: "each step creates a new Adam",
    new_optimizer_and_loss: "each step creates a new Adam",
    zero_factors: "so that they stay 0",
    other_name: "learning_rate = 0.1 of a group is ignored: lr is 0.01",
    frozen_by_attribute: "freezes no parameter",
    dropped_update: "new tensor that nothing keeps",
    dropped_adam: "new tensor that nothing keeps",
}


@pytest.mark.parametrize("step", WRONG, ids=lambda step: step.__name__)
def test_a_mistake_of_training_logic_is_named(step: Callable[..., object]) -> None:
    """Each mistake has one finding, with its cause."""
    found = find(step, nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3)), steps=2 if step is no_clearing else 1)
    assert [WRONG[step] in finding.sentence for finding in found] == [True], found


@pytest.mark.parametrize("step", RIGHT, ids=lambda step: step.__name__)
def test_a_right_step_has_none(step: Callable[..., object]) -> None:
    """Steps that look like a mistake have no finding."""
    assert not find(step, nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3)), steps=2)


def test_a_model_trained_in_evaluation_mode_is_named() -> None:
    """Dropout does nothing in a model that stays in evaluation mode."""
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    assert not find(right, model)
    (found,) = find(right, model.eval())
    assert "Dropout does nothing" in found.sentence


def test_an_average_that_shares_the_memory_of_the_weights_is_named() -> None:
    """An average of views is the model itself; one of copies is sound."""

    def step(model: nn.Sequential, optimizer: torch.optim.Optimizer) -> None:
        right(model, optimizer)
        for a, p in zip(average, model.parameters(), strict=True):
            a.mul_(0.9).add_(p.detach(), alpha=0.1)

    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))
    average = [p.detach() for p in model.parameters()]
    (found,) = find(step, model)
    assert "shares the memory" in found.sentence
    average = [p.detach().clone() for p in model.parameters()]
    assert not find(step, model)


def test_a_layer_in_a_list_is_named() -> None:
    """A module does not list the parameters of a layer in a Python list."""

    class Tower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.head = [nn.Linear(4, 8)], nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.layers[0](x))

    (found,) = find(right, Tower())
    assert "not registered in the module" in found.sentence
