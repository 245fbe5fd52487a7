"""Trainings of the chapter, with curves and estimates as records.

Each experiment trains every case of one contract from the same start on the same minibatches. The same float64 code
evaluates all of them, so that curves differ only by the cases.
"""

import base64
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.calling.target import load
from harness.case import Case
from harness.contracts import contract_named
from harness.contracts.building_blocks.book_data import TRUE_BIAS, TRUE_WEIGHT, book_data, standard_errors
from harness.data.fashion_mnist import CLASSES, Prepared, arrays, prepare
from harness.floats.format import FORMATS, to_array
from harness.record import LEVELS, ClassWeights, Confusion, Epoch, FitData, Image, LearnedParameter
from harness.record.bench import names
from harness.timing.clock import threads

WeightAndBias = tuple[Tensor, Tensor]
Labelled = tuple[Tensor, Tensor]
"""Images and their labels."""


@dataclass(frozen=True)
class Training:
    """Settings of an experiment; by default, the chapter's for softmax regression."""

    epochs: int = 10
    batch_size: int = 256
    lr: float = 0.1
    seed: int = 0

    def batches(self, n: int, epoch: int) -> list[Tensor]:
        """Return the positions of the minibatches of one epoch, which are the same for every case."""
        generator = torch.Generator().manual_seed(self.seed + epoch)
        return list(torch.randperm(n, generator=generator).split(self.batch_size))


LINEAR = Training(epochs=3, batch_size=10, lr=0.03)
"""Settings of the chapter for linear regression."""

SOFTMAX = Training()
"""Settings of the chapter for softmax regression."""

OVERFITTING = Training(epochs=1000, lr=0.1)
"""A thousand steps on a hundred images, which softmax regression memorizes."""

_MEMORISED, _HELD_OUT, _EVERY = 100, 2000, 5
_SAMPLES = 18
_FITTED = 60
"""Number of samples in a picture of the fit."""


def linear_regression(
    cases: Sequence[Case], settings: Training = LINEAR
) -> Iterator[Epoch | LearnedParameter | FitData]:
    """Train on ``y = X w + b + noise`` and compare the learned parameters with the true ones.

    Yields
    ------
    Epoch
        Half the mean squared error after each epoch, for any loss of the case.
    LearnedParameter
        One per parameter; cases without epochs yield only these.
    FitData
        Some samples, if any case was trained on them.
    """
    data = book_data(FORMATS["float32"], settings.seed)
    X, y = data["book_X"], data["book_y"]
    fitted = ""
    for case in cases:
        contract = contract_named(case.contract)
        if contract.form == "fit":
            fitted = case.family
            yield from _record_estimates(case, case.function(X, y), X)
        if (contract.form, contract.task) != ("training", "regression"):
            continue
        parameters: WeightAndBias = (X.new_zeros(1, X.shape[1]), X.new_zeros(1))
        yield _record_linear(case, 0, parameters, X, y, 0.0)
        for epoch in range(1, settings.epochs + 1):
            parameters, duration_s = _run_epoch(case, X, y, parameters, settings, epoch)
            yield _record_linear(case, epoch, parameters, X, y, duration_s)
        fitted = case.family
        yield from _record_estimates(case, parameters, X)
    if fitted:
        inputs = tuple(map(tuple, X[:_FITTED].tolist()))
        yield FitData(family=fitted, data=_LINEAR_DATA, inputs=inputs, targets=tuple(y[:_FITTED].tolist()))


