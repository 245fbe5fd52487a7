"""The runner of the commands: it keeps finished results, shows them, and returns the exit code, whatever happens."""

import signal
import time
from collections.abc import Callable, Iterable, Sized
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from harness.command.options import Output, progress, say, session
from harness.error import UsageError, printable
from harness.execution.interrupt import Ending, uninterruptible
from harness.exit_code import ExitCode
from harness.wording.number import count

if TYPE_CHECKING:
    from harness.command.session import Session
    from harness.execution.plan import Plan
    from harness.record import Record


class Work:
    """The running work of a command: its run, its progress bar, and its ending.

    Attributes
    ----------
    opened
        The run that it writes to.
    ending
        Whether and why it ended early.
    """

    def __init__(self, opened: "Session", ending: Ending, unit: str, stack: ExitStack) -> None:
        self.opened, self.ending = opened, ending
        self._unit, self._total, self._stack = unit, 0, stack

    def begin(
        self,
        doing: str,
        total: int,
        plan: "Plan | None" = None,
        *,
        done: int = 0,
        shown: int | None = None,
        late_seed: int | None = None,
    ) -> None:
        """Record how much there is to do, and show a progress bar of it, or of the number ``shown``.

        The bar starts here, so that the processes of a backend are forks of a process without its thread.
        """
        self._total, self.opened.done = total, done
        if plan is None:
            self.opened.expect(total, self._unit)
        else:
            self.opened.plan(plan, total, self._unit, late_seed=late_seed)
        self._bar = self._stack.enter_context(progress())
        self._task = self._bar.add_task(doing, total=total if shown is None else shown, completed=done)

    def keep(self, title: str | None, take: "Callable[..., Iterable[Record] | None]", *result: Any) -> None:
        """Take the result of a piece, store the records that ``take`` returns, and count it, without an interrupt."""
        with uninterruptible():
            for record in take(*result) or ():
                self.opened.keep(record)
            self.opened.done += 1
        self.move(title, by=1)

    def move(self, title: str | None, *, by: int | None = None, to: int | None = None) -> None:
        """Move the progress bar by a number of pieces, or to one."""
        self._bar.update(self._task, advance=by, completed=to, description=title)

    @property
    def early(self) -> str:
        """The reason of an early end with the number of finished pieces; empty if the work is complete."""
        done = f"{self.opened.done:,} of {count(self._total, self._unit)}"
        return f"{self.ending.early} after {done}" if self.ending.early else ""


def run(
    work: Callable[[Work], None],
    show: Callable[[Work], int],
    *,
    kept: Sized,
    unit: str,
    output: Output = Output(),  # noqa: B008 - it is frozen
    seed: int | None = None,
    keep: "Callable[[Work], Iterable[Record]]" = lambda _: (),
) -> int:
    """Do the work of a command, show its results, and return the exit code.

    Parameters
    ----------
    work
        Does the work, and stores each result when it is finished.
    show
        Prints the finished results and writes the files, also after an interrupt; returns the exit code of complete
        work.
    kept
        Collection of the finished results.
    unit
        Name of a piece of the work.
    output
        The run and the format of the output.
    seed
        Random seed of the run.
    keep
        Returns the records of all results together, which are stored before the run ends.

    Raises
    ------
    UsageError
        If the work ended by one; the results that were finished before it are shown first.
    """
    with session(output.run, seed, fresh=output.fresh) as opened:
        with Ending(kept) as ending, ExitStack() as stack:
            done = Work(opened, ending, unit, stack)
            work(done)
        for record in keep(done):
            opened.keep(record)
        opened.end(ending)
        for remark in opened.remarks:
            typer.echo(printable(f"run: {remark}"), err=not output.is_full)
        code = show(done)
        ending.settle()
        return code if ending.code is None else ending.code


# Again on each save


WAIT_S = 0.1
"""Longest delay in seconds until a save is noticed."""


def run_on_change(target: str, checked: Callable[[], int], *, until: int | None = None) -> int:
    """Check now and after each save of the file, until interrupted or until an exit code; return the last one."""
    file = Path(target.partition(":")[0])
    if not target.partition(":")[2] or file.suffix != ".py":
        raise UsageError(f"cannot watch `{target}`", rule="`--watch` needs `file.py:function`")
    seen, code = _get_stamp(file), _check_and_survive(checked)
    try:
        while code not in {until, ExitCode.INTERRUPTED}:
            say(f"watching {file}; press Ctrl-C to stop")
            while (stamp := _get_stamp(file)) in {seen, None}:
                time.sleep(WAIT_S)
            seen, code = stamp, _check_and_survive(checked)
    except KeyboardInterrupt as interrupt:
        # Ctrl-C is the usual end of a watch; other signals end the command.
        if {*interrupt.args} - {signal.SIGINT}:
            raise
    return code


def _get_stamp(file: Path) -> tuple[int, int] | None:
    """Return values that change when a file is saved; ``None`` while it does not exist."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def _check_and_survive(checked: Callable[[], int]) -> int:
    """Check once; print a usage error, such as a syntax error in the file, and keep watching."""
    try:
        return checked()
    except UsageError as error:
        say(f"harness: {error}")
        return ExitCode.NO_ANSWER
