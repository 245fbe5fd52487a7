"""Functions and steps under a transformation, each with the answer that a person gives.

The first word of a name is the settled answer, the second the transformation; ``UNDER`` has the values of those that
need one. The comment ``# here`` marks a line at which a person would say that a transformed run differs.
"""

import math
import random

import torch
from torch import nn
from torch.nn import functional as F

UNDER = {
    "rounding_accumulation_equal": "accumulation=4",
    "rounding_accumulation_unequal": "accumulation=5",
    "rounding_accumulation_own": "accumulation=4",
    "rounding_accumulation_sum": "accumulation=3",
    "different_accumulation_missing_scale": "accumulation=4",
    "different_accumulation_mean_of_means": "accumulation=5",
    "different_accumulation_ignored_labels": "accumulation=4",
    "different_accumulation_batch_norm": "accumulation=4",
    "different_accumulation_all_rows": "accumulation=8",
    "rounding_accumulation_dropout": "accumulation=4",
    "different_accumulation_mask": "accumulation=4",
    "nothing_accumulation_dead": "accumulation=4",
    "rounding_threads_matmul": "threads=1",
    "rounding_threads_step": "threads=1",
    "different_autocast_overflow": "autocast=float16",
    "rounding_processor_softmax": "processor=AVX2",
    "rounding_processor_step": "processor=AVX2",
    "different_processor_branch": "processor=AVX2",
}

# Functions


def rounding_compile_softmax(x):
    exponentials = torch.exp(x - x.amax(-1, keepdim=True))
    return exponentials / exponentials.sum(-1, keepdim=True)


def rounding_compile_gelu(x):
    return x * (1.0 + torch.erf(x / math.sqrt(2.0))) / 2.0


def different_compile_branch(x):
    scale = 0.5 if torch.compiler.is_compiling() else 1.0
    return torch.tanh(x) * scale


def rounding_batch_linear(x):
    weight = torch.linspace(-1.0, 1.0, 64 * 16).reshape(64, 16)
    return torch.relu(x @ weight)


rounding_batch_softmax = rounding_compile_softmax


def different_batch_centered(x):
    return x - x.mean(0)  # here


def different_batch_scaled(x):
    scale = x.abs().max() / 127.0  # here
    return torch.round(x / scale) * scale  # here


def different_batch_position(x):
    return x + 0.01 * torch.arange(len(x)).unsqueeze(1)  # here


def rounding_threads_matmul(x, y):
    return x @ y.T


def rounding_autocast_matmul(x, y):
    return torch.tanh(x @ y.T)


def different_autocast_overflow(x, y):
    return (100.0 * x) @ (100.0 * y.T)  # here


rounding_processor_softmax = rounding_compile_softmax


def different_processor_branch(x):
    scale = 1.0 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 0.5
    return x * scale  # here


def rounding_seed_dropout(x):
    return F.dropout(x, 0.1)


_generator = torch.Generator()
_generator.seed()


def different_seed_generator(x):
    return x * torch.rand(x.shape, generator=_generator)  # here


def different_seed_python(x):
    return x * random.SystemRandom().random()  # here


def different_seed_order_of_a_set(x):
    # Twelve names have the same order under two hash seeds once in many millions of runs.
    for name in {f"digit {digit}" for digit in "0123456789ab"}:
        x = 2.0 * x + int(name[-1], 16)  # here
    return x


# Steps


def _data(rows=24):
    torch.manual_seed(3)
    return torch.randn(rows, 8), torch.randint(0, 4, (rows,))


def _model(*extra):
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(8, 16), *extra, nn.ReLU(), nn.Linear(16, 4))


def _train(make, *, extra=(), loss=F.cross_entropy, schedule=None, labels=None):
    model = _model(*extra)
    optimizer = make(model.parameters())
    scheduler = schedule and schedule(optimizer)
    x, y = _data()
    if labels:
        y[:labels] = -100

    def step():
        optimizer.zero_grad()
        value = loss(model(x), y)  # here
        value.backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
        return value

    return step


def _sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def _adam(parameters):
    return torch.optim.Adam(parameters, lr=0.01)


def _halved(optimizer):
    return torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)


