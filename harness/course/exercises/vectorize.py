"""A loop over elements against one vectorized call."""

from collections.abc import Mapping
from typing import Any

from harness.course.exercise import Command, Exercise

MOST = 4
"""Most operations of torch for a sum of vectors: it needs one."""


def _has_few_operations(document: Mapping[str, Any]) -> tuple[bool, str]:
    operations = document["audits"][0]["operations"]
    message = f"step runs {operations:,} operations of torch to add 100 numbers"
    is_vectorized = operations <= MOST
    return is_vectorized, message if is_vectorized else f"{message}; one is enough"


EXERCISE = Exercise(
    number="2.2",
    title="Replace a loop by a vectorized call",
    question="How many operations of torch does a Python loop over the elements run, and how many does one call on "
    "whole vectors?",
    start='''\
import torch


def add(a, b):
    """Return the sum of two vectors."""
    c = torch.zeros_like(a)
    for i in range(len(a)):
        c[i] = a[i] + b[i]
    return c


def step():
    """Add 100 numbers, for the audit that counts the operations."""
    return add(torch.ones(100), torch.ones(100))
''',
    solution='''\
import torch


def add(a, b):
    """Return the sum of two vectors."""
    return a + b


def step():
    """Add 100 numbers, for the audit that counts the operations."""
    return add(torch.ones(100), torch.ones(100))
''',
    hints=(
        "Each pass of the loop calls torch three times, and each call takes about a microsecond for one number.",
        "The operators of torch work on whole tensors.",
        "The loop is the mistake. Return a + b.",
    ),
    learned="The work per element costs almost nothing; the calls cost nearly everything. One call for all elements is "
    "hundreds of times as fast as one call for each.",
    commands=(
        Command("check {file}:add --contract add --dtypes float32"),
        Command("audit {file}:step", _has_few_operations),
    ),
)
