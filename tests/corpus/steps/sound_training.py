"""Sound steps, written before the audit was changed: trained models, scalers, buffers, layers."""

import math

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish, net
from torch import Tensor, nn


def scaler_that_skips() -> None:
    """The scale is far too large at first; the scaler halves it until it fits."""
    model, (x, y) = net(), batch()
    optimizer, scaler = torch.optim.SGD(model.parameters(), 0.1), torch.amp.GradScaler("cpu", init_scale=2.0**22)
    for _ in range(8):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()


def _learnt(scale: float) -> nn.Linear:
    torch.manual_seed(0)
    model = nn.Linear(4, 4)
    with torch.no_grad():
        model.weight.copy_(scale * torch.eye(4))
        model.bias.zero_()
    return model


def trained_classifier() -> None:
    """Its loss is 2e-5."""
    model = _learnt(12.0)
    finish(model, F.cross_entropy(model(torch.eye(4)), torch.arange(4)))


def trained_classifier_by_hand() -> None:
    """The same, by a logarithm of a sum."""
    model = _learnt(13.0)
    z = model(torch.eye(4))
    log_p = z - z.logsumexp(1, keepdim=True)
    finish(model, -log_p[torch.arange(4), torch.arange(4)].mean())


def trained_classifier_from_probabilities() -> None:
    """The logarithm of a probability near 1."""
    model = _learnt(11.0)
    p = model(torch.eye(4)).softmax(1)
    finish(model, -p[torch.arange(4), torch.arange(4)].log().mean())


def trained_binary_classifier() -> None:
    """Logits of 14 on the right side."""
    model = nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.fill_(14.0)
        model.bias.zero_()
    x = torch.tensor([[1.0], [-1.0], [1.1], [-0.9]])
    finish(model, F.binary_cross_entropy_with_logits(model(x), (x > 0).float()))


def trained_regression() -> None:
    """The residuals are a few units in the last place of the targets."""
    model, x = nn.Linear(8, 1), torch.randn(64, 8)
    with torch.no_grad():
        y = model(x)
        model.weight += 1e-6
    finish(model, F.mse_loss(model(x), y), torch.optim.SGD(model.parameters(), 0.1))


def trained_brier_score() -> None:
    """Residuals of probabilities, by hand."""
    model = _learnt(14.0)
    p = model(torch.eye(4)).softmax(1)
    finish(model, (p - torch.eye(4)).square().sum(1).mean())


def gated_with_clipping() -> None:
    """A GRU of two layers in both directions."""
    gru, head = nn.GRU(8, 12, 2, batch_first=True, bidirectional=True), nn.Linear(24, 4)
    both = nn.ModuleList([gru, head])
    F.cross_entropy(head(gru(torch.randn(4, 10, 8))[0][:, -1]), torch.arange(4)).backward()
    nn.utils.clip_grad_norm_(both.parameters(), 0.5)
    torch.optim.Adam(both.parameters(), 1e-3).step()


def lstm_with_projections_and_lengths() -> None:
    """Packed sequences of unequal length."""
    lstm, head = nn.LSTM(8, 12, proj_size=6, batch_first=True), nn.Linear(6, 4)
    packed = nn.utils.rnn.pack_padded_sequence(torch.randn(4, 9, 8), torch.tensor([9, 7, 4, 2]), batch_first=True)
    _, (h, _) = lstm(packed)
    finish(
        nn.ModuleList([lstm, head]),
        F.cross_entropy(head(h[0]), torch.arange(4)),
        torch.optim.RMSprop(head.parameters()),
    )


def simple_recurrence_truncated() -> None:
    """A tanh layer over two windows, where the second one starts from the detached state."""
    rnn = nn.RNN(4, 8, batch_first=True)
    x, optimizer = torch.randn(3, 20, 4), torch.optim.SGD(rnn.parameters(), 0.1, weight_decay=1e-2)
    _, h = rnn(x[:, :10])
    h = h.detach()
    optimizer.zero_grad()
    finish(rnn, rnn(x[:, 10:], h)[0].square().mean(), optimizer)


