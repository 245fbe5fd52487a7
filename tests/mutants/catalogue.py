"""Deliberately wrong implementations, at least one for each law: what the instrument must see.

Each is wrong in the way its law is about, and plausible otherwise. ``float32`` is the dtype they are killed in unless a
mutant names another.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import FashionMNIST


@dataclass(frozen=True)
class Mutant:
    """A wrong implementation, and the law that must break on it."""

    function: Callable[..., Any]
    contract: str
    law: str
    dtype: str = "float32"
    declares: dict[str, Any] = field(default_factory=dict)


# softmax and log-softmax


def naive_softmax(x: Tensor) -> Tensor:
    """Exp without the shift: overflows."""
    e = x.exp()
    return e / e.sum(-1, keepdim=True)


def division_free_softmax(x: Tensor) -> Tensor:
    """exp(x - logsumexp(x)): loses digits at large offsets."""
    return (x - x.logsumexp(-1, keepdim=True)).exp()


def softmax_over_rows(x: Tensor) -> Tensor:
    """The wrong axis."""
    return x.softmax(0)


def softmax_below_zero(x: Tensor) -> Tensor:
    """A probability formed by a subtraction."""
    return x.softmax(-1) - torch.finfo(x.dtype).eps


def clipped_softmax(x: Tensor) -> Tensor:
    """The exponent is clipped instead of shifted."""
    return x.clamp(-50, 50).softmax(-1)


def reversed_softmax(x: Tensor) -> Tensor:
    """A softmin."""
    return (-x).softmax(-1)


def detached_softmax(x: Tensor) -> Tensor:
    """The normaliser is a constant to autograd."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True).detach()


def log_of_epsilon(x: Tensor) -> Tensor:
    """log(p + 1e-8): floored at -18.42."""
    return (x.softmax(-1) + 1e-8).log()


def log_of_softmax(x: Tensor) -> Tensor:
    """-inf where the softmax underflows."""
    return x.softmax(-1).log()


def log_softmax_without_sum(x: Tensor) -> Tensor:
    """Relative to the mean instead of the logarithm of the sum: positive at the maximum."""
    return x - x.mean(-1, keepdim=True)


# cross-entropy


def _picked(log_p: Tensor, labels: Tensor) -> Tensor:
    return -log_p[torch.arange(len(labels)), labels]


def cross_entropy_by_log(x: Tensor, labels: Tensor) -> Tensor:
    """-log(softmax(x))[t]: inf from a gap of 104."""
    return _picked(x.softmax(-1).log(), labels).mean()


def cross_entropy_clamped(x: Tensor, labels: Tensor) -> Tensor:
    """The clamp that homework answers propose: the loss stops at 16.118, its gradient is zero there."""
    return _picked(x.softmax(-1).clamp(1e-7, 1.0).log(), labels).mean()


def cross_entropy_twice(x: Tensor, labels: Tensor) -> Tensor:
    """Softmax applied twice."""
    return F.cross_entropy(x.softmax(-1), labels)


def cross_entropy_with_epsilon(x: Tensor, labels: Tensor) -> Tensor:
    """log(p + eps) is positive where p is one."""
    return _picked((x.softmax(-1) + 1e-3).log(), labels).mean()


def nll_with_epsilon(p: Tensor, labels: Tensor) -> Tensor:
    """An epsilon in the logarithm."""
    return _picked((p + 1e-8).log(), labels)


def nll_clamped(p: Tensor, labels: Tensor) -> Tensor:
    """A clamp: gradient zero below it."""
    return _picked(p.clamp_min(1e-7).log(), labels)


# bookkeeping


def one_hot_from_one(labels: Tensor, k: int) -> Tensor:
    """Labels counted from one."""
    return torch.eye(k + 1, dtype=torch.int64)[labels + 1][:, :k]


def count_of_hits(scores: Tensor, labels: Tensor) -> Tensor:
    """The count instead of the share."""
    return (scores.argmax(-1) == labels).to(scores.dtype).sum()


