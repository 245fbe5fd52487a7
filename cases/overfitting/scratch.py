"""The effect of too many epochs, from scratch: full-batch softmax regression with its gradient written out."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

Curves = tuple[Float[Tensor, " e"], Float[Tensor, " e"]]


def mean_loss(logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """Mean cross-entropy, by the shifted logarithm of the sum of exponentials."""
    shifted = logits - logits.amax(dim=1, keepdim=True)
    log_sum = shifted.exp().sum(dim=1).log()
    return (log_sum - shifted[torch.arange(len(labels)), labels]).mean()


def learning_curves(
    X: Float[Tensor, "n d"],
    y: Int[Tensor, " n"],
    X_held_out: Float[Tensor, "m d"],
    y_held_out: Int[Tensor, " m"],
    k: int,
    epochs: int,
    lr: float,
) -> Curves:
    """Return the training and the held-out loss before the first step and after each.

    Parameters
    ----------
    X, y
        Training data; each step uses all of it.
    X_held_out, y_held_out
        Held-out data, which is only evaluated.
    k
        Number of classes.
    epochs
        Number of steps.
    lr
        Learning rate.

    Notes
    -----
    The gradient of the mean cross-entropy in the logits is ``(softmax - one_hot) / n``.
    """
    W, b = X.new_zeros(X.shape[1], k), X.new_zeros(k)
    y_one_hot = torch.eye(k, dtype=X.dtype)[y]
    train_loss, held_out_loss = [], []
    for epoch in range(epochs + 1):
        if epoch > 0:
            slope = ((X @ W + b).softmax(dim=1) - y_one_hot) / len(X)
            W = W - lr * (X.T @ slope)
            b = b - lr * slope.sum(dim=0)
        train_loss.append(mean_loss(X @ W + b, y))
        held_out_loss.append(mean_loss(X_held_out @ W + b, y_held_out))
    return torch.stack(train_loss), torch.stack(held_out_loss)