def softmax_regression(
    cases: Sequence[Case], data: Prepared, settings: Training = SOFTMAX
) -> Iterator[Epoch | ClassWeights | Confusion | Image]:
    """Train on Fashion-MNIST, or on its synthetic replacement.

    Yields
    ------
    Epoch
        Mean cross-entropy and accuracy on both splits after each epoch.
    ClassWeights, Confusion
        Learned weights and confused classes on the test images, for every case.
    Image
        The first test images with the class that the last case predicts.
    """
    train, held_out = _split(data, train=True), _split(data, train=False)
    generator = torch.Generator().manual_seed(settings.seed)
    start = (torch.randn(len(CLASSES), train[0].shape[1], generator=generator) * 0.01, torch.zeros(len(CLASSES)))
    parameters = start
    for case in cases:
        contract = contract_named(case.contract)
        if (contract.form, contract.task) != ("training", "classification"):
            continue
        parameters = start
        yield _record_softmax(case, data, 0, parameters, train, held_out, 0.0)
        for epoch in range(1, settings.epochs + 1):
            parameters, duration_s = _run_epoch(case, *train, parameters, settings, epoch)
            yield _record_softmax(case, data, epoch, parameters, train, held_out, duration_s)
        yield from _record_weights(case, data, parameters[0])
        yield _count_confusion(case, data, parameters, held_out)
    yield from _record_images(data, held_out, parameters if parameters is not start else None)


def overfitting(cases: Sequence[Case], data: Prepared, settings: Training = OVERFITTING) -> Iterator[Epoch]:
    """Fit a few images for many epochs and watch the held-out loss.

    Yields
    ------
    Epoch
        Both losses at every fifth epoch.
    """
    X, y = (part[:_MEMORISED] for part in _split(data, train=True))
    X_held_out, y_held_out = (part[:_HELD_OUT] for part in _split(data, train=False))
    for case in cases:
        if contract_named(case.contract).form != "curves":
            continue
        started = time.perf_counter()
        curves = case.function(X, y, X_held_out, y_held_out, len(CLASSES), settings.epochs, settings.lr)
        duration_s = (time.perf_counter() - started) / settings.epochs
        for epoch in range(0, settings.epochs + 1, _EVERY):
            yield Epoch(
                **names(case),
                experiment=f"too many epochs: softmax regression on {len(X)} images",
                data=data.source.name,
                epoch=epoch,
                train_loss=float(curves[0][epoch]),
                held_out_loss=float(curves[1][epoch]),
                duration_s=duration_s if epoch else 0.0,
            )


def _run_epoch(
    case: Case, X: Tensor, y: Tensor, parameters: WeightAndBias, settings: Training, epoch: int
) -> tuple[WeightAndBias, float]:
    batches = settings.batches(len(X), epoch)
    started = time.perf_counter()
    trained = case.function(X, y, batches, settings.lr, parameters)
    return trained, time.perf_counter() - started


def _record_linear(case: Case, epoch: int, parameters: WeightAndBias, X: Tensor, y: Tensor, duration_s: float) -> Epoch:
    weight, bias = (part.double() for part in parameters)
    residual = (X.double() @ weight.T + bias).squeeze(1) - y.double()
    return Epoch(
        **names(case),
        experiment=f"linear regression on {_LINEAR_DATA}",
        data=_LINEAR_DATA,
        epoch=epoch,
        train_loss=float((residual**2).mean() / 2),
        duration_s=duration_s,
    )


_LINEAR_DATA = "y = Xw + b + noise"


def _record_estimates(case: Case, parameters: WeightAndBias, X: Tensor) -> Iterator[LearnedParameter]:
    learned = [float(value) for part in parameters for value in part.flatten()]
    entries = [*(f"w[{i}]" for i in range(len(TRUE_WEIGHT))), "b"]
    errors = standard_errors(to_array(X))
    for name, true, value, error in zip(entries, (*TRUE_WEIGHT, TRUE_BIAS), learned, errors, strict=True):
        yield LearnedParameter(
            **names(case),
            parameter=name,
            true=true,
            learned=value,
            standard_error=float(error),
        )


def _record_softmax(
    case: Case,
    data: Prepared,
    epoch: int,
    parameters: WeightAndBias,
    train: Labelled,
    held_out: Labelled,
    duration_s: float,
) -> Epoch:
    train_loss, train_accuracy = _evaluate_model(parameters, *train)
    held_out_loss, held_out_accuracy = _evaluate_model(parameters, *held_out)
    return Epoch(
        **names(case),
        experiment=f"softmax regression on {data.source.name}",
        data=data.source.name,
        epoch=epoch,
        train_loss=train_loss,
        held_out_loss=held_out_loss,
        train_accuracy=train_accuracy,
        held_out_accuracy=held_out_accuracy,
        duration_s=duration_s,
    )


