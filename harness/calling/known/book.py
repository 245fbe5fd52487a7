"""Functions of Dive into Deep Learning, recognized in a user's file by their name and their parameters.

References: A. Zhang, Z. C. Lipton, M. Li, A. J. Smola (2023), Dive into Deep Learning, chapters 3 and 4.
"""

from collections.abc import Mapping

from harness.calling.known.entry import Known

WHY = "as in the book Dive into Deep Learning, from its name and its parameters"

_STEP = (
    "lambda f, parameter, gradient, lr: (p := parameter.clone().requires_grad_(), "
    # A power of two divides without rounding. Large gradients are not multiplied, because they would overflow.
    "n := 4 if bool((gradient.abs() <= 2).all()) else 1, "
    "setattr(p, 'grad', gradient * n), f([p], lr, n))[0].detach()"
)
_NET = (
    # The parameters of the model are names of its module. The logits are its bias, since 0 * 0 + b is exactly b.
    "lambda f, x: (f.__globals__.update(W=x.new_zeros(1, x.shape[-1]), b=x.reshape(-1, x.shape[-1])), "
    "f(x.new_zeros(x[..., :1].numel(), 1)))[1].reshape(x.shape)"
)
_BATCHES = (
    "lambda f, scores, labels: f(lambda x: x, "
    "list(zip(scores.split(len(scores) // 3 + 1), labels.split(len(labels) // 3 + 1))))"
)

BOOK: Mapping[str, Known] = {
    "linreg": Known("linear", "lambda f, x, weight, bias: f(x, weight.T, bias)", ("X", "w", "b"), why=WHY),
    "sgd": Known("sgd", _STEP, ("params", "lr", "batch_size"), why=WHY),
    "evaluate_accuracy": Known("accuracy", _BATCHES, ("net", "data_iter"), why=WHY),
    "net": Known("softmax", _NET, ("X",), ("W", "b", "softmax"), WHY),
}
"""Entries by the name of the function."""
