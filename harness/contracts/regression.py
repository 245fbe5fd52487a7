r"""Training linear and softmax regression by minibatch gradient descent.

The oracle is the exact trajectory: the same start, the same minibatches, every operation exact. An implementation's
distance from it is bounded step by step. With the gradient's rounding error :math:`e_t` (from the bounds of the model
and of its loss) and the step map's Lipschitz constant :math:`L_t = \max(1, |1 - \eta \lambda_{\max}(H_t)|)`,

.. math:: \|\hat\theta_{t+1} - \theta_{t+1}\|_2 \le L_t \|\hat\theta_t - \theta_t\|_2
          + \|\eta e_t + 3 u \eta |\nabla_t| + 2 u |\theta_t|\|_2 .

References
----------
Dive into Deep Learning (2023), sections 3.1 and 4.1. N. J. Higham (2002), chapters 3 and 20.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.softmax import backward_amplified, softmax_exact
from harness.floats import Array, DoubleDouble, Format, Measurement, Oracle, compare_absolute, to_arb, to_array
from harness.floats import double_double as dd
from harness.laws import CaseError, Contract, Example, Law, Subject, law, repeatable, repeated
from harness.laws.strategies import SEEDS

Kind = Literal["linear", "softmax"]

SOURCE = "Dive into Deep Learning (2023), sections 3.1 and 4.1"
TRUE_WEIGHT, TRUE_BIAS, NOISE = (2.0, -3.4), 4.2, 0.01  # the chapter's y = X w + b + noise


class Plan(NamedTuple):
    """What is trained: the minibatches, the rate, and half or the whole of the squared error."""

    kind: Kind
    batches: tuple[tuple[int, ...], ...]
    lr: float
    factor: float


# Oracle


def matmul(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """``a @ b`` of small matrices in double-double."""
    return dd.total(a[:, None, :] * DoubleDouble(b.hi.T[None], b.lo.T[None]))


def _transposed(a: DoubleDouble) -> DoubleDouble:
    return DoubleDouble(a.hi.T, a.lo.T)


def _one_hot(labels: Array, k: int) -> Array:
    return np.asarray(np.arange(k) == labels.astype(np.int64)[:, None], dtype=np.float64)


def _softmax(elementary: dd.Elementary, scores: DoubleDouble) -> DoubleDouble:
    at = scores.hi.argmax(-1)[:, None]
    maximum = DoubleDouble(np.take_along_axis(scores.hi, at, -1), np.take_along_axis(scores.lo, at, -1))
    exponentials = elementary.exp(scores - maximum)
    return exponentials / dd.total(exponentials, keepdims=True)


def _screen(elementary: dd.Elementary, X: Array, y: Array, weight: Array, bias: Array, plan: Plan) -> DoubleDouble:
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


def _exact(X: Any, y: Any, weight: Any, bias: Any, plan: Plan) -> Any:
    W, b = weight, bias
    for batch in plan.batches:
        rows, targets = X[list(batch)], y[list(batch)]
        scores = rows @ W.T + b
        if plan.kind == "linear":
            slope = (scores - np.reshape(targets, (-1, 1))) * 2 * plan.factor
        else:
            labels = np.array([float(label) for label in targets])
            slope = softmax_exact(scores) - to_arb(_one_hot(labels, len(weight)))
        rate = to_arb(plan.lr)[()] / len(batch)
        W, b = W - slope.T @ rows * rate, b - slope.sum(0) * rate
    return np.concatenate([W.ravel(), b])


trajectory_oracle = Oracle(_screen, _exact)


# Bound


def _gradient_error(plan: Plan, X: Array, y: Array, W: Array, b: Array, format_: Format) -> tuple[Array, Array]:
    """Slope of the loss in the scores ``[n, m]``, and the absolute error an implementation may make of it."""
    u, d = format_.u, X.shape[1]
    scores = X @ W.T + b
    score_error = (d + 3) * u * (np.abs(X) @ np.abs(W).T + np.abs(b))
    if plan.kind == "linear":
        slope = 2.0 * plan.factor * (scores - y[:, None])
        error = 2.0 * plan.factor * (score_error + u * np.abs(y)[:, None]) + 6.0 * u * np.abs(slope)
        return slope, error
    shifted = np.exp(scores - scores.max(-1, keepdims=True))
    p = shifted / shifted.sum(-1, keepdims=True)
    at_label = _one_hot(y, len(W))
    through = backward_amplified(p, scores, format_) + 2.0 * p * score_error.max(-1, keepdims=True)
    return p - at_label, through + 6.0 * u * at_label


def trajectory_bound(plan: Plan, X: Array, y: Array, weight: Array, bias: Array, format_: Format) -> float:
    """2-norm of the distance from the exact trajectory after the last step: see the module's notes."""
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


# Laws


