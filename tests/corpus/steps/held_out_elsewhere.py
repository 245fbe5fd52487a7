"""Further held-out wrong steps: narrow formats, optimizers, buffers, evaluation, data and inner functions."""

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish, net
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def count_of_batches_in_bfloat16(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The count stalls at 256."""
    count = torch.zeros((), dtype=torch.bfloat16)
    for _ in range(600):
        count += 1  # WRONG
    return model(x).pow(2).sum() / count


def average_of_weights_in_bfloat16() -> None:
    """A decay of 0.9999 changes nothing."""
    model, (x, y) = net(dtype=torch.bfloat16), batch(dtype=torch.bfloat16)
    average = [p.detach().clone() for p in model.parameters()]
    finish(model, F.cross_entropy(model(x).float(), y), torch.optim.SGD(model.parameters(), 0.5))
    with torch.no_grad():
        for a, p in zip(average, model.parameters(), strict=True):
            a.add_(p - a, alpha=1e-4)  # WRONG


def decay_by_hand_in_bfloat16() -> None:
    """A factor of 1 - 1e-5 is one."""
    model, (x, y) = net(dtype=torch.bfloat16), batch(dtype=torch.bfloat16)
    finish(model, F.cross_entropy(model(x).float(), y), torch.optim.SGD(model.parameters(), 0.5))
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1 - 1e-5)  # WRONG


def second_moment_underflows_in_float16() -> None:
    """The squares of small gradients are zero."""
    model, (x, y) = net(dtype=torch.float16), batch(dtype=torch.float16)
    (F.cross_entropy(model(x).float(), y) * 1e-3).backward()
    with torch.no_grad():
        for p in model.parameters():
            moment = p.grad * p.grad  # WRONG
            p -= 1e-4 * p.grad / (moment.sqrt() + 1e-6)


def blended_images_wrap() -> None:
    """The sum of two images is beyond 255."""
    model, (_, y) = net(), batch()
    torch.manual_seed(4)
    a, b = torch.randint(100, 256, (2, 32, 16), dtype=torch.uint8)
    mixed = (a + b) // 2  # WRONG
    finish(model, F.cross_entropy(model(mixed / 255.0), y))


def exponential_under_autocast(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Autocast makes the logits half precision, which the code does not show."""
    with torch.autocast("cpu", dtype=torch.float16):
        z = model(x) * 30
        e = z.exp()  # WRONG
        p = e / e.sum(1, keepdim=True)
    return F.nll_loss((p.float() + 1e-9).log(), y)


def inside_of_a_checkpoint(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The line is computed twice."""

    def block(h: Tensor) -> Tensor:
        return torch.exp(h * 200) / (1 + torch.exp(h * 200))  # WRONG

    return F.cross_entropy(checkpoint(block, model(x), use_reentrant=False), y)


def precision_of_no_prediction() -> Tensor:
    """True positives among no positives, in an evaluation."""
    model, (x, y) = net(out=1), batch()
    with torch.no_grad():
        positive = model(x)[:, 0] > 100
        hit = (positive & (y > 4)).sum().float()
        return hit / positive.sum().float()  # WRONG


class RunningVariance(nn.Module):
    """A normalization that computes the running variance in one pass."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("variance", torch.ones(16))

    def forward(self, x: Tensor) -> Tensor:
        """Update the variance, and normalize independently of it."""
        with torch.no_grad():
            self.variance.copy_((x * x).mean(0) - x.mean(0) ** 2)  # WRONG
        return x - x.mean(0)


def variance_in_a_buffer() -> None:
    """Only the buffer is wrong."""
    model, (x, y) = net(), batch()
    model = nn.Sequential(RunningVariance(), model)
    finish(model, F.cross_entropy(model(x + 4000), y))


def positions_in_bfloat16() -> None:
    """Neighbors have the same position from 256 on."""
    model, (x, _) = net(), batch(600)
    positions = torch.arange(600, dtype=torch.bfloat16)  # WRONG
    angles = positions[:, None].float() * torch.linspace(0.1, 1.0, 16)
    finish(model, model(x * angles.cos()).pow(2).mean())


def seconds_since_1970_in_float32(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Neighboring floats are 128 s apart."""
    stamps = 1_700_000_000 + torch.arange(0, 320, 10)
    age = stamps.float() - 1_700_000_000.0  # WRONG
    return model(x * age[:, None] / 320).pow(2).mean()


def normalization_of_a_dead_channel(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The running variance is zero, and there is no eps."""
    norm = nn.BatchNorm1d(16, eps=0.0).eval()
    norm.running_var[3] = 0.0
    x = norm(x)  # WRONG
    return F.cross_entropy(model(x), y)


def clamped_norm_in_float16() -> None:
    """The minimal norm of 1e-8 is zero."""
    model, (x, y) = net(dtype=torch.float16), batch(dtype=torch.float16)
    x[0] = 0
    x = x / x.norm(dim=1, keepdim=True).clamp(min=1e-8)  # WRONG
    finish(model, F.cross_entropy(model(x).float(), y))


def penalty_on_the_norm_of_gradients() -> None:
    """A gradient penalty whose root meets zero."""
    model, (x, _) = net(out=1), batch()
    x = x.clone().requires_grad_()
    out = (model(x) * (torch.arange(32) > 3).float()[:, None]).sum()
    (grad,) = torch.autograd.grad(out, x, create_graph=True)
    penalty = (grad.pow(2).sum(1).sqrt() - 1).pow(2).mean()  # WRONG
    finish(model, penalty)


def rate_below_what_bfloat16_resolves() -> None:
    """Momentum, with a warm-up rate of 1e-5."""
    model, (x, y) = net(dtype=torch.bfloat16), batch(dtype=torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), 1e-5, momentum=0.9)
    F.cross_entropy(model(x).float(), y).backward()
    optimizer.step()  # WRONG


def losses_added_up_in_bfloat16() -> None:
    """The losses of micro-batches are added one by one."""
    short = torch.bfloat16
    model, (x, y) = net(dtype=short), batch(800, dtype=short)
    total = torch.zeros((), dtype=short)
    for rows, labels in zip(x.split(2), y.split(2), strict=True):
        total = total + F.cross_entropy(model(rows), labels)  # WRONG
    finish(model, total / 400)


def infinite_weights_of_rare_classes(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Divides by a count of zero."""
    counts = torch.bincount(y.clamp(max=7), minlength=10).float()
    weights = 1 / counts  # WRONG
    return F.cross_entropy(model(x), y, weight=weights / weights.sum())


def update_by_data_in_float16() -> None:
    """The product of rate and gradient underflows before it is subtracted."""
    model, (x, y) = net(dtype=torch.float16), batch(dtype=torch.float16)
    (F.cross_entropy(model(x).float(), y) * 1e-2).backward()
    for p in model.parameters():
        p.data = p.data - 1e-6 * p.grad  # WRONG
