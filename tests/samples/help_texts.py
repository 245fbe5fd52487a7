"""The recorded output of ``--help`` for each command at 80 columns.

After an intended change of a help text, record it with ``python -m samples.help_texts`` in the folder ``tests``.
"""

import os
from pathlib import Path

import typer

from harness.cli import COMMANDS, app

RECORDED = Path(__file__).parents[1] / "recorded" / "help"
NAMES = ("", *(name for commands in COMMANDS.values() for name in commands))
"""The commands; the empty name is ``harness --help`` itself."""


def file_of(name: str) -> Path:
    """Return the recorded file of a command."""
    return RECORDED / f"{name or 'harness'}.txt"


def help_of(name: str) -> str:
    """Return the help of a command for 80 columns; the caller sets ``COLUMNS``."""
    group = typer.main.get_command(app)
    context = group.make_context("harness", [], resilient_parsing=True)
    if name:
        command = group.get_command(context, name)  # type: ignore[attr-defined]
        context = command.make_context(name, [], parent=context, resilient_parsing=True)
    return f"{context.get_help()}\n"


if __name__ == "__main__":
    os.environ["COLUMNS"] = "80"
    RECORDED.mkdir(exist_ok=True)
    for each in NAMES:
        file_of(each).write_text(help_of(each), encoding="utf-8")
