"""Layout of ``--help``: usage, one sentence, examples, options in panels, and more examples at the end.

The layout does not depend on the version of typer, and fits 80 columns. Headings are bold on a terminal.
"""

import inspect
import os
import sys
import textwrap
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import typer

from harness.exit_code import ExitCode

CALLING = "How to call it"
FORMULA = "About the formula"
KNOWN = "What is known about it"
LOADERS = "Data loaders"
THOROUGH = "How thorough"
FIXES = "Fixes"
OUTPUT = "Output"
EXECUTION = "Execution"
ORDER = (CALLING, FORMULA, KNOWN, LOADERS, THOROUGH, FIXES, OUTPUT, EXECUTION)
"""The panels in the order of ``--help``; the first panel, with the subject of the command, precedes them."""

calling_option, known_option, thorough_option, fix_option, output_option, execution_option = (
    partial(typer.Option, rich_help_panel=panel) for panel in (CALLING, KNOWN, THOROUGH, FIXES, OUTPUT, EXECUTION)
)
"""Options of a panel."""

WORKS_ON = {
    "accuracy": "What to show",
    "list": "What to list",
    "freeze": "What to keep",
    "bench": "What to time",
    "tolerances": "What to run",
    "doctor": "What to time",
    "gate": "What to compare",
    "same": "What to compare",
    "init": "What to write",
    "learn": "What to do",
}
"""Titles of the first panel; other commands have "What to" and their own name."""

OF_TYPER = {
    "--help": "Show this help and exit.",
    "--install-completion": "Install completion for the current shell.",
    "--show-completion": "Show completion for the current shell, to copy or adapt it.",
}
"""Help texts of the options that typer adds, independent of its version."""

LABEL = 20
"""Width of the column for an option and its value; a longer text has a separate line."""

SHORT = 30
"""Maximum length of a note, such as a default, that stays on one line."""

NO_BREAK = "\N{NO-BREAK SPACE}"

EXAMPLES, EXITS = "\n\nExamples\n--------\n", "Exit codes:\n"
"""Headings in the docstring of a command: of its first examples, and of the meanings of its exit codes."""


class HelpText(NamedTuple):
    """The parts of the docstring of a command.

    Parameters
    ----------
    about
        The sentences on the command.
    examples
        The first examples, which precede the options.
    end
        The text after the options.
    """

    about: str
    examples: str
    end: str


def split_help(command: Any) -> HelpText:
    """Return the parts of a command's docstring; without an answer, the exit code is the same for all commands."""
    about, _, rest = inspect.cleandoc(command.help or "").partition(EXAMPLES)
    examples, _, end = rest.partition("\n\n")
    code = ExitCode.NO_ANSWER
    if EXITS in end and f"\n  {code:d}  " not in end:
        end += f"\n  {code:d}  {code.meaning}"
    return HelpText(about, examples, end)


def write_command(command: Any, ctx: typer.Context, formatter: Any) -> None:
    """Write the help of one command."""
    usage = ["[OPTIONS]", *(_format_usage(param) for param in command.params if _is_argument(param))]
    formatter.write_usage(ctx.command_path, " ".join(usage))
    more = _write_head(command, formatter)
    for title, rows in list_panels(command, ctx):
        _write_rows(formatter, title, rows)
    formatter.write(more)


