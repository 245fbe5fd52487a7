"""The terminal output of ``harness bench``, one module per kind of suite; imports no torch."""

from collections import Counter
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
from harness.display.narrow import print_sentence

_SUMMARIES: Mapping[str, Callable[[Console, Mapping[str, Any]], None]] = {
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


def print_summary(console: Console, suite: str, document: Mapping[str, Any]) -> None:
    """Print the results of a suite, and why benchmarks were skipped."""
    _SUMMARIES[suite](console, document)
    _print_reasons(console, document)


def print_skips(console: Console, suite: str, document: Mapping[str, Any]) -> None:
    """Print how many benchmarks a suite ran, and why benchmarks were skipped."""
    number = len(document.get("benchmarks", ()))
    console.print(f"{suite}: {number} benchmark{'s' * (number != 1)}", markup=False)
    _print_reasons(console, document)


def _print_reasons(console: Console, document: Mapping[str, Any]) -> None:
    reasons = Counter(skip["reason"] for skip in document.get("harness", {}).get("skipped", ()))
    for reason, number in reasons.items():
        print_sentence(console, f"skipped: {reason} ({number} benchmark{'s' * (number != 1)})")
