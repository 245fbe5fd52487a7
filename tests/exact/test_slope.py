"""Tests of the derivatives that torch chooses at kinks: which one is at fault, and the table of the documentation."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from programs.kinks import BEGIN, END, KINKS, PAGE, derivatives, kept, release, table

import harness
from harness.calling.modes import grad
from harness.exact.replay import Doubles, Replay
from harness.exact.slope import chosen_slope
from harness.exact.tape import Recorder, Tape
from harness.record import EventKind


def chosen(function: Callable[[Any], Any], x: list[float], expected: list[float]) -> Any:
    """Return the event on a function whose gradient should be another one."""
    leaf, tape = torch.tensor(x, requires_grad=True), Tape()
    with Recorder(tape) as recorder:
        output = function(leaf)
        (gradient,) = grad([output], [leaf], [torch.full_like(output, 2.0)])
        view = recorder.view(gradient)

    def excess(replay: Replay) -> float:
        return float((replay.read(view).hi / 2.0 - torch.tensor(expected)).abs().max()) * 1e6

    return chosen_slope(tape, Doubles(), excess)


@pytest.mark.parametrize(
    ("function", "x", "expected", "operation", "slope"),
    [
        (torch.relu, [0.0, 3.0], [0.5, 1.0], "relu", 0.0),
        (lambda x: 3.0 * x.abs(), [-1.0, 0.0], [-3.0, 3.0], "abs", 0.0),
        (lambda x: torch.where(x < 0, -x, x) + x.abs(), [0.0], [2.0], "abs", 0.0),
        (lambda x: torch.maximum(x, torch.zeros(1)), [0.0], [1.0], "maximum", 0.5),
        (lambda x: torch.nn.functional.leaky_relu(x, 0.25).exp(), [0.0], [1.0], "leaky_relu", 0.25),
        (lambda x: torch.linalg.vector_norm(x), [0.0], [1.0], "norm", 0.0),
    ],
)
def test_another_derivative_at_a_kink_shows_the_operation(
    function: Callable[[Any], Any], x: list[float], expected: list[float], operation: str, slope: float
) -> None:
    """The event has the operation, its input and the derivative that torch chose."""
    event = chosen(function, x, expected)
    assert (event.kind, event.operation, event.slope, event.input) == (EventKind.SLOPE, operation, slope, 0.0)


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (torch.relu, [1.0], [0.5]),  # no kink
        (torch.relu, [0.0], [2.0]),  # neither side
        (torch.exp, [0.0], [0.5]),
        (lambda x: torch.relu(x).detach() + x, [0.0], [0.5]),  # not differentiated
    ],
)
def test_nothing_is_named_if_no_derivative_makes_the_gradient_right(
    function: Callable[[Any], Any], x: list[float], expected: list[float]
) -> None:
    """A wrong gradient next to a kink has another cause."""
    assert chosen(function, x, expected) is None


def entropy_in_bits(x: torch.Tensor) -> torch.Tensor:
    """Its gradient is wrong by a factor, and its softmax has no kink."""
    p = torch.softmax(x, -1)
    return -(p * torch.log2(p + torch.finfo(x.dtype).tiny)).sum(-1)


def test_a_smooth_operation_has_no_kink() -> None:
    """Difference quotients at numbers that are small beside the others are noise."""
    verdicts = harness.check(entropy_in_bits, "entropy", laws=["gradient_of_masked_rows"], corpora=())
    events = [verdict.violation.event for verdict in verdicts if verdict.violation is not None]
    assert events
    assert all(event is None or event.kind is not EventKind.SLOPE for event in events)


def test_the_page_has_the_kept_derivatives() -> None:
    """The table is written by the program."""
    assert BEGIN + table(kept()) + END in PAGE.read_text(encoding="utf-8")


def test_the_column_of_this_release_is_true() -> None:
    """Torch chooses at each kink what the page says."""
    if release() not in kept():
        pytest.skip(f"the page has no column for torch {release()}: run tests/programs/kinks.py with this Python")
    assert derivatives() == kept()[release()]


@pytest.mark.parametrize("name", [name for name, (_, sides, _) in KINKS.items() if "none" not in sides])
def test_the_sides_of_a_kink_are_difference_quotients(name: str) -> None:
    """The derivatives on the left and on the right need no choice."""
    point, sides, function = KINKS[name]
    for side, text in zip((-1.0, 1.0), sides.split(", "), strict=True):
        near = torch.tensor(point + side * 2.0**-10, requires_grad=True)
        (gradient,) = torch.autograd.grad(function(near), near)
        over, _, under = text.partition("/")
        assert float(gradient) == pytest.approx(float(over) / float(under or 1), abs=2e-3)
