"""Wrong steps that were written before the audit was changed for them: scalers, buffers, counters, optimizers.

Each has one wrong line, marked ``# WRONG``. A fitting remedy names a word in parentheses.
"""

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish, net
from torch import Tensor, nn


def nan_behind_a_scaler() -> None:
    """The scaler correctly skips the first steps; the NaN of the last step is an error."""
    model, (x, y) = net(), batch()
    optimizer, scaler = torch.optim.SGD(model.parameters(), 0.1), torch.amp.GradScaler("cpu", init_scale=2.0**40)
    for number in range(6):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            z = model(x)
        loss = F.cross_entropy(z.float(), y)
        if number == 5:
            gap = z.float()[:, 0] - z.float()[:, 0].detach()
            loss = loss + gap.abs().sqrt().mean()  # WRONG (eps)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()


def weights_explode_at_a_large_rate() -> None:
    """Every step multiplies the error, until its square overflows."""
    model, (x, _) = nn.Linear(16, 1), batch()
    y = x.sum(1, keepdim=True)
    optimizer = torch.optim.SGD(model.parameters(), 3.0)
    for _ in range(60):
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()  # WRONG (learning rate)
        loss.backward()
        optimizer.step()


def nan_gradients_from_before() -> None:
    """The previous step left NaN, and the gradients were not set to zero."""
    model, (x, y) = net(), batch()
    for p in model.parameters():
        p.grad = torch.full_like(p, float("nan"))
    loss = F.cross_entropy(model(x), y)
    loss.backward()  # WRONG (previous step|zero_grad)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    torch.optim.SGD(model.parameters(), 0.1).step()


class Counting(nn.Module):
    """Counts the samples in a buffer."""

    def __init__(self, start: float, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("seen", torch.tensor(start, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Count, and pass on."""
        self.seen += 1  # WRONG (int64|integer)
        return x


def counter_in_float32() -> None:
    """2^24 + 1 is 2^24."""
    model, (x, y) = net(), batch()
    model = nn.Sequential(Counting(2.0**24, torch.float32), model)
    finish(model, F.cross_entropy(model(x), y))


def counter_of_adam_in_bfloat16() -> None:
    """The number of steps stays 256, and so does the bias correction."""
    model, (x, y) = net(), batch()
    count = torch.tensor(256.0, dtype=torch.bfloat16)
    F.cross_entropy(model(x), y).backward()
    with torch.no_grad():
        count += 1  # WRONG (int64|integer|float32)
        for p in model.parameters():
            p -= 1e-2 * p.grad.sign() / (1 - 0.9 ** count.float())


def statistics_of_batch_norm_in_bfloat16() -> None:
    """A momentum of 1e-3 moves neither mean nor variance."""
    norm, head = nn.BatchNorm1d(16, momentum=1e-3).bfloat16(), nn.Linear(16, 10).bfloat16()
    x, y = batch(256, dtype=torch.bfloat16)
    norm.running_mean.fill_(1.0)
    h = norm(x * 3)  # WRONG (float32)
    finish(nn.ModuleList([norm, head]), F.cross_entropy(head(h).float(), y), torch.optim.SGD(head.parameters(), 1.0))


class RunningMean(nn.Module):
    """Subtracts a mean in a buffer of bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.ones(16, dtype=torch.bfloat16))

    def forward(self, x: Tensor) -> Tensor:
        """Move the mean by a thousandth."""
        self.mean.lerp_(x.detach().mean(0).bfloat16(), 1e-3)  # WRONG (float32)
        return x - self.mean.float()


def mean_in_a_buffer_of_bfloat16() -> None:
    """The buffer does not move."""
    model, (x, y) = net(), batch()
    model = nn.Sequential(RunningMean(), model)
    finish(model, F.cross_entropy(model(x), y))


def average_of_weights_in_float32() -> None:
    """A decay of 1 - 1e-9 moves nothing in float32 either, and the average is far from the weights."""
    model, (x, y) = net(), batch()
    average = [torch.full_like(p, 0.5) for p in model.parameters()]
    finish(model, F.cross_entropy(model(x), y))
    with torch.no_grad():
        for a, p in zip(average, model.parameters(), strict=True):
            a.lerp_(p, 1e-9)  # WRONG (float64|decay)


def indices_counted_in_bfloat16() -> None:
    """A running count of ones is no longer exact from 256 on; its values choose positions."""
    embed, head = nn.Embedding(600, 16), nn.Linear(16, 4)
    open_ = torch.ones(2, 500, dtype=torch.bfloat16)
    count = open_.cumsum(1)  # WRONG (int64|integer)
    h = embed(count.long()).mean(1)
    finish(nn.ModuleList([embed, head]), F.cross_entropy(head(h), torch.arange(2)))


def offsets_computed_in_float16() -> None:
    """Row times width plus column, in float16, which has no odd number above 2048."""
    table, head = nn.Embedding(4096, 8), nn.Linear(8, 4)
    row, column = torch.arange(60).half(), (torch.arange(60) % 51).half()
    offset = row * 51 + column  # WRONG (int64|integer)
    finish(nn.ModuleList([table, head]), F.cross_entropy(head(table(offset.long())), torch.arange(60) % 4))


def warm_up_below_what_bfloat16_resolves() -> None:
    """The scheduler begins with a rate of 1e-7."""
    model, (x, y) = net(dtype=torch.bfloat16), batch(dtype=torch.bfloat16)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1e-4, total_iters=1000)
    F.cross_entropy(model(x).float(), y).backward()
    optimizer.step()  # WRONG (float32)
    scheduler.step()
