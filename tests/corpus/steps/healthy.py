"""Steps without a defect, although many contain infinity, saturation, zeros or a narrow format."""

import torch
import torch.nn.functional as F
from corpus.steps.parts import batch, finish, net
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def softmax_regression() -> None:
    """The chapter's model."""
    model, (x, y) = nn.Linear(16, 10), batch(256)
    finish(model, F.cross_entropy(model(x), y), torch.optim.SGD(model.parameters(), 0.1))


def linear_regression() -> None:
    """The second model of the chapter."""
    model, (x, _) = nn.Linear(16, 1), batch(256)
    y = x @ torch.arange(16.0)[:, None] + 4.2
    finish(model, (model(x) - y).pow(2).mean() / 2, torch.optim.SGD(model.parameters(), 0.03))


def causal_mask(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Minus infinity is intended."""
    h = model(x)
    keep = torch.ones(32, 32, dtype=torch.bool).tril()
    weights = (h @ h.t() / 4).masked_fill(~keep, float("-inf")).softmax(-1)
    return F.cross_entropy(weights @ h, y)


def additive_mask(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The mask is added to the logits."""
    h = model(x)
    mask = torch.full((32, 32), float("-inf")).triu(1)
    return F.cross_entropy((h @ h.t() / 4 + mask).softmax(-1) @ h, y)


def finite_mask_with_open_rows(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The mask is the smallest number, and every row keeps an entry."""
    h = model(x)
    keep = torch.ones(32, 32, dtype=torch.bool).tril()
    scores = (h @ h.t() / 4).masked_fill(~keep, torch.finfo(torch.float32).min)
    return F.cross_entropy(scores.softmax(-1) @ h, y)


def dropout_and_clipping() -> None:
    """Random numbers, and the norm of the gradients."""
    model, (x, y) = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Dropout(0.3), nn.Linear(32, 10)), batch()
    F.cross_entropy(model(x), y).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    torch.optim.AdamW(model.parameters(), 1e-3).step()


def convolution_with_batch_norm() -> None:
    """A network for images."""
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(10)
    model = nn.Sequential(*layers)
    x, y = torch.randn(8, 3, 10, 10), torch.randint(0, 10, (8,))
    model(x)
    finish(model, F.cross_entropy(model(x), y), torch.optim.SGD(model.parameters(), 0.05, momentum=0.9))


def recurrent() -> None:
    """An LSTM."""
    model, head = nn.LSTM(8, 16, 2, batch_first=True), nn.Linear(16, 10)
    x, y = torch.randn(8, 12, 8), torch.randint(0, 10, (8,))
    finish(nn.ModuleList([model, head]), F.cross_entropy(head(model(x)[0][:, -1]), y))


def gated() -> None:
    """A GRU with packed lengths."""
    model, head = nn.GRU(8, 16, batch_first=True), nn.Linear(16, 10)
    x, y = torch.randn(4, 12, 8), torch.randint(0, 10, (4,))
    packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([12, 9, 5, 1]), batch_first=True)
    finish(nn.ModuleList([model, head]), F.cross_entropy(head(model(packed)[1][0]), y))


def encoder_with_padding() -> None:
    """Torch's transformer."""
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True), 2)
    x, padded = torch.randn(4, 10, 16), (torch.arange(10) > 6).expand(4, 10)
    finish(model, model(x, src_key_padding_mask=padded)[:, :7].pow(2).mean(), torch.optim.AdamW(model.parameters()))


def variational() -> None:
    """An autoencoder that draws samples."""
    model, (x, _) = net(out=16), batch()
    decoder = nn.Linear(8, 16)
    mean, log_variance = model(x).chunk(2, 1)
    z = mean + torch.randn_like(mean) * torch.exp(log_variance / 2)
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1).mean()
    finish(nn.ModuleList([model, decoder]), F.mse_loss(decoder(z), x) + divergence)


def autocast_to_bfloat16() -> None:
    """Usual mixed precision."""
    model, (x, y) = net(), batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = F.cross_entropy(model(x), y)
    finish(model, loss, torch.optim.AdamW(model.parameters(), 1e-3))


def scaled_float16_gradients() -> None:
    """Gradients with a scaler."""
    model, (x, y) = net(), batch()
    scaler, optimizer = torch.amp.GradScaler("cpu", init_scale=1024.0), torch.optim.SGD(model.parameters(), 0.1)
    with torch.autocast("cpu", dtype=torch.float16):
        loss = F.cross_entropy(model(x), y)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()


def master_weights() -> None:
    """Float32 copies are updated, and bfloat16 copies are used."""
    model, (x, y) = net(dtype=torch.bfloat16), batch(dtype=torch.bfloat16)
    masters = [p.detach().float().requires_grad_() for p in model.parameters()]
    F.cross_entropy(model(x).float(), y).backward()
    for master, p in zip(masters, model.parameters(), strict=True):
        master.grad = p.grad.float()
    torch.optim.AdamW(masters, 1e-4).step()
    with torch.no_grad():
        for master, p in zip(masters, model.parameters(), strict=True):
            p.copy_(master)


