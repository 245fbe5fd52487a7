"""The ``harness`` command, with a module for each group of commands."""

import errno
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from harness.adoption.command import init
from harness.auditor.command import audit
from harness.bench.command import bench, train
from harness.cli import check, gate, laws, report
from harness.command.options import discard_output
from harness.command.panels import write_command, write_group
from harness.course.command import learn
from harness.error import UsageError, did_you_mean, join_names, nearest
from harness.execution.interrupt import interruptible
from harness.exit_code import ExitCode
from harness.proof.command import prove
from harness.proof.float32.command import accuracy
from harness.sameness.command import same
from harness.surveyor.command import survey
from harness.tolerances.command import tolerances
from harness.tuner.command import tune

# Commands with help in panels, and with errors of one line for options that cannot be read

_UNREADABLE: type[Exception] = typer.BadParameter.__bases__[0]
"""Base class of typer's command-line errors; its module depends on typer's version."""

NUMBERS = {"N": "a whole number"} | dict.fromkeys(("SECONDS", "FACTOR", "MS", "GIB"), "a number")
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
        with _raise_usage_error(self, ctx, args):
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
        with _raise_usage_error(self, ctx, args):
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
def _raise_usage_error(command: Any, ctx: Any, args: list[str]) -> Iterator[None]:
    """Turn an error of typer into a usage error, except for errors by which typer shows help."""
    words = list(args)
    try:
        yield
    except _UNREADABLE as error:
        if type(error).__name__ == "NoArgsIsHelpError" or ctx.resilient_parsing:
            raise
        raise _make_usage_error(error, command, ctx, words) from None


def _make_usage_error(error: Any, command: Any, ctx: Any, words: list[str]) -> UsageError:
    help_ = f"see `{ctx.command_path} --help`"
    kind, option = type(error).__name__, getattr(error, "option_name", None)
    if kind == "NoSuchOption":
        # Compare without the dashes that all options share.
        options = [name for param in command.get_params(ctx) for name in (*param.opts, *param.secondary_opts)]
        near = nearest(str(option).lstrip("-"), [name[2:] for name in options if name.startswith("--")])
        meant = f"did you mean {' or '.join(f'`--{name}`' for name in near)}?" if near else help_
        if option in {"--quiet", "-q"}:
            concise = "; `--output-format concise` prints a line for each finding"
            meant = f"leave it out{concise if '--output-format' in options else ''}"
        return UsageError(f"unknown option `{option}`", remedy=meant)
    if kind == "MissingParameter":
        return UsageError(f"missing {error.param.param_type_name} {_format_name(error.param)}", remedy=help_)
    if kind == "BadParameter" and error.param is not None:
        return _make_value_error(error, words)
    if kind == "BadOptionUsage":
        is_flag = "not" in error.message
        problem = f"`{option}` takes no value" if is_flag else f"missing value for `{option}`"
        return UsageError(problem, remedy=help_)
    if extra := re.search(r"unexpected extra argument.*\((.*)\)", error.message):
        return UsageError(f"unexpected argument {join_names(extra[1].split())}", remedy=help_)
    return UsageError(_format_message(error.message), remedy=help_)


def _make_value_error(error: Any, words: list[str]) -> UsageError:
    """Return the error for a value of the wrong type or range, independent of typer's wording."""
    param, metavar = error.param, error.param.metavar or ""
    least = getattr(param, "min", None)
    least = getattr(getattr(param, "type", None), "min", None) if least is None else least
    if metavar in NUMBERS:
        rule = NUMBERS[metavar] + ("" if least is None else f" of at least {least:g}")
    elif "|" in metavar:
        rule = f"one of {join_names(metavar.split('|'))}"
    else:
        return UsageError(f"invalid value for {_format_name(param)}", rule=_format_message(error.message))
    text = _find_option(param.opts, words)
    value = None if text is None else f"`{text}`"
    return UsageError(f"invalid value for {_format_name(param)}", rule=f"it must be {rule}", value=value)


def _find_option(names: list[str], words: list[str]) -> str | None:
    """Return the last value of an option on the command line."""
    values = [after for option, after in pairwise(words) if option in names]
    values += [word.partition("=")[2] for word in words if word.partition("=")[0] in names and "=" in word]
    return values[-1] if values else None


def _format_name(param: Any) -> str:
    """Return a parameter as the user types it, in backquotes."""
    if param.param_type_name == "argument":
        return f"`{param.metavar or param.name.upper()}`"
    return f"`{max(param.opts, key=len)}`"


