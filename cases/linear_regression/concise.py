"""Linear regression with the functions of torch."""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

Parameters = tuple[Float[Tensor, "1 d"], Float[Tensor, " 1"]]
Step = Callable[[Float[Tensor, "n d"], Float[Tensor, " n"]], Float[Tensor, ""]]


def linear(X: Float[Tensor, "n d"], weight: Float[Tensor, "m d"], bias: Float[Tensor, " m"]) -> Float[Tensor, "n m"]:
    """``F.linear``."""
    return F.linear(X, weight, bias)


def squared_loss(y_hat: Float[Tensor, " n"], y: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """``nn.MSELoss``: the mean of the squared differences, not halved."""
    loss: Tensor = nn.MSELoss()(y_hat, y)
    return loss


def sgd(parameter: Float[Tensor, " n"], gradient: Float[Tensor, " n"], lr: float) -> Float[Tensor, " n"]:
    """One step of ``torch.optim.SGD``."""
    param = nn.Parameter(parameter.clone())
    param.grad = gradient.clone()
    torch.optim.SGD([param], lr=lr).step()
    return param.detach()


def sgd_with_momentum(
    parameter: Float[Tensor, " n"],
    gradients: Float[Tensor, "t n"],
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
) -> Float[Tensor, " n"]:
    """``torch.optim.SGD``, one step per gradient: the parameter is rounded to its dtype each time."""
    param = nn.Parameter(parameter.clone())
    trainer = torch.optim.SGD([param], lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)
    for gradient in gradients:
        param.grad = gradient.clone()
        trainer.step()
    return param.detach()


def sgd_with_a_master_copy(
    parameter: Float[Tensor, " n"],
    gradients: Float[Tensor, "t n"],
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
) -> Float[Tensor, " n"]:
    """``torch.optim.SGD`` on a copy of the parameter in twice the width, as in mixed-precision training."""
    wide = torch.float32 if parameter.itemsize == 2 else torch.float64
    return sgd_with_momentum(parameter.to(wide), gradients.to(wide), lr, momentum, weight_decay, nesterov).to(
        parameter.dtype
    )


def initialised_net(features: int) -> nn.Linear:
    """The chapter's network: one linear layer, weights drawn with standard deviation 0.01, bias zero."""
    net = nn.Linear(features, 1)
    net.weight.data.normal_(0, 0.01)
    net.bias.data.fill_(0)
    return net


class TrainingStep:
    """One minibatch step and its four phases."""

    def __init__(self, net: Callable[[Tensor], Tensor], trainer: torch.optim.Optimizer) -> None:
        self.net, self.trainer, self.loss_function = net, trainer, nn.MSELoss()

    def forward(self, X: Float[Tensor, "n d"]) -> Float[Tensor, "n 1"]:
        """Predictions."""
        return self.net(X)

    def loss(self, y_hat: Float[Tensor, "n 1"], y: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        """Mean of the squared differences."""
        loss: Tensor = self.loss_function(y_hat.squeeze(1), y)
        return loss

    def backward(self, loss: Float[Tensor, ""]) -> None:
        """Clear the gradients, then autograd."""
        self.trainer.zero_grad()
        loss.backward()

    def update(self) -> None:
        """One step of the optimizer."""
        self.trainer.step()

    def __call__(self, X: Float[Tensor, "n d"], y: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        """Forward, loss, backward, update; return the loss before the update."""
        loss = self.loss(self.forward(X), y)
        self.backward(loss)
        self.update()
        return loss.detach()


def started_net(weight: Float[Tensor, "1 d"], bias: Float[Tensor, " 1"]) -> tuple[nn.Linear, Parameters]:
    """Return the network with copies of the given parameters, and these copies."""
    net = initialised_net(weight.shape[1]).to(device=weight.device, dtype=weight.dtype)
    net.weight.data.copy_(weight)
    net.bias.data.copy_(bias)
    return net, (net.weight.detach(), net.bias.detach())


def training_step(weight: Float[Tensor, "1 d"], bias: Float[Tensor, " 1"], lr: float) -> tuple[Step, Parameters]:
    """Return a step on a minibatch, and the parameters that it updates in place.

    Parameters
    ----------
    weight, bias
        The start, ``[1, features]`` and ``[1]``; copied.
    lr
        Learning rate.
    """
    net, parameters = started_net(weight, bias)
    return TrainingStep(net, torch.optim.SGD(net.parameters(), lr=lr)), parameters


def fused_step(weight: Float[Tensor, "1 d"], bias: Float[Tensor, " 1"], lr: float) -> tuple[Step, Parameters]:
    """The same with ``fused=True``: one kernel updates all parameters."""
    net, parameters = started_net(weight, bias)
    return TrainingStep(net, torch.optim.SGD(net.parameters(), lr=lr, fused=True)), parameters


def foreach_step(weight: Float[Tensor, "1 d"], bias: Float[Tensor, " 1"], lr: float) -> tuple[Step, Parameters]:
    """The same with ``foreach=True``: one call updates all parameters."""
    net, parameters = started_net(weight, bias)
    return TrainingStep(net, torch.optim.SGD(net.parameters(), lr=lr, foreach=True)), parameters


def train(
    X: Float[Tensor, "n d"],
    y: Float[Tensor, " n"],
    batches: Iterable[Int[Tensor, " _"]],
    lr: float,
    start: Parameters,
) -> Parameters:
    """Run over the minibatches once, delivered by a ``DataLoader``; see the scratch version for the parameters."""
    step, parameters = training_step(*start, lr)
    loader = DataLoader(TensorDataset(X, y), batch_sampler=[batch.tolist() for batch in batches])
    for features, targets in loader:
        step(features, targets)
    return parameters


def least_squares(X: Float[Tensor, "n d"], y: Float[Tensor, " n"]) -> Parameters:
    """``torch.linalg.lstsq`` on ``[X, 1]``, by a QR factorization."""
    A = torch.cat([X, X.new_ones(len(X), 1)], dim=1)
    # The default on the CPU, "gelsy", reads uninitialized memory: https://github.com/pytorch/pytorch/issues/71222.
    theta = torch.linalg.lstsq(A, y.unsqueeze(1), driver="gels").solution.squeeze(1)
    return theta[:-1].unsqueeze(0), theta[-1:]
