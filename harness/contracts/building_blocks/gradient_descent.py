r"""Minibatch gradient descent on linear and softmax regression: the exact trajectory, and a bound on the distance.

The exact trajectory has the same start and the same minibatches, with every operation exact. The bound on an
implementation's distance grows step by step. With the gradient's rounding error :math:`e_t` (from the bounds of the
model and of its loss) and the step map's Lipschitz constant :math:`L_t = \max(1, |1 - \eta \lambda_{\max}(H_t)|)`,

.. math:: \|\hat\theta_{t+1} - \theta_{t+1}\|_2 \le L_t \|\hat\theta_t - \theta_t\|_2
          + \|\eta e_t + 3 u \eta |\nabla_t| + 2 u |\theta_t|\|_2 .

References
----------
Dive into Deep Learning (2023), sections 3.1 and 4.1. N. J. Higham (2002), chapter 3.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
from flint import arb

from harness.contracts.building_blocks.exponential_sums import backward_amplified
from harness.floats import Array, DoubleDouble, Format, Oracle, dd, to_arb, to_array
from harness.laws import CaseError

TrainingKind = Literal["linear", "softmax"]


FLOATS = ("float64", "float32")
"""Dtypes for training; 16 bits are too few for small steps."""

_exp_balls = np.frompyfunc(arb.exp, 1, 1)

SOURCE = "Dive into Deep Learning (2023), sections 3.1 and 4.1"


class TrainingPlan(NamedTuple):
    """The kind of training: the minibatches, the learning rate, and the factor of the squared error."""

    kind: TrainingKind
    batches: tuple[tuple[int, ...], ...]
    lr: float
    factor: float


def matmul(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """``a @ b`` of small matrices in double-double."""
    return dd.total(a[:, None, :] * DoubleDouble(b.hi.T[None], b.lo.T[None]))


def _transposed(a: DoubleDouble) -> DoubleDouble:
    return DoubleDouble(a.hi.T, a.lo.T)


def _one_hot(labels: Array, k: int) -> Array:
    return np.asarray(np.arange(k) == labels.astype(np.int64)[:, None], dtype=np.float64)


def _softmax(elementary: dd.Elementary, scores: DoubleDouble) -> DoubleDouble:
    index = scores.hi.argmax(-1)[:, None]
    maximum = DoubleDouble(np.take_along_axis(scores.hi, index, -1), np.take_along_axis(scores.lo, index, -1))
    exponentials = elementary.exp(scores - maximum)
    return exponentials / dd.total(exponentials, keepdims=True)


def _screen(
    elementary: dd.Elementary, X: Array, y: Array, weight: Array, bias: Array, plan: TrainingPlan
) -> DoubleDouble:
    W, b = dd.lift(weight), dd.lift(bias)
    for batch in plan.batches:
        rows, targets = dd.lift(X[list(batch)]), y[list(batch)]
        scores = matmul(rows, _transposed(W)) + b
        if plan.kind == "linear":
            slope = (scores - targets[:, None]) * (2.0 * plan.factor)
        else:
            slope = _softmax(elementary, scores) - _one_hot(targets, len(weight))
        rate = dd.lift(np.asarray(plan.lr)) / float(len(batch))
        W = W - matmul(_transposed(slope), rows) * rate
        b = b - dd.total(_transposed(slope)) * rate
    return DoubleDouble(*(np.concatenate([w.ravel(), c]) for w, c in zip(W.pair, b.pair, strict=True)))


def _exact(X: Any, y: Any, weight: Any, bias: Any, plan: TrainingPlan) -> Any:
    W, b = weight, bias
    for batch in plan.batches:
        rows, targets = X[list(batch)], y[list(batch)]
        scores = rows @ W.T + b
        if plan.kind == "linear":
            slope = (scores - np.reshape(targets, (-1, 1))) * 2 * plan.factor
        else:
            labels = np.array([float(label) for label in targets])
            exponentials = _exp_balls(scores - scores.max(-1, keepdims=True))
            slope = exponentials / exponentials.sum(-1, keepdims=True) - to_arb(_one_hot(labels, len(weight)))
        rate = to_arb(plan.lr)[()] / len(batch)
        W, b = W - slope.T @ rows * rate, b - slope.sum(0) * rate
    return np.concatenate([W.ravel(), b])


trajectory_oracle = Oracle(_screen, _exact)


def _gradient_error(plan: TrainingPlan, X: Array, y: Array, W: Array, b: Array, format_: Format) -> tuple[Array, Array]:
    """Slope of the loss in the scores ``[n, m]``, and its admissible absolute error."""
    u, d = format_.u, X.shape[1]
    scores = X @ W.T + b
    score_error = (d + 3) * u * (np.abs(X) @ np.abs(W).T + np.abs(b))
    if plan.kind == "linear":
        slope = 2.0 * plan.factor * (scores - y[:, None])
        return slope, 2.0 * plan.factor * (score_error + u * np.abs(y)[:, None]) + 6.0 * u * np.abs(slope)
    shifted = np.exp(scores - scores.max(-1, keepdims=True))
    p = shifted / shifted.sum(-1, keepdims=True)
    at_label = _one_hot(y, len(W))
    through = backward_amplified(p, scores, format_) + 2.0 * p * score_error.max(-1, keepdims=True)
    return p - at_label, through + 6.0 * u * at_label


def trajectory_bound(plan: TrainingPlan, X: Array, y: Array, weight: Array, bias: Array, format_: Format) -> float:
    """2-norm of the admissible distance from the exact trajectory after the last step, see the module's notes."""
    W, b, distance, u = weight.copy(), bias.copy(), 0.0, format_.u
    for batch in map(list, plan.batches):
        rows, targets, n = X[batch], y[batch], len(batch)
        slope, error = _gradient_error(plan, rows, targets, W, b, format_)
        design = np.concatenate([rows, np.ones((n, 1))], axis=1)
        gradient = slope.T @ design / n
        gradient_error = (error + (n + 4) * u * np.abs(slope)).T @ np.abs(design) / n
        step = plan.lr * (gradient_error + 3.0 * u * np.abs(gradient))
        curvature = 2.0 * plan.factor if plan.kind == "linear" else 0.5
        largest = plan.lr * float((design**2).sum()) / n * curvature  # the trace: up to 2 it serves too, and is cheap
        if largest > 2.0:
            largest = plan.lr * float(np.linalg.eigvalsh(design.T @ design / n)[-1]) * curvature
        growth = max(1.0, abs(1.0 - largest))
        parameters = np.abs(np.concatenate([W, b[:, None]], axis=1))
        distance = growth * distance + float(np.linalg.norm(step + 2.0 * u * parameters))
        W, b = W - plan.lr * gradient[:, :-1], b - plan.lr * gradient[:, -1]
    return distance


def flat(case: str, parameters: Any) -> Array:
    """Weight and bias as one vector."""
    if not (isinstance(parameters, tuple) and len(parameters) == 2):
        raise CaseError(f"{case} returns {type(parameters).__name__} instead of a pair of weight and bias")
    return np.concatenate([to_array(part).ravel() for part in parameters])
