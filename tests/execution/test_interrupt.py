"""Ctrl-C and SIGTERM end a command, in a terminal or in the background of a script."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from samples.command import Command

from harness import cli
from harness.command.session import Session
from harness.error import UsageError
from harness.execution.interrupt import (
    INTERRUPTED,
    REPEAT_S,
    SIGNALS,
    Ending,
    Interrupt,
    interruptible,
    uninterruptible,
)
from harness.record import RUNS, RunFolder, Verdict

IN_THE_BACKGROUND = ["sh", "-c", "trap '' INT TERM; exec \"$@\"", "sh"]
"""Starts a command like the background of a script, and ignores both signals."""


@pytest.fixture(autouse=True)
def handlers_restored() -> Iterator[None]:
    """Check that the tests below restore the signal handlers."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    assert {number: signal.getsignal(number) for number in SIGNALS} == before


@pytest.mark.parametrize("number", SIGNALS)
def test_both_signals_interrupt_the_body(number: signal.Signals) -> None:
    """The received signal is known afterwards."""
    with pytest.raises(KeyboardInterrupt), interruptible() as interrupt:
        signal.raise_signal(number)
    assert interrupt.received is number


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_waits_for_the_end_of_what_is_undivided(number: signal.Signals) -> None:
    """It is raised right after it; a second interrupt does not wait."""
    steps = []

    def interrupted() -> None:
        with uninterruptible():
            signal.raise_signal(number)
            steps.append("the rest of it")
        steps.append("what follows")

    with interruptible() as interrupt:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert steps == ["the rest of it"]
    assert interrupt.received is number


@pytest.mark.parametrize("when", ["before", "after"])
def test_stored_results_are_counted(
    harness_command: Command, workplace: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """If a verdict is being stored, the records, the head and the terminal agree after the interrupt."""
    keep = Session.keep

    def interrupted(self: Session, record: Verdict) -> None:
        if when == "before":
            signal.raise_signal(signal.SIGINT)
        keep(self, record)
        if when == "after":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Session, "keep", interrupted)
    words = ["check", "torch:softmax", "--contract", "softmax", "--law", "rows_sum_to_one", "--run", "it"]
    done = harness_command(*words, "--dtypes", "float32,float16", "--jobs", "1", code=130)
    assert "interrupted after 1 of 2 verdicts" in done.stdout
    (work,) = RunFolder(RUNS / "it").head().work
    assert work.sentence == "interrupted after 1 of 2 verdicts"
    assert len(RunFolder(RUNS / "it").read(Verdict)) == 1


class Dropping:
    """Is interrupted in its destructor, where Python drops the exception."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


class Plain:
    """An object that can be weakly referenced."""


def _in_destructors(number: signal.Signals) -> None:
    for _ in range(3):
        Dropping(number)


def _in_a_callback(number: signal.Signals) -> None:
    whole = Plain()
    _reference = weakref.ref(whole, lambda _: signal.raise_signal(number))
    del whole


def _in_the_collector(number: signal.Signals) -> None:
    circle = [Dropping(number)]
    circle.append(circle)  # type: ignore[arg-type]
    del circle
    gc.collect()


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("lose", [_in_destructors, _in_a_callback, _in_the_collector])
def test_an_interrupt_that_python_drops_is_raised_again(
    lose: Callable[[signal.Signals], None], number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is raised soon, without a message about the dropped exception. No thread and no hook remains."""
    before = sys.unraisablehook, threading.active_count()
    with interruptible() as interrupt:
        lose(number)
        assert interrupt.is_lost
        with pytest.raises(KeyboardInterrupt):
            time.sleep(20.0)
        assert not interrupt.is_lost
    assert interrupt.received is number
    assert capfd.readouterr().err == ""
    _settle(before[1])
    # A thread that another test has left may end meanwhile.
    assert sys.unraisablehook is before[0]
    assert threading.active_count() <= before[1]


def _settle(threads: int) -> None:
    until = time.monotonic() + 10.0
    while threading.active_count() > threads and time.monotonic() < until:
        time.sleep(0.01)


