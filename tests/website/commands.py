"""The reference of the command line, made from the options of every command."""

import inspect
from typing import Any

import typer

from harness.cli import COMMANDS, app
from harness.command.panels import list_panels, split_help


def pages() -> dict[str, str]:
    """Return a page for each command, and their overview."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("harness", [], resilient_parsing=True)
    found, overview = {}, ["# Commands", "", "`harness COMMAND --help` prints these pages.", ""]
    for question, commands in COMMANDS.items():
        overview += [f"## {question}", ""]
        for name in commands:
            command = group.get_command(context, name)
            found[f"reference/commands/{name}.md"] = _page(command, context)
            overview.append(f"* [`harness {name}`](commands/{name}.md): {_paragraphs(command)[0]}")
        overview.append("")
    tree = ["```{toctree}", ":hidden:", "", *(f"commands/{name[19:-3]}" for name in found), "```", ""]
    return {"reference/commands.md": "\n".join([*overview, *tree]), **found}


def _page(command: Any, parent: Any) -> str:
    context = command.make_context(command.name, [], parent=parent, resilient_parsing=True)
    _, examples, more = split_help(command)
    usage = context.get_usage().removeprefix("Usage: ")
    text = "\n\n".join(_paragraphs(command))
    lines = [f"# harness {command.name}", "", text, "", *_code(usage)]
    if examples:
        lines += ["## Examples", "", *_code(inspect.cleandoc(examples))]
    for title, rows in list_panels(command, context):
        lines += [f"## {title}", ""]
        for label, text in rows:
            lines += [f"`{label}`", f": {text or '-'}", ""]
    return "\n".join([*lines, *(_code(more) if more else [])])


def _paragraphs(command: Any) -> list[str]:
    return [" ".join(text.split()) for text in split_help(command).about.split("\n\n")]


def _code(text: str) -> list[str]:
    return ["```text", text.strip("\n"), "```", ""]