def batch_norm_in_bfloat16_that_has_settled() -> None:
    """The statistics equal the statistics of the batch, and no longer move."""
    norm, head = nn.BatchNorm1d(16).bfloat16(), nn.Linear(16, 10).bfloat16()
    x, y = batch(256, dtype=torch.bfloat16)
    x = x + 2
    for _ in range(60):
        norm(x)
    loss = F.cross_entropy(head(norm(x)).float(), y)
    finish(nn.ModuleList([norm, head]), loss, torch.optim.SGD(head.parameters(), 10.0))


class Averaging(nn.Module):
    """Counts batches in float32, and keeps a mean that has settled."""

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.register_buffer("seen", torch.tensor(100_000.0))
        self.register_buffer("mean", mean.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Count, average, subtract."""
        with torch.no_grad():
            self.seen += 1
            self.mean.lerp_(x.mean(0), 0.01)
        return x - self.mean


def buffers_that_have_settled() -> None:
    """The mean moves by less than a unit in the last place, because it is correct."""
    model, (x, y) = net(), batch()
    model = nn.Sequential(Averaging(x.mean(0) * (1 + 1e-6)), model)
    finish(model, F.cross_entropy(model(x), y))


def buckets_and_positions() -> None:
    """Indices from a bfloat16 score, which is truncated, and from a count of fifty."""
    embed, head = nn.Embedding(60, 16), nn.Linear(16, 4)
    score = torch.sigmoid(torch.randn(4, 50, dtype=torch.bfloat16)) * 50
    count = torch.ones(4, 50, dtype=torch.bfloat16).cumsum(1)
    h = (embed(score.long()) + embed(count.long())).mean(1)
    finish(nn.ModuleList([embed, head]), F.cross_entropy(head(h), torch.arange(4)))


def quantized_activations(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Rounded to 8 bits in bfloat16, and back."""
    levels = (x.bfloat16().clamp(-2, 2) * 63).round().to(torch.int8)
    return F.cross_entropy(model(levels.float() / 63), y)


def padded_words() -> None:
    """A sequence without words has a count of 1 instead of 0."""
    embed, head = nn.Embedding(20, 16, padding_idx=0), nn.Linear(16, 4)
    words = torch.randint(1, 20, (8, 6))
    words[3] = 0
    mask = (words != 0).float()[..., None]
    pooled = (embed(words) * mask).sum(1) / mask.sum(1).clamp(min=1)
    model = nn.ModuleList([embed, head])
    finish(model, F.cross_entropy(head(pooled), torch.arange(8) % 4), torch.optim.Adagrad(model.parameters()))


def end_of_a_cosine_schedule() -> None:
    """The rate is 1e-9 in the last step, and few weights of float32 move, as the schedule intends."""
    model, (x, y) = net(), batch()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / 1000)))
    scheduler.last_epoch = 998
    scheduler.step()
    finish(model, F.cross_entropy(model(x), y), optimizer)


def average_and_autocast() -> None:
    """Weights of float32 under autocast, with an average whose decay is 0.999."""
    model, (x, y) = net(), batch()
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.999))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = F.cross_entropy(model(x), y, label_smoothing=0.1)
    finish(model, loss, torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=1e-2))
    average.update_parameters(model)


def clipping_of_a_dead_layer() -> None:
    """Gradients of 0 are divided by a norm of 0 and the eps that torch adds."""
    model = nn.Linear(8, 1)
    torch.relu(model(torch.zeros(16, 8)) - 5.0).mean().backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    torch.optim.SGD(model.parameters(), 0.1).step()


def loudness_with_a_floor() -> None:
    """The spectrum of silence, with an eps."""
    model = nn.Conv1d(1, 2, 5)
    x = torch.randn(4, 1, 64)
    x[1] = 0.0
    spectrum = torch.fft.rfft(model(x)).abs().square()
    finish(model, (spectrum + 1e-5).log().mean())


@torch.compile(backend="eager")
def _kernel_loss(h: Tensor) -> Tensor:
    near = torch.exp(-torch.cdist(h, h).square() * 40)
    return (near.sum(1) / len(h)).log().mean()


def kernel_that_underflows_beside_ones() -> None:
    """Far pairs are 0, the diagonal is 1: every sum is a number. The loss has two terms of unlike size."""
    model, (x, _) = net(), batch()
    h = model(x)
    finish(
        model, _kernel_loss(h * 3) + 1e-4 * sum(p.square().sum() for p in model.parameters()) + 1e3 * h.square().mean()
    )