def flat(case: str, parameters: Any) -> Array:
    """Weight and bias as one vector."""
    if not (isinstance(parameters, tuple) and len(parameters) == 2):
        raise CaseError(f"{case} returns {type(parameters).__name__}, not a pair of weight and bias")
    return np.concatenate([to_array(part).ravel() for part in parameters])


def _trained(subject: Subject, X: Tensor, y: Tensor, start: tuple[Tensor, Tensor], plan: Plan) -> Any:
    """Run a trainer, or the steps of a step factory, over the minibatches."""
    batches = [torch.tensor(batch) for batch in plan.batches]
    if not subject.contract.name.endswith("_step"):
        return subject.run(X, y, batches, plan.lr, start)
    step, parameters = subject.run(*start, plan.lr)
    for batch in batches:
        step(X[batch], y[batch])
    return parameters


def _plan(subject: Subject, batches: list[list[int]], lr: float) -> Plan:
    kind: Kind = "linear" if subject.contract.name.startswith("linear") else "softmax"
    return Plan(kind, tuple(map(tuple, batches)), lr, float(subject.declares.get("factor", 1.0)))


@law(
    "From the same start and minibatches the parameters keep to the exact trajectory: their distance in the 2-norm.",
    source=SOURCE,
    bound="the gradients' rounding errors, accumulated step by step (see the module)",
    cause="a tail batch divided by the nominal batch size, a gradient not cleared, a wrong factor, a row left out",
    group="training",
    unit="ulp of 1",
)
def follows_gradient_descent(
    train: Subject, X: Tensor, y: Tensor, weight: Tensor, bias: Tensor, batches: list[list[int]], lr: float
) -> Measurement:
    """Compare all parameters after the last step, by the 2-norm that the bound is one of."""
    plan = _plan(train, batches, lr)
    exact = trajectory_oracle(X, y.to(X.dtype), weight, bias, plan)
    bound = trajectory_bound(plan, to_array(X), to_array(y), to_array(weight), to_array(bias), train.format)
    actual = flat(train.case.name, _trained(train, X, y, (weight.clone(), bias.clone()), plan))
    if actual.shape != exact.shape:
        raise CaseError(f"{train.case.name} returns {actual.size} parameters, not {exact.hi.size}")
    distance = np.atleast_1d(np.linalg.norm((actual - exact.hi) - exact.lo))
    return compare_absolute(distance, np.zeros(1), np.full(1, bound), train.format)


@law(
    "The data and the start that were handed in are unchanged after training.",
    source="contract",
    bound="none",
    cause="the implementation trains in place on what it was given: clone the start",
    group="training",
)
def inputs_unmodified(
    train: Subject, X: Tensor, y: Tensor, weight: Tensor, bias: Tensor, batches: list[list[int]], lr: float
) -> Measurement:
    """Compare copies taken before with the inputs after."""
    start = (weight.clone(), bias.clone())
    features, targets = X.clone(), y.clone()
    _trained(train, features, targets, start, _plan(train, batches, lr))
    before = np.concatenate([to_array(part).ravel() for part in (X, y, weight, bias)])
    after = np.concatenate([to_array(part).ravel() for part in (features, targets, *start)])
    return compare_absolute(after, before, np.zeros(before.shape), train.format)


@repeatable("Trainings from the same start on the same minibatches end in the same bits, whatever freed memory holds.")
def calls_agree(
    train: Subject, X: Tensor, y: Tensor, weight: Tensor, bias: Tensor, batches: list[list[int]], lr: float
) -> Measurement:
    """Train three times."""
    plan = _plan(train, batches, lr)
    return repeated(
        lambda: flat(train.case.name, _trained(train, X, y, (weight.clone(), bias.clone()), plan)),
        train.format,
        sizes={part.nbytes for part in (X, y, weight, bias)},
    )


def standard_errors(X: Array) -> Array:
    """Standard errors of the least-squares estimates of the weights and the bias, at the chapter's noise."""
    design = np.concatenate([X, np.ones((len(X), 1))], axis=1)
    return np.asarray(NOISE * np.sqrt(np.diag(np.linalg.inv(design.T @ design))))


def distance_from_truth(learned: Array, spread: Array, allowed: float) -> Measurement:
    """Distance of the learned parameters from the true ones, in standard errors ``spread``."""
    true = np.array([*TRUE_WEIGHT, TRUE_BIAS])
    with np.errstate(invalid="ignore"):
        deviation = np.where(np.isfinite(learned), np.abs(learned - true) / spread, np.inf)
    return Measurement(deviation, np.full(true.shape, allowed), learned, true)


