"""The classes behind the commands: help in panels, and one plain line for options that cannot be read."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from harness.cli.panels import write_command, write_group
from harness.error import UsageError, did_you_mean

_UNREADABLE: type[Exception] = typer.BadParameter.__bases__[0]
"""The parent of all errors that typer raises for a command line; its module depends on typer's version."""


class Command(TyperCommand):
    """One command."""

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
        with _in_one_line(self, ctx):
            return super().parse_args(ctx, args)


class Group(TyperGroup):
    """The whole command line."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the commands in panels."""
        write_group(self, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what stands before the name of the command.

        Raises
        ------
        UsageError
            If an option does not exist.
        """
        with _in_one_line(self, ctx):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that is named.

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
def _in_one_line(command: Any, ctx: Any) -> Iterator[None]:
    """Turn an error of typer into one of ours; help that typer shows by such an error stays help."""
    try:
        yield
    except _UNREADABLE as error:
        if type(error).__name__ == "NoArgsIsHelpError" or ctx.resilient_parsing:
            raise
        raise _of_usage(error, command, ctx) from None


def _of_usage(error: Any, command: Any, ctx: Any) -> UsageError:
    help_ = f"see `{ctx.command_path} --help`"
    kind, option = type(error).__name__, getattr(error, "option_name", None)
    if kind == "NoSuchOption":
        known = [name for param in command.get_params(ctx) for name in (*param.opts, *param.secondary_opts)]
        remedy = did_you_mean(option, [name for name in known if name.startswith("--")], help_)
        return UsageError(f"unknown option `{option}`", remedy=remedy)
    if kind == "MissingParameter":
        return UsageError(f"missing {error.param.param_type_name} {_name(error.param)}", remedy=help_)
    if kind == "BadParameter" and error.param is not None:
        return UsageError(f"invalid value for {_name(error.param)}", rule=_plain(error.message))
    if kind == "BadOptionUsage":
        return UsageError(f"cannot read `{option}`", rule=_plain(error.message), remedy=help_)
    return UsageError(_plain(error.message), remedy=help_)


def _name(param: Any) -> str:
    """Return a parameter as the user types it, in backquotes."""
    if param.param_type_name == "argument":
        return f"`{param.metavar or param.name.upper()}`"
    return f"`{max(param.opts, key=len)}`"


def _plain(message: str) -> str:
    """Return a message of typer in the style of ours: lower case, names in backquotes, no period at the end."""
    text = re.sub(r"'([^']*)'", r"`\1`", message.strip().rstrip("."))
    return text[:1].lower() + text[1:]