def _record_weights(case: Case, data: Prepared, weight: Tensor) -> Iterator[ClassWeights]:
    """Yield an image of the weights for every class, if they are finite."""
    if not weight.isfinite().all():
        return
    largest, side = float(weight.abs().max()), math.isqrt(weight.shape[1])
    levels = (weight.double() / (largest or 1.0) * LEVELS).round().to(torch.int8)
    for label, row in zip(CLASSES, levels, strict=True):
        yield ClassWeights(
            **names(case),
            data=data.source.name,
            label=label,
            height=side,
            width=side,
            largest=largest,
            levels=base64.b64encode(row.numpy().tobytes()).decode("ascii"),
        )


def _count_confusion(case: Case, data: Prepared, parameters: WeightAndBias, held_out: Labelled) -> Confusion:
    X, y = held_out
    pairs = y * len(CLASSES) + (X @ parameters[0].T + parameters[1]).argmax(dim=1)
    counts = torch.bincount(pairs, minlength=len(CLASSES) ** 2).reshape(len(CLASSES), len(CLASSES))
    return Confusion(
        **names(case),
        data=data.source.name,
        labels=CLASSES,
        counts=tuple(map(tuple, counts.tolist())),
    )


def _evaluate_model(parameters: WeightAndBias, X: Tensor, y: Tensor) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy, reduced in float64."""
    weight, bias = parameters
    log_p = (X @ weight.T + bias).double().log_softmax(dim=1)
    loss = -log_p[torch.arange(len(y)), y].mean()
    return float(loss), float((log_p.argmax(dim=1) == y).double().mean())


def _split(data: Prepared, *, train: bool) -> Labelled:
    images, labels = arrays(data.root, train=train)
    return torch.from_numpy(images).flatten(1).float() / 255.0, torch.from_numpy(labels).long()


def _record_images(data: Prepared, held_out: Labelled, parameters: WeightAndBias | None) -> Iterator[Image]:
    X, y = (part[:_SAMPLES] for part in held_out)
    predicted = [None] * len(X) if parameters is None else (X @ parameters[0].T + parameters[1]).argmax(dim=1).tolist()
    side = int(np.sqrt(X.shape[1]))
    for pixels, label, guess in zip(X, y.tolist(), predicted, strict=True):
        grey = (pixels * 255.0).round().to(torch.uint8).numpy()
        yield Image(
            data=data.source.name,
            label=CLASSES[label],
            predicted=None if guess is None else CLASSES[guess],
            height=side,
            width=side,
            pixels=base64.b64encode(grey.tobytes()).decode("ascii"),
        )


# By the name of a target

Row = Epoch | LearnedParameter | FitData | ClassWeights | Confusion | Image
ROWS = {row.__name__: row for row in (Epoch, LearnedParameter, FitData, ClassWeights, Confusion, Image)}
"""The records of the trainings by their names."""

TRAININGS = ("linear regression", "softmax regression", "overfitting")
LONGEST_S = 3600.0
"""Longest time until the next record, in seconds."""


def train_target(target: str, data: str | None, report: Callable[[tuple[str, dict[str, Any]]], None]) -> None:
    """Train the cases of a target; report the start of each training, and its records with their names.

    Raises
    ------
    UsageError
        If the cases or the images cannot be loaded.
    """
    cases, prepared = load(target), prepare(data)
    trainings: tuple[Callable[[], Iterator[Row]], ...] = (
        lambda: linear_regression(cases),
        lambda: softmax_regression(cases, prepared),
        lambda: overfitting(cases, prepared),
    )
    with threads(1):
        for name, training in zip(TRAININGS, trainings, strict=True):
            report((name, {}))
            for row in training():
                report((type(row).__name__, row.model_dump(mode="json")))
