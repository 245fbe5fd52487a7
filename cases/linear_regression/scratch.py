"""Linear regression from scratch: synthetic data, minibatches, model, loss, optimizer, training, normal equation."""

from collections.abc import Callable, Iterable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

Parameters = tuple[Float[Tensor, "1 d"], Float[Tensor, " 1"]]
Step = Callable[[Float[Tensor, "n d"], Float[Tensor, " n"]], Float[Tensor, ""]]


def synthetic_data(
    w: Float[Tensor, " d"], b: float, n: int, *, noise: float = 0.01, seed: int = 0
) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
    """Return ``X`` with standard normal entries, and ``y = X w + b`` with normal noise of the given deviation."""
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(n, len(w), dtype=w.dtype, generator=generator)
    y = X @ w + b
    return X, y + noise * torch.randn(n, dtype=w.dtype, generator=generator)


def data_iter(n: int, batch_size: int, generator: torch.Generator) -> Iterator[Int[Tensor, " b"]]:
    """Yield the indices of all minibatches in random order; the last one may be smaller."""
    indices = torch.randperm(n, generator=generator)
    for i in range(0, n, batch_size):
        yield indices[i : i + batch_size]


def linreg(X: Float[Tensor, "n d"], w: Float[Tensor, "d 1"], b: Float[Tensor, " 1"]) -> Float[Tensor, "n 1"]:
    """The linear model ``X w + b``."""
    return X @ w + b


def linear(X: Float[Tensor, "n d"], weight: Float[Tensor, "m d"], bias: Float[Tensor, " m"]) -> Float[Tensor, "n m"]:
    """The linear model with ``m`` outputs."""
    return torch.matmul(X, weight.T) + bias


