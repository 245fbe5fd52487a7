"""Variants of the chapter's functions as students write them, without guards that the book does not have."""

import torch
from torch import Tensor


def mean_squared_loss(y_hat: Tensor, y: Tensor) -> Tensor:
    """Half the mean squared error, for any shape of the network's output."""
    return ((y_hat - y.reshape(y_hat.shape)) ** 2 / 2).mean()


def squared_loss_that_broadcasts(y_hat: Tensor, y: Tensor) -> Tensor:
    """Without the reshape, a column of predictions is broadcast against the targets."""
    return (y_hat - y) ** 2 / 2


def mean_loss_that_broadcasts(y_hat: Tensor, y: Tensor) -> Tensor:
    """The same, averaged."""
    return ((y_hat - y) ** 2 / 2).mean()


def mean_cross_entropy(y_hat: Tensor, y: Tensor) -> Tensor:
    """The mean loss, by indexing the probabilities of the rows."""
    return -torch.log(y_hat[range(len(y_hat)), y]).mean()


def sgd_in_place(params: list[Tensor], lr: float, batch_size: int) -> None:
    """One step on each parameter, as the book's training loop takes it."""
    with torch.no_grad():
        for param in params:
            assert param.grad is not None
            param -= lr * param.grad / batch_size
            param.grad.zero_()


def accuracy(y_hat: Tensor, y: Tensor) -> Tensor:
    """The share of rows whose largest score is at the label."""
    return (y_hat.argmax(dim=1) == y).float().mean()
