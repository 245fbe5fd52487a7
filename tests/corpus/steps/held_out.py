"""Held-out wrong steps, written before the detector was tuned: forward passes and losses."""

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish, net
from torch import Tensor, nn


def cosine_of_an_empty_row(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A cosine by hand, where a row has length zero."""
    x[4] = 0
    h = F.relu(x @ torch.eye(16, requires_grad=True))
    cosine = (h * model(x)[:, :1]).sum(1) / (h.norm(dim=1) * model(x).norm(dim=1))  # WRONG
    return (1 - cosine).mean()


def logsumexp_by_hand(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Logsumexp as defined."""
    z = model(x) * 250
    log_z = torch.log(torch.exp(z).sum(1))  # WRONG
    return (log_z - z[torch.arange(32), y]).mean()


def focal_loss() -> None:
    """The logarithm of 1 - p for p = 1."""
    model, (x, y) = net(out=1), batch()
    p = torch.sigmoid(model(x)[:, 0] * 200)
    t = (y > 4).float()
    negative = -(1 - t) * p**2 * torch.log(1 - p)  # WRONG
    finish(model, negative.mean())


def divergence_by_hand(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The other distribution has underflowed to zero."""
    p = torch.softmax(x[:, :10], 1)
    q = torch.softmax(model(x) * 400, 1)
    ratio = p / q  # WRONG
    return (p * ratio.log()).sum(1).mean()


def entropy_by_hand(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """0 log 0."""
    p = torch.softmax(model(x) * 600, 1)
    entropy = -(p * p.log()).sum(1)  # WRONG
    return entropy.mean()


def precision_of_a_log_variance() -> None:
    """The exponential of minus a log-variance that diverged."""
    model, (x, _) = net(out=2), batch()
    mean, log_variance = model(x).unbind(1)
    precision = torch.exp(-400 * log_variance)  # WRONG
    finish(model, ((mean - x[:, 0]) ** 2 * precision + log_variance).mean())


def deviation_of_constant_rows(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The root of a variance that is zero."""
    h = model(x).clone()
    h[3] = h[3].mean()
    deviation = h.var(1).sqrt()  # WRONG
    return deviation.mean()


def distances_to_oneself(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The diagonal of pairwise distances has no slope."""
    h = model(x)
    difference = h[:, None] - h[None]
    d = difference.pow(2).sum(-1).sqrt()  # WRONG
    return d.mean()


def angle_of_parallel_vectors(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The slope of the arc cosine at one is infinite."""
    h = F.normalize(model(x), dim=1)
    cosine = (h * h.detach()).sum(1).clamp(-1, 1)
    angle = torch.acos(cosine)  # WRONG
    return angle.mean()


def root_of_negative_numbers(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A power of 1.5."""
    h = model(x)
    p = (h - 0.5) ** 1.5  # WRONG
    return p.mean()


def standardized_batch_of_one() -> None:
    """The deviation of a single row is NaN."""
    model, (x, y) = net(), batch(1)
    x = (x - x.mean(0)) / (x.std(0) + 1e-5)  # WRONG
    finish(model, F.cross_entropy(model(x), y))


def mean_of_nothing(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """No entry is selected."""
    losses = F.cross_entropy(model(x), y, reduction="none")
    hard = losses[losses > 100].mean()  # WRONG
    return losses.mean() + hard


def mask_times_infinity(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """0 * inf."""
    h = model(x)
    keep = torch.ones(32, 32).tril()
    scores = h @ h.t() + (1 - keep) * float("-inf")  # WRONG
    return F.cross_entropy(torch.softmax(scores, -1) @ h, y)


def scores_overflow_in_float16() -> None:
    """Attention without scaling."""
    model, (x, y) = net(dtype=torch.float16), batch(dtype=torch.float16)
    q = model(x * 40) * 20
    scores = q @ q.t()  # WRONG
    finish(model, F.cross_entropy((torch.softmax(scores, -1) @ q).float() / 100, y))


def logarithm_of_one_plus_little() -> None:
    """1 + 1e-9 is one."""
    model, (x, _) = net(out=1), batch()
    rate = F.softplus(model(x)[:, 0]) * 1e-9
    log_rate = torch.log(1 + rate)  # WRONG
    finish(model, log_rate.mean() * 1e9)


def covariance_in_one_pass(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """E[xy] - E[x]E[y] of data with an offset."""
    h = model(x) + 5000
    a, b = h[:, 0], h[:, 1]
    covariance = (a * b).mean() - a.mean() * b.mean()  # WRONG
    return covariance**2


def root_of_a_cancelled_variance(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The variance becomes negative before the root."""
    h = model(x) * 1e-3 + 3000
    n, s, s2 = h.shape[0], h.sum(0), (h * h).sum(0)
    variance = s2 / n - (s / n) ** 2  # WRONG
    deviation = variance.sqrt()
    return deviation.mean()


def difference_of_energies() -> None:
    """Two large sums that are nearly equal."""
    model, (x, _) = net(out=1), batch(512)
    positive = (model(x) + 1e6).sum()
    negative = (model(x + 1e-4) + 1e6).sum()
    gap = positive - negative  # WRONG
    finish(model, gap.pow(2) * 1e-3)


def odds_of_certainty() -> None:
    """Odds, p / (1 - p), of a probability that has become one."""
    model, (x, _) = net(out=1), batch()
    p = torch.sigmoid(model(x)[:, 0] * 300)
    odds = p / (1 - p)  # WRONG
    finish(model, torch.log1p(odds).mean())


def small_root_of_a_quadratic() -> None:
    """-b + sqrt(b^2 - 4ac) of a large b."""
    model, (x, _) = net(out=1), batch()
    c = model(x)[:, 0] * 1e-3
    b = torch.full_like(c, 500.0)
    root = (-b + torch.sqrt(b * b - 4 * c)) / 2  # WRONG
    finish(model, (root * 1e6).pow(2).mean())


def inverse_of_softplus() -> None:
    """Computes log(exp(x) - 1) for small x."""
    model, (x, _) = net(out=1), batch()
    s = F.softplus(model(x)[:, 0]) * 1e-6
    raw = torch.log(torch.exp(s) - 1)  # WRONG
    finish(model, (raw + 14).pow(2).mean())


class Tanh(torch.autograd.Function):
    """A tanh whose gradient is written by hand."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        """Keep the result."""
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        """1 - y^2 loses its digits for y near 1."""
        (y,) = ctx.saved_tensors
        return grad * (1 - y * y)  # WRONG


def gradient_of_a_saturated_tanh() -> None:
    """Uses the tanh with a gradient by hand."""
    model, (x, _) = net(out=1), batch()
    h = Tanh.apply(model(x) * 0.05 + 7.5)
    finish(model, (h * 1e6).mean())


def likelihood_as_a_product() -> None:
    """The product of two hundred probabilities underflows."""
    model, (x, y) = net(), batch(200)
    p = torch.softmax(model(x), 1)[torch.arange(200), y]
    likelihood = p.prod()  # WRONG
    finish(model, -torch.log(likelihood))


def count_in_float16() -> None:
    """The count of 70,000 is infinite, and the loss zero."""
    half = torch.float16
    model, (x, _) = net(dtype=half), batch(700, dtype=half)
    count = torch.tensor(70_000.0).to(half)  # WRONG
    finish(model, (model(x).pow(2).sum() / count).float())


def weighted_mean_without_weights(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """All weights are zero."""
    weights = (y > 99).float()
    losses = F.cross_entropy(model(x), y, reduction="none")
    return (weights * losses).sum() / weights.sum()  # WRONG


def transport_plan_underflows(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Computes exp(-cost / 0.001), which is zero for a whole row, and then 0 / 0."""
    cost = torch.cdist(model(x), x[:, :10])
    kernel = torch.exp(-cost / 0.001)  # WRONG
    plan = kernel / kernel.sum(1, keepdim=True)
    return (plan * cost).sum()


def forward_algorithm_in_probabilities() -> None:
    """The probabilities underflow after a few hundred observations."""
    model, (x, _) = net(out=4), batch(200)
    emit = torch.softmax(model(x), 1)
    move = torch.softmax(torch.ones(4, 4), 1)
    alpha = torch.ones(4) / 4
    for seen in emit:
        alpha = (alpha @ move) * seen  # WRONG
    finish(model, -torch.log(alpha.sum()))


def density_of_a_narrow_normal() -> None:
    """The square of the scale underflows inside of the distribution."""
    model, (x, _) = net(out=2), batch()
    mean, log_scale = model(x).unbind(1)
    normal = torch.distributions.Normal(mean, torch.exp(log_scale - 60), validate_args=False)
    loss = -normal.log_prob(x[:, 0]).mean()  # WRONG
    finish(model, loss)


def geometric_mean_by_a_product() -> None:
    """The product overflows before the root."""
    model, (x, _) = net(out=64), batch()
    h = model(x).abs() * 1e3 + 10
    geometric = h.prod(1) ** (1 / 64)  # WRONG
    finish(model, geometric.log().mean())


def powers_in_float16() -> None:
    """Polynomial features overflow."""
    model, (x, y) = net(dtype=torch.float16), batch(dtype=torch.float16)
    features = (x * 2 + 1) ** 7  # WRONG
    finish(model, F.cross_entropy(model(features * 1e-3).float(), y))


def length_of_a_large_vector(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The squares overflow."""
    x = x * 1e22
    length = (x * x).sum(1, keepdim=True).sqrt()  # WRONG
    return F.cross_entropy(model(x / length), y)


def clamped_probabilities() -> None:
    """The clamp is active, and its gradient is zero."""
    model, (x, y) = net(out=1), batch()
    t = (y > 4).float()
    p = torch.sigmoid(model(x)[:, 0] * 300).clamp(1e-7, 1 - 1e-7)  # WRONG
    finish(model, -(t * p.log() + (1 - t) * (1 - p).log()).mean())