def squared_loss(y_hat: Float[Tensor, "n ..."], y: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Mean of the squared differences, halved; ``y`` is reshaped, because ``(n, 1) - (n,)`` would broadcast."""
    return ((y_hat - y.reshape(y_hat.shape)) ** 2 / 2).mean()


def sgd(parameter: Float[Tensor, "*s"], gradient: Float[Tensor, "*s"], lr: float) -> Float[Tensor, "*s"]:
    """One step against the gradient."""
    return parameter - lr * gradient


def sgd_with_momentum(
    parameter: Float[Tensor, " n"],
    gradients: Float[Tensor, "t n"],
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
) -> Float[Tensor, " n"]:
    """One step per gradient: ``b = momentum * b + g + decay * p``, then ``p - lr * b``, or Nesterov's lookahead step.

    Notes
    -----
    The parameter is rounded at every step: an update below half an ulp is lost, as in ``1 - 0.001 = 1`` in bfloat16.
    """
    buffer = None
    for gradient in gradients:
        direction = gradient + weight_decay * parameter
        buffer = direction if buffer is None else momentum * buffer + direction
        parameter = parameter - lr * (direction + momentum * buffer if nesterov else buffer)
    return parameter.clone()


def compensated_sgd_with_momentum(
    parameter: Float[Tensor, " n"],
    gradients: Float[Tensor, "t n"],
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
) -> Float[Tensor, " n"]:
    """The same steps with Kahan summation: the rounding error of a step is added to the next update.

    Notes
    -----
    The error of the parameter is about one ulp for any number of steps; this needs a second tensor of the same size.
    """
    buffer, lost = None, torch.zeros_like(parameter)
    for gradient in gradients:
        direction = gradient + weight_decay * parameter
        buffer = direction if buffer is None else momentum * buffer + direction
        update = -lr * (direction + momentum * buffer if nesterov else buffer) - lost
        moved = parameter + update
        rounded_away = (moved - parameter) - update
        # After an overflow there is no remainder to carry over.
        lost = torch.where(moved.isfinite(), rounded_away, torch.zeros_like(lost))
        parameter = moved
    return parameter.clone()


class TrainingStep:
    """One minibatch step and its four phases; the parameters are updated in place."""

    def __init__(self, w: Float[Tensor, "d 1"], b: Float[Tensor, " 1"], lr: float) -> None:
        self.w, self.b, self.lr = w, b, lr

    def forward(self, X: Float[Tensor, "n d"]) -> Float[Tensor, "n 1"]:
        """Predictions."""
        return linreg(X, self.w, self.b)

    def loss(self, y_hat: Float[Tensor, "n 1"], y: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        """Mean of the halved squared differences."""
        return squared_loss(y_hat, y)

    def backward(self, loss: Float[Tensor, ""]) -> None:
        """Gradients, by autograd."""
        loss.backward()

    def update(self) -> None:
        """Against the gradients, which are then cleared."""
        with torch.no_grad():
            for param in (self.w, self.b):
                assert param.grad is not None
                param.copy_(sgd(param, param.grad, self.lr))
                param.grad.zero_()

    def __call__(self, X: Float[Tensor, "n d"], y: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        """Forward, loss, backward, update; return the loss before the update."""
        loss = self.loss(self.forward(X), y)
        self.backward(loss)
        self.update()
        return loss.detach()


def training_step(weight: Float[Tensor, "1 d"], bias: Float[Tensor, " 1"], lr: float) -> tuple[Step, Parameters]:
    """Return a step on a minibatch, and the parameters that it updates in place.

    Parameters
    ----------
    weight, bias
        The start, ``[1, features]`` and ``[1]``; copied.
    lr
        Learning rate.
    """
    w = weight.T.clone().requires_grad_()
    b = bias.clone().requires_grad_()
    return TrainingStep(w, b, lr), (w.detach().T, b.detach())


class ClosedFormStep:
    """One minibatch step with the gradient worked out by hand, ``(X w + b - y) X / n``."""

    def __init__(self, w: Float[Tensor, " d"], b: Float[Tensor, " 1"], lr: float) -> None:
        self.w, self.b, self.lr = w, b, lr

    def forward(self, X: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Predictions."""
        self.X = X
        return torch.mv(X, self.w).add_(self.b)

    def loss(self, y_hat: Float[Tensor, " n"], y: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        """Mean of the halved squared differences."""
        self.residual = y_hat.sub_(y)
        return torch.dot(self.residual, self.residual) / (2 * len(y))

    def backward(self, _: Float[Tensor, ""]) -> None:
        """Do nothing: the residual is already the derivative of the loss."""

    def update(self) -> None:
        """Compute gradient and update in a single product, without storing the gradient."""
        rate = self.lr / len(self.X)
        self.w.addmv_(self.X.T, self.residual, alpha=-rate)
        self.b.sub_(self.residual.sum(), alpha=rate)

    def __call__(self, X: Float[Tensor, "n d"], y: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        """Forward, loss, backward, update; return the loss before the update."""
        loss = self.loss(self.forward(X), y)
        self.backward(loss)
        self.update()
        return loss


def closed_form_step(weight: Float[Tensor, "1 d"], bias: Float[Tensor, " 1"], lr: float) -> tuple[Step, Parameters]:
    """Return a step without autograd, and the parameters that it updates in place; see :func:`training_step`."""
    w, b = weight.flatten().clone(), bias.clone()
    return ClosedFormStep(w, b, lr), (w[None], b)


def train(
    X: Float[Tensor, "n d"],
    y: Float[Tensor, " n"],
    batches: Iterable[Int[Tensor, " _"]],
    lr: float,
    start: Parameters,
) -> Parameters:
    """Run over the minibatches once and return the weight ``[1, d]`` and the bias ``[1]``.

    Parameters
    ----------
    X, y
        Features and targets.
    batches
        Indices of the minibatches, in order; the last one may be smaller.
    lr
        Learning rate.
    start
        Weight and bias to start from.
    """
    step, parameters = training_step(*start, lr)
    for batch in batches:
        step(X[batch], y[batch])
    return parameters


def normal_equation(X: Float[Tensor, "n d"], y: Float[Tensor, " n"]) -> Parameters:
    """Solve ``(A^T A) theta = A^T y`` with ``A = [X, 1]``: the minimizer in a single step, without a learning rate.

    Notes
    -----
    The condition number of ``A`` is squared; on ill-conditioned features a QR factorization keeps twice as many digits.
    """
    A = torch.cat([X, X.new_ones(len(X), 1)], dim=1)
    theta = torch.linalg.solve(A.T @ A, A.T @ y)
    return theta[:-1].unsqueeze(0), theta[-1:]