def confident_and_right(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of widely different logits."""
    z = model(x) * 500
    return F.cross_entropy(z, z.argmax(1))


def confident_and_wrong(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A large but correct loss."""
    z = model(x) * 500
    return F.cross_entropy(z, z.argmin(1))


def binary_from_logits() -> None:
    """Saturated logits in the stable form."""
    model, (x, y) = net(out=1), batch()
    finish(model, F.binary_cross_entropy_with_logits(model(x)[:, 0] * 300, (y > 4).float()))


def binary_from_probabilities() -> None:
    """The probabilities are not saturated."""
    model, (x, y) = net(out=1), batch()
    finish(model, F.binary_cross_entropy(torch.sigmoid(model(x)[:, 0]), (y > 4).float()))


def safe_root(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """An eps inside of the root."""
    h = F.relu(model(x))
    return torch.sqrt(h * h + 1e-6).mean()


def safe_where(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Both branches are safe."""
    h = model(x)
    inside = torch.where(h > 0, h, torch.ones_like(h))
    return torch.where(h > 0, inside.sqrt(), torch.zeros_like(h)).mean()


def tied_embedding_with_padding() -> None:
    """One row of the table stays zero."""
    table = nn.Embedding(50, 16, padding_idx=0)
    words = torch.randint(0, 50, (8, 12))
    logits = table(words) @ table.weight.t()
    finish(table, F.cross_entropy(logits.flatten(0, 1), words.flatten(), ignore_index=0))


def label_smoothing(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The loss also has class weights."""
    return F.cross_entropy(model(x), y, weight=torch.linspace(0.5, 2, 10), label_smoothing=0.1)


def divergence_from_logarithms(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Both distributions underflow."""
    q, p = F.log_softmax(model(x) * 300, 1), F.softmax(x[:, :10], 1)
    return F.kl_div(q, p, reduction="batchmean") * 1e-2


def robust_losses(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Huber and absolute error with outliers."""
    target = torch.randn(32, 10) * 1e4
    return F.huber_loss(model(x), target) + F.l1_loss(model(x), target)


def converged(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The residual is zero, and so is every gradient."""
    return F.mse_loss(model(x), model(x).detach())


def accumulated_gradients() -> None:
    """Four micro-batches are accumulated."""
    model, (x, y) = net(), batch(128)
    for rows, labels in zip(x.split(32), y.split(32), strict=True):
        (F.cross_entropy(model(rows), labels) / 4).backward()
    torch.optim.RMSprop(model.parameters(), 1e-3).step()


def average_of_weights() -> None:
    """An average in float32."""
    model, (x, y) = net(), batch()
    average = [p.detach().clone() for p in model.parameters()]
    finish(model, F.cross_entropy(model(x), y), torch.optim.NAdam(model.parameters(), 1e-3))
    with torch.no_grad():
        for a, p in zip(average, model.parameters(), strict=True):
            a.lerp_(p, 1e-3)


def checkpointed(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A block that is computed twice."""
    return F.cross_entropy(checkpoint(model, x, use_reentrant=False), y)


def compensated_sum_in_bfloat16() -> None:
    """Kahan summation."""
    short = torch.bfloat16
    model, (x, _) = net(), batch()
    total, remainder = torch.zeros((), dtype=short), torch.zeros((), dtype=short)
    for _ in range(600):
        term = 1 - remainder
        sum_ = total + term
        remainder = (sum_ - total) - term
        total = sum_
    finish(model, model(x).pow(2).sum() / total.float())


def normalized_with_eps() -> None:
    """A row of zeros in layer and unit norms."""
    model, (x, y) = net(), batch()
    x[3] = 0
    h = F.layer_norm(F.normalize(x, dim=1), (16,))
    finish(model, F.cross_entropy(model(h), y), torch.optim.Adagrad(model.parameters(), 1e-2))


def distances(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The result of cdist has a diagonal of zeros."""
    h = model(x)
    return torch.cdist(h, h).mean()


def rotary_positions(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Complex numbers in float32."""
    angles = torch.outer(torch.arange(32.0), 1.0 / 10000 ** (torch.arange(0, 16, 2) / 16))
    rotation = torch.polar(torch.ones_like(angles), angles)
    turned = torch.view_as_real(torch.view_as_complex(x.view(32, 8, 2)) * rotation).flatten(1)
    return F.cross_entropy(model(turned), y)


def double_precision() -> None:
    """All numbers are in float64."""
    model, (x, y) = net(dtype=torch.float64), batch(dtype=torch.float64)
    finish(model, F.cross_entropy(model(x), y))


def evaluation() -> Tensor:
    """The accuracy and the logits."""
    model, (x, y) = net().eval(), batch()
    with torch.inference_mode():
        z = model(x)
        return torch.stack([(z.argmax(1) == y).float().mean(), z.max()])


def adversarial() -> None:
    """Two players with separate steps."""
    maker, judge, real = net(8, 16), net(16, 1), torch.randn(32, 16)
    fake = maker(torch.randn(32, 8))
    loss = F.softplus(-judge(real)).mean() + F.softplus(judge(fake.detach())).mean()
    finish(judge, loss, torch.optim.Adam(judge.parameters(), 1e-3))
    finish(maker, F.softplus(-judge(fake)).mean(), torch.optim.Adam(maker.parameters(), 1e-3))


def divided_by_the_wrong_count(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A defect that is not numerical."""
    return F.cross_entropy(model(x), y, reduction="sum") / 31


def gradient_penalty() -> None:
    """A second backward pass."""
    model, (x, _) = net(out=1), batch()
    x = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    finish(model, (grad.norm(dim=1) - 1).pow(2).mean())


def quasi_newton() -> None:
    """A closure that is called several times."""
    model, (x, y) = nn.Linear(16, 10), batch()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    optimizer.step(closure)
