"""Wrong steps that were written before the audit was changed for them: updates, losses and constants in 16 bits.

Each has one wrong line, marked ``# WRONG``. A fitting remedy names a word in parentheses.
"""

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish, net
from torch import nn


def decay_of_the_rate_in_float16() -> None:
    """One minus the progress is 0 in the last steps of a polynomial schedule."""
    model, (x, y) = net(), batch()
    progress = torch.tensor(9999.0).half() / torch.tensor(10000.0).half()
    rate = 0.1 * (1 - progress) ** 0.9  # WRONG (float32|Python)
    F.cross_entropy(model(x), y).backward()
    with torch.no_grad():
        for p in model.parameters():
            p -= rate.float() * p.grad


def bias_correction_in_bfloat16() -> None:
    """1 - 0.999^2 of a power that was rounded to bfloat16."""
    model, (x, y) = net(), batch()
    steps = torch.tensor(2.0, dtype=torch.bfloat16)
    F.cross_entropy(model(x), y).backward()
    correction = 1 - torch.pow(0.999, steps)  # WRONG (float32|Python|expm1)
    with torch.no_grad():
        for p in model.parameters():
            p -= 1e-3 * p.grad / ((0.002 * p.grad.square() / correction.float().clamp(min=1e-4)).sqrt() + 1e-8)


def gradients_unscaled_in_float16() -> None:
    """They are divided by the loss scale before they are copied to float32."""
    model, (x, y) = net(dtype=torch.float16), batch(dtype=torch.float16)
    masters = [p.detach().float() for p in model.parameters()]
    loss = F.cross_entropy(model(x).float(), y) * 1e-7
    (loss * 65536).backward()
    with torch.no_grad():
        for p, master in zip(model.parameters(), masters, strict=True):
            p.grad.div_(65536)  # WRONG (float32)
            master -= 1e5 * p.grad.float()
            p.copy_(master)


def gradients_of_many_batches_in_bfloat16() -> None:
    """Each of 600 micro-batches adds a gradient that is too small for the sum."""
    model = nn.Linear(4, 1, bias=False).bfloat16()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x = torch.ones(2, 4, dtype=torch.bfloat16)
    for _ in range(600):
        loss = (model(x) - 3).float().abs().mean() / 600
        loss.backward()  # WRONG (float32)
    optimizer.step()


def perturbation_of_flat_minima() -> None:
    """Sharpness-aware minimization moves the weights by less than bfloat16 resolves."""
    model, (x, y) = net(dtype=torch.bfloat16), batch(dtype=torch.bfloat16)
    F.cross_entropy(model(x).float(), y).backward()
    norm = torch.stack([p.grad.float().norm() for p in model.parameters()]).norm()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(p.grad / norm.bfloat16(), alpha=1e-4)  # WRONG (float32)
    model.zero_grad()
    F.cross_entropy(model(x).float(), y).backward()
    torch.optim.SGD(model.parameters(), 0.5).step()


def overlap_in_float16() -> None:
    """One minus an overlap of 0.9999."""
    model, x = nn.Linear(8, 64), torch.randn(2, 8)
    target = torch.randint(0, 2, (2, 64)).float()
    p = torch.sigmoid(model(x) * 0.05 + (target - 0.5) * 20).half()
    t = target.half()
    loss = 1 - 2 * (p * t).sum(1) / (p.sum(1) + t.sum(1))  # WRONG (float32)
    finish(model, loss.float().mean())


def loss_by_difference_in_bfloat16() -> None:
    """The logarithm of a sum and the logit are near 80, and their difference is 0.01."""
    model, (x, y) = net(dtype=torch.bfloat16), batch(dtype=torch.bfloat16)
    z = model(x) + 75 + 5 * F.one_hot(y, 10).bfloat16()
    loss = (z.logsumexp(1) - z.gather(1, y[:, None])[:, 0]).mean()  # WRONG (float32|cross_entropy|log_softmax)
    finish(model, loss)


def critics_with_an_offset() -> None:
    """Two means near 300 differ by 0.1."""
    model, x = net(out=1, dtype=torch.bfloat16), batch(64, dtype=torch.bfloat16)[0]
    real, fake = model(x) + 300, model(x + 0.125) + 300
    finish(model, fake.mean() - real.mean())  # WRONG (float32|before)


