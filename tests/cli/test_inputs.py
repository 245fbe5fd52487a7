"""Calls with the inputs of a contract or a formula; if they do not fit, exit code 2 and the option to paste."""

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

def hard_mish(x, inplace=False):
    return 0.5 * x * (x + 2).clamp(min=0, max=2)

def behind(x, inplace=False, y=1.0):
    return x - y

def swapped(x, y):
    return y - 2 * x


class Tanh(torch.nn.Module):
    def forward(self, x, context=None):
        return torch.tanh(x), context
"""
ONE_LAW = ("--law", "value", "--dtypes", "float32", "--examples", "4")


@pytest.fixture
def harness(harness_command: Command, one_worker: None, workplace: Path) -> Command:
    """Run the command in a folder with functions of several signatures."""
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


# By name


@pytest.mark.parametrize(
    ("name", "formula", "options"),
    [
        ("hard_mish", "x / 2 * clip(x + 2, 0, 2)", ""),
        ("behind", "x - y", "--call 'lambda f, x, y: f(x=x, y=y)'"),
        ("swapped", "y - 2 * x", ""),
        ("swapped", "y - 2 * x", "--call 'lambda f, x, y: f(x, y)'"),
        ("swapped", "y - 2 * x", "--call 'lambda f, y, x: f(x, y)'"),
        ("Tanh", "tanh(x)", "--call 'lambda f, x: f()(x)[0]'"),
    ],
)
def test_inputs_are_bound_by_name(harness: Command, name: str, formula: str, options: str) -> None:
    """The names are parameters of the function or of its adapter. A parameter with a default need not be an input."""
    harness(f"check own.py:{name} --formula '{formula}' {options}", *ONE_LAW, code=0)


def test_the_modes_of_a_class_behind_an_adapter_are_not_switched(harness: Command) -> None:
    """The adapter creates the instances, so the process of the class stays alive."""
    words = ("--formula", "tanh(x)", "--call", "lambda f, x: f()(x)[0]", "--law", "any_mode", "--dtypes", "float32")
    harness("check", "own.py:Tanh", *words, code=0)


def test_a_parameter_before_an_input_is_refused_with_the_call_to_paste(harness: Command) -> None:
    """The message of the checking process is passed on unchanged."""
    refusal = harness("check", "own.py:behind", "--formula", "x - y", *ONE_LAW).refusal
    assert "the parameter `inplace` comes before `y`" in refusal
    assert "`--call 'lambda f, x, y: f(x=x, y=y)'`" in refusal