def list_panels(command: Any, ctx: typer.Context) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the panels of a command: the title, and the name and the text of each option."""
    panels = _group_options(command, ctx)
    return [(title, [(_format_label(param), _format_help(param)) for param in params]) for title, params in panels]


def write_group(group: Any, ctx: typer.Context, formatter: Any) -> None:
    """Write the help of the whole command line: its commands, grouped by question."""
    formatter.write_usage(ctx.command_path, "[OPTIONS] COMMAND [ARGS]...")
    more = _write_head(group, formatter)
    panels: dict[str, list[tuple[str, str]]] = {}
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        sentence = " ".join(inspect.cleandoc(command.help or "").partition("\n\n")[0].split())
        panels.setdefault(command.rich_help_panel or "Commands", []).append((name, sentence))
    width = max(len(name) for rows in panels.values() for name, _ in rows)
    for title, rows in panels.items():
        _write_rows(formatter, title, rows, width)
    _write_rows(formatter, "Options", [(_format_label(param), _format_help(param)) for param in group.get_params(ctx)])
    formatter.write(more)


def _write_head(command: Any, formatter: Any) -> str:
    """Write the sentences on a command and its examples, and return the text for the end."""
    about, examples, end = split_help(command)
    for paragraph in about.split("\n\n"):
        lines = textwrap.wrap(" ".join(paragraph.split()), formatter.width - 2, break_on_hyphens=False)
        formatter.write("\n" + "".join(f"  {line}\n" for line in lines))
    if examples:
        formatter.write(f"\n{_format_heading('Examples')}\n{examples}\n")
    return f"\n{end}\n" if end else ""


def _write_rows(formatter: Any, title: str, rows: Iterable[tuple[str, str]], width: int = LABEL) -> None:
    formatter.write(f"\n{_format_heading(title)}\n")
    for label, text in rows:
        lines = textwrap.wrap(text, formatter.width - width - 4, break_on_hyphens=False, break_long_words=False)
        if len(label) > width:
            formatter.write(f"  {label}\n")
            label = ""
        for number, line in enumerate(lines or [""]):
            row = f"  {label if number == 0 else '':<{width}}  {line}".rstrip()
            formatter.write(row.replace(NO_BREAK, " ") + "\n")


def _format_heading(title: str) -> str:
    is_plain = not sys.stdout.isatty() or os.environ.get("TERM") == "dumb" or "NO_COLOR" in os.environ
    text = title if title.endswith("?") else f"{title}:"
    return text if is_plain else str(typer.style(text, bold=True))


def _group_options(command: Any, ctx: typer.Context) -> list[tuple[str, list[Any]]]:
    """Return the options of each panel, in order; options without a panel are in the first one."""
    first = WORKS_ON.get(command.name, f"What to {command.name}")
    panels: dict[str, list[Any]] = {title: [] for title in (first, *ORDER)}
    for param in command.get_params(ctx):
        title = OUTPUT if "--help" in param.opts else getattr(param, "rich_help_panel", None) or first
        panels.setdefault(title, []).append(param)
    return [(title, params) for title, params in panels.items() if params]


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def _format_usage(param: Any) -> str:
    name = _format_label(param)
    return name if param.required else f"[{name}]"


def _format_label(param: Any) -> str:
    """Return the name of an option or argument with the placeholder of its value."""
    if _is_argument(param):
        name = param.metavar or param.name.upper()
        return f"{name}..." if param.nargs == -1 else f"{name}"
    names = ", ".join(sorted(param.opts, key=len))
    if param.is_flag:
        return "/".join([names, *param.secondary_opts])
    return f"{names} {param.metavar or 'VALUE'}"


def _format_help(param: Any) -> str:
    """Return the help of an option or argument with its default."""
    text = next((OF_TYPER[name] for name in param.opts if name in OF_TYPER), None) or param.help or ""
    notes = [*_format_default(param), *(["repeatable"] if getattr(param, "multiple", False) else [])]
    bracket = f"[{'; '.join(notes)}]"
    # A short note stays on one line.
    joined = bracket.replace(" ", NO_BREAK) if len(bracket) <= SHORT else bracket
    return f"{text} {joined}" if notes else text


def _format_default(param: Any) -> Sequence[str]:
    if param.required:
        return ["required"]
    if isinstance(param.show_default, str):
        return [f"default: {param.show_default}"]
    default = param.default
    if default is None or not param.show_default or callable(default):
        return []
    if isinstance(default, bool):
        named = param.opts if default else param.secondary_opts
        return [f"default: {named[0].removeprefix('--')}"] if param.secondary_opts else []
    return [f"default: {default:g}" if isinstance(default, float) else f"default: {default}"]
