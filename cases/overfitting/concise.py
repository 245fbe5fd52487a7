"""The effect of too many epochs, with ``nn.Linear``, ``F.cross_entropy`` and ``torch.optim``."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

Curves = tuple[Float[Tensor, " e"], Float[Tensor, " e"]]


def learning_curves(
    X: Float[Tensor, "n d"],
    y: Int[Tensor, " n"],
    X_held_out: Float[Tensor, "m d"],
    y_held_out: Int[Tensor, " m"],
    k: int,
    epochs: int,
    lr: float,
) -> Curves:
    """Return the training and the held-out loss before the first step and after each; parameters as from scratch."""
    net = nn.Linear(X.shape[1], k, dtype=X.dtype)
    nn.init.zeros_(net.weight)
    nn.init.zeros_(net.bias)
    trainer = torch.optim.SGD(net.parameters(), lr=lr)
    train_loss, held_out_loss = [], []
    for _ in range(epochs + 1):
        loss = F.cross_entropy(net(X), y)
        with torch.no_grad():
            held_out_loss.append(F.cross_entropy(net(X_held_out), y_held_out))
        train_loss.append(loss.detach())
        trainer.zero_grad()
        loss.backward()
        trainer.step()
    return torch.stack(train_loss), torch.stack(held_out_loss)
