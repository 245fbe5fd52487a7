"""Overfitting: the training loss keeps falling while the held-out loss starts to rise."""

from cases.overfitting import concise, scratch
from harness.case import Case

CASES = [
    Case(scratch.learning_curves, "learning_curves", dtypes=("float64", "float32")),
    Case(concise.learning_curves, "learning_curves", dtypes=("float64", "float32")),
]
