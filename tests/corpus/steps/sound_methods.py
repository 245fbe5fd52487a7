"""Sound steps, written before the audit was changed for them: clamps, contrast, flows, optimizers, schedules."""

import math

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish, net
from torch import Tensor, nn


def unit_rows_over_a_floor() -> None:
    """A row is 0; the clamp before the reciprocal root gives it the slope 0."""
    model, (x, y) = nn.Linear(16, 10, bias=False), batch()
    x[7] = 0.0
    h = model(x)
    unit = h * torch.rsqrt(torch.clamp_min((h * h).sum(1, keepdim=True), 1e-10))
    finish(model, F.cross_entropy(unit * 10, y))


def deviation_over_a_floor(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Equal rows have no variance, and torch.maximum takes the floor."""
    h = model(x[torch.arange(32) // 4 * 0])
    deviation = torch.maximum(h.var(0), torch.tensor(1e-8)).sqrt()
    return F.relu(1 - deviation).mean() + F.cross_entropy(model(x), y)


def margins_that_are_kept() -> None:
    """All triplets are satisfied and have no gradient."""
    model, x = nn.Linear(8, 4), torch.randn(24, 8)
    a, p, n = model(x).split(8)
    far = ((a - n).square().sum(1) + 1e-12).sqrt()
    near = ((a - p).square().sum(1) + 1e-12).sqrt()
    finish(model, F.relu(near - 3 * far + 0.2).mean())


def ratio_between_two_limits() -> None:
    """The first epoch of PPO: all ratios are 1, and the mean of the advantages is a rounding error."""
    model, (x, y) = net(), batch()
    log_p = model(x).log_softmax(1).gather(1, y[:, None])[:, 0]
    reward = torch.randn(32)
    advantage = (reward - reward.mean()) / (reward.std() + 1e-8)
    ratio = (log_p - log_p.detach()).exp()
    finish(model, -torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean())


def ratio_beyond_its_limits() -> None:
    """The old policy was far away: some ratios are 1e6, and the clamp gives them no gradient."""
    model, (x, y) = net(), batch()
    log_p = model(x).log_softmax(1).gather(1, y[:, None])[:, 0]
    old = log_p.detach() - 14.0 * (torch.arange(32) % 4 == 0)
    ratio = (log_p - old).exp()
    finish(model, -torch.min(ratio, ratio.clamp(0.8, 1.2)).mean())


def squashed_policy() -> None:
    """Log-deviations are clamped to -20 and 2, and the correction of tanh is a softplus."""
    model, (x, _) = net(out=4), batch()
    mean, log_std = (model(x) * 6).chunk(2, 1)
    std = log_std.clamp(-20, 2).exp()
    u = mean + std * torch.randn(32, 2)
    log_p = -((u - mean) / std).square() / 2 - std.log() - 2 * (math.log(2) - u - F.softplus(-2 * u))
    finish(model, (0.2 * log_p.sum(1) + u.tanh().square().sum(1)).mean())


def pictures_and_captions() -> None:
    """A learnt scale is clamped at 100."""
    left, right, scale = nn.Linear(16, 8), nn.Linear(12, 8), nn.Parameter(torch.tensor(math.log(1 / 0.07)))
    a, b = F.normalize(left(torch.randn(16, 16)), dim=1), F.normalize(right(torch.randn(16, 12)), dim=1)
    z = scale.exp().clamp(max=100) * a @ b.t()
    y = torch.arange(16)
    loss = (F.cross_entropy(z, y) + F.cross_entropy(z.t(), y)) / 2
    finish(nn.ModuleList([left, right, nn.ParameterList([scale])]), loss, torch.optim.AdamW(left.parameters()))


def two_views_without_negatives() -> None:
    """One side is detached."""
    model, head = nn.Linear(16, 8), nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 8))
    x = torch.randn(24, 16)
    a, b = model(x), model(x + 0.1 * torch.randn(24, 16))
    loss = -(F.cosine_similarity(head(a), b.detach()) + F.cosine_similarity(head(b), a.detach())).mean() / 2
    finish(nn.ModuleList([model, head]), loss)


def redundancy_of_features() -> None:
    """Variance and covariance terms, where one feature is dead."""
    model, x = nn.Sequential(nn.Linear(16, 12), nn.ReLU()), torch.randn(64, 16)
    with torch.no_grad():
        model[0].bias[3] = -100.0
    h = model(x)
    centered = h - h.mean(0)
    covariance = centered.t() @ centered / 63
    std = (centered.square().mean(0) + 1e-4).sqrt()
    off = covariance - torch.diag(covariance.diagonal())
    finish(model, F.relu(1 - std).mean() + off.square().sum() / 12)


def noise_prediction() -> None:
    """Levels of a diffusion in float32, and a sinusoidal embedding of time."""
    model, x = nn.Sequential(nn.Linear(16, 32), nn.SiLU(), nn.Linear(32, 8)), torch.randn(32, 8)
    level = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)
    t = torch.randint(0, 1000, (32,))
    noise = torch.randn(32, 8)
    noisy = level[t].sqrt()[:, None] * x + (1 - level[t]).sqrt()[:, None] * noise
    angle = t[:, None] * torch.exp(-math.log(10000) * torch.arange(4) / 4)
    finish(model, F.mse_loss(model(torch.cat([noisy, angle.sin(), angle.cos()], 1)), noise))


def coupling_with_bounded_scales() -> None:
    """An affine coupling layer, whose log-scale is a tanh."""
    model, x = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 8)), torch.randn(64, 8)
    s, shift = model(x[:, :4]).chunk(2, 1)
    s = 2 * s.tanh()
    z = torch.cat([x[:, :4], x[:, 4:] * s.exp() + shift], 1)
    finish(model, (z.square().sum(1) / 2 - s.sum(1)).mean(), torch.optim.Adam(model.parameters()))


def critic_with_a_spectral_norm() -> None:
    """The hinge loss of a critic."""
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 16))
    model = nn.Sequential(layer, nn.LeakyReLU(0.2), nn.Linear(16, 1))
    real, fake = model(torch.randn(32, 8)), model(torch.randn(32, 8) + 1)
    finish(model, F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def groups_of_constant_channels() -> None:
    """Groups and instances without variance."""
    model = nn.Sequential(nn.Conv2d(2, 8, 3), nn.GroupNorm(4, 8), nn.SiLU(), nn.InstanceNorm2d(8), nn.Flatten())
    x = torch.randn(4, 2, 6, 6)
    x[2] = 1.0
    head = nn.Linear(128, 3)
    finish(nn.ModuleList([model, head]), F.cross_entropy(head(model(x)), torch.arange(4) % 3))


def cell_with_layer_norm() -> None:
    """A recurrent cell by hand, clipped by value."""
    gates, norm = nn.Linear(12, 32), nn.LayerNorm(32)
    x, h, c = torch.randn(15, 4, 4), torch.zeros(4, 8), torch.zeros(4, 8)
    for t in range(15):
        i, f, o, g = norm(gates(torch.cat([x[t], h], 1))).chunk(4, 1)
        c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * g.tanh()
        h = torch.sigmoid(o) * c.tanh()
    both = nn.ModuleList([gates, norm])
    h.square().mean().backward()
    nn.utils.clip_grad_value_(both.parameters(), 0.1)
    torch.optim.SGD(both.parameters(), 0.1, momentum=0.9, nesterov=True).step()


def update_by_signs() -> None:
    """Lion by hand, where a feature has gradients of 0."""
    model, (x, y) = net(), batch()
    x[:, 2] = 0.0
    momentum = [torch.zeros_like(p) for p in model.parameters()]
    F.cross_entropy(model(x), y).backward()
    with torch.no_grad():
        for p, m in zip(model.parameters(), momentum, strict=True):
            p.mul_(1 - 1e-4 * 0.1).add_((0.9 * m + 0.1 * p.grad).sign(), alpha=-1e-4)
            m.mul_(0.99).add_(p.grad, alpha=0.01)


def trust_by_layers() -> None:
    """The ratio of LAMB, with 1 where a norm is 0."""
    model, (x, y) = net(), batch()
    nn.init.zeros_(model[0].bias)
    F.cross_entropy(model(x), y).backward()
    with torch.no_grad():
        for p in model.parameters():
            step = p.grad / (p.grad.square().sqrt() + 1e-6)
            weight, size = p.norm(), step.norm()
            safe = torch.where(size > 0, size, torch.ones_like(size))
            ratio = torch.where((weight > 0) & (size > 0), weight / safe, torch.ones_like(weight))
            p.add_(ratio * step, alpha=-1e-3)


def warm_up_from_zero() -> None:
    """The rate of the first step is 0, as the schedule intends."""
    model, (x, y) = net(dtype=torch.bfloat16), batch(dtype=torch.bfloat16)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(step / 100, 1.0))
    F.cross_entropy(model(x).float(), y).backward()
    optimizer.step()
    scheduler.step()


def one_cycle_with_averaged_weights() -> None:
    """AMSGrad under a cycle of rates, and an average of the weights."""
    model, (x, y) = net(), batch()
    average = torch.optim.swa_utils.AveragedModel(model)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, amsgrad=True)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=20)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y, label_smoothing=0.1).backward()
        optimizer.step()
        scheduler.step()
        average.update_parameters(model)


def attention_in_bfloat16() -> None:
    """Causal attention under autocast, with smoothed labels."""
    embed, qkv, head = nn.Embedding(20, 16), nn.Linear(16, 48), nn.Linear(16, 20)
    words = torch.randint(0, 20, (4, 9))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        q, k, v = qkv(embed(words[:, :-1])).view(4, 8, 3, 2, 8).permute(2, 0, 3, 1, 4)
        h = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(4, 8, 16)
        z = head(h)
    loss = F.cross_entropy(z.float().flatten(0, 1), words[:, 1:].flatten(), label_smoothing=0.1)
    finish(nn.ModuleList([embed, qkv, head]), loss)


def transcripts_that_do_not_fit() -> None:
    """The infinite loss of a transcript that is too long is set to 0."""
    model, x = nn.Linear(8, 6), torch.randn(4, 2, 8)
    letters = torch.tensor([[1, 2, 3, 4, 5], [1, 2, 1, 2, 0]])
    log_p = model(x).log_softmax(2)
    finish(model, F.ctc_loss(log_p, letters, torch.tensor([4, 4]), torch.tensor([5, 2]), zero_infinity=True))


def mixture_of_densities() -> None:
    """Weights and densities are combined as logarithms."""
    model, (x, _) = net(out=9), batch()
    target = torch.randn(32, 1) * 20
    weight, mean, log_std = model(x).chunk(3, 1)
    log_p = -(((target - mean) * (-log_std).exp()).square() / 2) - log_std
    finish(model, -(weight.log_softmax(1) + log_p).logsumexp(1).mean())


def evidence_for_classes() -> None:
    """The expected cross-entropy of a Dirichlet distribution, and its divergence from the uniform one."""
    model, (x, y) = net(), batch()
    alpha = F.softplus(model(x)) + 1
    total = alpha.sum(1)
    loss = torch.digamma(total) - torch.digamma(alpha.gather(1, y[:, None])[:, 0])
    divergence = torch.lgamma(total) - torch.lgamma(alpha).sum(1) - math.lgamma(10.0)
    divergence = divergence + ((alpha - 1) * (torch.digamma(alpha) - torch.digamma(total)[:, None])).sum(1)
    finish(model, (loss + 0.1 * divergence).mean())


def student_and_teacher(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Distillation at a temperature of 4."""
    torch.manual_seed(5)
    teacher = nn.Linear(16, 10)
    with torch.no_grad():
        hint = (teacher(x) * 3 / 4).log_softmax(1)
    z = model(x)
    return 16 * F.kl_div((z / 4).log_softmax(1), hint, log_target=True, reduction="batchmean") + F.cross_entropy(z, y)


def segmentation_of_an_empty_mask() -> None:
    """A smoothed overlap and a focal loss of logits."""
    model, x = nn.Linear(8, 64), torch.randn(4, 8)
    z, t = model(x) * 8, (torch.rand(4, 64) > 0.8).float()
    t[1] = 0.0
    p = torch.sigmoid(z)
    overlap = 1 - (2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)
    cross = F.binary_cross_entropy_with_logits(z, t, reduction="none")
    finish(model, overlap.mean() + ((1 - (-cross).exp()).square() * cross).mean())


def margin_on_an_angle() -> None:
    """The cosine is clamped to 1 - 1e-6 before the arc cosine."""
    weight, (x, y) = nn.Parameter(torch.randn(10, 16)), batch()
    x[3] = weight.detach()[int(y[3])]
    cosine = F.normalize(x, dim=1) @ F.normalize(weight, dim=1).t()
    angle = torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
    z = torch.where(F.one_hot(y, 10) > 0, torch.cos(angle + 0.3), cosine)
    finish(nn.ParameterList([weight]), F.cross_entropy(16 * z, y))


def nearest_codes() -> None:
    """A straight-through estimate of vectors from a table."""
    encoder, table, decoder = nn.Linear(8, 4), nn.Embedding(16, 4), nn.Linear(4, 8)
    x = torch.randn(32, 8)
    z = encoder(x)
    code = table(torch.cdist(z.detach(), table.weight).argmin(1))
    passed = z + (code - z).detach()
    loss = F.mse_loss(decoder(passed), x) + F.mse_loss(code, z.detach()) + 0.25 * F.mse_loss(z, code.detach())
    finish(nn.ModuleList([encoder, table, decoder]), loss)


def layer_norm_in_float16_of_torch() -> None:
    """An eps of 1e-12 is used in float32, even for inputs of float16."""
    model, norm = nn.Linear(8, 8).half(), nn.LayerNorm(8, eps=1e-12).half()
    h = norm(model(torch.randn(16, 8).half()))
    finish(nn.ModuleList([model, norm]), h.float().square().mean() + h.float()[:, 0].mean())


def log_cosh_by_softplus(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """An outlier of 120 is no problem."""
    error = (model(x)[:, 0] - 120.0 * (torch.arange(32) == 9)).abs()
    return (error + F.softplus(-2 * error) - math.log(2)).mean()
