"""The functions of the chapter as students write them, without guards or reshaping that the book does not have."""

import torch
from torch import Tensor


def squared_loss(y_hat: Tensor, y: Tensor) -> Tensor:
    """Half the squared error of each row, for any shape of the network's output."""
    return (y_hat - y.reshape(y_hat.shape)) ** 2 / 2


def mean_squared_loss(y_hat: Tensor, y: Tensor) -> Tensor:
    """The same, averaged."""
    return squared_loss(y_hat, y).mean()


def squared_loss_that_broadcasts(y_hat: Tensor, y: Tensor) -> Tensor:
    """Without the reshape, a column of predictions is broadcast against the targets."""
    return (y_hat - y) ** 2 / 2


def mean_loss_that_broadcasts(y_hat: Tensor, y: Tensor) -> Tensor:
    """The same, averaged."""
    return ((y_hat - y) ** 2 / 2).mean()


def linreg(X: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """The linear model, with one column of weights for each output."""
    return X @ w + b


def cross_entropy(y_hat: Tensor, y: Tensor) -> Tensor:
    """The loss of each row, by indexing its probabilities."""
    return -torch.log(y_hat[range(len(y_hat)), y])


def mean_cross_entropy(y_hat: Tensor, y: Tensor) -> Tensor:
    """The same, averaged."""
    return -torch.log(y_hat[range(len(y_hat)), y]).mean()


def softmax(X: Tensor) -> Tensor:
    """The definition, shifted by the row maximum."""
    X_exp = torch.exp(X - X.max(dim=1, keepdim=True).values)
    return X_exp / X_exp.sum(1, keepdim=True)


def sgd(param: Tensor, grad: Tensor, lr: float) -> Tensor:
    """One step on one parameter."""
    return param - lr * grad


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
