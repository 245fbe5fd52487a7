"""Known kinds of wrong steps, each with one wrong line, marked ``# WRONG``."""

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish, net
from torch import Tensor, nn


def naive_softmax(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The definition, on large logits."""
    z = model(x) * 400
    e = torch.exp(z)  # WRONG
    p = e / e.sum(1, keepdim=True)
    return -(p[torch.arange(32), y] + 1e-9).log().mean()


def log_of_softmax(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The logarithm of a probability that is zero."""
    p = torch.softmax(model(x) * 500, 1)
    log_p = torch.log(p)  # WRONG
    return -log_p[torch.arange(32), y].mean()


def root_at_zero(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The slope of the root is infinite at zero."""
    h = model(x)
    target = h.detach().clone()
    target[:, 1:] = 0
    squared = (h - target)[:, 0] ** 2
    return torch.sqrt(squared).mean() + h.pow(2).mean()  # WRONG


def masked_row(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Two rows have no entry left."""
    h = model(x)
    scores = h @ h.t() / 3
    keep = torch.ones(32, 32, dtype=torch.bool).tril()
    keep[5] = keep[9] = False
    scores = scores.masked_fill(~keep, float("-inf"))
    weights = torch.softmax(scores, -1)  # WRONG
    return F.cross_entropy(weights @ h, y)


def masked_row_with_a_finite_fill(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Two rows have no entry left, without a NaN."""
    h = model(x)
    scores = h @ h.t() / 3
    keep = torch.ones(32, 32, dtype=torch.bool).tril()
    keep[5] = False
    scores = scores.masked_fill(~keep, -1e9)
    weights = torch.softmax(scores, -1)  # WRONG
    return F.cross_entropy(weights @ h, y)


def variance_in_one_pass(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """E[x^2] - E[x]^2 of data with an offset."""
    x = x + 3000
    mean = x.mean(0)
    var = (x**2).mean(0) - mean**2  # WRONG
    return F.cross_entropy(model((x - mean) / (var.clamp_min(0) + 1e-5).sqrt()), y)


def eps_in_float16() -> None:
    """The eps 1e-8 is zero."""
    model, (x, y) = net(dtype=torch.float16), batch(dtype=torch.float16)
    x[3] = 0
    h = x / (x.abs().sum(1, keepdim=True) + 1e-8)  # WRONG
    finish(model, F.cross_entropy(model(h).float(), y))


def update_lost_in_bfloat16() -> None:
    """A learning rate of 1e-3 moves few weights."""
    model, (x, y) = net(dtype=torch.bfloat16), batch(dtype=torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    F.cross_entropy(model(x).float(), y).backward()
    optimizer.step()  # WRONG


def update_by_hand_lost_in_bfloat16() -> None:
    """A learning rate of 1e-3 moves few weights, without an optimizer."""
    model, (x, y) = net(dtype=torch.bfloat16), batch(dtype=torch.bfloat16)
    F.cross_entropy(model(x).float(), y).backward()
    with torch.no_grad():
        for p in model.parameters():
            p -= 1e-3 * p.grad  # WRONG


def gradients_underflow_in_float16() -> None:
    """The loss is not scaled."""
    model, (x, _) = net(dtype=torch.float16), batch(4096, dtype=torch.float16)
    z = model(x)
    loss = (z - 1).pow(2).float().mean() * 1e-3  # WRONG
    finish(model, loss)


def sum_of_70000_in_float16() -> None:
    """The result exceeds 65504."""
    model, (x, _) = net(dtype=torch.float16), batch(7000, dtype=torch.float16)
    z = model(x)
    total = (z.abs() + 10).sum()  # WRONG
    finish(model, total / 70000)


def running_sum_in_float16() -> None:
    """The sum stalls at 2048."""
    half = torch.float16
    model, (x, _) = net(dtype=half), batch(dtype=half)
    total = torch.zeros((), dtype=half)
    for _ in range(6000):
        total = total + torch.tensor(0.9, dtype=half)  # WRONG
    finish(model, model(x).float().pow(2).mean() * total.float())


def softplus_past_its_threshold(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The threshold is too low for the identity."""
    h = F.softplus(model(x) * 10, threshold=0.5)  # WRONG
    return h.pow(2).mean()


def softplus_by_definition(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The exponential overflows."""
    h = torch.log(1 + torch.exp(model(x) * 300))  # WRONG
    return h.mean()


def normalized_without_eps(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """One row is zero."""
    x[7] = 0
    x = x / x.norm(dim=1, keepdim=True)  # WRONG
    return F.cross_entropy(model(x), y)


def cross_entropy_of_a_saturated_sigmoid() -> None:
    """The loss clamps, and its gradient is lost."""
    model, (x, y) = net(out=1), batch()
    p = torch.sigmoid(model(x)[:, 0] * 600)
    finish(model, F.binary_cross_entropy(p, (y > 4).float()))  # WRONG


def eps_of_adam_in_float16() -> None:
    """The eps becomes zero, and Adam divides by it."""
    model, (x, y) = net(dtype=torch.float16), batch(dtype=torch.float16)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    (F.cross_entropy(model(x).float(), y) * 1e-2).backward()
    optimizer.step()  # WRONG


def where_hides_the_value_only(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The gradient of the branch that is not taken is NaN."""
    h = model(x)
    r = torch.where(h > 0, torch.sqrt(h), torch.zeros_like(h))  # WRONG
    return r.mean()


def clipping_overflows_in_float16() -> None:
    """The squares of scaled gradients overflow."""
    model, (x, y) = net(dtype=torch.float16), batch(dtype=torch.float16)
    optimizer = torch.optim.SGD(model.parameters(), 1e-2)
    (F.cross_entropy(model(x).float(), y) * 2.0**19).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # WRONG
    optimizer.step()


def square_overflows_in_float16() -> None:
    """A norm by hand overflows."""
    model, (x, y) = net(dtype=torch.float16), batch(dtype=torch.float16)
    x = x * 300
    n = x.pow(2).mean(1, keepdim=True)  # WRONG
    finish(model, F.cross_entropy(model(x * torch.rsqrt(n + 1e-3)).float(), y))


def one_minus_sigmoid() -> None:
    """A probability near 1 leaves no digits."""
    model, (x, _) = net(out=1), batch()
    z = model(x)[:, 0] * 100
    q = 1 - torch.sigmoid(z)  # WRONG
    finish(model, -(q + 1e-12).log().mean())


def exponential_minus_one() -> None:
    """The exponential of small numbers."""
    model, (x, _) = net(out=1), batch()
    z = model(x)[:, 0] * 1e-6
    g = (torch.exp(z) - 1) / z  # WRONG
    finish(model, (g - 1).pow(2).mean() * 1e10)


def bytes_wrap() -> None:
    """An image is centered before the conversion to floating point."""
    model, (_, y) = net(), batch()
    torch.manual_seed(3)
    image = torch.randint(0, 256, (32, 16), dtype=torch.uint8)
    x = image - torch.tensor(128, dtype=torch.uint8)  # WRONG
    finish(model, F.cross_entropy(model(x / 255.0), y))


def distances_by_squares(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """|a|^2 + |b|^2 - 2ab of points close together and far from zero."""
    h = model(x) + 2000
    d = (h * h).sum(1)[:, None] + (h * h).sum(1)[None] - 2 * h @ h.t()  # WRONG
    return torch.sqrt(d.clamp_min(0) + 1e-3).mean()


def second_moment_in_bfloat16() -> None:
    """A decay of 0.999 changes nothing."""
    model, (x, y) = net(dtype=torch.bfloat16), batch(dtype=torch.bfloat16)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for p in model.parameters():
        moments = {"exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.full_like(p, 1e-4)}
        optimizer.state[p] = {"step": torch.tensor(500.0), **moments}
    F.cross_entropy(model(x).float(), y).backward()
    optimizer.step()  # WRONG


def nan_in_the_data(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The defect is in the data, not in the model."""
    x[2, 3] = float("nan")  # WRONG
    return F.cross_entropy(model(x), y)
