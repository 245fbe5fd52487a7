"""A blind set of sound steps, written before the audit was run on them."""

import math

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish, net
from torch import Tensor, nn


def distance_by_haversines() -> None:
    """Close points, without an arc cosine."""
    place = nn.Parameter(torch.tensor([[0.8401, 0.1201], [0.5002, 1.1002]]))
    other = torch.tensor([[0.84, 0.12], [0.5, 1.1]])
    (a, b), (c, d) = place.unbind(1), other.unbind(1)
    h = ((a - c) / 2).sin() ** 2 + a.cos() * c.cos() * ((b - d) / 2).sin() ** 2
    finish(nn.ParameterList([place]), 2 * torch.asin(h.sqrt()).sum())


def sinc_of_torch(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A low-pass filter."""
    taps = torch.sinc(torch.arange(-8.0, 9.0) / math.pi)
    return F.cross_entropy(F.conv1d(model(x)[:, None], taps[None, None], padding=8)[:, 0], y)


def box_cox_by_expm1() -> None:
    """A small exponent."""
    exponent = nn.Parameter(torch.tensor(1e-6))
    x = torch.rand(64) * 3 + 0.5
    finish(nn.ParameterList([exponent]), (torch.expm1(exponent * x.log()) / exponent).mean())


def sharpened_by_softmax(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A temperature of 1 / 200."""
    z = model(x)
    sharp = torch.softmax(F.log_softmax(z, 1) * 200, 1).detach()
    return -(sharp * F.log_softmax(z, 1)).sum(1).mean()


def percentage_error_with_a_floor() -> None:
    """A target is zero."""
    model, x = nn.Linear(4, 1), torch.randn(16, 4)
    y = torch.randn(16).round()
    finish(model, ((model(x)[:, 0] - y).abs() / y.abs().clamp(min=0.1)).mean())


def adapter_from_zero() -> None:
    """The second factor is zero, and so is the gradient of the first."""
    base, a, b = nn.Linear(16, 10), nn.Parameter(torch.randn(16, 4) * 0.1), nn.Parameter(torch.zeros(4, 10))
    x, y = batch()
    finish(nn.ParameterList([a, b]), F.cross_entropy(base(x).detach() + x @ a @ b * 2, y))


def residual_with_a_gain_of_zero() -> None:
    """The block does nothing in the first step."""
    gain, (x, y) = nn.Parameter(torch.zeros(())), batch()
    block, head = nn.Linear(16, 16), nn.Linear(16, 10)
    finish(nn.ModuleList([block, head, nn.ParameterList([gain])]), F.cross_entropy(head(x + gain * block(x)), y))


def layers_with_a_small_gain() -> None:
    """A gain of 1e-6 for each channel."""
    gain, (x, y) = nn.Parameter(torch.full((16,), 1e-6)), batch()
    block, head = nn.Linear(16, 16), nn.Linear(16, 10)
    finish(nn.ModuleList([block, head, nn.ParameterList([gain])]), F.cross_entropy(head(x + gain * block(x)), y))


def mean_of_words_with_a_floor() -> None:
    """A sentence without words."""
    words, head = nn.Embedding(50, 16, padding_idx=0), nn.Linear(16, 10)
    tokens, y = torch.randint(1, 50, (8, 12)), torch.randint(0, 10, (8,))
    tokens[3] = 0
    keep = (tokens != 0).float()
    mean = (words(tokens) * keep[..., None]).sum(1) / keep.sum(1, keepdim=True).clamp(min=1)
    finish(nn.ModuleList([words, head]), F.cross_entropy(head(mean), y))


def distillation_at_a_temperature(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The divergence of two softened distributions."""
    teacher = torch.randn(32, 10) * 3
    soft = F.kl_div(
        F.log_softmax(model(x) / 4, 1), F.log_softmax(teacher / 4, 1), log_target=True, reduction="batchmean"
    )
    return 16 * soft + F.cross_entropy(model(x), y)


def overlap_with_an_eps() -> None:
    """Two boxes are apart, and two have no area."""
    corner = nn.Parameter(torch.tensor([[0.1, 0.2], [0.4, 0.4], [3.0, 3.0]]))
    size, other = torch.tensor([[0.5, 0.5], [0.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.2, 0.2], [0.4, 0.4], [0.0, 0.0]])
    low, high = torch.maximum(corner, other), torch.minimum(corner + size, other + size)
    both = (high - low).clamp(min=0).prod(1)
    finish(nn.ParameterList([corner]), (1 - both / (2 * size.prod(1) - both + 1e-7)).mean())


def preference_over_a_reference(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Likely and unlikely answers."""
    other = (y + 1) % 10
    ours, reference = F.log_softmax(model(x), 1), F.log_softmax(x[:, :10] * 5, 1)
    gain = (ours - reference).gather(1, y[:, None]) - (ours - reference).gather(1, other[:, None])
    return -F.logsigmoid(0.1 * gain).mean()


def correction_of_the_first_step() -> None:
    """Steps are counted from one."""
    model, (x, y) = net(), batch()
    F.cross_entropy(model(x), y).backward()
    with torch.no_grad():
        for p in model.parameters():
            m, v = 0.1 * p.grad, 0.001 * p.grad**2
            p -= 0.001 * (m / (1 - 0.9**1)) / ((v / (1 - 0.999**1)).sqrt() + 1e-8)


def quantiles_of_a_forecast() -> None:
    """The pinball loss of nine levels."""
    model, x, level = nn.Linear(16, 9), torch.randn(32, 16), torch.arange(0.1, 1.0, 0.1)
    error = torch.randn(32, 1) * 3 - model(x)
    finish(model, torch.maximum(level * error, (level - 1) * error).mean())


def orthogonal_weights(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A penalty on the Gram matrix."""
    weight = model[0].weight  # type: ignore[index]
    gram = weight.t() @ weight
    return F.cross_entropy(model(x), y) + 0.01 * (gram - torch.eye(16)).square().sum()


def groups_of_weights_with_an_eps(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A group is zero."""
    weight = model[0].weight  # type: ignore[index]
    with torch.no_grad():
        weight[3] = 0
    return F.cross_entropy(model(x), y) + 0.01 * (weight.square().sum(1) + 1e-8).sqrt().sum()


def mixed_pictures(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Two batches and both labels."""
    z = model(0.7 * x + 0.3 * x.flip(0))
    return 0.7 * F.cross_entropy(z, y) + 0.3 * F.cross_entropy(z, y.flip(0))


def complementary_log_log_by_expm1() -> None:
    """Small rates."""
    model, (x, y) = net(out=1), batch()
    rate = (model(x)[:, 0] * 4 - 20).exp()
    finish(model, -((y > 4) * torch.log(-torch.expm1(-rate)) - (y <= 4) * rate).mean())


def interpolation_with_a_floor() -> None:
    """A place is a node."""
    place, values = nn.Parameter(torch.tensor([[0.5], [1.0]])), torch.tensor([1.0, 2.0, 3.0])
    weight = 1 / ((place - torch.tensor([0.0, 1.0, 2.0])).square() + 1e-4)
    finish(nn.ParameterList([place]), ((weight * values).sum(1) / weight.sum(1)).sum())


def correlation_with_an_eps() -> None:
    """A column is constant."""
    model, (x, _) = nn.Linear(16, 4), batch()
    z, t = model(x), torch.randn(32, 4)
    t[:, 2] = 1.0
    z, t = z - z.mean(0), t - t.mean(0)
    r = (z * t).sum(0) / ((z.square().sum(0) + 1e-8).sqrt() * (t.square().sum(0) + 1e-8).sqrt())
    finish(model, (1 - r).mean())
