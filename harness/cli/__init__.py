"""The ``harness`` command, with a module for each group of commands.

Exit codes: 0 if all laws hold or fail as declared, 1 if something is broken, 2 if the question could not be answered,
130 after an interrupt, and 143 after SIGTERM. Finished results remain stored.
"""

import errno
import os
import sys
from contextlib import suppress
from importlib import metadata
from typing import Annotated, NoReturn

import typer

from harness.cli import (
    accuracy,
    audit,
    check,
    diff,
    doctor,
    experiments,
    gate,
    init,
    laws,
    learn,
    prove,
    report,
    score,
    survey,
    tune,
)
from harness.cli.command import Command, Group
from harness.cli.options import discard_output
from harness.cli.panels import epilog
from harness.error import UsageError
from harness.execution.interrupt import interruptible

__all__ = ["app", "main"]

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Property-test numerical PyTorch code against exact arithmetic, measure its speed, and gate changes.",
    epilog=epilog(
        """
  harness check homework.py:softmax
  harness audit train.py:step
  harness init
""",
        "Each command has its own help, such as `harness check --help`.",
    ),
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
    """Read the options of the command line itself."""


COMMANDS = {
    "Is it correct?": (
        ("check", check.check, check.EPILOG),
        ("survey", survey.survey, survey.EPILOG),
        ("prove", prove.prove, prove.EPILOG),
        ("accuracy", accuracy.accuracy, accuracy.EPILOG),
        ("score", score.score, score.EPILOG),
    ),
    "Which line of a training step goes wrong?": (("audit", audit.audit, audit.EPILOG),),
    "How fast is it?": (
        ("bench", experiments.bench, experiments.BENCH_EPILOG),
        ("tune", tune.tune, tune.EPILOG),
    ),
    "Did a change make it worse?": (
        ("gate", gate.gate, gate.EPILOG),
        ("diff", diff.diff, diff.EPILOG),
        ("doctor", doctor.doctor, doctor.EPILOG),
        ("freeze", laws.freeze, laws.FREEZE_EPILOG),
    ),
    "How do I start in a project?": (("init", init.init, init.EPILOG),),
    "What is there to check?": (
        ("list", laws.list_, laws.LIST_EPILOG),
        ("explain", laws.explain, laws.EXPLAIN_EPILOG),
    ),
    "How do I learn it?": (("learn", learn.learn, learn.EPILOG),),
    "What did a run find?": (
        ("report", report.report, report.EPILOG),
        ("train", experiments.train, experiments.TRAIN_EPILOG),
    ),
}
"""The commands by the user's question, in the order of ``--help``."""

for question, commands in COMMANDS.items():
    for name, command, epilog_ in commands:
        app.command(name, cls=Command, rich_help_panel=question, epilog=epilog_)(command)


def main() -> None:
    """Run the command line; a usage error is one line and exit code 2, an interrupt exits with its signal's code."""
    with interruptible() as interrupt:
        try:
            app(prog_name="harness")
        except UsageError as error:
            _refuse(str(error))
        except SystemExit as end:
            end.code = interrupt.exit_code(end.code)
            _flush()
            raise
        except OSError as error:
            if not _is_of_output(error):
                raise
            _refuse(str(_of_output(error)))
        except Exception:
            # C code can swallow an interrupt, as torch does while it imports NumPy; the failure then comes later.
            if interrupt.received is None:
                raise
            sys.exit(interrupt.exit_code(130))


def _flush() -> None:
    """Flush standard output, or report that it cannot be written to."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
    except OSError as error:
        _refuse(str(_of_output(error)))


def _is_of_output(error: OSError) -> bool:
    """Return whether an error is about standard output; an error of a file names the file."""
    return error.filename is None and error.errno in {errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF}


def _of_output(error: OSError) -> UsageError:
    value = (error.strerror or str(error)).lower()
    return UsageError("cannot write to standard output", rule=value)


def _refuse(message: str) -> NoReturn:
    """Report in one line why there is no answer, and exit with code 2."""
    print(f"harness: {message}", file=sys.stderr)
    with suppress(OSError):
        sys.stdout.flush()
        sys.exit(2)
    # Otherwise Python repeats the error at exit.
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - to the end
    sys.exit(2)
