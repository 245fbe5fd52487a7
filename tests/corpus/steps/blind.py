"""A blind set of wrong steps, written before the audit was run on them, with words of a fitting remedy."""

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish, net
from torch import Tensor, nn


def distance_on_a_sphere() -> None:
    """The arc cosine of almost one, for points a few meters apart."""
    place = nn.Parameter(torch.tensor([[0.8400001, 0.1200001], [0.5000002, 1.1000002]]))
    other = torch.tensor([[0.84, 0.12], [0.5, 1.1]])
    (a, b), (c, d) = place.unbind(1), other.unbind(1)
    cosine = a.sin() * c.sin() + a.cos() * c.cos() * (b - d).cos()
    arc = torch.acos(cosine.clamp(-1 + 1e-7, 1 - 1e-7))  # WRONG (atan2|haversine|asin|float64|clamp)
    finish(nn.ParameterList([place]), arc.sum())


def area_of_a_needle() -> None:
    """Half the perimeter minus a side, of a triangle that is almost a line."""
    sides = nn.Parameter(torch.tensor([100000.0, 99999.99, 0.015625]))
    a, b, c = sides
    s = (a + b + c) / 2
    area = torch.sqrt((s * (s - a) * (s - b) * (s - c)).abs() + 1e-12)  # WRONG (float64|rearrange|cancel|difference)
    finish(nn.ParameterList([sides]), area)


