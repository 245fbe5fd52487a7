"""Real trainings: the chapter's figures on the chapter's data, and labels that name any other data."""

import pytest

from harness.bench.experiment import OVERFITTING, Training, linear_regression, overfitting, softmax_regression
from harness.calling.target import load
from harness.case import Case
from harness.contracts.building_blocks.book_data import TRUE_BIAS, TRUE_WEIGHT
from harness.data.fashion_mnist import SYSTEM, prepare
from harness.record import Epoch, Image, LearnedParameter

on_fashion_mnist = pytest.mark.skipif(
    not SYSTEM.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """The shipped cases."""
    return load()


def test_linear_regression_recovers_the_true_parameters(cases: list[Case]) -> None:
    """The weights are [2, -3.4] and the bias is 4.2, from scratch, concise, and in closed form."""
    estimates = [row for row in linear_regression(cases) if isinstance(row, LearnedParameter)]
    assert {row.case.rpartition(".")[2] for row in estimates} == {"train", "normal_equation", "least_squares"}
    assert {row.true for row in estimates} == {*TRUE_WEIGHT, TRUE_BIAS}
    assert len(estimates) == 4 * 3
    for row in estimates:
        assert abs(row.learned - row.true) < 0.005


def test_the_same_start_and_batches_give_the_same_curves(cases: list[Case]) -> None:
    """The scratch and concise versions agree in each epoch on the stand-in, which the labels name."""
    data = prepare("synthetic")
    rows = list(softmax_regression(cases, data, Training(epochs=2)))
    epochs = [row for row in rows if isinstance(row, Epoch)]
    by_style = {style: [row.train_loss for row in epochs if row.style == style] for style in ("scratch", "concise")}
    assert by_style["scratch"] == pytest.approx(by_style["concise"], rel=1e-5)
    assert [row.epoch for row in epochs] == [0, 1, 2] * 2
    assert {row.data for row in rows if isinstance(row, (Epoch, Image))} == {"synthetic stand-in"}
    last = epochs[-1]
    assert last.held_out_accuracy is not None
    assert last.held_out_accuracy > 0.5


def test_samples_carry_their_class_and_the_predicted_one(cases: list[Case]) -> None:
    """Without a trained model there is no prediction."""
    data = prepare("synthetic")
    images = [row for row in softmax_regression([], data) if isinstance(row, Image)]
    assert images
    assert all(image.predicted is None for image in images)
    assert all((image.height, image.width) == (28, 28) for image in images)


@on_fashion_mnist
@pytest.mark.usefixtures("shapes_unchecked")
def test_too_many_epochs_turn_the_held_out_loss(cases: list[Case]) -> None:
    """The training loss keeps falling; the held-out loss is lowest before the end.

    The test takes half of the steps with twice the learning rate. The layers of torch give the same result.
    """
    settings = Training(epochs=OVERFITTING.epochs // 2, lr=2 * OVERFITTING.lr)
    rows = list(overfitting([case for case in cases if case.style == "scratch"], prepare(SYSTEM), settings))
    held_out = [row.held_out_loss for row in rows if row.held_out_loss is not None]
    training = [row.train_loss for row in rows]
    assert training == sorted(training, reverse=True)
    assert min(held_out) < 0.96 * held_out[-1]


@on_fashion_mnist
@pytest.mark.usefixtures("shapes_unchecked")
def test_softmax_regression_reaches_the_books_accuracy_on_fashion_mnist(cases: list[Case]) -> None:
    """Ten epochs at batch 256 and rate 0.1 reach about 0.83 to 0.85 on the test images.

    The layers of torch give the same result.
    """
    rows = softmax_regression([case for case in cases if case.style == "scratch"], prepare(SYSTEM))
    (last,) = [row for row in rows if isinstance(row, Epoch) and row.epoch == 10]
    assert last.held_out_accuracy is not None
    assert 0.825 <= last.held_out_accuracy <= 0.855
