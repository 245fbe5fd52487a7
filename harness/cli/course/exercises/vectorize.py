"""A loop over elements against one vectorized call."""

from collections.abc import Mapping
from typing import Any

from harness.cli.course.exercise import Command, Exercise

LEAST = 0.05
"""Least speed relative to torch's own addition."""


def _too_slow(score: Mapping[str, Any]) -> str:
    speed = score["speed"]
    if not score["correct"]:
        return str(score["findings"][0] if score["findings"] else score["verdict"])
    if speed is None:
        return f"the time could not be measured: {score['reason']}"
    if speed["ratio"] < LEAST:
        return f"add takes {1 / speed['ratio']:,.0f} times as long as torch.add; it must take less than 20 times"
    return ""


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
            _too_slow,
        ),
    ),
)
