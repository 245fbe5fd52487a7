"""The classes behind the commands: help in panels, and one-line errors for unreadable options."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from harness.cli.panels import write_command, write_group
from harness.error import UsageError, did_you_mean, listed, nearest

_UNREADABLE: type[Exception] = typer.BadParameter.__bases__[0]
"""Base class of typer's command-line errors; its module depends on typer's version."""

NUMBERS = {
    "N": "a whole number",
    "SECONDS": "a number",
    "FACTOR": "a number",
    "MS": "a number",
    "GIB": "a number",
}
"""Descriptions of the values of a placeholder."""


class Command(TyperCommand):
    """A command with help in panels."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help in panels."""
        write_command(self, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line.

        Raises
        ------
        UsageError
            If an option does not exist, has no value or has a wrong one, or if an argument is missing.
        """
        with _in_one_line(self, ctx, args):
            return super().parse_args(ctx, args)


class Group(TyperGroup):
    """The command line, with commands in panels."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the commands in panels."""
        write_group(self, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the name of the command.

        Raises
        ------
        UsageError
            If an option does not exist.
        """
        with _in_one_line(self, ctx, args):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command by its name.

        Raises
        ------
        UsageError
            If there is no such command.
        """
        if self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            remedy = did_you_mean(args[0], self.list_commands(ctx), "`harness --help` lists the commands")
            raise UsageError(f"unknown command `{args[0]}`", remedy=remedy)
        return super().resolve_command(ctx, args)


@contextmanager
def _in_one_line(command: Any, ctx: Any, args: list[str]) -> Iterator[None]:
    """Turn an error of typer into a usage error, except for errors by which typer shows help."""
    words = list(args)
    try:
        yield
    except _UNREADABLE as error:
        if type(error).__name__ == "NoArgsIsHelpError" or ctx.resilient_parsing:
            raise
        raise _usage_error(error, command, ctx, words) from None


def _usage_error(error: Any, command: Any, ctx: Any, words: list[str]) -> UsageError:
    help_ = f"see `{ctx.command_path} --help`"
    kind, option = type(error).__name__, getattr(error, "option_name", None)
    if kind == "NoSuchOption":
        # Compare without the dashes that all options share.
        known = [name for param in command.get_params(ctx) for name in (*param.opts, *param.secondary_opts)]
        near = nearest(str(option).lstrip("-"), [name[2:] for name in known if name.startswith("--")])
        meant = f"did you mean {' or '.join(f'`--{name}`' for name in near)}?" if near else help_
        return UsageError(f"unknown option `{option}`", remedy=meant)
    if kind == "MissingParameter":
        return UsageError(f"missing {error.param.param_type_name} {_name(error.param)}", remedy=help_)
    if kind == "BadParameter" and error.param is not None:
        return _invalid(error, words)
    if kind == "BadOptionUsage":
        is_flag = "not" in error.message
        problem = f"`{option}` takes no value" if is_flag else f"missing value for `{option}`"
        return UsageError(problem, remedy=help_)
    if extra := re.search(r"unexpected extra argument.*\((.*)\)", error.message):
        return UsageError(f"unexpected argument {listed(extra[1].split())}", remedy=help_)
    return UsageError(_plain(error.message), remedy=help_)


def _invalid(error: Any, words: list[str]) -> UsageError:
    """Return the error for a value of the wrong type or range, independent of typer's wording."""
    param, metavar = error.param, error.param.metavar or ""
    least = getattr(param, "min", None)
    least = getattr(getattr(param, "type", None), "min", None) if least is None else least
    if metavar in NUMBERS:
        rule = NUMBERS[metavar] + ("" if least is None else f" of at least {least:g}")
    elif "|" in metavar:
        rule = f"one of {listed(metavar.split('|'))}"
    else:
        return UsageError(f"invalid value for {_name(param)}", rule=_plain(error.message))
    value = _given(param.opts, words)
    return UsageError(
        f"invalid value for {_name(param)}", rule=f"it must be {rule}", value=None if value is None else f"`{value}`"
    )


def _given(names: list[str], words: list[str]) -> str | None:
    """Return the last value of an option on the command line."""
    values = [after for option, after in pairwise(words) if option in names]
    values += [word.partition("=")[2] for word in words if word.partition("=")[0] in names and "=" in word]
    return values[-1] if values else None


def _name(param: Any) -> str:
    """Return a parameter as the user types it, in backquotes."""
    if param.param_type_name == "argument":
        return f"`{param.metavar or param.name.upper()}`"
    return f"`{max(param.opts, key=len)}`"


def _plain(message: str) -> str:
    """Convert a message of typer to our style: lower case, names in backquotes, no period at the end."""
    text = re.sub(r"'([^']*)'", r"`\1`", message.strip().rstrip("."))
    return text[:1].lower() + text[1:]
