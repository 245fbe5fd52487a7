"""Wrong steps from reports about the audit: it said nothing, or its sentence or its advice did not fit.

Each has one wrong line, marked ``# WRONG``. A fitting remedy names a word in parentheses.
"""

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish, net
from torch import Tensor, nn


def rate_of_zero_in_bfloat16() -> None:
    """One plus the cosine of the last step of a schedule is 0."""
    model, (x, y) = net(dtype=torch.bfloat16), batch(dtype=torch.bfloat16)
    progress = torch.tensor(3.09, dtype=torch.bfloat16)
    rate = 0.5 * (1 + torch.cos(progress))  # WRONG (float32|cos(x / 2))
    F.cross_entropy(model(x).float(), y).backward()
    with torch.no_grad():
        for p in model.parameters():
            p -= rate * 50 * p.grad


def one_minus_cosine_in_bfloat16() -> None:
    """The similarity is 0.9995, and neighboring numbers are 0.004 apart."""
    model, x = nn.Linear(16, 16), torch.randn(24, 16)
    a = model(x)
    b = (a + 0.03 * torch.randn(24, 16)).detach()
    similarity = F.cosine_similarity(a.bfloat16(), b.bfloat16())
    loss = (1 - similarity).mean()  # WRONG (float32)
    finish(model, loss.float())


def contrast_without_negatives() -> None:
    """The only other view is the positive one, so that nothing remains in the divisor."""
    model, x = nn.Linear(8, 4), torch.randn(2, 8)
    z = F.normalize(model(x), dim=1)
    e = (z @ z.t() / 0.5).exp()
    positive = e[0, 1]
    others = torch.tensor([0.0, 0.0])  # neither the row itself nor the positive
    loss = (positive / (e[0] * others).sum()).log()  # WRONG (divisor)
    finish(model, loss)


def angle_of_equal_vectors() -> None:
    """The slope of the arc cosine at 1 is infinite."""
    model, x = nn.Linear(2, 2), torch.randn(6, 2)
    cosine = model(x)[:, 0] * 0 + 1
    angle = torch.acos(cosine)  # WRONG (atan2|1e-6)
    finish(model, angle.mean())


def angle_beyond_one() -> None:
    """1 + 1e-7 is no cosine; a later sum of its NaN does not underflow."""
    model, x = nn.Linear(2, 2), torch.randn(6, 2)
    cosine = model(x)[:, 0] * 0 + torch.tensor([0.3, 0.2, 1.0000001, 0.9, 0.1, 0.4])
    angle = torch.acos(cosine)  # WRONG (clamp)
    total = angle * 1e-30 + model(x)[:, 1] * 1e-44
    finish(model, (total + 1e-42).sum())


def angle_of_a_flat_box() -> None:
    """The quotient of width and height is infinite at a height of 0."""
    model, x = nn.Linear(4, 2), torch.randn(6, 4)
    size = F.relu(model(x)) * torch.tensor([[1.0, 1.0]] * 5 + [[1.0, 0.0]]) + torch.tensor([0.5, 0.0])
    angle = torch.atan(size[:, 0] / size[:, 1])  # WRONG (atan2)
    finish(model, angle.square().mean())


def temperature_of_zero_in_float16(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The temperature 1e-8 is 0 in float16."""
    temperature = torch.tensor(1e-8).half()  # WRONG (float32|clamp)
    return F.cross_entropy((model(x).half() / temperature).float(), y)


def precision_of_a_small_variance() -> None:
    """The log-variance is -95."""
    model, (x, _) = net(out=2), batch()
    mean, log_variance = model(x).unbind(1)
    log_variance = log_variance - 95
    precision = torch.exp(-log_variance)  # WRONG (clamp)
    finish(model, (precision * (mean - 1).square() + log_variance).mean())


def power_of_a_negative_number(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A power with a learnt exponent."""
    h, p = model(x), torch.tensor(2.5)
    return (h**p).mean()  # WRONG (negative)


def eps_of_an_optimizer() -> None:
    """The constant 1e-50 is 0 in float32."""
    model, (x, y) = net(), batch()
    x[:, 4] = 0.0
    optimizer = torch.optim.RMSprop(model.parameters(), 0.01, eps=1e-50)
    F.cross_entropy(model(x), y).backward()
    optimizer.step()  # WRONG (eps)


def flow_that_diverges() -> None:
    """Euler's method with a step that is too large for the equation."""
    model = nn.Linear(4, 4)
    z = torch.randn(8, 4)
    for _ in range(60):
        z = z + 0.5 * (model(z) - z**3)  # WRONG (diverge|step)
    finish(model, z.square().mean())


def scaler_that_does_not_step() -> None:
    """The gradients are scaled, and the optimizer uses them without unscaling."""
    model, (x, y) = net(), batch()
    optimizer, scaler = torch.optim.SGD(model.parameters(), 0.1), torch.amp.GradScaler("cpu")
    for _ in range(14):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), F.one_hot(y, 10).float())
        scaler.scale(loss).backward()
        optimizer.step()  # WRONG (scaler.step)


def labels_that_are_all_ignored(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A mean over no label."""
    return F.cross_entropy(model(x), torch.full_like(y, -100))  # WRONG (skip)


def logit_of_one(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A probability of 1."""
    p = torch.sigmoid(model(x)[:, 0] + 20)
    return torch.logit(p).mean()  # WRONG (clamp|eps)


def area_tangent_of_one(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A correlation of 1."""
    r = torch.tanh(model(x)[:, 0] + 12)
    return torch.atanh(r).mean()  # WRONG (clamp)


def root_over_an_eps_in_float16() -> None:
    """The constant 1e-8 is 0 in float16, and a row is 0."""
    model, x = nn.Linear(8, 8, bias=False).half(), torch.randn(6, 8).half()
    x[2] = 0.0
    h = model(x)
    unit = h / ((h * h).sum(1, keepdim=True) + 1e-8).sqrt()  # WRONG (eps)
    finish(model, unit.float().sum())
