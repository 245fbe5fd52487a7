"""The options of a question and of its execution: one declaration for the commands, and the same keywords in Python."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import harness
from harness import cli
from harness.calling.question import Question, option_field
from harness.cli import app
from harness.command.option_groups import ExecutionOptions, takes_options, takes_question
from harness.execution.plan import from_document, to_document
from harness.isolation.limits import Limits
from harness.proof.exhaustion import Exhaustion
from harness.surveyor.plan import Survey
from harness.verdict.campaign import Campaign

COMMAND_ONLY = {"example", "replay", "without"}
"""Options of the command only; Python takes one function, and the folders of counterexamples in one keyword."""


@dataclass(frozen=True)
class Wider(Campaign):
    """A check with a new option, which no other file knows."""

    patience: int = option_field("--patience", "Number of attempts.", "whole", metavar="N", default=3)


def test_a_new_field_is_an_option_without_another_change() -> None:
    """A field of the question is enough for the command and for the plan that other processes receive."""
    received: list[Wider] = []

    @takes_question()
    def look(target: str, *, question: Wider) -> None:
        """Look."""
        received.append(question)

    command = typer.Typer()
    command.command()(look)
    words = ["mine.py:f", "--patience", "5", "--dtypes", "float16,float32", "--law", "value", "--declare", "factor=1"]
    assert CliRunner().invoke(command, words).exit_code == 0
    (question,) = received
    assert (question.patience, question.dtypes, question.laws) == (5, ("float16", "float32"), ("value",))
    assert question.declares == {"factor": 1.0}
    assert to_document(from_document(to_document(question))) == to_document(question)
    assert CliRunner().invoke(command, ["mine.py:f"]).exit_code == 0
    assert received[1] == Wider()


@pytest.mark.parametrize(("command", "kind"), [("check", Campaign), ("survey", Survey)])
def test_a_command_takes_every_option_of_its_question(command: str, kind: type[Question]) -> None:
    """A field that a command forgets would have no effect."""
    params = {param.name for param in typer.main.get_command(app).commands[command].params}  # type: ignore[attr-defined]
    assert _asked(kind) <= params


def test_a_proof_asks_about_the_same_claims() -> None:
    """A proof has no formula, no selection of laws and no declared failures."""
    params = {param.name for param in typer.main.get_command(app).commands["prove"].params}  # type: ignore[attr-defined]
    assert _asked(Exhaustion) - params == {"formula", "form", "inputs", "over", "laws", "breaks"}


@pytest.mark.parametrize(
    ("function", "kind", "without"),
    [
        (harness.check, Campaign, COMMAND_ONLY),
        (harness.parametrize_laws, Campaign, {*COMMAND_ONLY, "devices", "seconds", "seed", "strict", "corpora"}),
        (harness.survey, Survey, {"formula", "form", "inputs", "over", "laws", "rays", "seconds"}),
    ],
)
def test_python_takes_the_options_as_keywords(
    function: Callable[..., Any], kind: type[Question], without: set[str]
) -> None:
    """The defaults are the same; pytest has options for the settings of a whole session."""
    keywords = {name: one.default for name, one in inspect.signature(function).parameters.items()}
    assert keywords.keys() - {"function", "isolate"} == _asked(kind) - without
    plain = kind()
    for name in keywords.keys() - {"function", "isolate", "corpora"}:
        assert (keywords[name] or None) == (getattr(plain, name) or None), name


def _asked(kind: type[Question]) -> set[str]:
    """Return the fields that an option sets."""
    return {field.name for field in fields(kind) if "option" in field.metadata}


RUNNER = CliRunner()


def test_every_command_that_has_pieces_to_do_takes_the_same_options() -> None:
    """The defaults are those in `Limits`."""
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    taken = [
        {option.name: (option.opts, option.default) for option in commands[name].params if option.name in NAMES}
        for name in ("check", "survey", "prove")
    ]
    assert set(taken[0]) == NAMES
    assert taken[0] == taken[1] == taken[2]
    assert taken[0]["call_s"] == (["--timeout"], Limits().call_s)
    assert taken[0]["first_call_s"] == (["--first-call-seconds"], Limits().first_call_s)
    assert taken[0]["memory_gib"] == (["--memory"], Limits().memory_gib)


NAMES = {"jobs", "isolate", "call_s", "first_call_s", "memory_gib", "executor"}


def test_a_command_receives_shared_options_as_one_argument() -> None:
    """The shared options are one argument next to the other options of the command."""
    given: list[tuple[str, ExecutionOptions]] = []

    @takes_options
    def look(target: str, *, execution: ExecutionOptions) -> None:
        """Look."""
        given.append((target, execution))

    app = typer.Typer()
    app.command()(look)
    assert RUNNER.invoke(app, ["mine", "--jobs", "3", "--no-isolate", "--timeout", "2.5"]).exit_code == 0
    assert given == [("mine", ExecutionOptions(3, isolate=False, executor=None, limits=Limits(call_s=2.5)))]
    assert RUNNER.invoke(app, ["mine", "--memory", "0"]).exit_code == 2
