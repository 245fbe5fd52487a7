"""Training linear and softmax regression by minibatch gradient descent.

The oracle is the exact trajectory. :mod:`harness.contracts.building_blocks.gradient_descent` derives it and the bound
on the distance from it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.calling.model import AsStep
from harness.contracts.building_blocks import book_data, gradient_descent
from harness.contracts.building_blocks.gradient_descent import TrainingKind, TrainingPlan, flat
from harness.floats import Array, Format, Measurement, compare_absolute, portable, to_array
from harness.laws import CaseError, Contract, Example, Law, Subject, compare_repeated_calls, law, repeatable
from harness.laws.strategies import SEEDS

_STEP = "(weight[m,d], bias[m], lr) -> (step, (weight, bias)), step(X[n,d], y[n]) -> loss, parameters updated in place"
_TRAINER = "(X[n,d], y[n], batches, lr, (weight[m,d], bias[m])) -> (weight, bias)"

# Laws


class _Run(NamedTuple):
    """The data, the start and the minibatches of a training."""

    X: Tensor
    y: Tensor
    weight: Tensor
    bias: Tensor
    batches: list[list[int]]
    lr: float

    def plan(self, subject: Subject) -> TrainingPlan:
        """Return the plan for the kind of training of a contract."""
        kind: TrainingKind = "linear" if subject.contract.task == "regression" else "softmax"
        factor = float(subject.declares.get("factor", 1.0))
        return TrainingPlan(kind, tuple(map(tuple, self.batches)), self.lr, factor)

    @property
    def arguments(self) -> list[Any]:
        """Arguments of a trainer, or of a step factory with its steps; the start is copied."""
        start = (self.weight.clone(), self.bias.clone())
        return [self.X, self.y, [torch.tensor(batch) for batch in self.batches], self.lr, start]

    def learned(self, subject: Subject) -> Array:
        """Return the learned parameters as one vector."""
        return flat(subject.case.name, _trained(subject, self.arguments))


def _trained(subject: Subject, arguments: list[Any]) -> Any:
    """Run a trainer, or the steps of a step factory, over the minibatches."""
    return subject.run(*arguments, sequence=None if subject.contract.form == "training" else "train")


@law(
    "The parameters follow the exact trajectory from the same start and minibatches; the distance is the 2-norm.",
    source=gradient_descent.SOURCE,
    bound="the rounding errors of the gradients, accumulated step by step (see the module)",
    cause="the last batch is divided by the nominal batch size, a gradient is not cleared, a factor is wrong, or a "
    "row is omitted: average over the rows of each batch, and clear the gradient",
    group="training",
    reads=_Run._fields,
    unit="ulp of 1",
)
def follows_gradient_descent(train: Subject, **data: Any) -> Measurement:
    """Compare all parameters after the last step, in the 2-norm of the bound."""
    run = _Run(**data)
    plan = run.plan(train)
    exact = gradient_descent.trajectory_oracle(run.X, run.y.to(run.X.dtype), run.weight, run.bias, plan)
    X, y, weight, bias = map(to_array, run[:4])
    bound = gradient_descent.trajectory_bound(plan, X, y, weight, bias, train.format)
    actual = run.learned(train)
    if actual.shape != exact.shape:
        raise CaseError(f"{train.case.name} returns {actual.size} parameters instead of {exact.hi.size}")
    distance = np.atleast_1d(np.linalg.norm((actual - exact.hi) - exact.lo))
    return compare_absolute(distance, np.zeros(1), np.full(1, bound), train.format)


@law(
    "Training does not change the data and the initial parameters that it receives.",
    source="contract",
    cause="the implementation trains its arguments in place: clone the initial parameters",
    group="training",
    reads=_Run._fields,
)
def inputs_unmodified(train: Subject, **data: Any) -> Measurement:
    """Compare copies made before the call with the inputs after it."""
    run = _Run(**data)
    arguments = run._replace(X=run.X.clone(), y=run.y.clone()).arguments
    with train.host.looking() as looks:
        _trained(train, arguments)
    features, targets, *_, W, b = next(iter(looks)).after(arguments)
    before = np.concatenate([to_array(part).ravel() for part in run[:4]])
    after = np.concatenate([to_array(part).ravel() for part in (features, targets, W, b)])
    return compare_absolute(after, before, np.zeros(before.shape), train.format)


@repeatable(
    "Training twice from the same start on the same minibatches gives the same bits, whatever freed memory contains."
)
def calls_agree(
    train: Subject, X: Tensor, y: Tensor, weight: Tensor, bias: Tensor, batches: list[list[int]], lr: float
) -> Measurement:
    """Train three times."""
    run = _Run(X, y, weight, bias, batches, lr)
    sizes = {part.nbytes for part in run[:4]}
    return compare_repeated_calls(lambda: run.learned(train), train.format, sizes=sizes, host=train.host)


@law(
    "On y = X w + b + noise, the learned parameters equal the true ones within the noise.",
    source="asymptotics of constant-rate SGD: variance lr' s^2 / (B (2 - lr')), plus that of least squares",
    bound="7 standard errors",
    cause="the gradient is biased, the bias is not trained, or the rate differs from the argument: train all "
    "parameters with the given rate",
    group="training",
    unit="standard errors",
)
def recovers_the_true_parameters(train: Subject, book_X: Tensor, book_y: Tensor, order: int) -> Measurement:
    """Train five epochs with batch size 10 and learning rate 0.03, the chapter's setting."""
    n, batch_size, lr, rng = len(book_X), 10, 0.03, np.random.default_rng(order)
    shuffled = [
        rng.permutation(n)[start : start + batch_size].tolist() for _ in range(5) for start in range(0, n, batch_size)
    ]
    weight, bias = book_X.new_zeros(1, len(book_data.TRUE_WEIGHT)), book_X.new_zeros(1)
    learned = _Run(book_X, book_y, weight, bias, shuffled, lr).learned(train)
    rate = 2.0 * float(train.declares["factor"]) * lr
    wandering = book_data.NOISE * np.sqrt(rate / (batch_size * (2.0 - rate)))
    return book_data.distance_from_truth(learned, np.hypot(book_data.standard_errors(to_array(book_X)), wandering), 7.0)


