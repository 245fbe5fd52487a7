"""Surveys and proofs under another convention or platform: one sentence, and only the breaks under it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from samples.command import Command
from samples.proof_space import small
from torch import Tensor

import harness
from harness.proof import pairs
from harness.record import RUNS, Breaking, Proof, Property, RunFolder, Status

MINE = """
import torch

def spread(x):
    return x.var(-1)

def spread_that_drifts(x):
    return torch.where(x.abs().amax(-1) > 1000.0, 1.01, 1.0) * x.var(-1)

def narrow(x):
    return x.float().softmax(-1)

def wide(x):
    return torch.sigmoid(x.float())

def wide_and_wrong(x):
    return torch.sigmoid(x.float()) * (1.0 + 2.0**-9)

def drawn(x):
    return torch.sigmoid(x) * torch.bernoulli(torch.full_like(x, 0.5))
"""

SURVEYED = ("--law", "value", "--dtypes", "float32", "--batches", "0", "--no-isolate")
PROVED = ("--contract", "sigmoid", "--dtypes", "float16", "--layouts", "contiguous", "--of", "value", "--no-isolate")


@pytest.fixture
def command(workplace: Path, harness_command: Command) -> Command:
    """Run the command, in a folder with some functions."""
    (workplace / "mine.py").write_text(MINE, encoding="utf-8")
    return harness_command


def test_a_survey_names_the_convention_and_breaks_nothing_under_it(command: Command) -> None:
    """The sentence is printed once for all rays and laws, and stored. A declared convention is not printed."""
    words = ("survey", "mine.py:spread", "--contract", "variance", *SURVEYED)
    out = command(*words, "--run", "it", code=0).stdout
    assert out.count("property: mine.spread agrees with `--declare correction=1`") == 1
    assert {one.value for one in RunFolder(RUNS / "it").read(Breaking)} == {None}
    (kept,) = RunFolder(RUNS / "it").read(Property)
    assert (kept.name, kept.value) == ("convention", "correction=1")
    declared = command(*words, "--declare", "correction=1", code=0).stdout
    assert "property" not in declared
    assert out.splitlines()[-1] == declared.splitlines()[-1]


def test_a_defect_besides_the_convention_still_breaks(command: Command) -> None:
    """The replay has the convention."""
    out = command("survey", "mine.py:spread_that_drifts", "--contract", "variance", *SURVEYED, code=1).stdout
    assert "agrees with `--declare correction=1`" in out
    assert "mine.spread_that_drifts breaks value [float32]" in out
    replay = next(line for line in out.splitlines() if line.startswith("  replay"))
    assert "--declare correction=1" in replay


def test_a_survey_skips_the_format_that_is_wider_than_what_is_computed_in(command: Command) -> None:
    """The output states this, declared or not, and nothing breaks there."""
    words = ("survey", "mine.py:narrow", "--contract", "softmax", "--law", "value", "--ray", "ramp", "--batches", "0")
    for declared in ((), ("--declare", "computes_in=float32")):
        out = command(*words, "--dtypes", "float64", "--no-isolate", *declared, code=0).stdout
        assert ("property: mine.narrow computes in float32" in out) == (not declared)
        assert "not surveyed, it computes in float32" in out
        assert "0 breaking points on 0 rays" in out


def test_a_survey_from_python_looks_first_too() -> None:
    """The card in a notebook has the sentence."""

    def spread(x: Tensor) -> Tensor:
        return x.var(-1)

    found = harness.survey(spread, "variance", dtypes=["float32"], batches=0)
    assert [one.value for one in found.properties] == ["correction=1"]
    assert {one.value for one in found.breakings} == {None}
    assert "correction=1" in found._repr_html_()


def test_a_proof_is_of_what_the_answers_round_to(command: Command) -> None:
    """A second run with stored shards prints the sentence again."""
    words = ("prove", "mine.py:wide", *PROVED)
    for _ in range(2):
        out = command(*words, code=0).stdout
        assert out.count("property: mine.wide returns float32 for float16 inputs") == 1
    (proof,) = RunFolder(RUNS / "prove").read(Proof)
    assert proof.witness is not None
    assert 0.5 < proof.witness.deviation < 0.5002


def test_a_defect_besides_the_returned_dtype_is_not_proved(command: Command) -> None:
    """The error is two ulp in a dtype that does not hide it."""
    out = command("prove", "mine.py:wide_and_wrong", *PROVED, code=1).stdout
    assert "returns float32 for float16 inputs" in " ".join(out.split())
    (proof,) = RunFolder(RUNS / "prove").read(Proof)
    assert "value" in {outcome.law for outcome in proof.laws if outcome.status is Status.BROKEN}


def test_a_function_with_random_numbers_is_not_proved(command: Command) -> None:
    """Calls do not agree, so that no input is visited."""
    out = command("prove", "mine.py:drawn", *PROVED, code=2).stdout
    assert "not proved, it draws random numbers, so two calls do not agree: value [float16]" in out


def torch_softmax_in_float32(logits: Tensor) -> Tensor:
    """Answers like an array library without 16-bit kernels."""
    return torch.softmax(logits.float(), -1)


def wrong_in_float32(logits: Tensor) -> Tensor:
    """The same softmax with an error of four ulp."""
    return torch.softmax(logits.float(), -1) * (1.0 + 2.0**-8)


@pytest.mark.parametrize(("function", "code"), [(torch_softmax_in_float32, 0), (wrong_in_float32, 1)])
def test_pairs_are_judged_as_what_they_round_to(
    command: Command, monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any], code: int
) -> None:
    """The value is rounded, and so is the gradient, which has the dtype of the inputs."""
    monkeypatch.setattr(pairs, "every_pair", lambda format_: small(format_.name, first=8, shards=1))
    target = f"{Path(__file__)}:{function.__name__}"
    words = ("prove", target, "--contract", "softmax", "--dtypes", "float16", "--layouts", "rows", "--no-isolate")
    out = command(*words, code=code).stdout
    assert " ".join(out.split()).count("returns float32 for float16 inputs") == 1
    assert "proofs: all 2 proved" in out
    assert ("2 laws broken" in out) == (code == 1)
