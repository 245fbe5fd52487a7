"""Softmax regression with the functions of torch."""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

Parameters = tuple[Float[Tensor, "m d"], Float[Tensor, " m"]]
Step = Callable[[Float[Tensor, "n ..."], Int[Tensor, " n"]], Float[Tensor, ""]]


def softmax(logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """``F.softmax`` over the classes."""
    return F.softmax(logits, dim=-1)


def log_softmax(logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """``F.log_softmax`` over the classes."""
    return F.log_softmax(logits, dim=-1)


def one_hot(labels: Int[Tensor, " n"], k: int) -> Int[Tensor, "n k"]:
    """``F.one_hot``."""
    return F.one_hot(labels, k)


def cross_entropy(logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """``F.cross_entropy``: takes logits and averages over the rows."""
    return F.cross_entropy(logits, labels)


def nll_of_probabilities(probabilities: Float[Tensor, "n k"], labels: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """``F.nll_loss`` of the logarithm, row by row."""
    return F.nll_loss(probabilities.log(), labels, reduction="none")


def initialised_net(features: int, classes: int, *, std: float = 0.01) -> nn.Sequential:
    """The chapter's network: flatten, then one linear layer whose weights are drawn with standard deviation 0.01."""
    layer = nn.Linear(features, classes)
    nn.init.normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)
    return nn.Sequential(nn.Flatten(), layer)


class TrainingStep:
    """One minibatch step and its four phases."""

    def __init__(self, net: Callable[[Tensor], Tensor], trainer: torch.optim.Optimizer) -> None:
        self.net, self.trainer = net, trainer

    def forward(self, X: Float[Tensor, "n ..."]) -> Float[Tensor, "n k"]:
        """Logits."""
        return self.net(X)

    def loss(self, logits: Float[Tensor, "n k"], y: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """Mean cross-entropy."""
        return F.cross_entropy(logits, y)

    def backward(self, loss: Float[Tensor, ""]) -> None:
        """Clear the gradients, then autograd."""
        self.trainer.zero_grad()
        loss.backward()

    def update(self) -> None:
        """One step of the optimizer."""
        self.trainer.step()

    def __call__(self, X: Float[Tensor, "n ..."], y: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """Forward, loss, backward, update; return the loss before the update."""
        loss = self.loss(self.forward(X), y)
        self.backward(loss)
        self.update()
        return loss.detach()


def started_net(weight: Float[Tensor, "m d"], bias: Float[Tensor, " m"]) -> tuple[nn.Sequential, Parameters]:
    """Return the network with copies of the given parameters, and these copies."""
    classes, features = weight.shape
    net = initialised_net(features, classes).to(device=weight.device, dtype=weight.dtype)
    W, b = net.parameters()
    W.data.copy_(weight)
    b.data.copy_(bias)
    return net, (W.detach(), b.detach())


def training_step(weight: Float[Tensor, "m d"], bias: Float[Tensor, " m"], lr: float) -> tuple[Step, Parameters]:
    """Return a step on a minibatch, and the parameters that it updates in place.

    Parameters
    ----------
    weight, bias
        The start, ``[classes, features]`` and ``[classes]``; copied.
    lr
        Learning rate.
    """
    net, parameters = started_net(weight, bias)
    return TrainingStep(net, torch.optim.SGD(net.parameters(), lr=lr)), parameters


def fused_step(weight: Float[Tensor, "m d"], bias: Float[Tensor, " m"], lr: float) -> tuple[Step, Parameters]:
    """The same with ``fused=True``: one kernel updates all parameters."""
    net, parameters = started_net(weight, bias)
    return TrainingStep(net, torch.optim.SGD(net.parameters(), lr=lr, fused=True)), parameters


def foreach_step(weight: Float[Tensor, "m d"], bias: Float[Tensor, " m"], lr: float) -> tuple[Step, Parameters]:
    """The same with ``foreach=True``: one call updates all parameters."""
    net, parameters = started_net(weight, bias)
    return TrainingStep(net, torch.optim.SGD(net.parameters(), lr=lr, foreach=True)), parameters


def compiled_step(weight: Float[Tensor, "m d"], bias: Float[Tensor, " m"], lr: float) -> tuple[Step, Parameters]:
    """The same through ``torch.compile``, which needs a C++ compiler and many seconds for the first call."""
    W, b = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    trainer = torch.optim.SGD([W, b], lr=lr)
    # Forward and loss together, so that the compiler sees both; without annotations, whose checks it cannot trace.
    compiled = torch.compile(lambda X, y, W, b: F.cross_entropy(F.linear(X.flatten(1), W, b), y), dynamic=True)

    def step(X: Float[Tensor, "n ..."], y: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        loss: Tensor = compiled(X, y, W, b)
        trainer.zero_grad()
        loss.backward()
        trainer.step()
        return loss.detach()

    return step, (W.detach(), b.detach())


def train(
    X: Float[Tensor, "n ..."],
    y: Int[Tensor, " n"],
    batches: Iterable[Int[Tensor, " _"]],
    lr: float,
    start: Parameters,
) -> Parameters:
    """Run over the minibatches once, delivered by a ``DataLoader``; see the scratch version for the parameters."""
    step, parameters = training_step(*start, lr)
    loader = DataLoader(TensorDataset(X, y), batch_sampler=[batch.tolist() for batch in batches])
    for features, labels in loader:
        step(features, labels)
    return parameters
