"""The options for limits, processes and executors: one declaration for every command that needs them."""

import typer
from typer.testing import CliRunner

from harness import cli
from harness.cli.execution_options import ExecutionOptions, takes_execution_options
from harness.isolation.limits import Limits

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

    @takes_execution_options
    def look(target: str, *, execution: ExecutionOptions) -> None:
        """Look."""
        given.append((target, execution))

    app = typer.Typer()
    app.command()(look)
    assert RUNNER.invoke(app, ["mine", "--jobs", "3", "--no-isolate", "--timeout", "2.5"]).exit_code == 0
    assert given == [("mine", ExecutionOptions(3, isolate=False, executor=None, limits=Limits(call_s=2.5)))]
    assert RUNNER.invoke(app, ["mine", "--memory", "0"]).exit_code == 2