# Inputs


def _training(kind: TrainingKind) -> Callable[[Format], st.SearchStrategy[Example]]:
    def strategy(format_: Format) -> st.SearchStrategy[Example]:
        def expand(n: int, d: int, k: int, size: int, steps: int, lr: float, seed: int) -> Example:
            rng = np.random.default_rng(seed)
            X = torch.from_numpy(portable.standard_normal(rng, (n, d))).to(format_.dtype)
            outputs = 1 if kind == "linear" else k
            y = portable.standard_normal(rng, n) * 2.0 if kind == "linear" else rng.integers(0, k, size=n)
            order = rng.permutation(n)
            batches = [order[start : start + size].tolist() for start in range(0, n, size)] * steps
            return {
                "X": X,
                "y": torch.from_numpy(y).to(format_.dtype if kind == "linear" else torch.int64),
                "weight": torch.from_numpy(portable.standard_normal(rng, (outputs, d))).to(format_.dtype),
                "bias": torch.from_numpy(portable.standard_normal(rng, outputs)).to(format_.dtype),
                "batches": batches,
                "lr": lr,
                **(book_data.book_data(format_, seed) if kind == "linear" else {}),
            }

        sizes = st.integers(1, 24), st.integers(1, 5), st.integers(2, 5), st.integers(1, 10), st.integers(1, 3)
        return st.builds(expand, *sizes, st.sampled_from([0.1, 0.03, 0.01]), SEEDS)

    return strategy


# Contracts


def _contract(name: str, signature: str, kind: TrainingKind, *special_laws: Law, **fields: Any) -> Contract:
    """Return the contract of a trainer or a step, for one kind of regression."""
    return Contract(
        name,
        signature=signature,
        domain="standard normal features, learning rates up to 0.1",
        inputs=_training(kind),
        laws=(follows_gradient_descent, inputs_unmodified, calls_agree, *special_laws),
        conventions={"factor": (1.0, 0.5)} if kind == "linear" else {},
        dtypes=gradient_descent.FLOATS,
        task="regression" if kind == "linear" else "classification",
        **fields,
    )


LINEAR_REGRESSION = _contract(
    "linear_regression",
    _TRAINER,
    "linear",
    recovers_the_true_parameters,
    summary="minibatch gradient descent on factor * mean of the squared error, m = 1",
    examples=10,
    form="training",
)

LINEAR_REGRESSION_STEP = _contract(
    "linear_regression_step",
    _STEP,
    "linear",
    summary="one minibatch step of linear regression, prepared for timing",
    examples=20,
    form="step",
    of_model=AsStep(squared=True),
)

SOFTMAX_REGRESSION = _contract(
    "softmax_regression",
    _TRAINER,
    "softmax",
    summary="minibatch gradient descent on the mean cross-entropy",
    examples=20,
    form="training",
)

SOFTMAX_REGRESSION_STEP = _contract(
    "softmax_regression_step",
    _STEP,
    "softmax",
    summary="one minibatch step of softmax regression, prepared for timing",
    examples=20,
    form="step",
    of_model=AsStep(squared=False),
)
