"""Training and held-out loss against epochs: the curves that show when training has too many epochs.

The model is softmax regression by full-batch gradient descent from zero. The curves are then a function of the data,
with known exact values. A loss inherits the parameters' distance from the exact trajectory, because the cross-entropy
of a row changes by at most ``sqrt(2) |(x, 1)|`` times that distance. Its own rounding is added.
"""

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks.exponential_sums import log_softmax_absolute_bound
from harness.contracts.building_blocks.gradient_descent import TrainingPlan, trajectory_bound, trajectory_oracle
from harness.contracts.building_blocks.labelled_logits import loss_oracle
from harness.floats import Array, Format, Measurement, compare_absolute, lift, portable, to_array
from harness.laws import CaseError, Contract, Example, Subject, law
from harness.laws.strategies import make_inputs

_DATA = ("X", "y", "X_held_out", "y_held_out", "k", "epochs", "lr")
"""Arguments of an implementation."""


def _losses(curves: Subject, *inputs: object) -> Array:
    """Both curves as rows ``[2, epochs + 1]``."""
    returned = curves.run(*inputs)
    if not (isinstance(returned, tuple) and len(returned) == 2):
        raise CaseError(f"{curves.case.name} returns {type(returned).__name__} instead of a pair of curves")
    lengths = {len(curve) for curve in returned}
    if len(lengths) != 1:
        raise CaseError(f"{curves.case.name} returns curves of different lengths: {sorted(lengths)}")
    return np.stack([to_array(torch.as_tensor(curve)) for curve in returned])


def _exact_loss(X: Array, y: Tensor, parameters: Array, k: int) -> tuple[float, Array]:
    """Mean cross-entropy at the parameters, with the scores."""
    d = X.shape[1]
    scores = X @ parameters[: k * d].reshape(k, d).T + parameters[k * d :]
    return float(loss_oracle(torch.from_numpy(scores), y, "mean").hi), scores


def _loss_bound(X: Array, scores: Array, distance: float, format_: Format) -> float:
    k, d = scores.shape[1], X.shape[1]
    reach = np.sqrt(2.0) * float(np.sqrt((X**2).sum(1) + 1.0).max())
    rows = log_softmax_absolute_bound(torch.from_numpy(scores), lift(scores - scores.max(-1, keepdims=True)), format_)
    model = 2.0 * (d + 3) * format_.u * float(np.abs(scores).max() + np.abs(X).sum(1).max())
    rounding = (len(X) + k + 4) * format_.u * (1.0 + float(np.log(k)))
    return float(reach * distance + float(rows.max()) + model + rounding)


@law(
    "Both curves follow the exact losses of full-batch gradient descent from zero, epoch by epoch.",
    source="Dive into Deep Learning (2023), sections 3.6 and 4.4",
    bound="sqrt(2) |(x, 1)| times the distance of the parameters, plus the rounding of the loss",
    cause="the loss is computed after the step instead of before, on the wrong split, or the model keeps training "
    "on both: compute the losses before each step, and train on the first split only",
    group="training",
    unit="ulp of 1",
    reads=_DATA,
)
def follow_gradient_descent(curves: Subject, **data: Any) -> Measurement:
    """Compare the loss at every epoch; epoch 0 is the start."""
    X, y, X_held_out, y_held_out, k, epochs, lr = data.values()
    actual = _losses(curves, *data.values())
    if actual.shape != (2, epochs + 1):
        raise CaseError(
            f"{curves.case.name} returns curves of length {actual.shape[1]} instead of epochs + 1 = {epochs + 1}"
        )
    weight, bias = X.new_zeros(k, X.shape[1]), X.new_zeros(k)
    splits = ((to_array(X), y), (to_array(X_held_out), y_held_out))
    expected, bound = np.empty_like(actual), np.empty_like(actual)
    for epoch in range(epochs + 1):
        plan = TrainingPlan("softmax", (tuple(range(len(X))),) * epoch, lr, 1.0)
        exact = trajectory_oracle(X, y.to(X.dtype), weight, bias, plan).hi
        distance = trajectory_bound(plan, to_array(X), to_array(y), to_array(weight), to_array(bias), curves.format)
        for row, (features, labels) in enumerate(splits):
            expected[row, epoch], scores = _exact_loss(features, labels, exact, k)
            bound[row, epoch] = _loss_bound(features, scores, distance, curves.format)
    return compare_absolute(actual, expected, bound, curves.format)


@law(
    "The held-out data does not change the training curve.",
    source="held-out data is not used for training",
    cause="the model takes a step or a statistic from the held-out data: use it for evaluation only",
    group="training",
    unit="ulp of 1",
    reads=_DATA,
)
def held_out_data_is_not_trained_on(curves: Subject, **data: Any) -> Measurement:
    """Exchange the held-out rows and compare the training curves."""
    with_rows = _losses(curves, *data.values())[0]
    with_others = _losses(curves, *{**data, "X_held_out": -data["X_held_out"]}.values())[0]
    return compare_absolute(with_rows, with_others, np.zeros(with_rows.shape), curves.format)


@make_inputs(st.integers(1, 12), st.integers(1, 4), st.integers(2, 5), st.integers(0, 4), st.sampled_from([0.5, 0.1]))
def _splits(format_: Format, n: int, d: int, k: int, epochs: int, lr: float, rng: np.random.Generator) -> Example:
    X, X_held_out = (torch.from_numpy(portable.standard_normal(rng, (n, d))).to(format_.dtype) for _ in range(2))
    y, y_held_out = (torch.from_numpy(rng.integers(0, k, size=n)) for _ in range(2))
    return {"X": X, "y": y, "X_held_out": X_held_out, "y_held_out": y_held_out, "k": k, "epochs": epochs, "lr": lr}


LEARNING_CURVES = Contract(
    "learning_curves",
    signature="(X[n,d], y[n], X_held_out[m,d], y_held_out[m], k, epochs, lr) -> (train_loss, held_out_loss)[epochs+1]",
    summary="losses of full-batch softmax regression, started at zero, before the first step and after each step",
    domain="standard normal features, learning rates up to 0.5",
    inputs=_splits,
    laws=(follow_gradient_descent, held_out_data_is_not_trained_on),
    dtypes=("float64", "float32"),
    examples=15,
    form="curves",
    task="classification",
)
