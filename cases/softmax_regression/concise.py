"""Softmax regression with what torch provides."""

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
    return F.softmax(logits, dim=1)


def log_softmax(logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """``F.log_softmax`` over the classes."""
    return F.log_softmax(logits, dim=1)


def one_hot(labels: Int[Tensor, " n"], k: int) -> Int[Tensor, "n k"]:
    """``F.one_hot``."""
    return F.one_hot(labels, k)


def cross_entropy(logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """``F.cross_entropy``: takes logits, and means over the rows."""
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


def training_step(weight: Float[Tensor, "m d"], bias: Float[Tensor, " m"], lr: float) -> tuple[Step, Parameters]:
    """Return the step of one minibatch, and the parameters it updates in place.

    Parameters
    ----------
    weight, bias
        The start, ``[classes, features]`` and ``[classes]``; copied.
    lr
        Learning rate.
    """
    classes, features = weight.shape
    net = initialised_net(features, classes).to(device=weight.device, dtype=weight.dtype)
    W, b = net.parameters()
    W.data.copy_(weight)
    b.data.copy_(bias)
    trainer = torch.optim.SGD(net.parameters(), lr=lr)

    def step(X: Float[Tensor, "n ..."], y: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        loss = F.cross_entropy(net(X), y)
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