def divergence_of_close_distributions() -> None:
    """The terms cancel to 1e-5, and each is rounded to 4e-3."""
    model, (x, _) = net(), batch()
    z = model(x)
    p, q = z.softmax(1).bfloat16(), (z.detach() * 1.01).softmax(1).bfloat16()
    loss = (p * (p.log() - q.log())).sum(1).mean()  # WRONG (float32|log_softmax)
    finish(model, loss.float())


def noise_levels_in_float16() -> None:
    """One minus the first level of a diffusion is 0."""
    model, x = nn.Linear(8, 8), torch.randn(16, 8)
    beta = torch.linspace(1e-4, 0.02, 100).half()
    sigma = (1 - torch.cumprod(1 - beta, 0)).sqrt()  # WRONG (float32)
    step = torch.arange(16) % 4
    noise = torch.randn(16, 8)
    noisy = x + sigma[step].float()[:, None] * noise
    finish(model, ((model(noisy) - noise) / sigma[step].float().clamp(min=1e-4)[:, None]).square().mean())


def logarithm_with_an_eps_that_is_zero() -> None:
    """The constant 1e-9 is 0 in float16."""
    model, (x, _) = net(), batch()
    p = (model(x) * 100).softmax(1).half()
    entropy = -(p * torch.log(p + 1e-9)).sum(1)  # WRONG (eps)
    finish(model, entropy.float().mean())


def empty_mask_in_float16() -> None:
    """The mask is empty, and the smoothing constant 1e-8 rounds to 0."""
    model, x = nn.Linear(8, 16), torch.randn(4, 8)
    p, t = F.relu(model(x) - 9).half(), torch.zeros(4, 16).half()
    hit, false = (p * t).sum(1), (p * (1 - t)).sum(1)
    score = (hit + 1e-8) / (hit + 0.7 * false + 1e-8)  # WRONG (eps)
    finish(model, (1 - score).float().mean())


def accumulator_without_an_eps() -> None:
    """A feature is always 0, so that its accumulated square is 0."""
    model, (x, y) = net(), batch()
    x[:, 4] = 0.0
    optimizer = torch.optim.Adagrad(model.parameters(), 0.01, eps=0.0)
    F.cross_entropy(model(x), y).backward()
    optimizer.step()  # WRONG (eps)


def optimizer_that_does_not_ask_the_scaler() -> None:
    """The scaled gradients are infinite, and the optimizer is called instead of the scaler."""
    model, (x, y) = net(), batch()
    optimizer, scaler = torch.optim.SGD(model.parameters(), 0.1), torch.amp.GradScaler("cpu", init_scale=2.0**26)
    for _ in range(2):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            z = model(x)
        scaler.scale(F.cross_entropy(z.float(), y)).backward()
        optimizer.step()  # WRONG (scaler.step)


def similarities_in_float16() -> None:
    """The exponential of a cosine over a temperature of 0.07."""
    model, x = nn.Linear(16, 8), torch.randn(12, 16)
    z = F.normalize(model(x), dim=1).half()
    e = (z @ z.t() / 0.07).exp()  # WRONG (logsumexp|softmax|maximum)
    finish(model, (e.sum(1) - e.diagonal()).float().log().mean())


def temperature_of_an_annealing() -> None:
    """It is halved thirty times, and float16 has nothing between 0 and 6e-8."""
    model, (x, y) = net(), batch()
    temperature = torch.tensor(1.0).half()
    for _ in range(30):
        temperature = temperature * 0.5  # WRONG (float32|clamp|floor)
    finish(model, F.cross_entropy(model(x) * 1e-9 / temperature.float(), y))


def rates_of_layers() -> None:
    """The ratio of norms divides by a gradient whose squares underflow in float16."""
    model = nn.Linear(8, 2).half()
    x = torch.randn(16, 8).half()
    (model(x).float().square().mean() * 1e-4).backward()
    with torch.no_grad():
        for p in model.parameters():
            size = p.grad.square().sum().sqrt()  # WRONG (float32|norm|scale)
            p -= 0.01 * p.norm() / size * p.grad


def noise_of_langevin_in_bfloat16() -> None:
    """Noise of 1e-4 does not move weights near 1."""
    model, (x, y) = net(dtype=torch.bfloat16), batch(dtype=torch.bfloat16)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    F.cross_entropy(model(x).float() * 0.01, y).backward()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p), alpha=1e-4)  # WRONG (float32)
