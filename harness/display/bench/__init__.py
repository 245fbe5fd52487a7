"""The terminal output of ``harness bench``, one module per kind of suite; imports no torch."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from harness.display.bench.audit import print_audits
from harness.display.bench.balance import print_balance
from harness.display.bench.drawing import print_screening, print_search
from harness.display.bench.loader import print_loaders
from harness.display.bench.operation import print_operations, print_vectorization
from harness.display.bench.step import print_agreement, print_steps
from harness.display.bench.tuner import print_tuner

SUMMARIES: Mapping[str, Callable[[Console, Mapping[str, Any]], None]] = {
    "steps": print_steps,
    "loaders": print_loaders,
    "balance": print_balance,
    "operations": print_operations,
    "vectorization": print_vectorization,
    "screening": print_screening,
    "agreement": print_agreement,
    "audit": print_audits,
    "tuner": print_tuner,
    "search": print_search,
}
"""The function that prints the results of a suite, by its name."""
