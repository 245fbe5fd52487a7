"""Wrong steps that were written before the audit was changed for them: values outside of a domain, poles, overflow.

Each has one wrong line, marked ``# WRONG``. A fitting remedy names a word in parentheses.
"""

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish, net
from torch import Tensor, nn


def plackett_luce_by_subtraction(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The sum of the remaining items is a difference of large numbers."""
    z = model(x).sort(1, descending=True).values * 30
    e = (z - z[:, :1]).exp()
    rest = e.sum(1, keepdim=True) - e.cumsum(1) + e  # WRONG (logcumsumexp|logsumexp|reverse|flip)
    return (rest.log() - z).mean()


def noise_of_a_certain_draw(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A uniform number rounds to 1 in float16, and its Gumbel noise is infinite."""
    u = torch.rand(32, 10).half()
    u[4, 2] = 1.0
    gumbel = -torch.log(-torch.log(u))  # WRONG (clamp|eps|above 0)
    soft = ((model(x) + gumbel.float()) / 0.5).log_softmax(1)
    return -soft[torch.arange(32), y].mean()


def logarithm_of_a_rectified_gate(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The gate is closed, so it is exactly 0."""
    gate = F.relu(model(x))
    return gate.log().mean()  # WRONG (softplus|eps|clamp|above 0)


def distance_of_equal_points_in_the_disk() -> None:
    """The slope of acosh at 1 is infinite."""
    points = nn.Parameter(torch.randn(6, 2) * 0.2)
    a, b = points, points[torch.tensor([1, 0, 3, 2, 5, 5])]
    gap = (a - b).square().sum(1)
    room = (1 - a.square().sum(1)) * (1 - b.square().sum(1))
    d = torch.acosh(1 + 2 * gap / room)  # WRONG (clamp|slope)
    finish(nn.ParameterList([points]), d.mean())


def pitch_of_a_quaternion() -> None:
    """A product that should be at most 1 is 1 + 3e-7."""
    model = nn.Linear(4, 4)
    w = torch.tensor([[0.5, 0.5, 0.5, -0.5], [0.70710689, 0.0, 0.70710689, 0.0], [0.9, 0.1, 0.3, 0.2]])
    q = w + 0.0 * model(w)
    pitch = torch.asin(2 * (q[:, 0] * q[:, 2] - q[:, 3] * q[:, 1]))  # WRONG (clamp)
    shifted = model(w).sum(1) + pitch + 0.1
    finish(model, shifted.square().mean())


def gamma_correction_of_an_image(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The network returns a few negative intensities."""
    image = model(x) + 0.3
    bright = image ** (1 / 2.2)  # WRONG (negative|clamp)
    return (bright - 0.5).square().mean()


def deviance_of_a_mean_of_zero(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Tweedie's deviance divides by a power of the mean, which a ReLU makes 0."""
    mean = F.relu(model(x))
    claims = y[:, None].float()
    return (claims * mean**-0.5 * 2 + 2 * mean**0.5).mean()  # WRONG (clamp|eps|above 0|softplus)


def rate_of_a_count() -> None:
    """A Poisson regression on a feature that was not scaled."""
    model, x = nn.Linear(3, 1), torch.randn(32, 3)
    x[:, 1] = 365.0
    with torch.no_grad():
        model.weight.fill_(0.3)
    log_rate = model(x)[:, 0]
    rate = log_rate.exp()  # WRONG (clamp|scale the input|smaller)
    finish(model, (rate - 4.0 * log_rate).mean())


def bandwidth_by_the_median(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """More than half of the pairs are duplicates, and their median distance is 0."""
    h = model(x[torch.zeros(32, dtype=torch.int64)] + 0.5 * (torch.arange(32) > 27).float()[:, None])
    d2 = (h[:, None] - h).square().sum(2)
    kernel = torch.exp(-d2 / d2.detach().median())  # WRONG (divisor|eps)
    return kernel.mean()


def weights_of_absent_classes(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Every class in this batch has the weight 0."""
    weight = torch.ones(10)
    weight[3] = 0.0
    return F.cross_entropy(model(x), torch.full_like(y, 3), weight=weight)  # WRONG (weight)


def transcript_longer_than_the_sound() -> None:
    """Five letters cannot be aligned with four frames."""
    model, x = nn.Linear(8, 6), torch.randn(4, 2, 8)
    log_p = model(x).log_softmax(2)
    letters = torch.tensor([[1, 2, 3, 4, 5], [1, 2, 1, 2, 0]])
    loss = F.ctc_loss(log_p, letters, torch.tensor([4, 4]), torch.tensor([5, 2]))  # WRONG (zero_infinity|longer)
    finish(model, loss)


def probit_regression(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The normal distribution function underflows at -14.2."""
    z = model(x) * 4 - 15
    return -torch.special.ndtr(z).log().mean()  # WRONG (log_ndtr)


def concentration_of_directions() -> None:
    """The Bessel function overflows, and only its logarithm is needed."""
    model, x = nn.Linear(8, 1), torch.randn(16, 8)
    kappa = F.softplus(model(x)[:, 0]) * 160
    normalizer = torch.special.i0(kappa).log()  # WRONG (i0e)
    finish(model, (normalizer - 0.9 * kappa).mean())


def logarithm_of_a_hyperbolic_cosine(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """An outlier of 120."""
    error = model(x)[:, 0] - 120.0 * (torch.arange(32) == 9)
    return torch.log(torch.cosh(error)).mean()  # WRONG (softplus|logaddexp|abs)


def logarithm_of_a_determinant() -> None:
    """The volume of a flow in 64 dimensions underflows."""
    w = nn.Parameter(0.1 * torch.eye(64) + 0.001 * torch.randn(64, 64))
    volume = torch.linalg.det(w)  # WRONG (slogdet|logdet)
    finish(nn.ParameterList([w]), -volume.abs().log())


def probability_of_a_level() -> None:
    """The difference of two sigmoids that are both 1."""
    model, (x, _) = net(out=1), batch()
    z = model(x)[:, 0] + 9.0
    level = torch.sigmoid(z + 8) - torch.sigmoid(z + 7)  # WRONG (sigmoid(-|logsigmoid|expm1)
    finish(model, -level.log().mean())


def focal_weight_with_a_small_exponent(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The slope of a root of 1 - p is infinite at p = 1."""
    p = (model(x) * 300).softmax(1)
    return (-((1 - p) ** 0.5) * (p + 1e-6).log()).sum(1).mean()  # WRONG (exponent|slope|clamp|eps)


def repeated_eigenvalues() -> None:
    """The derivative of eigenvectors divides by the gaps of the eigenvalues."""
    w = nn.Parameter(torch.ones(4))
    matrix = torch.diag(w)
    vectors = torch.linalg.eigh(matrix).eigenvectors  # WRONG (eigenvalue)
    finish(nn.ParameterList([w]), (vectors * torch.arange(16.0).view(4, 4)).sum())


def linear_attention_without_overlap() -> None:
    """The features of a query are 0, so that its weights sum to 0."""
    embed, head = nn.Embedding(12, 8), nn.Linear(8, 3)
    with torch.no_grad():
        embed.weight[5] = -embed.weight[5].abs()
    h = embed(torch.tensor([[1, 5, 7, 2], [3, 4, 5, 6]]))
    feature = F.relu(h)
    context = feature.transpose(1, 2) @ h
    mixed = (feature @ context) / (feature @ feature.sum(1)[..., None])  # WRONG (divisor|eps)
    finish(
        nn.ModuleList([embed, head]), F.cross_entropy(head(mixed[:, 0] + mixed[:, 1] + mixed[:, 2]), torch.arange(2))
    )


def exponential_gate() -> None:
    """The input gate of an extended LSTM, without its running maximum."""
    gates, cell = nn.Linear(8, 2), nn.Linear(8, 8)
    x, c, n = torch.randn(12, 4, 8), torch.zeros(4, 8), torch.zeros(4, 1)
    for t in range(12):
        open_, forget = (gates(x[t]) * 70).chunk(2, 1)
        write = open_.exp()  # WRONG (maximum|clamp|log)
        c = torch.sigmoid(forget) * c + write * cell(x[t]).tanh()
        n = torch.sigmoid(forget) * n + write
    finish(nn.ModuleList([gates, cell]), (c / n).square().mean())


def equilibrium_that_is_none() -> None:
    """The map of a fixed-point layer expands by 3, three hundred times."""
    model = nn.Linear(8, 8, bias=False)
    with torch.no_grad():
        model.weight.copy_(3 * torch.eye(8))
    x = torch.randn(4, 8)
    z = torch.zeros(4, 8)
    for _ in range(300):
        z = model(z) + x  # WRONG (diverge|smaller|contract|clip)
    finish(model, z.square().mean())


def angle_of_a_vector_of_zero() -> None:
    """The direction of a difference of equal points."""
    model, x = nn.Linear(2, 2), torch.randn(6, 2)
    h = model(x)
    gap = h - h[torch.tensor([1, 0, 3, 2, 4, 4])]
    heading = torch.atan(gap[:, 1] / gap[:, 0])  # WRONG (atan2|divisor|eps)
    finish(model, heading.cos().mean())


def image_beyond_its_range() -> None:
    """Every pixel is outside of 0 to 1, so that no gradient passes."""
    model, x = nn.Linear(8, 8), torch.randn(16, 8)
    with torch.no_grad():
        model.bias.fill_(9.0)
    image = model(x).clamp(0, 1)  # WRONG (sigmoid|clamp)
    finish(model, (image - 0.5).square().mean())


def beta_density_at_its_end() -> None:
    """A proportion of exactly 0, where the density has a pole."""
    model, x = nn.Linear(4, 2), torch.randn(16, 4)
    a, b = F.softplus(model(x)).unbind(1)
    share = torch.linspace(0, 0.95, 16)
    loss = -torch.distributions.Beta(a + 0.5, b + 0.5).log_prob(share).mean()  # WRONG (clamp|eps|above 0|between)
    finish(model, loss)


def quantile_of_a_certain_event(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The probit of a proportion of 1."""
    share = torch.sigmoid(model(x)[:, 0] + 18.0 * (torch.arange(32) % 8 == 2))
    score = torch.erfinv(2 * share - 1)  # WRONG (clamp|between)
    return score.square().mean()


def mean_over_all_padding() -> None:
    """The loss of a language model on a batch of padding, without the function of torch that ignores labels."""
    model, x = nn.Linear(8, 5), torch.randn(3, 4, 8)
    words = torch.full((3, 4), -100)
    log_p = model(x).log_softmax(2)
    picked = log_p.gather(2, words.clamp(min=0)[..., None])[..., 0]
    kept = (words != -100).float()
    finish(model, -(picked * kept).sum() / kept.sum())  # WRONG (divisor|count|eps)
