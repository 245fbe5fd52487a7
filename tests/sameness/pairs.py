"""Forty pairs of computations, of which twenty differ by rounding only, and twenty are different.

The first word of a name is the settled answer, and its last letter the side. A function of tensors is called with
random ones of one shape, and a function without arguments is a training step. The comment ``# here`` marks a line at
which a person would say that the pair differs.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

# Functions that differ by rounding only


def rounding_sum_a(x):
    return x.sum(-1)


def rounding_sum_b(x):
    total = torch.zeros_like(x[:, 0])
    for column in x.unbind(-1):
        total = total + column
    return total


def rounding_softmax_a(x):
    exponentials = torch.exp(x)
    return exponentials / exponentials.sum(-1, keepdim=True)


def rounding_softmax_b(x):
    exponentials = torch.exp(x - x.amax(-1, keepdim=True))
    return exponentials / exponentials.sum(-1, keepdim=True)


def rounding_fused_softmax_a(x):
    return torch.softmax(x, -1)


rounding_fused_softmax_b = rounding_softmax_b


def rounding_logsumexp_a(x):
    return torch.logsumexp(x, -1)


def rounding_logsumexp_b(x):
    return torch.log(torch.exp(x).sum(-1))


def rounding_layer_norm_a(x):
    return F.layer_norm(x, x.shape[-1:])


def rounding_layer_norm_b(x):
    mean = x.mean(-1, keepdim=True)
    variance = (x * x).mean(-1, keepdim=True) - mean * mean
    return (x - mean) / torch.sqrt(variance + 1e-5)


def rounding_double_accumulator_a(x):
    return (x * x).sum(-1)


def rounding_double_accumulator_b(x):
    return (x.double() * x.double()).sum(-1).float()


def rounding_matmul_a(x, y):
    return x @ y.T


def rounding_matmul_b(x, y):
    half = x.shape[1] // 2
    return x[:, :half] @ y[:, :half].T + x[:, half:] @ y[:, half:].T


def rounding_vectorized_a(x, y):
    return (x[:8].unsqueeze(1) * y[:8].unsqueeze(0)).sum(-1)


def rounding_vectorized_b(x, y):
    return torch.stack([torch.stack([torch.dot(row, other) for other in y[:8]]) for row in x[:8]])


def rounding_gelu_a(x):
    return F.gelu(x)


def rounding_gelu_b(x):
    return x * (1.0 + torch.erf(x / math.sqrt(2.0))) / 2.0


def rounding_constant_a(x):
    return x * torch.tensor(0.1)


def rounding_constant_b(x):
    return x * 0.1


def rounding_cross_entropy_a(x):
    return F.cross_entropy(x, torch.arange(len(x)) % x.shape[1], reduction="none")


def rounding_cross_entropy_b(x):
    return torch.logsumexp(x, -1) - x[torch.arange(len(x)), torch.arange(len(x)) % x.shape[1]]


def rounding_mean_a(x):
    return (x * x).mean()


def rounding_mean_b(x):
    return (x * x).sum(-1).div(x.shape[1]).sum() / len(x)


rounding_compiled_a = rounding_softmax_b
rounding_compiled_b = torch.compile(rounding_softmax_b)


# Functions that are different


def different_rms_eps_a(x):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-3)  # here


def different_rms_eps_b(x):
    return x / (torch.sqrt((x * x).mean(-1, keepdim=True)) + 1e-3)  # here


def different_variance_a(x):
    return x.var(-1)  # here


def different_variance_b(x):
    return x.var(-1, correction=0)  # here


def different_constant_a(x):
    wide = x.double()
    return wide * 0.1  # here


def different_constant_b(x):
    wide = x.double()
    return wide * torch.tensor(0.1).double()  # here


def different_gelu_a(x):
    return F.gelu(x)  # here


def different_gelu_b(x):
    return F.gelu(x, approximate="tanh")  # here


def different_mean_of_means_a(x):
    rows = (x * x).mean(-1)
    return rows.mean()  # here


def different_mean_of_means_b(x):
    rows = (x * x).mean(-1)
    return (rows[:20].mean() + rows[20:].mean()) / 2.0  # here


def different_dropout_a(x):
    torch.manual_seed(1)
    return F.dropout(x, 0.1)  # here


def different_dropout_b(x):
    torch.manual_seed(2)
    return F.dropout(x, 0.1)  # here


def different_ignored_labels_a(x):
    labels = torch.arange(len(x)) % x.shape[1]
    labels[::3] = -100
    return F.cross_entropy(x, labels)  # here


def different_ignored_labels_b(x):
    labels = torch.arange(len(x)) % x.shape[1]
    labels[::3] = -100
    return F.cross_entropy(x, labels, reduction="sum") / len(x)  # here


_CACHE = {}


def different_stale_cache_a(x):
    return x - x.mean(-1, keepdim=True)  # here


def different_stale_cache_b(x):
    mean = _CACHE.setdefault(x.shape, x.detach().mean(-1, keepdim=True))
    return x - mean  # here


# Steps


def _data(rows=24):
    torch.manual_seed(3)
    return torch.randn(rows, 8), torch.randint(0, 4, (rows,))


def _model(*, normalized=False):
    torch.manual_seed(4)
    return nn.Sequential(
        nn.Linear(8, 16), nn.BatchNorm1d(16) if normalized else nn.Identity(), nn.ReLU(), nn.Linear(16, 4)
    )


def _train(make, *, model=None, schedule=None):
    model = model or _model()
    optimizer = make([parameter for parameter in model.parameters() if parameter.requires_grad])
    scheduler = schedule and schedule(optimizer)
    x, y = _data()

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()  # here
        if scheduler:
            scheduler.step()
        return loss

    return step


def _accumulate(parts, scale, *, normalized=False):
    model = _model(normalized=normalized)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = _data()

    def step():
        optimizer.zero_grad()
        total = torch.zeros(())
        start = 0
        for length in parts:
            rows = slice(start, start + length)
            start += length
            loss = F.cross_entropy(model(x[rows]), y[rows]) * scale(length)  # here
            loss.backward()
            total = total + loss.detach()
        optimizer.step()
        return total

    return step


def _adam(parameters, **options):
    return torch.optim.Adam(parameters, lr=0.01, **options)


def _sgd(parameters, **options):
    return torch.optim.SGD(parameters, lr=0.1, **options)


def _scratch(direction):
    """A logistic regression with its own update: ``direction(gradient, state)``."""
    x, y = _data()
    w = torch.zeros(8, 4, requires_grad=True)
    state = {}

    def step():
        loss = F.cross_entropy(x @ w, y)
        loss.backward()
        with torch.no_grad():
            w.sub_(0.1 * direction(w.grad, state))
        w.grad = None
        return loss

    return step


# Steps that differ by rounding only

rounding_foreach_a = _train(lambda p: _adam(p, foreach=False))
rounding_foreach_b = _train(lambda p: _adam(p, foreach=True))

rounding_fused_a = _train(_adam)
rounding_fused_b = _train(lambda p: _adam(p, fused=True))

rounding_accumulation_a = _accumulate([24], lambda n: 1.0)
rounding_accumulation_b = _accumulate([6, 6, 6, 6], lambda n: n / 24)

rounding_unequal_parts_a = _accumulate([24], lambda n: 1.0)
rounding_unequal_parts_b = _accumulate([10, 10, 4], lambda n: n / 24)

rounding_momentum_a = _train(lambda p: _sgd(p, momentum=0.9))


def _momentum_from_scratch():
    model = _model()
    x, y = _data()
    velocity = [torch.zeros_like(p) for p in model.parameters()]

    def step():
        loss = torch.nn.NLLLoss()(torch.log_softmax(model(x), -1), y)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for p, v, g in zip(model.parameters(), velocity, gradients, strict=True):
                v.mul_(0.9).add_(g)
                p.sub_(0.1 * v)
        return loss

    return step


rounding_momentum_b = _momentum_from_scratch()


def _square(x, w, b, y, *, scratch):
    error = (x * w).sum(-1) + b - y if scratch else x @ w + b - y
    return (error * error).sum() / (2 * len(y)) if scratch else F.mse_loss(x @ w + b, y) / 2


def _regression(*, scratch):
    x, _ = _data()
    y = x.sum(-1)
    w, b = torch.zeros(8, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([w, b], lr=0.1)

    def step():
        optimizer.zero_grad()
        loss = _square(x, w, b, y, scratch=scratch)
        loss.backward()
        optimizer.step()
        return loss

    return step


rounding_regression_a = _regression(scratch=False)
rounding_regression_b = _regression(scratch=True)

rounding_decay_a = _train(lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.0))
rounding_decay_b = _train(_adam)

# Steps that are different

different_missing_scale_a = _accumulate([24], lambda n: 1.0)
different_missing_scale_b = _accumulate([6, 6, 6, 6], lambda n: 1.0)

different_unequal_parts_a = _accumulate([24], lambda n: 1.0)
different_unequal_parts_b = _accumulate([10, 10, 4], lambda n: 1 / 3)

different_batch_norm_a = _accumulate([24], lambda n: 1.0, normalized=True)
different_batch_norm_b = _accumulate([6, 6, 6, 6], lambda n: n / 24, normalized=True)

different_decoupled_decay_a = _train(lambda p: _adam(p, weight_decay=0.1))
different_decoupled_decay_b = _train(lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1))

different_dampening_a = _train(lambda p: _sgd(p, momentum=0.9))
different_dampening_b = _train(lambda p: _sgd(p, momentum=0.9, dampening=0.1))

different_nesterov_a = _train(lambda p: _sgd(p, momentum=0.9))
different_nesterov_b = _train(lambda p: _sgd(p, momentum=0.9, nesterov=True))


def _root_outside(g, state):
    v = state["v"] = 0.9 * state.get("v", torch.zeros_like(g)) + 0.1 * g * g
    return g / (torch.sqrt(v) + 1e-3)  # here


def _root_inside(g, state):
    v = state["v"] = 0.9 * state.get("v", torch.zeros_like(g)) + 0.1 * g * g
    return g / torch.sqrt(v + 1e-3)  # here


different_adam_eps_a = _scratch(_root_outside)
different_adam_eps_b = _scratch(_root_inside)


def _initial_zero(g, state):
    m = state["m"] = 0.9 * state.get("m", torch.zeros_like(g)) + 0.1 * g  # here
    return m


def _initial_gradient(g, state):
    m = state["m"] = 0.9 * state.get("m", g) + 0.1 * g  # here
    return m


different_initial_momentum_a = _scratch(_initial_zero)
different_initial_momentum_b = _scratch(_initial_gradient)


different_frozen_layer_a = _train(_sgd)
_frozen = _model()
_frozen[0].weight.requires_grad_(requires_grad=False)
different_frozen_layer_b = _train(_sgd, model=_frozen)


def _schedule(last):
    def schedule(optimizer):
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5 ** (epoch + last))

    return schedule


different_scheduler_a = _train(_sgd, schedule=_schedule(0))
different_scheduler_b = _train(_sgd, schedule=_schedule(1))

different_clipping_a = _train(_sgd)


def _clipped():
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = _data()

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.01)  # here
        optimizer.step()
        return loss

    return step


different_clipping_b = _clipped()


def _dead():
    x, _ = _data()
    w = torch.zeros(8, 4, requires_grad=True)

    def step():
        loss = torch.relu(x @ w - 1.0).sum()
        loss.backward()
        with torch.no_grad():
            w.sub_(0.1 * w.grad)
        w.grad = None
        return loss

    return step


nothing_dead_models_a = _dead()
nothing_dead_models_b = _dead()