def _format_message(message: str) -> str:
    """Convert a message of typer to our style: lower case, names in backquotes, no period at the end."""
    text = re.sub(r"'([^']*)'", r"`\1`", message.strip().rstrip("."))
    return text[:1].lower() + text[1:]


# The command line

__all__ = ["app", "main"]

app = typer.Typer(cls=Group, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def _show_version(value: bool) -> None:
    if value:
        print(f"harness {metadata.version('stability-harness')}")
        raise typer.Exit


@app.callback()
def common(
    _: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Property-test numerical PyTorch code against exact arithmetic, measure its speed, and gate changes.

    Examples
    --------
      harness check homework.py:softmax
      harness audit train.py:step
      harness init

    Each command has its own help, such as `harness check --help`.
    """
    reject_missing_scratch()


def reject_missing_scratch() -> None:
    """Raise a usage error if the folder for temporary files cannot be used.

    Python would take another one where the variable is wrong, but the processes that run user code would not.
    """
    folder = next((os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)), None)
    if folder is None or (Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        return
    problem = "cannot be written to" if Path(folder).exists() else "does not exist"
    raise UsageError(f"the folder for temporary files, `{folder}`, {problem}", remedy="set `TMPDIR` to another folder")


COMMANDS: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "Is it correct?": {"check": check.check, "survey": survey, "prove": prove, "accuracy": accuracy},
    "Which line of a training step goes wrong?": {"audit": audit},
    "How fast is it?": {"bench": bench, "tune": tune},
    "Which tolerance is right?": {"tolerances": tolerances},
    "Is it still the same?": {"same": same},
    "Did a change make it worse?": {"gate": gate.gate, "doctor": gate.doctor, "freeze": laws.freeze},
    "How do I start in a project?": {"init": init},
    "What is there to check?": {"list": laws.list_, "explain": laws.explain},
    "How do I learn it?": {"learn": learn},
    "What did a run find?": {"report": report.report, "train": train},
}
"""The commands by the user's question, in the order of ``--help``."""

PASSES_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Settings of a command that passes arguments on to another program."""

for question, commands in COMMANDS.items():
    for name, command in commands.items():
        settings = PASSES_ON if name == "tolerances" else None
        app.command(name, cls=Command, rich_help_panel=question, context_settings=settings)(command)


def main() -> None:
    """Run the command line; a usage error is one line and exit code 2, an interrupt exits with its signal's code."""
    with interruptible() as interrupt:
        try:
            app(prog_name="harness")
        except UsageError as error:
            _reject(
                str(error),
                ExitCode.NO_ANSWER if interrupt.received is None else interrupt.exit_code(ExitCode.INTERRUPTED),
            )
        except SystemExit as end:
            end.code = interrupt.exit_code(end.code)
            _flush()
            raise
        except KeyboardInterrupt:
            sys.exit(interrupt.exit_code(ExitCode.INTERRUPTED))
        except Exception as error:
            # C code can swallow an interrupt, as torch does while it imports NumPy; the failure then comes later.
            # Output also fails later if the signal says that the terminal is gone.
            if interrupt.received is not None:
                sys.exit(interrupt.exit_code(ExitCode.INTERRUPTED))
            if not isinstance(error, OSError) or not (_is_of_output(error) or _is_of_scratch(error)):
                raise
            _reject(str(_explain_output_error(error) if _is_of_output(error) else _explain_scratch_error(error)))


def _flush() -> None:
    """Flush standard output, or report that it cannot be written to."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
    except OSError as error:
        _reject(str(_explain_output_error(error)))


def _is_of_output(error: OSError) -> bool:
    """Return whether an error is about standard output; an error of a file names the file."""
    return error.filename is None and error.errno in {errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF}


def _explain_output_error(error: OSError) -> UsageError:
    value = (error.strerror or str(error)).lower()
    return UsageError("cannot write to standard output", rule=value)


def _is_of_scratch(error: OSError) -> bool:
    """Return whether an error is about a temporary file or folder, or says that there is no place for any."""
    return "temporary directory" in str(error) or Path(str(error.filename)).parent == Path(tempfile.gettempdir())


def _explain_scratch_error(error: OSError) -> UsageError:
    value = (error.strerror or str(error)).lower()
    return UsageError(
        "cannot write temporary files", rule=value, remedy="set `TMPDIR` to a folder that can be written to"
    )


def _reject(message: str, code: str | int | None = ExitCode.NO_ANSWER) -> NoReturn:
    """Report in one line why there is no answer, and exit."""
    for stream, text in ((sys.stderr, f"harness: {message}\n"), (sys.stdout, "")):
        try:
            stream.write(text)
            stream.flush()
        except OSError:
            discard_output(stream)
    sys.exit(code)
