"""A loop over elements against one vectorized call."""

from collections.abc import Mapping
from typing import Any

from harness.cli.course.exercise import Command, Exercise

LEAST = 0.25
"""Least speed relative to torch's own addition; on a busy machine, even the loop reaches a tenth."""


def _rounded(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"


def _is_fast(score: Mapping[str, Any]) -> tuple[bool, str]:
    speed = score["speed"]
    if not score["correct"]:
        return False, str(score["findings"][0] if score["findings"] else score["verdict"])
    if speed is None:
        return False, f"the time could not be measured: {score['reason']}"
    message = f"add takes {_rounded(1 / speed['ratio'])} times as long as torch.add, for 1,000 elements"
    is_fast = bool(speed["ratio"] >= LEAST)
    return is_fast, message if is_fast else f"{message}; it must take less than {1 / LEAST:.0f} times"


EXERCISE = Exercise(
    number="2.2",
    title="Replace a loop by a vectorized call",
    question="How much faster is one call on whole vectors than a Python loop over their elements?",
    start='''\
import torch


def add(a, b):
    """Return the sum of two vectors."""
    c = torch.zeros_like(a)
    for i in range(len(a)):
        c[i] = a[i] + b[i]
    return c
''',
    solution='''\
def add(a, b):
    """Return the sum of two vectors."""
    return a + b
''',
    hints=(
        "Each pass of the loop calls torch three times, and each call takes about a microsecond for one number.",
        "The operators of torch work on whole tensors.",
        "The loop is the mistake. Return a + b.",
    ),
    learned="The work per element costs almost nothing; the calls cost nearly everything. One call for all elements is "
    "hundreds of times as fast as one call for each.",
    commands=(
        Command(
            "score {file}:add --reference torch:add --contract add --dtypes float32 --size n=1000 --seconds 1",
            _is_fast,
        ),
    ),
)
