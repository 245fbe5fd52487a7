"""Sound implementations of the trainings, and inputs of their oracles."""

from controls.control import Control
from samples.tensors import labels, tensor

from harness.contracts.building_blocks.gradient_descent import TrainingPlan

CONTROLS: list[Control] = []
"""Trainings have no simple correctly rounded form; the shipped cases are their controls."""

ORACLES = {
    "gradient_descent.trajectory_oracle": (
        tensor(5, 3),
        labels(5, k=2).double(),
        tensor(2, 3),
        tensor(2),
        TrainingPlan("softmax", ((0, 1, 2), (3, 4)), 0.1, 1.0),
    )
}