def expected_accuracy(scores: Tensor, labels: Tensor) -> Tensor:
    """The probability of the label instead of a hit: the scores' values enter."""
    return scores.softmax(-1)[torch.arange(len(labels)), labels].mean()


# regression losses


def expanded_square(a: Tensor, b: Tensor) -> Tensor:
    """a^2 - 2ab + b^2: cancels below zero."""
    return (a * a - 2 * a * b + b * b).mean()


def broadcast_square(a: Tensor, b: Tensor) -> Tensor:
    """(n,1) against (n,)."""
    return ((a.unsqueeze(1) - b) ** 2).mean()


def one_sided_square(a: Tensor, b: Tensor) -> Tensor:
    """Only what is too large counts."""
    return ((a - b).clamp_min(0) ** 2).mean()


def detached_square(a: Tensor, b: Tensor) -> Tensor:
    """Half of the product rule is lost."""
    return ((a - b) * (a - b).detach()).mean()


def nll_of_sigma(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Sigma where sigma^2 is meant."""
    return (0.5 * (variance.log() + (target - mean) ** 2 / variance.sqrt())).mean()


def laplace(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Laplace noise: another minimiser."""
    scale = (variance / 2).sqrt()
    return (scale.log() + (target - mean).abs() / scale).mean()


def nll_with_a_root(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The variance is rooted and squared again."""
    sigma = variance.sqrt()
    return (sigma.log() + 0.5 * ((target - mean) / sigma) ** 2).mean()


# arithmetic and optimiser


def narrow_add(a: Tensor, b: Tensor) -> Tensor:
    """The sum is formed in bfloat16."""
    return (a.bfloat16() + b.bfloat16()).to(a.dtype)


def lopsided_add(a: Tensor, b: Tensor) -> Tensor:
    """One operand passes through a narrower format."""
    return a + b.half().to(b.dtype)


def narrow_linear(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Accumulates in the 16-bit format: ones stick at 256 in bfloat16."""
    Y = X.new_zeros(len(X), len(weight))
    for j in range(X.shape[1]):
        Y += X[:, j : j + 1] * weight[:, j]
    return Y + bias


def linear_without_bias(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The bias is dropped."""
    return X @ weight.T


def ascent(parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
    """The sign is wrong."""
    return parameter + lr * gradient


def decaying_sgd(parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
    """A weight decay nobody asked for."""
    return parameter - lr * (gradient + 1e-4 * parameter)


# training


def _linear_slope(X: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return 2 * (X @ weight.T + bias - y.unsqueeze(1))


def _softmax_slope(X: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return (X @ weight.T + bias).softmax(1) - F.one_hot(y, len(weight)).to(X.dtype)


def _nominal_tail(slope: Callable[..., Tensor]) -> Callable[..., Any]:
    """Divide every minibatch by the size of the first: wrong for the tail."""

    def train(X: Tensor, y: Tensor, batches: list[Tensor], lr: float, start: tuple[Tensor, Tensor]) -> Any:
        weight, bias = (part.clone() for part in start)
        for batch in batches:
            s = slope(X[batch], y[batch], weight, bias)
            weight, bias = weight - lr * s.T @ X[batch] / len(batches[0]), bias - lr * s.sum(0) / len(batches[0])
        return weight, bias

    return train


def _in_place(slope: Callable[..., Tensor]) -> Callable[..., Any]:
    """Train on the start that was handed in."""

    def train(X: Tensor, y: Tensor, batches: list[Tensor], lr: float, start: tuple[Tensor, Tensor]) -> Any:
        weight, bias = start
        for batch in batches:
            s = slope(X[batch], y[batch], weight, bias)
            weight -= lr * s.T @ X[batch] / len(batch)
            bias -= lr * s.sum(0) / len(batch)
        return weight, bias

    return train


def _frozen_bias(slope: Callable[..., Tensor]) -> Callable[..., Any]:
    """The bias is not trained."""

    def train(X: Tensor, y: Tensor, batches: list[Tensor], lr: float, start: tuple[Tensor, Tensor]) -> Any:
        weight, bias = (part.clone() for part in start)
        for batch in batches:
            weight = weight - lr * slope(X[batch], y[batch], weight, bias).T @ X[batch] / len(batch)
        return weight, bias

    return train


def _step(slope: Callable[..., Tensor], *, keep_start: bool, bias_moves: bool) -> Callable[..., Any]:
    def make(weight: Tensor, bias: Tensor, lr: float) -> Any:
        if keep_start:
            weight, bias = weight.clone(), bias.clone()

        def step(X: Tensor, y: Tensor) -> Tensor:
            s = slope(X, y, weight, bias)
            weight.sub_(lr * s.T @ X / len(X))
            if bias_moves:
                bias.sub_(lr * s.sum(0) / len(X))
            return s.sum()

        return step, (weight, bias)

    return make


_frozen_linear_step = _step(_linear_slope, keep_start=True, bias_moves=False)
_frozen_softmax_step = _step(_softmax_slope, keep_start=True, bias_moves=False)
_in_place_linear_step = _step(_linear_slope, keep_start=False, bias_moves=True)
_in_place_softmax_step = _step(_softmax_slope, keep_start=False, bias_moves=True)


def fit_through_the_origin(X: Tensor, y: Tensor) -> Any:
    """The column of ones is missing."""
    return torch.linalg.lstsq(X, y.unsqueeze(1)).solution.T, X.new_zeros(1)


def ridge(X: Tensor, y: Tensor) -> Any:
    """A penalty nobody asked for."""
    A = torch.cat([X, X.new_ones(len(X), 1)], 1)
    theta = torch.linalg.solve(A.T @ A + torch.eye(A.shape[1], dtype=X.dtype), A.T @ y)
    return theta[:-1].unsqueeze(0), theta[-1:]


def _curves(*, after_step: bool, peeks: bool) -> Callable[..., Any]:
    def curves(X: Tensor, y: Tensor, Xh: Tensor, yh: Tensor, k: int, epochs: int, lr: float) -> Any:
        W, b = X.new_zeros(k, X.shape[1]), X.new_zeros(k)
        losses: tuple[list[Tensor], list[Tensor]] = ([], [])
        mean = Xh.mean(0) if peeks else 0.0
        for epoch in range(epochs + 1):
            if epoch > 0 or after_step:
                s = _softmax_slope(X - mean, y, W, b)
                W, b = W - lr * s.T @ (X - mean) / len(X), b - lr * s.sum(0) / len(X)
            for row, (A, labels) in zip(losses, ((X - mean, y), (Xh - mean, yh)), strict=True):
                row.append(F.cross_entropy(A @ W.T + b, labels))
        return tuple(torch.stack(row) for row in losses)

    return curves


# loaders


def _loader(**wrong: Any) -> Callable[..., Any]:
    def load(root: str, train: bool, batch_size: int, workers: int, shuffle: bool) -> Any:
        steps: list[Any] = [transforms.ToTensor()]
        if "scale" in wrong:
            steps.append(transforms.Lambda(lambda image: image * wrong["scale"]))
        data = FashionMNIST(root, train=train, transform=transforms.Compose(steps))
        if wrong.get("once"):
            order = torch.randperm(len(data)).tolist() if shuffle else list(range(len(data)))
            return DataLoader(data, batch_size, sampler=order)
        if wrong.get("apart"):
            data.targets = data.targets.roll(1)
        return DataLoader(data, batch_size, shuffle=shuffle, drop_last=wrong.get("drop_last", False))

    return load


MUTANTS = [
    Mutant(division_free_softmax, "softmax", "value"),
    Mutant(softmax_over_rows, "softmax", "rows_sum_to_one"),
    Mutant(softmax_below_zero, "softmax", "non_negative"),
    Mutant(naive_softmax, "softmax", "finite_on_extreme_logits"),
    Mutant(clipped_softmax, "softmax", "shift_invariant"),
    Mutant(reversed_softmax, "softmax", "order_preserving"),
    Mutant(detached_softmax, "softmax", "gradient"),
    Mutant(log_of_epsilon, "log_softmax", "value"),
    Mutant(log_of_softmax, "log_softmax", "finite_on_extreme_logits"),
    Mutant(log_softmax_without_sum, "log_softmax", "not_positive"),
    Mutant(log_of_softmax, "log_softmax", "gradient"),
    Mutant(cross_entropy_twice, "cross_entropy", "value"),
    Mutant(cross_entropy_by_log, "cross_entropy", "finite_on_extreme_logits"),
    Mutant(cross_entropy_with_epsilon, "cross_entropy", "not_negative"),
    Mutant(F.cross_entropy, "cross_entropy", "loss_not_lost"),
    Mutant(cross_entropy_clamped, "cross_entropy", "gradient"),
    Mutant(nll_with_epsilon, "nll_of_probabilities", "value"),
    Mutant(nll_clamped, "nll_of_probabilities", "gradient"),
    Mutant(one_hot_from_one, "one_hot", "ones_at_the_labels"),
    Mutant(count_of_hits, "accuracy", "share_of_hits"),
    Mutant(expected_accuracy, "accuracy", "scale_does_not_matter"),
    Mutant(broadcast_square, "squared_error", "value"),
    Mutant(expanded_square, "squared_error", "not_negative"),
    Mutant(one_sided_square, "squared_error", "symmetric"),
    Mutant(detached_square, "squared_error", "gradient"),
    Mutant(nll_of_sigma, "gaussian_nll", "value"),
    Mutant(nll_of_sigma, "gaussian_nll", "gradient_is_scaled_squared_error"),
    Mutant(nll_with_a_root, "gaussian_nll", "gradients_agree_exactly"),
    Mutant(laplace, "gaussian_nll", "least_squares_minimises"),
    Mutant(narrow_add, "add", "correctly_rounded"),
    Mutant(lopsided_add, "add", "commutative"),
    Mutant(narrow_linear, "linear", "value", dtype="bfloat16"),
    Mutant(linear_without_bias, "linear", "zero_weight_gives_bias"),
    Mutant(ascent, "sgd", "value"),
    Mutant(decaying_sgd, "sgd", "zero_gradient_changes_nothing"),
    Mutant(_nominal_tail(_linear_slope), "linear_regression", "follows_gradient_descent"),
    Mutant(_in_place(_linear_slope), "linear_regression", "inputs_unmodified"),
    Mutant(_frozen_bias(_linear_slope), "linear_regression", "recovers_the_true_parameters"),
    Mutant(_nominal_tail(_softmax_slope), "softmax_regression", "follows_gradient_descent"),
    Mutant(_in_place(_softmax_slope), "softmax_regression", "inputs_unmodified"),
    Mutant(
        _step(_linear_slope, keep_start=True, bias_moves=False), "linear_regression_step", "follows_gradient_descent"
    ),
    Mutant(_in_place_linear_step, "linear_regression_step", "inputs_unmodified"),
    Mutant(
        _step(_softmax_slope, keep_start=True, bias_moves=False), "softmax_regression_step", "follows_gradient_descent"
    ),
    Mutant(_in_place_softmax_step, "softmax_regression_step", "inputs_unmodified"),
    Mutant(ridge, "least_squares", "residual_is_orthogonal"),
    Mutant(fit_through_the_origin, "least_squares", "fit_recovers_the_true_parameters"),
    Mutant(_curves(after_step=True, peeks=False), "learning_curves", "follow_gradient_descent"),
    Mutant(_curves(after_step=False, peeks=True), "learning_curves", "held_out_data_is_not_trained_on"),
    Mutant(_loader(apart=True), "loader", "each_sample_once"),
    Mutant(_loader(drop_last=True), "loader", "batches_have_the_size_asked_for"),
    Mutant(_loader(scale=255 / 256), "loader", "pixels_are_bytes_over_255"),
    Mutant(_loader(once=True), "loader", "shuffles_when_asked"),
]