rounding_accumulation_equal = _train(_sgd)
rounding_accumulation_unequal = _train(_adam, schedule=_halved)
rounding_accumulation_sum = _train(_sgd, loss=lambda y_hat, y: F.cross_entropy(y_hat, y, reduction="sum") / len(y))
different_accumulation_ignored_labels = _train(_sgd, labels=7)
different_accumulation_batch_norm = _train(_sgd, extra=[nn.BatchNorm1d(16)])
different_accumulation_all_rows = _train(
    _sgd,
    loss=lambda y_hat, y: F.cross_entropy(y_hat, y, reduction="sum") / 24,  # here
)
# The random numbers of the parts continue those of the parts before.
rounding_accumulation_dropout = _train(_sgd, extra=[nn.Dropout(0.5)])


class _Mask(nn.Module):
    def forward(self, x):
        torch.manual_seed(5)
        return F.dropout(x, 0.5)  # here


different_accumulation_mask = _train(_sgd, extra=[_Mask()])


def _accumulate(scale):
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = _data()

    def step(accumulation=1):
        optimizer.zero_grad()
        total = torch.zeros(())
        for rows, labels in zip(x.split(-(-24 // accumulation)), y.split(-(-24 // accumulation)), strict=True):
            loss = F.cross_entropy(model(rows), labels) * scale(len(rows), accumulation)  # here
            loss.backward()
            total = total + loss.detach()
        optimizer.step()
        return total

    return step


rounding_accumulation_own = _accumulate(lambda length, _: length / 24)
different_accumulation_missing_scale = _accumulate(lambda *_: 1.0)
different_accumulation_mean_of_means = _accumulate(lambda _, parts: 1 / parts)


def _dead():
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, _ = _data()

    def step():
        optimizer.zero_grad()
        loss = torch.relu(model(x) - 100.0).sum()
        loss.backward()
        optimizer.step()
        return loss

    return step


nothing_accumulation_dead = _dead()

rounding_foreach_adam = _train(_adam)
rounding_fused_adamw = _train(lambda p: torch.optim.AdamW(p, lr=0.01))


class _Doubled(torch.optim.SGD):
    """Descends twice as far with many tensors at once."""

    def step(self, closure=None):
        super().step(closure)  # here
        if self.param_groups[0]["foreach"]:
            super().step(closure)  # here


different_foreach_doubled = _train(lambda p: _Doubled(p, lr=0.1))

rounding_compile_step = _train(_adam)
rounding_threads_step = _train(_sgd)
rounding_processor_step = _train(_sgd)
rounding_autocast_step = _train(_sgd)
rounding_seed_step = _train(_sgd, extra=[nn.Dropout(0.5)])
rounding_resume_adam = _train(_adam, schedule=_halved)
rounding_resume_batch_norm = _train(_sgd, extra=[nn.BatchNorm1d(16)])
rounding_resume_dropout = _train(_sgd, extra=[nn.Dropout(0.5)])


def _compiled_forgetful():
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = _data()

    def step():
        if not torch.compiler.is_compiling():
            optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


different_compile_step = _compiled_forgetful()


def _velocity(*, is_saved):
    x, y = _data()
    w = torch.zeros(8, 4, requires_grad=True)

    class State:
        def __init__(self):
            self.velocity = torch.zeros(8, 4)

        def state_dict(self):
            return {"velocity": self.velocity} if is_saved else {}

        def load_state_dict(self, state):
            self.velocity = state.get("velocity", self.velocity)

    state = State()

    def step():
        loss = F.cross_entropy(x @ w, y)
        loss.backward()
        with torch.no_grad():
            state.velocity = 0.9 * state.velocity + w.grad  # here
            w.sub_(0.1 * state.velocity)  # here
        w.grad = None
        return loss

    return step


rounding_resume_velocity = _velocity(is_saved=True)
different_resume_velocity = _velocity(is_saved=False)


def _rate(advance):
    """A rate that falls with the epoch, which a loaded state advances."""
    model = _model()
    x, y = _data()

    class Schedule:
        epoch = 0

        def state_dict(self):
            return {"epoch": self.epoch}

        def load_state_dict(self, state):
            self.epoch = state["epoch"] + advance

    schedule = Schedule()

    def step():
        loss = F.cross_entropy(model(x), y)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p.sub_(p.grad * 0.1 * 0.5**schedule.epoch)  # here
        schedule.epoch += 1
        return loss

    return step


rounding_resume_epoch = _rate(0)
different_resume_off_by_one = _rate(1)


def _masked():
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = _data()
    generator = torch.Generator().manual_seed(5)

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x * torch.rand(x.shape, generator=generator)), y)  # here
        loss.backward()
        optimizer.step()
        return loss

    return step


different_resume_generator = _masked()
