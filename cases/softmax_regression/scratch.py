"""Softmax regression from scratch: the operation, its losses, the model and its training, in plain tensors."""

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor

Parameters = tuple[Float[Tensor, "m d"], Float[Tensor, " m"]]
Step = Callable[[Float[Tensor, "n ..."], Int[Tensor, " n"]], Float[Tensor, ""]]


# The operation


def softmax(logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Exponentiate, then divide by the row sum: the definition, and the chapter's code.

    Notes
    -----
    ``exp`` overflows above ``ln(max)``, 88.72 in float32, and infinity divided by infinity is NaN.
    """
    X_exp = logits.exp()
    partition = X_exp.sum(dim=-1, keepdim=True)
    return X_exp / partition


def clamped_softmax(logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """The definition with the exponent clipped to +-50: finite, and silently wrong beyond the clip."""
    X_exp = logits.clamp(-50.0, 50.0).exp()
    return X_exp / X_exp.sum(dim=-1, keepdim=True)


def shifted_softmax(logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Subtract the row maximum first, which changes nothing in exact arithmetic and keeps every ``exp`` below one.

    Notes
    -----
    Relative error of an entry at most about ``u (gap + k + 6)``, with ``gap`` the distance to the row maximum.

    References
    ----------
    Blanchard, Higham & Higham (2021), "Accurately computing the log-sum-exp and softmax functions",
    IMA J. Numer. Anal. 41(4).
    """
    X_exp = (logits - logits.amax(dim=-1, keepdim=True)).exp()
    return X_exp / X_exp.sum(dim=-1, keepdim=True)


def log_of_softmax(logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Logarithm of the shifted softmax: -inf once a probability underflows."""
    return shifted_softmax(logits).log()


def log_softmax(logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Stay in logarithms: shift, then subtract the logarithm of the sum of exponentials."""
    shifted = logits - logits.amax(dim=-1, keepdim=True)
    return shifted - shifted.exp().sum(dim=-1, keepdim=True).log()


def logits_minus_logsumexp(logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """The definition with ``torch.logsumexp``: finite everywhere, but a large offset absorbs the logarithm of the sum.

    Notes
    -----
    Eight equal classes have log-probability zero at an offset of ``2^(p + 2)`` or more, 67,108,864 in float32.
    """
    return logits - logits.logsumexp(dim=-1, keepdim=True)


def accurate_log_softmax(logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """``gap - log1p(sum over the others)``: both terms have the same sign, so nothing is lost near zero.

    Notes
    -----
    The sum is taken in float32 at least: 65,520 equal logits overflow float16, and bfloat16 counts to 256.
    """
    maximum, argmax = logits.max(dim=-1, keepdim=True)
    gap = logits - maximum
    # The excluded term of the sum is zero, or NaN if the maximum is infinite.
    others = gap.exp().scatter(-1, argmax, maximum - maximum)
    rest = others.sum(dim=-1, keepdim=True, dtype=torch.promote_types(logits.dtype, torch.float32)).log1p()
    return gap - rest.to(logits.dtype)


# Labels


def one_hot(labels: Int[Tensor, " n"], k: int) -> Int[Tensor, "n k"]:
    """1 at the label, 0 elsewhere: rows of the identity matrix."""
    return torch.eye(k, dtype=torch.int64)[labels]


def accuracy(scores: Float[Tensor, "n k"], labels: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """Share of rows whose largest score is at their label."""
    hits = scores.argmax(dim=1) == labels
    return hits.to(scores.dtype).mean()


# The losses


def nll_of_probabilities(probabilities: Float[Tensor, "n k"], labels: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """``-ln y_hat[[0, 1, ...], y]``: the chapter's cross-entropy picks the label's probability by indexing."""
    return -probabilities[list(range(len(probabilities))), labels].log()


def cross_entropy(logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """The chapter's chain: softmax as defined, the probability of the label, its logarithm, the mean."""
    return nll_of_probabilities(softmax(logits), labels).mean()


def clamped_cross_entropy(logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """The chain with the probability clamped away from zero: the loss stops at 27.6, and its gradient is zero there."""
    probabilities = shifted_softmax(logits).clamp_min(1e-12)
    return nll_of_probabilities(probabilities, labels).mean()


def cross_entropy_of_log_softmax(logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """Pick the label's entry of the log-softmax: stable, with an absolute error of about ``u max(1, gap)``."""
    return -log_softmax(logits)[torch.arange(len(labels)), labels].mean()


def accurate_cross_entropy(logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """``gap + log1p(sum over the others)``: terms of the same sign, so even tiny losses are accurate to a few ulp."""
    rows = torch.arange(len(labels))
    maximum, argmax = logits.max(dim=1, keepdim=True)
    # The excluded term of the sum is zero, or NaN if the maximum is infinite; float32 can hold 65,520, float16 cannot.
    others = (logits - maximum).exp().scatter(1, argmax, maximum - maximum)
    rest = others.sum(dim=1, dtype=torch.promote_types(logits.dtype, torch.float32)).log1p().to(logits.dtype)
    return (maximum.squeeze(1) - logits[rows, labels] + rest).mean()


# The model


def net(X: Float[Tensor, "n ..."], W: Float[Tensor, "d k"], b: Float[Tensor, " k"]) -> Float[Tensor, "n k"]:
    """Flatten the images and map them to probabilities, as the chapter does."""
    return softmax(X.reshape(-1, W.shape[0]) @ W + b)


def sgd(params: Iterable[Tensor], lr: float) -> None:
    """Minibatch stochastic gradient descent: one step against the gradient, which is then cleared."""
    with torch.no_grad():
        for param in params:
            assert param.grad is not None
            param -= lr * param.grad
            param.grad.zero_()


class TrainingStep:
    """One minibatch step and its four phases; the parameters are updated in place."""

    def __init__(self, W: Float[Tensor, "d k"], b: Float[Tensor, " k"], lr: float) -> None:
        self.W, self.b, self.lr = W, b, lr

    def forward(self, X: Float[Tensor, "n ..."]) -> Float[Tensor, "n k"]:
        """Probabilities."""
        return net(X, self.W, self.b)

    def loss(self, y_hat: Float[Tensor, "n k"], y: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """Mean cross-entropy."""
        return nll_of_probabilities(y_hat, y).mean()

    def backward(self, loss: Float[Tensor, ""]) -> None:
        """Gradients, by autograd."""
        loss.backward()

    def update(self) -> None:
        """Against the gradients, which are then cleared."""
        sgd([self.W, self.b], self.lr)

    def __call__(self, X: Float[Tensor, "n ..."], y: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """Forward, loss, backward, update; return the loss before the update."""
        loss = self.loss(self.forward(X), y)
        self.backward(loss)
        self.update()
        return loss.detach()


def training_step(weight: Float[Tensor, "m d"], bias: Float[Tensor, " m"], lr: float) -> tuple[Step, Parameters]:
    """Return a step on a minibatch, and the parameters that it updates in place.

    Parameters
    ----------
    weight, bias
        The start, ``[classes, features]`` and ``[classes]``; copied.
    lr
        Learning rate.
    """
    W = weight.T.contiguous().clone().requires_grad_()
    b = bias.clone().requires_grad_()
    return TrainingStep(W, b, lr), (W.detach().T, b.detach())


class ClosedFormStep:
    """One minibatch step with the gradient worked out by hand, ``(softmax(W X^T + b) - Y) X / n``.

    Notes
    -----
    There is no graph to record and no backward pass. The weight is stored as classes by features, the scores as classes
    by samples, so both products read ``X`` along its rows and the softmax runs over many columns at a time.
    """

    def __init__(self, W: Float[Tensor, "k d"], b: Float[Tensor, " k"], lr: float) -> None:
        self.W, self.b, self.lr = W, b, lr

    def forward(self, X: Float[Tensor, "n ..."]) -> Float[Tensor, "k n"]:
        """Scores, with a column per sample."""
        self.X = X.reshape(len(X), -1)
        return torch.addmm(self.b[:, None], self.W, self.X.T)

    def loss(self, scores: Float[Tensor, "k n"], y: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """Mean cross-entropy, from the logarithms that the gradient also needs."""
        self.at = (y, torch.arange(len(y), device=y.device))
        self.log_p = torch.log_softmax(scores, dim=0)
        return -self.log_p[self.at].mean()

    def backward(self, _: Float[Tensor, ""]) -> None:
        """Derivative of the losses in the scores: the probabilities, minus one at the label."""
        self.slope = self.log_p.exp_()
        self.slope[self.at] -= 1.0

    def update(self) -> None:
        """Compute gradient and update in a single product, without storing the gradient."""
        rate = self.lr / len(self.X)
        self.W.addmm_(self.slope, self.X, alpha=-rate)
        self.b.sub_(self.slope.sum(dim=1), alpha=rate)

    def __call__(self, X: Float[Tensor, "n ..."], y: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """Forward, loss, backward, update; return the loss before the update."""
        loss = self.loss(self.forward(X), y)
        self.backward(loss)
        self.update()
        return loss


def closed_form_step(weight: Float[Tensor, "m d"], bias: Float[Tensor, " m"], lr: float) -> tuple[Step, Parameters]:
    """Return a step without autograd, and the parameters that it updates in place; see :func:`training_step`."""
    W, b = weight.clone(memory_format=torch.contiguous_format), bias.clone()
    return ClosedFormStep(W, b, lr), (W, b)


def train(
    X: Float[Tensor, "n ..."],
    y: Int[Tensor, " n"],
    batches: Iterable[Int[Tensor, " _"]],
    lr: float,
    start: Parameters,
) -> Parameters:
    """Run over the minibatches once and return the weight ``[m, d]`` and the bias ``[m]``.

    Parameters
    ----------
    X, y
        Images or feature rows, and their labels.
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


# The chapter's exercise: how a training begins


def well_scaled() -> None:
    """Take the chapter's step on 256 images of noise, from weights with the chapter's standard deviation, 0.01."""
    _step(0.01)


def badly_scaled() -> None:
    """Take the same step from weights of a standard deviation of 10.

    Notes
    -----
    The scores of 784 pixels between 0 and 1 have a standard deviation of ``10 sqrt(784 / 3)``, 162: ``exp`` overflows
    from 88.72 on, infinity divided by infinity is NaN, and so is every weight after the step.
    """
    _step(10.0)


def _step(deviation: float) -> None:
    generator = torch.Generator().manual_seed(0)
    X, y = torch.rand(256, 784, generator=generator), torch.randint(10, (256,), generator=generator)
    step, _ = training_step(deviation * torch.randn(10, 784, generator=generator), torch.zeros(10), 0.1)
    step(X, y)
