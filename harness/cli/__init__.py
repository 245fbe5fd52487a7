"""The ``harness`` command, one module for each group of its commands.

Exit codes: 0 all laws hold or fail as declared, 1 something is broken, 2 the question could not be answered; 130 after
an interrupt and 143 after SIGTERM, with what was finished kept.
"""

import errno
import os
import sys
from contextlib import suppress
from importlib import metadata
from typing import Annotated, NoReturn

import typer

from harness.cli import audit, check, doctor, experiments, gate, laws, prove, report, score, survey, tune
from harness.error import UsageError
from harness.work.interrupt import interruptible

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Check which mathematical laws a PyTorch implementation keeps, time it, and report it.",
)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"harness {metadata.version('stability-harness')}")
        raise typer.Exit


@app.callback()
def common(
    _: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Take what belongs to no command."""


# In the order of ``--help``.
app.command("list")(laws.list_)
app.command()(laws.explain)
app.command()(check.check)
app.command()(survey.survey)
app.command()(audit.audit)
app.command()(laws.freeze)
app.command()(prove.prove)
app.command()(experiments.train)
app.command()(experiments.bench)
app.command()(tune.tune)
app.command()(score.score)
app.command()(gate.gate)
app.command()(doctor.doctor)
app.command()(report.report)


def main() -> None:
    """Run the command; a user's error is one plain line and exit code 2, an interrupt the exit code of its signal."""
    with interruptible() as interrupt:
        try:
            app()
        except UsageError as error:
            _refuse(str(error))
        except SystemExit as end:
            end.code = interrupt.exit_code(end.code)
            _flush()
            raise
        except OSError as error:
            if not _is_of_output(error):
                raise
            _refuse(str(_unsaid(error)))
        except Exception:
            # C code drops an interrupt, as torch does while it imports NumPy, and what is missing then fails later.
            if interrupt.received is None:
                raise
            sys.exit(interrupt.exit_code(130))


def _flush() -> None:
    """Have standard output take what was said, or say that it does not."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _refuse(str(_unsaid(error)))


def _is_of_output(error: OSError) -> bool:
    """Whether it is standard output that takes no more: an error of a file names the file."""
    return error.filename is None and error.errno in {errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF}


def _unsaid(error: OSError) -> UsageError:
    value = (error.strerror or str(error)).lower()
    return UsageError(rule="what is found can be printed", value=value, place="standard output")


def _refuse(message: str) -> NoReturn:
    """Say in one line why there is no answer, and end; what standard output does not take is given up."""
    print(f"harness: {message}", file=sys.stderr)
    with suppress(OSError):
        sys.stdout.flush()
        sys.exit(2)
    # Python would say once more at its end that nobody takes it.
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - to the end
    sys.exit(2)