@law(
    "On y = X w + b + noise the learned parameters are the true ones within the noise.",
    source="asymptotics of constant-rate SGD: variance lr' s^2 / (B (2 - lr')) beside least squares' own",
    bound="7 standard errors",
    cause="the gradient is biased, the bias is not trained, or the rate is not the one handed in",
    group="training",
    unit="standard errors",
)
def recovers_the_true_parameters(train: Subject, book_X: Tensor, book_y: Tensor, order: int) -> Measurement:
    """Train five epochs at batch 10 and rate 0.03, the chapter's setting."""
    n, batch_size, lr, rng = len(book_X), 10, 0.03, np.random.default_rng(order)
    shuffled = [rng.permutation(n)[at : at + batch_size].tolist() for _ in range(5) for at in range(0, n, batch_size)]
    start = (book_X.new_zeros(1, len(TRUE_WEIGHT)), book_X.new_zeros(1))
    learned = flat(train.case.name, _trained(train, book_X, book_y, start, _plan(train, shuffled, lr)))
    rate = 2.0 * float(train.declares["factor"]) * lr
    wandering = NOISE * np.sqrt(rate / (batch_size * (2.0 - rate)))
    return distance_from_truth(learned, np.hypot(standard_errors(to_array(book_X)), wandering), 7.0)


# Inputs


def _training(kind: Kind) -> Callable[[Format], st.SearchStrategy[Example]]:
    def strategy(format_: Format) -> st.SearchStrategy[Example]:
        def expand(n: int, d: int, k: int, size: int, steps: int, lr: float, seed: int) -> Example:
            rng = np.random.default_rng(seed)
            X = torch.from_numpy(rng.standard_normal((n, d))).to(format_.dtype)
            outputs = 1 if kind == "linear" else k
            y = rng.standard_normal(n) * 2.0 if kind == "linear" else rng.integers(0, k, size=n)
            order = rng.permutation(n)
            batches = [order[at : at + size].tolist() for at in range(0, n, size)] * steps
            return {
                "X": X,
                "y": torch.from_numpy(y).to(format_.dtype if kind == "linear" else torch.int64),
                "weight": torch.from_numpy(rng.standard_normal((outputs, d))).to(format_.dtype),
                "bias": torch.from_numpy(rng.standard_normal(outputs)).to(format_.dtype),
                "batches": batches,
                "lr": lr,
                **(book_data(format_, seed) if kind == "linear" else {}),
            }

        return st.builds(
            expand,
            n=st.integers(1, 24),
            d=st.integers(1, 5),
            k=st.integers(2, 5),
            size=st.integers(1, 10),
            steps=st.integers(1, 3),
            lr=st.sampled_from([0.1, 0.03, 0.01]),
            seed=SEEDS,
        )

    return strategy


def book_data(format_: Format, seed: int) -> Example:
    """The chapter's synthetic data: 1000 rows of two normal features."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((1000, len(TRUE_WEIGHT)))
    y = X @ np.array(TRUE_WEIGHT) + TRUE_BIAS + NOISE * rng.standard_normal(1000)
    return {
        "book_X": torch.from_numpy(X).to(format_.dtype),
        "book_y": torch.from_numpy(y).to(format_.dtype),
        "order": seed,
    }


FLOATS = ("float64", "float32")
_SGD_LAWS: tuple[Law, ...] = (follows_gradient_descent, inputs_unmodified, calls_agree)
_STEP = "(weight[m,d], bias[m], lr) -> (step, (weight, bias)), step(X[n,d], y[n]) -> loss, parameters updated in place"
_TRAINER = "(X[n,d], y[n], batches, lr, (weight[m,d], bias[m])) -> (weight, bias)"
_SAMPLES = "standard normal features, rates up to 0.1"

LINEAR_REGRESSION = Contract(
    "linear_regression",
    signature=_TRAINER,
    summary="minibatch gradient descent on factor * mean of the squared error, m = 1",
    domain=_SAMPLES,
    inputs=_training("linear"),
    laws=(*_SGD_LAWS, recovers_the_true_parameters),
    conventions={"factor": (1.0, 0.5)},
    dtypes=FLOATS,
    examples=10,
)

LINEAR_REGRESSION_STEP = Contract(
    "linear_regression_step",
    signature=_STEP,
    summary="one minibatch step of linear regression, ready to be timed",
    domain=_SAMPLES,
    inputs=_training("linear"),
    laws=_SGD_LAWS,
    conventions={"factor": (1.0, 0.5)},
    dtypes=FLOATS,
    examples=20,
)

SOFTMAX_REGRESSION = Contract(
    "softmax_regression",
    signature=_TRAINER,
    summary="minibatch gradient descent on the mean cross-entropy",
    domain=_SAMPLES,
    inputs=_training("softmax"),
    laws=_SGD_LAWS,
    dtypes=FLOATS,
    examples=20,
)

SOFTMAX_REGRESSION_STEP = Contract(
    "softmax_regression_step",
    signature=_STEP,
    summary="one minibatch step of softmax regression, ready to be timed",
    domain=_SAMPLES,
    inputs=_training("softmax"),
    laws=_SGD_LAWS,
    dtypes=FLOATS,
    examples=20,
)