def sum_of_a_geometric_series(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A discount of exactly one."""
    discount = torch.tensor(1.0)
    horizon = (1 - discount**20) / (1 - discount)  # WRONG (divisor|limit|where|expm1|0)
    return F.cross_entropy(model(x), y) * horizon


def sinc_by_hand(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A low-pass filter, whose middle is 0 / 0."""
    t = torch.arange(-8.0, 9.0)
    taps = torch.sin(t) / t  # WRONG (sinc|where|divisor|0)
    smooth = F.conv1d(model(x)[:, None], taps[None, None], padding=8)[:, 0]
    return F.cross_entropy(smooth, y)


def box_cox_near_the_logarithm() -> None:
    """The power of a small exponent, minus one."""
    exponent = nn.Parameter(torch.tensor(1e-6))
    x = torch.rand(64) * 3 + 0.5
    z = (x**exponent - 1) / exponent  # WRONG (expm1)
    finish(nn.ParameterList([exponent]), (z - x.log()).square().mean() + z.mean())


def rate_of_an_annuity() -> None:
    """One minus a power of almost one."""
    rate = nn.Parameter(torch.tensor([1e-7, 3e-7]))
    payment = rate / (1 - (1 + rate) ** -120.0)  # WRONG (expm1|log1p)
    finish(nn.ParameterList([rate]), payment.sum())


def kinetic_energy() -> None:
    """The root of almost one, minus one."""
    p = nn.Parameter(torch.tensor([1e-3, 3e-4, 2e-3]))
    energy = torch.sqrt(1 + p * p) - 1  # WRONG (p * p / (|float64|/ (sqrt|conjugate|cancel|rationali)
    finish(nn.ParameterList([p]), energy.sum() * 1e6)


def sharpened_guesses(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Probabilities to the power of one over a temperature, which underflow in a whole row."""
    p = torch.softmax(model(x), 1)
    sharp = p**200  # WRONG (log|softmax)
    sharp = sharp / sharp.sum(1, keepdim=True)
    return -(sharp.detach() * F.log_softmax(model(x), 1)).sum(1).mean()


def percentage_error() -> None:
    """A target is zero."""
    model, x = nn.Linear(4, 1), torch.randn(16, 4)
    y = torch.randn(16).round()
    error = ((model(x)[:, 0] - y) / y).abs()  # WRONG (divisor|eps|where|mask)
    finish(model, error.mean())


def evidence_of_nothing() -> None:
    """The digamma function at the pole of a rectified concentration."""
    model, (x, _) = net(out=3), batch()
    alpha = F.relu(model(x) - 1)
    total = torch.digamma(alpha.sum(1, keepdim=True) + 1)
    expected = torch.digamma(alpha) - total  # WRONG (pole|softplus|positive|eps|clamp)
    finish(model, expected.mean())


def logarithm_of_a_softplus() -> None:
    """A scale that has underflowed."""
    model, (x, _) = net(out=1), batch()
    scale = F.softplus(model(x)[:, 0] * 50 - 150)  # WRONG (logarithm|eps|clamp)
    log_scale = scale.log()
    finish(model, log_scale.mean())


def tokens_in_int32() -> None:
    """The number of tokens seen so far wraps, and the rate is negative."""
    model, (x, y) = net(), batch()
    steps, tokens = torch.tensor(70000, dtype=torch.int32), torch.tensor(65536, dtype=torch.int32)
    seen = steps * tokens  # WRONG (int64|wrap)
    finish(model, F.cross_entropy(model(x), y) * (1 - seen / 1e10))


def complementary_log_log() -> None:
    """One minus the exponential of almost zero."""
    model, (x, y) = net(out=1), batch()
    rate = (model(x)[:, 0] * 4 - 20).exp()
    hit = 1 - torch.exp(-rate)  # WRONG (expm1)
    finish(model, -((y > 4) * (hit + 1e-30).log() - (y <= 4) * rate).mean())


def preference_among_impossible_answers(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Both the policy and its reference forbid an answer."""
    mask = torch.zeros(32, 10)
    mask[3, y[3]] = -torch.inf
    ours = F.log_softmax(model(x) + mask, 1).gather(1, y[:, None])
    reference = F.log_softmax(x[:, :10] + mask, 1).gather(1, y[:, None])
    margin = ours - reference  # WRONG (infin|mask|finite)
    return -F.logsigmoid(margin).mean()


def correction_of_step_zero() -> None:
    """Steps are counted from zero."""
    model, (x, y) = net(), batch()
    F.cross_entropy(model(x), y).backward()
    step = torch.tensor(0.0)
    with torch.no_grad():
        for p in model.parameters():
            m = 0.1 * p.grad
            p -= 0.01 * m / (1 - 0.9**step)  # WRONG (divisor|step|0)


def perplexity_of_a_sum(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The exponential of the loss of all tokens."""
    loss = F.cross_entropy(model(x) * 6, y, reduction="sum")
    perplexity = torch.exp(loss)  # WRONG (mean|log|overflow|clamp|88)
    return perplexity.log()


def overlap_of_empty_boxes() -> None:
    """Two boxes without an area."""
    corner = nn.Parameter(torch.tensor([[0.1, 0.2], [0.4, 0.4]]))
    size, other = torch.tensor([[0.5, 0.5], [0.0, 0.0]]), torch.tensor([[0.2, 0.2], [0.4, 0.4]])
    low, high = torch.maximum(corner, other), torch.minimum(corner + size, other + size)
    both = (high - low).clamp(min=0).prod(1)
    overlap = both / (2 * size.prod(1) - both)  # WRONG (divisor|eps)
    finish(nn.ParameterList([corner]), (1 - overlap).mean())


def inverse_of_a_covariance() -> None:
    """Two features are almost equal."""
    x = torch.randn(64, 1)
    features = torch.cat([x, x + 3e-3 * torch.randn(64, 1)], 1)
    weight = nn.Parameter(torch.randn(64))
    gram = features.t() @ (features * weight.softmax(0)[:, None])
    inverse = torch.linalg.inv(gram)  # WRONG (float64|ridge|diagonal|solve|condition)
    finish(nn.ParameterList([weight]), inverse.diagonal().sum().log())


def length_of_a_short_vector_in_float16() -> None:
    """The squares underflow."""
    v = nn.Parameter(torch.tensor([[1e-4, 2e-4], [1.5e-4, 1e-4]], dtype=torch.float16))
    length = (v * v).sum(1).sqrt()  # WRONG (float32|hypot|norm|scale)
    finish(nn.ParameterList([v]), (length.float() * 1000).sum())


def interpolation_at_a_node() -> None:
    """An inverse distance is infinite."""
    place, values = nn.Parameter(torch.tensor([[0.5], [1.0]])), torch.tensor([1.0, 2.0, 3.0])
    distance = (place - torch.tensor([0.0, 1.0, 2.0])).abs()
    weight = 1 / distance  # WRONG (divisor|eps|clamp)
    finish(nn.ParameterList([place]), ((weight * values).sum(1) / weight.sum(1)).sum())
