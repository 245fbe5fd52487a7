"""Wrong steps that were written before the audit was changed for them: underflow, cancellation, recurrent layers.

Each has one wrong line, marked ``# WRONG``. A fitting remedy names a word in parentheses.
"""

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish, net
from torch import Tensor, nn


def logarithm_of_an_underflowed_kernel(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The kernel of a few far pairs is 0, and the other entries are ordinary numbers."""
    gap = (model(x)[:, 0] * 2).square() + 200.0 * (torch.arange(32) % 8 == 5)
    kernel = torch.exp(-gap)  # WRONG (logarithm|log)
    return -kernel.log().mean()


def logarithm_of_an_underflowed_sigmoid() -> None:
    """A few logits are near -150."""
    model, (x, _) = net(out=1), batch()
    z = model(x)[:, 0] - 150.0 * (torch.arange(32) % 16 == 3)
    p = torch.sigmoid(z)  # WRONG (logsigmoid)
    finish(model, -torch.log(p).mean())


def weights_by_underflowed_squares(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """All squares are 0, and so is their sum."""
    tiny = model(x).abs() * 1e-24
    squares = tiny * tiny  # WRONG (scale)
    weights = squares / squares.sum(1, keepdim=True)
    return F.cross_entropy(weights, y)


def returns_over_underflowed_discounts() -> None:
    """0.9 to the power of a thousand is 0, and 0 / 0 is NaN."""
    model, (x, _) = net(out=1), batch(1200)
    discount = 0.9 ** torch.arange(1200.0)  # WRONG (log|scale)
    total = (model(x)[:, 0] * discount).flip(0).cumsum(0).flip(0) / discount
    finish(model, total.mean())


def spectrum_of_silence() -> None:
    """The logarithm of the magnitudes of a signal with two silent rows."""
    model = nn.Conv1d(1, 2, 5, bias=False)
    x = torch.randn(4, 1, 64)
    x[1] = 0.0
    h = model(x)
    spectrum = torch.fft.rfft(h).abs()
    loudness = spectrum.log()  # WRONG (eps|above 0)
    finish(model, loudness.mean())


def logarithm_of_one_plus_a_rate() -> None:
    """1 + 1e-8 is 1."""
    model, (x, _) = net(out=1), batch()
    rate = torch.exp(model(x)[:, 0] - 18.0)
    total = torch.log(1 + rate)  # WRONG (log1p)
    finish(model, (total * 1e8).mean())


def growth_by_an_exponential() -> None:
    """exp(x) - 1 of small numbers."""
    model, (x, _) = net(out=1), batch()
    rate = model(x)[:, 0] * 1e-5
    growth = rate.exp() - 1  # WRONG (expm1)
    finish(model, (growth / rate.detach()).var())


def survival_of_a_certain_event() -> None:
    """One minus a sigmoid of fifteen."""
    model, (x, _) = net(out=1), batch()
    survival = 1 - torch.sigmoid(model(x)[:, 0] + 15)  # WRONG (sigmoid(-x)|logsigmoid)
    finish(model, survival.log().mean())


def infinite_term_with_a_weight_of_zero(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The divergence overflows, and its weight of 0 during warm-up makes it NaN."""
    z = model(x)
    log_variance = z[:, :4] * 600
    divergence = (log_variance.exp() - log_variance - 1).sum(1).mean()  # WRONG (softplus|clamp|scale)
    return F.cross_entropy(z, y) + 0.0 * divergence


def advantages_of_equal_rewards(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The deviation is 0."""
    rewards = torch.ones(32)
    advantages = (rewards - rewards.mean()) / rewards.std()  # WRONG (divisor|eps)
    log_p = F.log_softmax(model(x), 1)[torch.arange(32), y]
    return -(advantages * log_p).mean()


def mean_of_embeddings_without_words() -> None:
    """A sequence has only padding."""
    embed, head = nn.Embedding(20, 16, padding_idx=0), nn.Linear(16, 4)
    words = torch.randint(1, 20, (8, 6))
    words[3] = 0
    mask = (words != 0).float()[..., None]
    pooled = (embed(words) * mask).sum(1) / mask.sum(1)  # WRONG (divisor|count)
    finish(nn.ModuleList([embed, head]), F.cross_entropy(head(pooled), torch.arange(8) % 4))


def attention_over_an_lstm_without_steps() -> None:
    """A sequence of length 0 has no step to attend to."""
    lstm, score = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 1)
    h, _ = lstm(torch.randn(4, 6, 8))
    open_ = torch.arange(6) < torch.tensor([6, 3, 0, 5])[:, None]
    weights = score(h)[..., 0].masked_fill(~open_, float("-inf")).softmax(1)  # WRONG (masked)
    finish(nn.ModuleList([lstm, score]), (weights[..., None] * h).sum(1).square().mean())


def direction_of_the_first_state_of_a_gru() -> None:
    """The state is 0 before the first step, and is divided by its length."""
    gru, head = nn.GRU(8, 16, batch_first=True), nn.Linear(16, 4)
    h, _ = gru(torch.randn(4, 6, 8))
    states = torch.cat([torch.zeros(4, 1, 16), h], 1)
    direction = states / states.norm(dim=2, keepdim=True)  # WRONG (divisor|normalize|eps)
    finish(nn.ModuleList([gru, head]), F.cross_entropy(head(direction.mean(1)), torch.arange(4)))


def gradients_explode_in_an_rnn() -> None:
    """Weights of 4 to the power of eighty: the state stays 0, its gradient overflows."""
    rnn = nn.RNN(4, 8)
    with torch.no_grad():
        rnn.weight_hh_l0.copy_(4 * torch.eye(8))
        rnn.bias_ih_l0.zero_()
        rnn.bias_hh_l0.zero_()
    x = torch.zeros(80, 2, 4)
    h, _ = rnn(x)  # WRONG (clip|learning rate)
    finish(rnn, h[-1].sum())


def scores_overflow_under_autocast(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Attention that is not scaled, in float16."""
    with torch.autocast("cpu", dtype=torch.float16):
        q = model(x) * 600
        scores = q @ q.t()  # WRONG (scale)
        h = torch.softmax(scores, -1) @ q
    return F.cross_entropy(h.float() / 200, y)


@torch.compile(backend="eager")
def _compiled_loss(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    e = logits.exp()  # WRONG (softmax|logsumexp)
    return -(e / e.sum(1, keepdim=True))[torch.arange(32), y].log().mean()


def loss_of_a_compiled_function(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A naive softmax inside of it."""
    return _compiled_loss(model(x) * 500, y)
