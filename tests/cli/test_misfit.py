"""A function that cannot be called with the inputs of its contract: exit code 2, and the option to paste."""

from pathlib import Path

import pytest
from samples.command import Command

OWN = """
import torch

def softmax(x, dim):
    return x.softmax(dim)

def my_layer_norm(x, normalized_shape):
    return torch.nn.functional.layer_norm(x, normalized_shape)

def inner(x):
    return softmax(x)

def scaled(x, factor):
    return factor * x
"""
ONE_LAW = ("--law", "value", "--dtypes", "float32", "--examples", "4")


@pytest.fixture
def harness(harness_command: Command, one_worker: None, workplace: Path) -> Command:
    """Run the command in a folder with functions that need more than their contract gives."""
    Path("own.py").write_text(OWN, encoding="utf-8")
    return harness_command


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("own.py:my_layer_norm", "'lambda f, x: f(x, normalized_shape=x.shape[-1:])'"),
        ("own.py:softmax", "'lambda f, logits: f(logits, dim=-1)'"),
        ("own.py:softmax --formula 'softmax(x)'", "'lambda f, x: f(x, dim=-1)'"),
        ("own.py:scaled --contract sigmoid", "'lambda f, x: f(x, factor=...)'`, or give its mathematics"),
        ("torch:addcmul --contract logaddexp", "'lambda f, a, b: f(a, b, ...)'"),
    ],
)
def test_a_mismatch_is_one_plain_line(harness: Command, words: str, option: str) -> None:
    """For a compiled function, only the call shows the mismatch. The suggested option solves it."""
    assert f"pass `--call {option}" in harness(f"check {words}", *ONE_LAW).refusal
    if "..." not in option:
        harness(f"check {words}", *ONE_LAW, "--call", option.strip("'"), code=0)


def test_too_few_parameters_need_another_contract(harness: Command) -> None:
    """An adapter cannot help."""
    refusal = harness("check", "own.py:inner", "--contract", "kl_divergence", *ONE_LAW).refusal
    assert "too many positional arguments; name another contract with `--contract`" in refusal


def test_an_error_inside_the_function_is_its_own(harness: Command) -> None:
    """A `TypeError` inside the function is its error."""
    done = harness("check", "own.py:inner", "--contract", "softmax", *ONE_LAW, code=1)
    assert "ERROR  own.inner raises TypeError" in done.stdout