def test_a_command_that_ends_before_that_was_interrupted_too() -> None:
    """Its exit code tells which signal came. A failed command keeps its exit code, and nothing is raised afterwards."""
    with interruptible() as interrupt:
        Dropping(signal.SIGTERM)
    time.sleep(2 * REPEAT_S)
    assert [interrupt.exit_code(code) for code in (None, 0, 1, 2, 130)] == [143, 143, 1, 2, 143]
    assert [Interrupt(None).exit_code(code) for code in (None, 130)] == [None, 130]


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("command.runner", "check torch:softmax --contract softmax --dtypes float32"),
        ("command.runner", "survey torch:softmax --contract softmax --dtypes float32"),
        ("bench.command", "bench steps --run it"),
    ],
)
def test_commands_hear_of_it(
    module: str, words: str, harness_command: Command, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They end as after any interrupt."""

    @contextmanager
    def interrupted() -> Iterator[None]:
        Dropping(signal.SIGINT)
        time.sleep(20.0)
        yield

    monkeypatch.setattr(f"harness.{module}.progress", interrupted)
    done = harness_command(words, code=130)
    assert "Traceback" not in done.stderr


def test_other_dropped_exceptions_are_reported_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The previous hook still receives other exceptions, and interrupts without a signal."""
    heard: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: heard.append(what.exc_type))

    class Raising:
        def __init__(self, error: type[BaseException]) -> None:
            self.error = error

        def __del__(self) -> None:
            raise self.error

    with interruptible() as interrupt:
        Raising(ValueError)
        Raising(KeyboardInterrupt)
    assert heard == [ValueError, KeyboardInterrupt]
    assert not interrupt.is_lost


@pytest.mark.parametrize(
    "handler", [signal.SIG_IGN, signal.SIG_DFL, lambda *_: None], ids=["ignored", "default", "its own"]
)
def test_previous_handlers_are_restored(handler: signal.Handlers | Callable[..., None]) -> None:
    """Any previous handler is restored, after an interrupt too."""
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        with pytest.raises(KeyboardInterrupt), interruptible():
            signal.raise_signal(signal.SIGINT)
        assert all(signal.getsignal(number) is handler for number in SIGNALS)
    finally:
        for number, own in before.items():
            signal.signal(number, own)


def test_another_thread_changes_nothing() -> None:
    """Only the main thread may set handlers."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    inside: list[object] = []

    def body() -> None:
        with interruptible():
            inside.append({number: signal.getsignal(number) for number in SIGNALS})

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert inside == [before]


def test_a_process_that_is_started_in_the_body_can_be_interrupted() -> None:
    """It inherits no ignored signal."""
    program = """
        import signal, subprocess, sys
        from harness.execution.interrupt import interruptible

        if "child" in sys.argv:
            print("ready", flush=True)
            signal.pause()
        with interruptible():
            child = subprocess.Popen([*sys.orig_argv, "child"], stdout=subprocess.PIPE, text=True)
            child.stdout.readline()
            child.send_signal(signal.SIGINT)
            raise SystemExit(0 if child.wait(60) == -signal.SIGINT else 1)
    """
    command = [*IN_THE_BACKGROUND, sys.executable, "-P", "-c", textwrap.dedent(program)]
    assert subprocess.run(command, check=False, timeout=60, stderr=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize(("number", "ends_with"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 7)])
def test_a_forked_process_ends_as_its_parent_expects(number: signal.Signals, ends_with: int) -> None:
    """SIGTERM ends it silently, and does not interrupt the command."""
    with interruptible() as interrupt:
        forked = os.fork()
        if not forked:
            try:
                signal.raise_signal(number)
            except KeyboardInterrupt:
                os._exit(7)
            os._exit(0)
        _, status = os.waitpid(forked, 0)
    assert os.waitstatus_to_exitcode(status) == ends_with
    assert interrupt.received is None


SLEEPY = """
import time
from pathlib import Path
import torch

def softmax(logits):
    if logits.dtype == torch.float16:
        Path("asleep").touch()
        time.sleep(60)
    return torch.softmax(logits, -1)
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_command_in_the_background_is_ended_in_order(workplace: Path, python: str, number: signal.Signals) -> None:
    """The run has the finished results, and the output states that more is planned.

    The exit code tells which signal ended the command.
    """
    (workplace / "sleepy.py").write_text(SLEEPY, encoding="utf-8")
    words = ["check", "sleepy.py:softmax", "--contract", "softmax", "--law", "rows_sum_to_one", "--run", "it"]
    words += ["--dtypes", "float32,float16", "--jobs", "1"]
    command = [*IN_THE_BACKGROUND, python, "-c", "from harness.cli import main; main()", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        until = time.monotonic() + 60.0
        while not (workplace / "asleep").exists() and time.monotonic() < until:
            time.sleep(0.02)
        running.send_signal(number)
        output, errors = running.communicate(timeout=60.0)
    assert running.returncode == 128 + number, errors
    assert "Traceback" not in errors
    assert "verdict: interrupted after 1 of 2 verdicts, the rest was not checked; no defect in 1 law" in output
    (work,) = RunFolder(RUNS / "it").head().work
    assert work.sentence == "interrupted after 1 of 2 verdicts"
    assert [verdict.dtype for verdict in RunFolder(RUNS / "it").read(Verdict)] == ["float32"]


EARLY = """
import os, signal, sys

class Interrupting:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "harness.cli.check":
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Interrupting)
from harness.__main__ import main
main()
"""


@pytest.mark.parametrize(("number", "ends_with"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_while_the_command_is_imported_ends_it_in_order(number: signal.Signals, ends_with: int) -> None:
    """There is no traceback."""
    program = EARLY.format(number=int(number))
    ended = subprocess.run([sys.executable, "-c", program, "list"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (ends_with, "", "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_that_is_dropped_ends_the_command_by_what_fails_later(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    """There is no traceback. Without an interrupt, the same error has one."""

    def half_imported(**_: object) -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(number)
        raise AttributeError("module 'numpy' has no attribute 'iinfo'")

    monkeypatch.setattr(cli, "app", half_imported)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == code
    empty: dict[str, int] = {}
    monkeypatch.setattr(cli, "app", lambda **_: empty["nothing"])
    with pytest.raises(KeyError):
        cli.main()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_refusal_after_an_interrupt_has_the_code_of_the_signal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals, code: int
) -> None:
    """The signal also ends processes of the command, which then cannot answer. The sentence is printed."""

    def refused(**_: object) -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(number)
        raise UsageError("cannot import `homework.py`")

    monkeypatch.setattr(cli, "app", refused)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert (end.value.code, capsys.readouterr().err) == (code, "harness: cannot import `homework.py`\n")


def test_a_temporary_file_that_cannot_be_written_is_named_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder may be removed, or full, while a command runs. Errors of other files are not taken for it."""

    def written(**_: object) -> None:
        Path(folder, "tmp1234", "file").touch()

    folder = "/nowhere"
    monkeypatch.setattr(cli, "app", written)
    with pytest.raises(FileNotFoundError):
        cli.main()
    monkeypatch.setattr("tempfile.tempdir", "/nowhere/tmp1234")
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err == (
        "harness: cannot write temporary files: no such file or directory; "
        "set `TMPDIR` to a folder that can be written to\n"
    )


GONE = UsageError("a cluster stays", value="none")


def test_work_that_ends_normally_has_no_message() -> None:
    """The exit code depends on the results."""
    with Ending([]) as ending:
        pass
    assert (ending.early, ending.code, ending.error) == ("", None, None)
    ending.settle()


def test_an_interrupt_keeps_finished_results() -> None:
    """The finished part may be empty."""
    with Ending([]) as ending:
        raise KeyboardInterrupt
    assert (ending.early, ending.code) == ("interrupted", INTERRUPTED)


def test_a_user_error_is_raised_after_the_results_are_stored() -> None:
    """It is raised afterwards."""
    with Ending(["a verdict"]) as ending:
        raise GONE
    assert ending.early == "ended by an error"
    with pytest.raises(UsageError, match="a cluster stays"):
        ending.settle()


def test_an_error_before_anything_was_finished_is_raised_at_once() -> None:
    """There are no results to keep."""
    with pytest.raises(UsageError), Ending([]):
        raise GONE


def test_an_internal_error_is_raised_unchanged() -> None:
    """Its traceback remains."""
    with pytest.raises(ZeroDivisionError), Ending(["a verdict"]):
        raise ZeroDivisionError
